"""The tables that a system prompt lists, one on a line: `name(column type, …) -- comment; column: comment`."""

import re
from dataclasses import dataclass

TABLE = re.compile(r"^(?:- )?(\w+)\((.*?)\)(?: --(.*))?$", re.MULTILINE)
SIZE = re.compile(r"\(\d+(?:, ?\d+)?\)")


@dataclass(frozen=True, slots=True)
class Listed:
    """A table or view; `notes` holds its comment and those of its columns."""

    name: str
    columns: tuple[str, ...]
    notes: str


def read(section: str) -> list[Listed]:
    """The tables in a section, in its sequence."""
    return [
        Listed(name, tuple(column.split()[0] for column in body.split(",") if column.strip()), notes)
        for name, body, notes in TABLE.findall(SIZE.sub("", section))
    ]


def lists(section: str, name: str, *columns: str) -> bool:
    """Whether the section has a table of this name with (at least) these columns."""
    return any(table.name == name and {*columns} <= {*table.columns} for table in read(section))
