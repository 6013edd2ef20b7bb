"""The pages of the documentation, and what is read out of them."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
REFERENCE = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def all_pages() -> list[Path]:
    """Every page that is ours to keep right."""
    top = [ROOT / name for name in ("README.md", "AGENTS.md", "CHANGELOG.md", "SECURITY.md")]
    return [*top, *sorted((ROOT / "docs").rglob("*.md"))]


def text(name: str) -> str:
    """A page below docs/."""
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def links(page: Path) -> list[str]:
    """The targets of a page's links, without those that stand in code."""
    return LINK.findall(CODE.sub("", page.read_text(encoding="utf-8")))


def anchors(page: Path) -> set[str]:
    """The fragments by which a page's headings can be linked to."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def rows(name: str, pattern: str) -> list[list[str]]:
    """The rows of a page's tables whose first cell is like `pattern`, as cells."""
    found = [line for line in text(name).splitlines() if re.match(rf"\| {pattern} \|", line)]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in found]
