"""Rows as a page shows them: which cells are numbers and times, what is cut, and where each row comes from."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pocketlet.surfaces.api import tables

WORDS = 30  # characters from which a cell wants room
CUT = 140  # characters of a cell; the rest opens
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
INSTANT = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d):\d\d(?:\.\d+)?\+00(?::?00)?")


@dataclass(frozen=True, slots=True)
class Cell:
    """`kind`: null, number, time, long, words or text. `text`: what is shown at once; `whole`: all of it."""

    kind: str
    text: str
    whole: str


@dataclass(frozen=True, slots=True)
class Line:
    """A row: its cells, by column too, where it comes from, and the address of its own page (empty: it has none)."""

    cells: list[Cell]
    by: dict[str, Cell]
    row: tables.Row
    href: str


@dataclass(frozen=True, slots=True)
class Grid:
    """A table on a page. `numeric`: which columns stand to the right. `mixed`: rows say each where they come from.

    `used`: of some it is known which runs were shown them.
    """

    columns: list[str]
    numeric: list[bool]
    lines: list[Line]
    mixed: bool
    used: bool


def grid(columns: Sequence[str], rows: Sequence[tables.Row], pages: Mapping[int, str] | None = None) -> Grid:
    """`pages`: the addresses of rows' own pages, by their position."""
    known = pages or {}
    lines = [_line(columns, row, known.get(at, "")) for at, row in enumerate(rows)]
    mixed = any(row.origin != "own" or row.run for row in rows)
    numeric = [_numeric([row.cells[at] for row in rows]) for at in range(len(columns))]
    return Grid(list(columns), numeric, lines, mixed, any(row.used_by for row in rows))


def _line(columns: Sequence[str], row: tables.Row, href: str) -> Line:
    made = [cell(value) for value in row.cells]
    return Line(made, dict(zip(columns, made, strict=True)), row, href)


def _numeric(values: Sequence[str | None]) -> bool:
    found = [value for value in values if value is not None]
    return bool(found) and all(NUMBER.fullmatch(value) for value in found)


def cell(value: str | None) -> Cell:
    """One value as Postgres spelled it."""
    if value is None:
        return Cell("null", "", "")
    if NUMBER.fullmatch(value):
        return Cell("number", value, value)
    if match := INSTANT.fullmatch(value):
        return Cell("time", f"{match[1]} {match[2]}", value)
    if len(value) > CUT:
        return Cell("long", f"{value[:CUT].rstrip()}…", value)
    return Cell("words" if len(value) > WORDS else "text", value, value)
