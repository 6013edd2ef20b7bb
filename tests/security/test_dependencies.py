"""What is installed is what was named: exact versions, few of them, and nothing that runs by being there."""

import re
import sysconfig
import tomllib
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[2]
PINNED = dict(
    line.split("==")
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
)
MOST = 112  # distributions, tools for development (a browser, an API tester) and all extras among them: a ratchet
#: Of an editable installation, of setuptools, and of coverage, which does nothing unless it is told to.
KNOWN_PTH = {"_editable_impl_pocketlet.pth", "distutils-precedence.pth", "a1_coverage.pth"}


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_version_is_pinned_and_they_are_few() -> None:
    assert len(PINNED) <= MOST
    assert not [name for name, version in PINNED.items() if not re.fullmatch(r"[\w.!+-]+", version)]


def test_what_is_installed_is_what_is_pinned() -> None:
    pinned = {plain(name): version for name, version in PINNED.items()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [plain(re.split(r"[\[<>=!~ ]", line)[0]) for line in project["dependencies"]]
    installed = {plain(one.metadata["Name"]): one.version for one in metadata.distributions()}
    assert {name: installed.get(name) for name in wanted} == {name: pinned.get(name) for name in wanted}


def test_nothing_runs_by_being_installed() -> None:
    places = {Path(sysconfig.get_path(kind)) for kind in ("purelib", "platlib")}
    found = [path for place in places for path in place.glob("*.pth")]
    running = [path.name for path in found if re.search(r"^import\s", path.read_text(encoding="utf-8"), re.MULTILINE)]
    assert set(running) <= KNOWN_PTH
