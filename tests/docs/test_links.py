"""Links lead somewhere, and pages claim no more than was shown."""

import re
from pathlib import Path

import pages
import pytest

#: What a stand-in's figures may never be called.
CLAIMS = re.compile(r"\baccura(cy|te)\b|\bsuccess[- ]rate\b|\bstate of the art\b|\blearns \d+ ?%", re.IGNORECASE)
MACHINE = re.compile(r"/(home|root|work|tmp|Users|opt)/\w")


def named(page: Path) -> str:
    return str(page.relative_to(pages.ROOT))


@pytest.mark.parametrize("page", pages.all_pages(), ids=named)
def test_relative_links_resolve(page: Path) -> None:
    for target in pages.links(page):
        if target.startswith(("https://", "mailto:")):
            continue
        path, _, fragment = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        assert found.is_relative_to(pages.ROOT), target
        assert not fragment or fragment in pages.anchors(found), target


@pytest.mark.parametrize("page", pages.all_pages(), ids=named)
def test_nothing_is_claimed_that_a_stand_in_can_not_show(page: Path) -> None:
    assert not CLAIMS.search(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", pages.all_pages(), ids=named)
def test_no_path_of_one_machine(page: Path) -> None:
    outside_code = page.read_text(encoding="utf-8").replace("/path/to/", "")
    assert not MACHINE.search(outside_code)


def test_the_stand_in_is_called_one_and_the_demo_a_mechanism_test() -> None:
    readme = (pages.ROOT / "README.md").read_text(encoding="utf-8")
    assert "stand-in" in readme
    assert "mechanism test" in readme
    assert "mechanism test" in pages.text("story.md")


def test_every_page_is_linked_from_another() -> None:
    linked: set[Path] = set()
    for page in pages.all_pages():
        targets = {(page.parent / target.partition("#")[0]).resolve() for target in pages.links(page)}
        linked |= targets - {page}
    folders = {path for path in linked if path.is_dir()}
    lost = [page for page in pages.all_pages() if page not in linked and page.parent not in folders]
    assert [named(page) for page in lost if page.name != "README.md"] == ["CHANGELOG.md"]
