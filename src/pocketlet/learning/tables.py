"""Memory tables that a talk designs: typed operations become migrations, run as the app when their revision counts.

A table is made or gets more columns; nothing is dropped or retyped, for that would lose rows. Going back to a revision
without the table hides it from the briefings and keeps its rows; the `.down.sql` beside each migration is for a person.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from pocketlet import errors
from pocketlet.agents import agent as agents
from pocketlet.agents import playbook as playbooks
from pocketlet.agents import portable, revisions
from pocketlet.db import bulk, pool, queries
from pocketlet.learning import adoption

Q = queries.load("tables")
#: The types that a column can have, and what the catalogue calls them.
TYPES: Mapping[str, str] = {
    **{name: name for name in ("text", "integer", "numeric", "boolean", "date", "jsonb")},
    "timestamptz": "timestamp with time zone",
}
NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
NUMBER = re.compile(r"(z*)(\d*)")
CORE = {*portable.CORE, "lessons", "runs", "feedback", "run_log", "sent"}
MOST_COLUMNS = 30
MAX_COMMENT = 200


@dataclass(frozen=True, slots=True)
class Wanted:
    """A table with (at least) these columns. `columns` maps a name to one of TYPES."""

    name: str
    columns: Mapping[str, str]
    comment: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Migrations by the name of their file, with their reverses, and the table map that holds with them."""

    files: Mapping[str, str]
    tables: str


def read(record: Mapping[str, Any]) -> Wanted:
    """A proposal {"name", "columns": [{"name", "type"}], "comment"}. Raises errors.BadInput."""
    name = _name(record.get("name"), "A table")
    if name in CORE:
        raise errors.BadInput(f"{name} is a table that every agent has: it can't be changed.")
    listed = record.get("columns")
    if not isinstance(listed, list) or not 0 < len(cast("list[object]", listed)) <= MOST_COLUMNS:
        raise errors.BadInput(f'`columns` of {name} holds 1 to {MOST_COLUMNS} times {{"name": "…", "type": "…"}}.')
    comment = record.get("comment", "")
    if not isinstance(comment, str) or len(comment) > MAX_COMMENT:
        raise errors.BadInput(f"The comment on {name} has at most {MAX_COMMENT} characters.")
    columns = dict(_column(column, name) for column in cast("list[object]", listed))
    columns.pop("id", None)  # every designed table has one
    return Wanted(name, columns, " ".join(comment.replace("\x00", "").split()))


def _name(value: object, what: str) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise errors.BadInput(f"{what} has a name of small letters, digits and _, at most 41, not {value!r}.")
    return value


def _column(record: object, table: str) -> tuple[str, str]:
    column = cast("dict[str, object]", record) if isinstance(record, dict) else dict[str, object]()
    name, kind = _name(column.get("name"), f"A column of {table}"), column.get("type")
    if kind not in TYPES:
        raise errors.BadInput(f"{table}.{name} is of one of the types {', '.join(TYPES)}, not {kind!r}.")
    return name, str(kind)


async def plan(
    database: pool.Database, name: str, playbook: playbooks.Playbook, made: Plan, wanted: Sequence[Wanted]
) -> Plan:
    """What has to be run for these tables, after `made`, and what briefings would say of them then.

    Tried out as the app itself and rolled back, so that the catalogue, not a guess, says whether it works.
    Raises errors.BadInput.
    """
    if not wanted:
        return made
    files, shown = dict(made.files), _shown(made.tables)
    async with database.login(name) as app, app.transaction(force_rollback=True):
        await _run(app, files)
        for table in wanted:
            there = await _columns(app, name, table.name)
            lacking = _lacking(table, there, known=table.name in shown)
            step = _migration({**playbook.schema_files, **files}, lacking, create=table.name not in shown)
            await _run(app, step)
            files |= step
            shown.add(table.name)
        hidden = set(await bulk.own_tables(app, name)) - shown
        lines = (await bulk.table_map(app, name)).splitlines()
    return Plan(files, "\n".join(line for line in lines if line.partition("(")[0] not in hidden))


def _shown(tables: str) -> set[str]:
    return {line.partition("(")[0] for line in tables.splitlines()}


async def _columns(app: pool.Conn, schema: str, table: str) -> dict[str, str]:
    rows = await (await app.execute(Q["columns"], {"schema": schema, "table": table})).fetchall()
    return {row["name"]: row["type"] for row in rows}


def _lacking(table: Wanted, there: Mapping[str, str], *, known: bool) -> Wanted:
    """The table with the columns that have to be added."""
    for column, kind in table.columns.items():
        if column in there and there[column] != TYPES[kind]:
            hint = "Columns are not retyped; give the new one another name."
            raise errors.BadInput(f"{table.name}.{column} is there already, as {there[column]}.", hint=hint)
    if not known:
        return table  # as it is, also if a table of an earlier revision is hidden there
    columns = {column: kind for column, kind in table.columns.items() if column not in there}
    if not columns:
        raise errors.BadInput(f"{table.name} has these columns already.")
    return replace(table, columns=columns)


def _migration(files: Mapping[str, str], table: Wanted, *, create: bool) -> dict[str, str]:
    """The two files of one step."""
    up = [_spell("create", table=table.name)] if create else []
    up += [_spell(f"add_{kind}", table=table.name, column=column) for column, kind in table.columns.items()]
    up += [_spell("comment", table=table.name, agent=table.comment)] if create and table.comment else []
    down = [_spell("drop_column", table=table.name, column=column) for column in table.columns]
    down = [_spell("drop", table=table.name)] if create else down
    stem = _stem(files, f"create_{table.name}" if create else f"add_to_{table.name}")
    return {f"{stem}.sql": "\n".join([*up, ""]), f"{stem}{portable.DOWN}": "\n".join([*down, ""])}


def _spell(block: str, **names: str) -> str:
    return queries.named(Q[block], **names).as_string(None)


def _stem(files: Mapping[str, str], what: str) -> str:
    """A name after all others, however those are numbered: an import runs the files in the order of their names."""
    last = max(files, default="")
    found = NUMBER.match(last)
    prefix, digits = found.groups() if found else ("", "")
    stem = f"{prefix}{int(digits or 0) + 1:0{len(digits) or 4}}_{what}"
    return stem if stem > last else f"z{stem}"


async def apply(database: pool.Database, name: str, old: Mapping[str, str], new: Mapping[str, str]) -> None:
    """Runs the migrations that `new` has and `old` has not, as the app, in one transaction. Raises errors.BadInput."""
    files = {file: text for file, text in new.items() if old.get(file) != text}
    if files:
        async with database.login(name) as app, app.transaction():
            await _run(app, files)


async def _run(app: pool.Conn, files: Mapping[str, str]) -> None:
    for file, text in sorted(files.items()):
        if not file.endswith(portable.DOWN):
            await bulk.run_script(app, text, where=f"schema/{file}")


async def adopt(database: pool.Database, name: str, n: int, because: str = "") -> None:
    """The owner's word on a draft: its tables are there, and it counts; or neither.

    Raises errors.Conflict, errors.NotFound, errors.BadInput.
    """
    async with database.api() as conn:
        agent = await agents.get(conn, name)
        old = await revisions.load(conn, agent, agent.current)
        new = await revisions.load(conn, agent, n)
        await adoption.adopt(conn, agent, n, because)
        # Last before the commit: what can't be adopted makes no table, and a table that is left over does no harm.
        await apply(database, name, old.schema_files, new.schema_files)
