"""Builds the vendored files of the web pages from npm. For developers: needs npm; nobody needs it to install or run.

    .venv/bin/python tools/vendor.py

The versions are in `tools/vendor/package.json` and its lock file; what came of them stands in `VENDOR.toml`, beside
the files. To renew: change a version, delete the lock file, run this, look at the difference, run the tests.
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

HERE = Path(__file__).parent
SOURCES = HERE / "vendor"
TARGET = HERE.parent / "src/pocketlet/surfaces/web/static/vendor"
FONTS = "@fontsource-variable"
#: File → package, folder of it, family, weights, and which of its subsets.
LETTERS = {
    "geist": ("geist", "Geist", "100 900", ("latin", "latin-ext", "cyrillic")),
    "geist-mono": ("geist-mono", "Geist Mono", "100 900", ("latin",)),
    "source-serif-4": ("source-serif-4", "Source Serif 4", "200 900", ("latin", "latin-ext")),
}
#: Our name of an icon → Lucide's.
ICONS = {
    "home": "house", "inbox": "inbox", "coins": "coins", "chat": "message-circle", "runs": "history",
    "book": "book-open", "memory": "layers", "skill": "puzzle", "plug": "plug", "bolt": "zap", "pen": "pen-line",
    "mail": "mail", "db": "database", "globe": "globe", "shield": "shield-alert", "hand": "hand", "play": "play",
    "stop": "square", "retry": "rotate-ccw", "check": "check", "cross": "x", "edit": "square-pen", "plus": "plus",
    "search": "search", "key": "key-round", "bell": "bell", "clock": "clock", "arrow-right": "arrow-right",
    "chevron": "chevron-right", "external": "external-link", "link": "link", "download": "download",
    "upload": "upload", "trash": "trash-2", "user": "user", "logout": "log-out", "sun": "sun", "moon": "moon",
    "state-queued": "circle-dashed", "state-running": "loader-circle", "state-waiting": "hand",
    "state-done": "circle-check", "state-failed": "circle-x", "state-stopped": "circle-stop",
    "state-blocked": "shield-x", "state-due": "clock", "state-skipped": "skip-forward", "state-missed": "clock-alert",
}  # fmt: skip
ICON_RULES = """\
/* 18 px, in the colour of the text around: <span class="icon icon-home" aria-hidden="true"></span> */
.icon{display:inline-block;flex:none;width:18px;height:18px;vertical-align:-4px;background:currentColor;
-webkit-mask:var(--icon) center/contain no-repeat;mask:var(--icon) center/contain no-repeat}
@media (forced-colors:active){.icon{forced-color-adjust:none;background:CanvasText}}
"""
SPDX = {"BSD-0-Clause": "0BSD"}  # what a package calls its licence, where that is no name of SPDX
LICENCES = ("LICENSE", "LICENSE.md", "LICENSE.txt", "LICENCE")


def main() -> None:
    """Builds all anew, and says how large it is."""
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder)
        for path in SOURCES.iterdir():
            shutil.copy(path, room)
        lock = room / "package-lock.json"
        npm = shutil.which("npm") or sys.exit("There is no npm. On Debian: apt-get install npm")
        verb = ["ci"] if lock.exists() else ["install", "--omit-lockfile-registry-resolved"]
        quiet = ["--silent", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run([npm, *verb, *quiet], cwd=room, check=True)
        shutil.copy(lock, SOURCES)
        for path in TARGET.iterdir():
            path.unlink()
        made = {**_htmx(room), **_letters(room), **_icons(room), **_uplot(room), **_codemirror(room)}
        _tell(room, made)
    total = sum(path.stat().st_size for path in TARGET.iterdir())
    sys.stdout.write(f"{len(made)} files, {total / 1000:.0f} KB\n")


def _htmx(room: Path) -> dict[str, list[str]]:
    """htmx and its extensions, in one file: from a file of its own an extension can come after htmx has begun, and
    then nothing is asked for a nonce.
    """
    dist = room / "node_modules/htmx.org/dist"
    parts = (dist / f"{name}.min.js" for name in ("htmx", "ext/hx-csp", "ext/hx-sse"))
    texts = [f"{path.read_text(encoding='utf-8').rstrip()}\n" for path in parts]
    (TARGET / "htmx.js").write_text("".join(texts), encoding="utf-8")
    return {"htmx.js": ["htmx.org"]}


def _letters(room: Path) -> dict[str, list[str]]:
    rules: list[str] = []
    made = {"fonts.css": [f"{FONTS}/{package}" for package, *_ in LETTERS.values()]}
    for short, (package, family, weights, subsets) in LETTERS.items():
        source = room / "node_modules" / FONTS / package
        ranges = json.loads((source / "unicode.json").read_text(encoding="utf-8"))
        for subset in subsets:
            name = f"{short}.woff2" if subset == "latin" else f"{short}-{subset}.woff2"
            shutil.copy(source / "files" / f"{package}-{subset}-wght-normal.woff2", TARGET / name)
            made[name] = [f"{FONTS}/{package}"]
            rules.append(
                f'@font-face{{font-family:"{family}";font-weight:{weights};font-display:swap;'
                f'src:url("{name}") format("woff2");unicode-range:{ranges[subset]}}}\n'
            )
    (TARGET / "fonts.css").write_text("".join(rules), encoding="utf-8")
    return made


def _icons(room: Path) -> dict[str, list[str]]:
    rules = [ICON_RULES]
    for name, drawn in ICONS.items():
        svg = (room / f"node_modules/lucide-static/icons/{drawn}.svg").read_text(encoding="utf-8")
        inner = re.sub(r"\s+", " ", re.sub(r"<!--.*?-->|<svg.*?>|</svg>", "", svg, flags=re.DOTALL)).strip()
        inner = inner.replace(" />", "/>").replace("> <", "><").replace('"', "'")
        outer = (
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' stroke='#000' stroke-width='2' "
            f"stroke-linecap='round' stroke-linejoin='round'>{inner}</svg>"
        )
        drawing = quote(outer, safe=" =:/,'")
        rules.append(f'.icon-{name}{{--icon:url("data:image/svg+xml,{drawing}")}}\n')
    (TARGET / "icons.css").write_text("".join(rules), encoding="utf-8")
    return {"icons.css": ["lucide-static"]}


def _uplot(room: Path) -> dict[str, list[str]]:
    (room / "uplot.js").write_text('import uPlot from "uplot"\nglobalThis.uPlot = uPlot\n', encoding="utf-8")
    shutil.copy(room / "node_modules/uplot/dist/uPlot.min.css", TARGET / "uplot.css")
    return {"uplot.js": _bundled(room, "uplot.js", "iife"), "uplot.css": ["uplot"]}


def _codemirror(room: Path) -> dict[str, list[str]]:
    """Its styles go into a sheet of the page's, which no policy has to allow, and not into a `<style>`."""
    styles = room / "node_modules/style-mod/src/style-mod.js"
    before = styles.read_text(encoding="utf-8")
    after = before.replace("if (!root.head && root.adoptedStyleSheets", "if (root.adoptedStyleSheets")
    if after == before:
        sys.exit("style-mod has changed: look how it mounts its styles, and change this function.")
    styles.write_text(after, encoding="utf-8")
    return {"codemirror.js": _bundled(room, "codemirror.js", "esm", "--alias:@codemirror/lang-html=./no-html.js")}


