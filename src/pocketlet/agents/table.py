"""Rows as a model reads them: a header, tab-separated cells, whole rows up to a budget, and what was left out."""

import re

from pocketlet.db import reader

CELL = 200  # characters
BYTES = 6_000  # about 1,500 tokens
NAME = re.compile(r"[a-z_][a-z0-9_]{0,30}")
NUMBER = re.compile(r"-?\d{1,12}(?:\.\d{1,4})?")


def render(rows: reader.Rows) -> str:
    """The text of a result. NULL is empty; long cells and rows beyond the budget are cut and counted."""
    lines = ["\t".join(rows.columns)]
    size = len(lines[0])
    for row in rows.rows:
        line = "\t".join(_cell(value) for value in row)
        size += len(line.encode()) + 1
        if size > BYTES:
            break
        lines.append(line)
    shown = len(lines) - 1
    total = len(rows.rows)
    count = f"({total} row{'' if total == 1 else 's'})"
    if shown < total:
        count = f"({shown} of {total} rows fit here: select fewer columns or rows)"
    elif rows.capped:
        count = f"({total} rows, {rows.capped}: filter, aggregate or add LIMIT)"
    return "\n".join([*lines, count])


def _cell(value: str | None) -> str:
    text = " ".join((value or "").split()) if value and ("\t" in value or "\n" in value) else (value or "")
    return text if len(text) <= CELL else f"{text[:CELL]}…+{len(text) - CELL}"


def numbers(rows: reader.Rows) -> dict[str, str]:
    """The numeric cells of a single row by column: typed facts that a report may show.

    A column's name may be the query's own words: only those that are plain identifiers are kept.
    """
    if len(rows.rows) != 1:
        return {}
    found = zip(rows.columns, rows.rows[0], strict=True)
    return {name: value for name, value in found if value and NUMBER.fullmatch(value) and NAME.fullmatch(name)}
