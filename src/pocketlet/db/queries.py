"""Loads SQL from the `.sql` files, the only place where SQL text comes from."""

import functools
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import LiteralString, cast

from psycopg import sql

HEADER = re.compile(r"^-- ([a-z][a-z0-9_]*) --\n(?:-- .*\n)*", re.MULTILINE)


def text(path: str) -> LiteralString:
    """The whole of `sql/<path>`. It ships with the package, so it is as trusted as the code."""
    return cast(LiteralString, (resources.files("pocketlet") / "sql" / path).read_text(encoding="utf-8"))


@functools.cache
def load(module: str) -> dict[str, LiteralString]:
    """The named blocks of `sql/queries/<module>.sql`: `-- name --`, comment lines, then the statement."""
    parts = HEADER.split(text(f"queries/{module}.sql"))
    return {name: cast(LiteralString, body.strip()) for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def named(template: LiteralString, **names: str) -> sql.Composed:
    """`template` with its `{placeholders}` as quoted identifiers; `{agent}` alone stands for a quoted literal."""
    parts: dict[str, sql.Composable] = {key: sql.Identifier(value) for key, value in names.items()}
    if "agent" in names:
        parts["agent"] = sql.Literal(names["agent"])
    return sql.SQL(template).format(**parts)


def filled(template: LiteralString, parts: Mapping[str, sql.Composable], **names: str) -> sql.Composed:
    """`template` with pieces that were composed before, and identifiers."""
    return sql.SQL(template).format(**parts, **{key: sql.Identifier(value) for key, value in names.items()})


def listed(parts: Sequence[sql.Composable]) -> sql.Composed:
    """Pieces with commas between them."""
    return sql.SQL(", ").join(parts)


def columns(template: LiteralString, names: Sequence[str], **identifiers: str) -> sql.Composed:
    """Like `named`, with `{columns}` as a list of quoted identifiers."""
    listed = sql.SQL(", ").join(sql.Identifier(name) for name in names)
    parts: dict[str, sql.Composable] = {key: sql.Identifier(value) for key, value in identifiers.items()}
    return sql.SQL(template).format(columns=listed, **parts)
