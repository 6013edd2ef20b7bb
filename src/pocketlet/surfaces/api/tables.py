"""Tables: what an agent knows, as rows; each says where it comes from, and which runs were shown it.

What is read here is read as the agent's own reader, which can change nothing.
"""

import base64
import binascii
import csv as spelling
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import pydantic

from pocketlet import errors
from pocketlet.agents import agent as agents
from pocketlet.agents import provenance
from pocketlet.db import pool, queries, reader
from pocketlet.platform import apps
from pocketlet.surfaces.api import caller as callers
from pocketlet.surfaces.api import endpoint, paging

Q = queries.load("memory_page")
LIMITS = reader.Limits(seconds=5.0, rows=1_000, bytes=2 * 2**20)
LARGE = reader.Limits(seconds=5.0, rows=10_000, bytes=16 * 2**20)  # of a file
MANY = 10_000  # rows of a table; what is above is not counted
CORE = ("memories", "results")
#: Where a row of these comes from, and what only the platform needs: shown apart, or not at all.
MARKS = ("integrity", "author", "origin_run", "origin_step", "origin_ref", "v_from")
APART = {*MARKS, "tsv", "data", "secrecy", "valid_from", "valid_to", "deleted_at", "v_to"}
NEWEST_FIRST = ("smallint", "integer", "bigint")
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
KEYS = {"runs": "id", "feedback": "id"}  # of views


class Column(endpoint.Model):
    """`type` as Postgres spells it."""

    name: str
    type: str
    comment: str


class Table(endpoint.Model):
    """`rows`: how many; null if they can't be counted. `more`: there are more than that."""

    name: str
    comment: str
    columns: list[Column]
    rows: int | None
    more: bool


class Tables(endpoint.Model):
    """All that an agent's SQL can read."""

    items: list[Table]


class Row(endpoint.Model):
    """`cells`: values as Postgres spells them, null for NULL. `origin`: outside, model, own (your data) or owner (you).

    `run`, `step` and `ref` say who kept it and of which message; `used_by`: runs that were shown it, as far as known.
    """

    cells: list[str | None]
    origin: str
    run: int | None = None
    step: int | None = None
    ref: str | None = None
    used_by: list[int] = pydantic.Field(default_factory=list[int])


class Rows(endpoint.Model):
    """Some rows of a table. `next`: the cursor of those that follow, null if there are none or no key to go on from."""

    columns: list[str]
    items: list[Row]
    next: str | None


After = Annotated[str, pydantic.Field(max_length=2_000, description="`next` of the part before; empty: the first.")]


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or view, and the column by whose values it can be read in parts (empty: none)."""

    name: str
    comment: str
    columns: tuple[Column, ...]
    key: str

    @property
    def shown(self) -> list[str]:
        """The columns that are content."""
        names = [one.name for one in self.columns]
        return [name for name in names if name not in APART] if self.name in CORE else names

    @property
    def newest_first(self) -> bool:
        """Whether its key counts up."""
        return any(one.name == self.key and one.type in NEWEST_FIRST for one in self.columns)


async def listing(caller: callers.Caller, agent: str) -> Tables:
    """Lists the tables of an agent that its SQL can read, with columns and how many rows each has."""
    async with caller.database.api() as conn:
        mine = await callers.agent(conn, caller, agent)
        known = await relations(conn, mine)
    counts = await _counts(caller, mine, known)
    items = [
        Table(
            name=one.name,
            comment=one.comment,
            columns=list(one.columns),
            rows=min(count, MANY) if (count := counts.get(one.name)) is not None else None,
            more=(counts.get(one.name) or 0) > MANY,
        )
        for one in known
    ]
    return Tables(items=items)


async def relations(conn: pool.Conn, agent: agents.Agent) -> list[Relation]:
    """What the agent's reader may read; memories and results first."""
    values = {"schema": agent.name, "reader": apps.reader(agent.name)}
    rows = await (await conn.execute(Q["relations"], values)).fetchall()
    return [
        Relation(
            row["name"],
            row["comment"],
            tuple(Column(**column) for column in row["columns"]),
            row["key"] or KEYS.get(row["name"], ""),
        )
        for row in rows
    ]


async def _counts(caller: callers.Caller, agent: agents.Agent, known: Sequence[Relation]) -> dict[str, int]:
    """None at all if one of them can't be counted in time."""
    parts = [queries.named(Q["count_of"], schema=agent.name, table=one.name) for one in known]
    statement = queries.filled(Q["count"], {"columns": queries.listed(parts)}).as_string(None)
    try:
        found = await reader.query(caller.database, apps.reader(agent.name), statement, limits=LIMITS)
    except errors.GateRefusal:
        return {}
    return {one.name: int(value or 0) for one, value in zip(known, found.rows[0], strict=True)}


async def rows(caller: callers.Caller, agent: str, table: str, *, limit: paging.Limit = 50, cursor: After = "") -> Rows:
    """Shows rows of a table in the order of its key, the newest first where that is a number."""
    async with caller.database.api() as conn:
        mine = await callers.agent(conn, caller, agent)
        relation = await _relation(conn, mine, table)
    found = await _part(caller, mine, relation, limit, cursor)
    kept = found.rows[:limit]
    more = relation.key and len(found.rows) > limit
    place = found.columns.index(relation.key) if more else 0
    width = len(relation.shown)
    async with caller.database.api() as conn:
        label = await provenance.of_tables(conn, mine, found.tables, found.version)
    whole = "outside" if label == "outside" else "own"
    items = [_row(row[:width], dict(zip(found.columns[width:], row[width:], strict=True)), whole) for row in kept]
    if relation.name in CORE:
        items = await _with_uses(caller, mine, relation, items)
    return Rows(columns=relation.shown, items=items, next=_cursor(kept[-1][place]) if more else None)