def _bundled(room: Path, name: str, form: str, *more: str) -> list[str]:
    """The packages that went into the bundle."""
    command = [str(room / "node_modules/.bin/esbuild"), name, "--bundle", "--minify", f"--format={form}"]
    command += ["--target=es2022", "--legal-comments=none", "--log-level=warning", "--metafile=meta.json"]
    subprocess.run([*command, f"--outfile={TARGET / name}", *more], cwd=room, check=True)
    inputs = json.loads((room / "meta.json").read_text(encoding="utf-8"))["inputs"]
    found = (re.match(r"node_modules/((?:@[^/]+/)?[^/]+)/", path) for path in inputs)
    return sorted({one[1] for one in found if one})


def _tell(room: Path, made: dict[str, list[str]]) -> None:
    """VENDOR.toml, which a test compares with the files, and the licences."""
    lines = ["# Written by tools/vendor.py: what the files here are made of (npm packages), and what they have to be."]
    for name in sorted(made):
        digest = hashlib.sha256((TARGET / name).read_bytes()).hexdigest()
        lines += ["", "[[file]]", f'name = "{name}"', f'sha256 = "{digest}"', f"packages = {json.dumps(made[name])}"]
    notices = ["The files in this folder are made of the following packages. Each is under its own licence.\n"]
    for package in sorted({one for packages in made.values() for one in packages}):
        folder = room / "node_modules" / package
        about = json.loads((folder / "package.json").read_text(encoding="utf-8"))
        lines += ["", "[[package]]", f'name = "{package}"', f'version = "{about["version"]}"']
        licence = SPDX.get(about["license"], about["license"])
        lines += [f'licence = "{licence}"']
        text = next((folder / one for one in LICENCES if (folder / one).exists()), None)
        if text is None:
            sys.exit(f"{package} has no licence text.")
        title = f"{package} {about['version']} ({licence})"
        notices.append(f"{'=' * 78}\n{title}\n{'=' * 78}\n{text.read_text(encoding='utf-8').strip()}\n")
    (TARGET / "VENDOR.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (TARGET / "THIRD-PARTY.txt").write_text("\n".join(notices), encoding="utf-8")


if __name__ == "__main__":
    main()
