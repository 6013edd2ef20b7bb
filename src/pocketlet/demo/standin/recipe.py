"""A skill as steps: queries to fill and run, replies to choose from, and sentences with a label.

Written in a SKILL.md as prose: a paragraph that names a query in backticks before a block of SQL, or says
when to reply before a block of text; `[label] sentence` marks a sentence that rules may speak about.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from . import answer

FENCE = re.compile(r"^[ \t]*```([a-z]*)[^\n]*\n(.*?)^[ \t]*```[ \t]*$", re.MULTILINE | re.DOTALL)
LABELLED = re.compile(r"^\s*(?:[-*]\s+)?`?\[([^\]\n]+)\][ \t]+([^`\n]+)`?\s*$", re.MULTILINE)
SLOT = re.compile(r"\{(\w+)\}")
FOUND = re.compile(r"\b(?:if|when)\s+(?:`(\w+)`\s+found|(nothing)\s+was\s+found)(?:\s+(nothing|no rows))?", re.I)

Table = Sequence[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Guard:
    """A step's "if `x` found rows" or "if nothing was found"; no `query` means any."""

    query: str
    empty: bool

    def holds(self, tables: Mapping[str, Table]) -> bool:
        """Whether the tables found so far are as the step wants them."""
        found = bool(tables.get(self.query)) if self.query else any(tables.values())
        return found is not self.empty


@dataclass(frozen=True, slots=True)
class Step:
    """A query (with a `name`) or a reply (without one), and when it is its turn."""

    name: str
    text: str
    guard: Guard | None

    def wanted(self, tables: Mapping[str, Table]) -> bool:
        """Whether the step is to be taken, given the tables found so far."""
        return self.guard is None or self.guard.holds(tables)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence with the label (or several, parted by ` / `) that rules call it by."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """A skill's steps."""

    queries: tuple[Step, ...]
    replies: tuple[Step, ...]
    phrases: tuple[Sentence, ...]


def read(skill: str) -> Recipe:
    """The recipe in a skill's text; without steps if it holds none."""
    queries: list[Step] = []
    replies: list[Step] = []
    start = 0
    for block in FENCE.finditer(skill):
        intro = " ".join(skill[start : block.start()].strip().rpartition("\n\n")[2].split())
        start = block.end()
        named = re.search(r"\bquery\s+`(\w+)`", intro, re.I)
        if block[1] == "sql" and named:
            queries.append(Step(named[1], block[2].strip(), _guard(intro)))
        elif block[1] == "reply":
            replies.append(Step("", block[2].strip(), _guard(intro)))
    return Recipe(tuple(queries), tuple(replies), tuple(sentences(FENCE.sub("", skill))))


def sentences(text: str) -> Iterable[Sentence]:
    """All sentences with a label in a text."""
    return (Sentence(label, sentence.strip()) for label, sentence in LABELLED.findall(text))


def table(result: str) -> Table:
    """The rows of a query's result: a header, rows parted by tabs, and a count in brackets at the end."""
    if answer.refused(result):
        return ()
    lines = [line.split("\t") for line in re.sub(r"\n\(.*\)\s*$", "", result).split("\n") if line]
    return [dict(zip(lines[0], line, strict=False)) for line in lines[1:]]


def fill(template: str, values: Mapping[str, str]) -> str | None:
    """The text with its slots filled, or None if a value is missing or empty."""
    names = SLOT.findall(template)
    return SLOT.sub(lambda slot: values[slot[1]], template) if all(map(values.get, names)) else None


def fill_sql(template: str, values: Mapping[str, str]) -> str | None:
    """The query with its slots filled as literals, in quotes once; or None if a value is missing."""
    if not values.keys() >= set(SLOT.findall(template)):
        return None
    return SLOT.sub(lambda slot: _literal(values[slot[1]], template[: slot.start()]), template)


def _literal(value: str, before: str) -> str:
    quoted = value.replace("\0", "").replace("'", "''")
    return quoted if before.count("'") % 2 else f"'{quoted}'"


def _guard(intro: str) -> Guard | None:
    said = FOUND.search(intro)
    if said:
        return Guard(said[1] or "", empty=bool(said[2] or said[3]))
    return None