async def csv(caller: callers.Caller, agent: str, table: str) -> endpoint.Text:
    """Exports a table as a CSV file of 10,000 rows at most; what a spreadsheet would calculate has ' before it."""
    async with caller.database.api() as conn:
        mine = await callers.agent(conn, caller, agent)
        relation = await _relation(conn, mine, table)
    found = await _part(caller, mine, relation, LARGE.rows, "")
    width = len(relation.shown)
    return endpoint.Text(spelled(found.columns[:width], [row[:width] for row in found.rows]), f"{agent}-{table}.csv")


async def _relation(conn: pool.Conn, agent: agents.Agent, table: str) -> Relation:
    """Raises errors.NotFound."""
    for one in await relations(conn, agent):
        if one.name == table:
            return one
    raise errors.NotFound(f"{agent.name} has no table of that name.", hint="The list of tables names them.")


async def _part(
    caller: callers.Caller, agent: agents.Agent, relation: Relation, limit: int, cursor: str
) -> reader.Rows:
    """One row more than `limit`, if there are as many. Raises errors.BadInput, errors.GateRefusal."""
    names = [*relation.shown, *(MARKS if relation.name in CORE else ())]
    shown = [queries.named(Q["column"], column=_spelt(name)) for name in names]
    block = "any"
    if relation.key:
        block = f"{'next' if cursor else 'first'}_{'down' if relation.newest_first else 'up'}"
    place = {"schema": agent.name, "table": _spelt(relation.name), "key": _spelt(relation.key or "none")}
    statement = queries.filled(Q[block], {"columns": queries.listed(shown)}, **place).as_string(None)
    values: dict[str, object] = {"limit": limit + 1}
    if relation.key and cursor:
        values["after"] = _after(cursor)
    limits = LARGE if limit > LIMITS.rows else LIMITS
    return await reader.query(caller.database, apps.reader(agent.name), statement, params=values, limits=limits)


def _spelt(name: str) -> str:
    """A name in a statement that has parameters: there, a % is written twice."""
    return name.replace("%", "%%")


def _cursor(value: str | None) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _after(cursor: str) -> str:
    try:
        value = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii") + b"=="))
    except (ValueError, binascii.Error, RecursionError) as error:
        raise errors.BadInput("This cursor is none of ours.", hint="Give `next` of the part before.") from error
    if not isinstance(value, str) or "\x00" in value:
        raise errors.BadInput("This cursor is none of ours.", hint="Give `next` of the part before.")
    return value


def _row(cells: Sequence[str | None], marks: Mapping[str, str | None], whole: str) -> Row:
    """`whole`: where the rows of a table come from that do not say it each."""
    kept = marks.get("v_from") != "0"  # the run of an imported row was another installation's
    run, step = (marks.get("origin_run"), marks.get("origin_step")) if kept else (None, None)
    return Row(
        cells=list(cells),
        origin=origin(marks.get("integrity"), marks.get("author")) if marks else whole,
        run=int(run) if run else None,
        step=int(step) if step else None,
        ref=marks.get("origin_ref"),
    )


def origin(integrity: str | None, author: str | None) -> str:
    """Whose words a row holds: outside, model, own or owner."""
    if integrity == "outside":
        return "outside"
    if author == "run":
        return "model"
    return "owner" if integrity == "owner" and author == "owner" else "own"


async def _with_uses(
    caller: callers.Caller, agent: agents.Agent, relation: Relation, items: Sequence[Row]
) -> list[Row]:
    place = relation.shown.index("id")
    async with caller.database.api() as conn:
        known = await uses(conn, agent, relation.name, [int(row.cells[place] or 0) for row in items])
    return [row.model_copy(update={"used_by": known.get(int(row.cells[place] or 0), [])}) for row in items]


async def uses(conn: pool.Conn, agent: agents.Agent, table: str, ids: Sequence[int]) -> dict[int, list[int]]:
    """By row, the runs that opened it or were shown it by a search, newest first; what SQL showed is not known."""
    values = {"agent": agent.id, "table": table, "ids": list(ids)}
    found = await (await conn.execute(Q["used"], values)).fetchall()
    return {row["id"]: sorted(row["runs"], reverse=True) for row in found}


def spelled(columns: Sequence[str], found: Sequence[Sequence[str | None]]) -> str:
    """Rows as CSV with a header; NULL is empty."""
    file = io.StringIO()
    writer = spelling.writer(file)
    for row in (columns, *found):
        writer.writerow([_harmless(cell or "") for cell in row])
    return file.getvalue()


def _harmless(cell: str) -> str:
    """A spreadsheet calculates what begins so; a number may stay one."""
    risky = cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"))
    return f"'{cell}" if risky and not NUMBER.fullmatch(cell) else cell


ENDPOINTS = (
    endpoint.Endpoint("GET", "/agents/{agent}/tables", "read", listing),
    endpoint.Endpoint("GET", "/agents/{agent}/tables/{table}/rows", "read", rows),
    endpoint.Endpoint("GET", "/agents/{agent}/tables/{table}/csv", "read", csv, media="text/csv"),
)
