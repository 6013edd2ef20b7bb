"""The vendored files are what their list says, small enough, and bring nothing from elsewhere into a page."""

import hashlib
import re
import tomllib
from pathlib import Path
from typing import Any

import httpx2
import pytest
from desks import Desk

from pocketlet.surfaces.web import assets

VENDOR = assets.FOLDER / "vendor"
LISTED: dict[str, Any] = tomllib.loads((VENDOR / "VENDOR.toml").read_text(encoding="utf-8"))
FILES: dict[str, dict[str, Any]] = {one["name"]: one for one in LISTED["file"]}
BESIDE = {"VENDOR.toml", "THIRD-PARTY.txt"}
#: What every page loads before it looks right; other subsets of letters come when a page has such letters.
FIRST = (
    "logbook.css", "pocketlet.js", "mark.svg", "vendor/htmx.js", "vendor/icons.css", "vendor/fonts.css",
    "vendor/geist.woff2", "vendor/geist-mono.woff2", "vendor/source-serif-4.woff2",
)  # fmt: skip
#: Names of the SVG language, and how an address begins in Markdown: words, and nothing is fetched from there.
WORDS = {"http://www.w3.org/2000/svg", "https://"}


def read(name: str) -> str:
    return (VENDOR / name).read_text(encoding="utf-8")


def test_each_file_is_listed_and_what_its_list_says() -> None:
    assert {path.name for path in VENDOR.iterdir()} == FILES.keys() | BESIDE
    found = {name: hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() for name in FILES}
    assert found == {name: one["sha256"] for name, one in FILES.items()}


def test_each_package_has_a_version_a_licence_and_its_notice() -> None:
    packages = {one["name"]: one for one in LISTED["package"]}
    assert {name for one in FILES.values() for name in one["packages"]} == packages.keys()
    assert {one["licence"] for one in packages.values()} <= {"0BSD", "ISC", "MIT", "OFL-1.1"}
    notices = read("THIRD-PARTY.txt")
    for one in packages.values():
        assert f"{one['name']} {one['version']} ({one['licence']})" in notices


def test_all_assets_stay_small() -> None:
    sizes = {name: path.stat().st_size for name, path in assets.files().items()}
    assert sum(sizes.values()) <= 900_000
    assert sizes["vendor/codemirror.js"] <= 650_000


def test_the_first_page_loads_little() -> None:
    as_sent = [len(assets.packed(name)) if not name.endswith(".woff2") else size(name) for name in FIRST]
    assert sum(as_sent) <= 190_000  # 10 KB are left for the page itself


def size(name: str) -> int:
    return assets.files()[name].stat().st_size


@pytest.mark.parametrize("name", sorted(name for name in FILES if Path(name).suffix in (".js", ".css")))
def test_nothing_names_an_address_elsewhere(name: str) -> None:
    text = read(name)
    named = set(re.findall(r"(?:https?|wss?|ftp)://[^\s\"'`)\\?#]*", text))
    assert named <= WORDS
    assert "sourceMappingURL" not in text
    assert "@import" not in text
    for address in re.findall(r"url\(\s*[\"']?([^\"')]*)", text):
        assert address.startswith("data:image/svg+xml,") or address in FILES


@pytest.mark.parametrize("name", sorted(name for name in FILES if name.endswith(".js")))
def test_no_script_makes_code_out_of_text(name: str) -> None:
    """htmx can, for hx-on and js: values; our policy forbids it, and nothing else here does."""
    text = re.sub(r"Object\.getPrototypeOf\(async function\(\)\{\}\)\.constructor", "", read(name))
    assert not re.findall(r"\beval\(|\bnew Function\(|\bimportScripts\(|document\.write\(", text)


def test_extensions_are_known_before_htmx_begins() -> None:
    """In one file: a browser runs nothing else between its parts, however slow the network is."""
    text = read("htmx.js")
    assert 0 < text.index('registerExtension("hx-csp"') < text.index('registerExtension("sse"')


def test_the_names_that_pages_use_are_there() -> None:
    icons = set(re.findall(r"^\.icon-([a-z-]+)", read("icons.css"), re.MULTILINE))
    pages = (path.read_text(encoding="utf-8") for path in (assets.FOLDER.parent / "templates").rglob("*.html"))
    used = {name for page in pages for name in re.findall(r"\bicon\(\"([a-z-]+)\"\)", page)}
    assert used <= icons
    assert set(re.findall(r'font-family:"([^"]+)"', read("fonts.css"))) == {"Geist", "Geist Mono", "Source Serif 4"}


async def test_scripts_are_packed_for_whoever_takes_it(desk: Desk) -> None:
    url = f"{desk.url}{assets.url('vendor/codemirror.js')}"
    async with httpx2.AsyncClient() as browser:
        packed = await browser.get(url, headers={"accept-encoding": "gzip, deflate, br"})
        plain = await browser.get(url, headers={"accept-encoding": "identity, gzip;q=0"})
        letters = await browser.get(f"{desk.url}{assets.url('vendor/geist.woff2')}")
        notice = await browser.get(f"{desk.url}/static/x/vendor/VENDOR.toml")
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["vary"] == plain.headers["vary"] == "accept-encoding"
    assert int(packed.headers["content-length"]) < 200_000 < int(plain.headers["content-length"])
    assert packed.content == plain.content == (VENDOR / "codemirror.js").read_bytes()
    assert packed.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "content-encoding" not in letters.headers
    assert letters.headers["content-type"] == "font/woff2"
    assert notice.status_code == 404
