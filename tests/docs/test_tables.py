"""The tables of threats and promises name tests that exist, or say what is missing; the glossary has each word once."""

import ast
from functools import cache

import pages
import pytest

WORDS = {
    *("agent", "manager", "run", "step", "briefing", "playbook", "revision", "lesson", "memory", "result", "feedback"),
    *("case", "trial", "gate", "effect", "approval", "trigger", "slot", "connection", "skill", "ledger", "app"),
    *("assertion", "channel", "collection", "curation", "hook", "notice"),
}
THREATS = pages.rows("security.md", r"T\d+")
PROMISES = pages.rows("reliability.md", r"R\d+")
LEARNING = pages.rows("security.md", r"L\d+")


@cache
def names_of(path: str) -> set[str]:
    """The tests of a file."""
    tree = ast.parse((pages.ROOT / path).read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {function.name for function in functions if function.name.startswith("test_")}


def test_no_row_is_missing() -> None:
    assert [row[0] for row in THREATS] == [f"T{number}" for number in range(1, 37)]
    assert [row[0] for row in PROMISES] == [f"R{number}" for number in range(1, 33)]
    assert [row[0] for row in LEARNING] == [f"L{number}" for number in range(1, 13)]


@pytest.mark.parametrize("row", [*THREATS, *PROMISES, *LEARNING], ids=lambda row: row[0])
def test_each_row_names_tests_that_exist_or_says_not_yet(row: list[str]) -> None:
    status = row[-1]
    references = pages.REFERENCE.findall(status)
    assert len(row) == 4
    assert references or status.startswith("not yet: ")
    assert status.count("`tests/") == len(references), "written as `tests/folder/file.py::name`"
    for path, name in references:
        assert (pages.ROOT / path).is_file(), path
        assert name in names_of(path), f"{path} has no {name}"


#: Threats that must name a test each, whatever is still missing beside it.
HELD = [*range(1, 21), 24, 27, *range(31, 37)]


@pytest.mark.parametrize("number", HELD)
def test_a_threat_that_is_held_names_its_test(number: int) -> None:
    assert pages.REFERENCE.findall(THREATS[number - 1][-1])


#: Promises, likewise.
KEPT = [*range(1, 21), *range(26, 33)]


@pytest.mark.parametrize("number", KEPT)
def test_a_promise_that_is_kept_names_its_test(number: int) -> None:
    assert pages.REFERENCE.findall(PROMISES[number - 1][-1])


def test_the_glossary_has_each_word_once_in_order() -> None:
    found = [row[0].strip("*") for row in pages.rows("glossary.md", r"\*\*\w+\*\*")]
    assert found == sorted(WORDS)
