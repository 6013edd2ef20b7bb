"""Bound reads: which rows of which tables a run sees whose task is somebody's mail, as `[reads]` in agent.toml says.

Memories, results, runs and feedback: the correspondent's, unless they are opened. A table of the agent's own: all of
it, unless `[reads]` says whose its rows are. A view of its own: nothing, unless `[reads]` says whose, or opens it, for
it shows whatever it was made of. A table that came since the owner last said what is shared: nothing, unless named.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from psycopg import errors as pg

from pocketlet import errors
from pocketlet.db import pool, queries

Q = queries.load("bounds")
CORE = ("memories", "results", "runs", "feedback")
WHOSE = re.compile(r"(\w{1,63})(?:\s*->\s*(\w{1,63})\.(\w{1,63}))?")
LIKE = 'like "email", or "customer_id -> customers.email"'


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose a row is: the address in `column`, or in `address` of the row of `through` that `column` refers to.

    `hide`: rows of others are there, without these columns; without any, rows of others are not there.
    """

    column: str
    through: str = ""
    address: str = ""
    hide: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reads:
    """`bound` maps a table to whose its rows are; of `open` ones everything is seen."""

    bound: Mapping[str, Whose] = field(default_factory=dict[str, Whose])
    open: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or view of the app, and its columns by name; `texts` are those that can hold an address."""

    oid: int
    name: str
    is_table: bool
    columns: Sequence[str]
    texts: Sequence[str]


@dataclass(frozen=True, slots=True)
class Counts:
    """What counts now. `covered` are the tables and views that the owner said `reads` of, and their oids; None: all."""

    reads: Reads
    covered: Mapping[str, int] | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What `show` makes. `keys` maps a table with a reference to the column that it refers to.

    `shared` are names of which all is seen; `covered` as in `Counts`.
    """

    relations: Sequence[Relation]
    reads: Reads
    keys: Mapping[str, str]
    shared: Sequence[str]
    covered: Mapping[str, int]
    digest: str


def read(table: Mapping[str, object], where: str) -> Reads:
    """The parsed `[reads]`. Raises errors.BadAgent."""
    if unknown := sorted(table.keys() - {"bound", "open"}):
        raise errors.BadAgent(f"{where}: `reads` has no `{unknown[0]}`; it has `bound` and `open`.")
    named, opened = table.get("bound", {}), _texts(table.get("open", []), f"{where}: `reads.open`")
    if not isinstance(named, dict):
        raise errors.BadAgent(f"{where}: `reads.bound` must be a table, each of its keys one of yours.")
    bound = {
        name: _whose(value, f"{where}: `reads.bound.{name}`")
        for name, value in cast("dict[str, object]", named).items()
    }
    if core := sorted(bound.keys() & set(CORE)):
        raise errors.BadAgent(f"{where}: {core[0]} needs no `reads.bound`: it is always the correspondent's.")
    if both := sorted(bound.keys() & set(opened)):
        raise errors.BadAgent(f"{where}: `reads` has {both[0]} as bound and as open; it can be one of them.")
    return Reads(bound, opened)


def _whose(value: object, where: str) -> Whose:
    given = cast("dict[str, object]", value) if isinstance(value, dict) else {"whose": value}
    text = given.get("whose")
    match = WHOSE.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None or given.keys() - {"whose", "hide"}:
        raise errors.BadAgent(f"{where} must be {LIKE}, or like {{whose = …, hide = [columns]}}.")
    return Whose(match[1], match[2] or "", match[3] or "", _texts(given.get("hide", []), f"{where}.hide"))


def _texts(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in cast("list[object]", value)):
        raise errors.BadAgent(f"{where} must be a list of names.")
    return tuple(cast("list[str]", value))


def told(reads: Reads) -> str:
    """What a run is told whose task is somebody's mail."""
    rows = [name for name in CORE if name not in reads.open]
    rows += [name for name, whose in reads.bound.items() if not whose.hide]
    lines = [f"Of {', '.join(rows)} you see only the rows of whoever wrote."] if rows else []
    lines += [
        f"Of {name} the rows of others are without {', '.join(whose.hide)}."
        for name, whose in reads.bound.items()
        if whose.hide
    ]
    return " ".join(lines)


async def plan(app: pool.Conn, schema: str, counts: Counts) -> Plan:
    """What `counts` means for the tables there are. `app` is logged in as the app. Raises errors.BadAgent."""
    reads = counts.reads
    rows = await (await app.execute(Q["relations"], {"schema": schema})).fetchall()
    relations = [Relation(**row) for row in rows]
    references = await (await app.execute(Q["keys"], {"schema": schema})).fetchall()
    known = {relation.name: relation for relation in relations}
    for name in reads.open:
        if name not in CORE:
            _known(known, name, "agent.toml: `reads.open`")
    keys: dict[str, str] = {}
    for name, whose in reads.bound.items():
        where = f"agent.toml: `reads.bound.{name}`"
        relation = _known(known, name, where)
        _check_columns(relation, [whose.column, *whose.hide], where)
        _check_address(_known(known, whose.through or name, where), whose.address or whose.column, where)
        if whose.through:
            keys[name] = _key(references, name, whose, where)
    named = {relation.name: relation.oid for relation in relations}
    covered = named if counts.covered is None else counts.covered
    shared = [relation.name for relation in relations if _is_shared(relation, reads, covered)]
    made_of = {"relations": [asdict(relation) for relation in relations], "reads": asdict(reads), "keys": keys}
    digest = hashlib.sha256(pool.canonical(made_of | {"shared": shared}).encode()).hexdigest()
    return Plan(relations, reads, keys, shared, covered, digest)


def _is_shared(relation: Relation, reads: Reads, covered: Mapping[str, int]) -> bool:
    """What has taken the name of a table that is covered is another table."""
    if relation.name in reads.bound:
        return False
    return relation.name in reads.open or (relation.is_table and covered.get(relation.name) == relation.oid)


def _known(known: Mapping[str, Relation], name: str, where: str) -> Relation:
    if name not in known:
        hint = f"schema/ makes {', '.join(known) or 'none'}."
        raise errors.BadAgent(f"{where}: there is no table {name}.", hint=hint)
    return known[name]


def _check_columns(relation: Relation, columns: Iterable[str], where: str) -> None:
    for column in columns:
        if column not in relation.columns:
            raise errors.BadAgent(
                f"{where}: {relation.name} has no column {column}.", hint=f"It has {', '.join(relation.columns)}."
            )


def _check_address(relation: Relation, column: str, where: str) -> None:
    _check_columns(relation, [column], where)
    if column not in relation.texts:
        raise errors.BadAgent(f"{where}: {relation.name}.{column} is no text, so it holds no address.", hint=LIKE)


def _key(references: Sequence[Mapping[str, Any]], name: str, whose: Whose, where: str) -> str:
    for row in references:
        if (row["from"], row["column"], row["to"]) == (name, whose.column, whose.through):
            return str(row["key"])
    raise errors.BadAgent(
        f"{where}: {name}.{whose.column} does not refer to {whose.through}.",
        hint=f"Write the column with `references {whose.through}` in schema/.",
    )


async def forget(platform: pool.Conn, names: Mapping[str, str]) -> None:
    """Nothing is made: what is interrupted after this is made anew. `platform` acts as the owner of the platform."""
    await platform.execute(Q["forget"], {"agent": names["agent"]})


async def show_core(platform: pool.Conn, names: Mapping[str, str], opened: Sequence[str]) -> None:
    """Makes the views of the core tables. `platform` acts as their owner."""
    for name in CORE:
        block = f"{name}_all" if name in opened else f"{name}_own"
        await platform.execute(queries.named(Q[block], **names))
    await platform.execute(queries.named(Q["show_core"], **names))


async def show(app: pool.Conn, names: Mapping[str, str], plan: Plan) -> None:
    """Makes the views of the app's own tables, and says what is shared. `app` is logged in as the app.

    Raises errors.BadAgent.
    """
    own = {"own": names["own"], "schema": names["schema"], "bound": names["bound"]}
    for row in await (await app.execute(Q["views"], {"own": names["own"]})).fetchall():
        await app.execute(queries.named(Q["drop"], **own, table=row["name"]))
    for relation in plan.relations:
        whose = plan.reads.bound.get(relation.name)
        await app.execute(queries.named(Q["close"], **own, table=relation.name))
        if whose:
            await _show_own(app, own, plan, relation, whose)
        elif relation.name in plan.shared:
            await app.execute(queries.named(Q["share"], **own, table=relation.name))


async def _show_own(app: pool.Conn, own: Mapping[str, str], plan: Plan, relation: Relation, whose: Whose) -> None:
    names = {"own": own["own"], "schema": own["schema"], "column": whose.column}
    if whose.through:
        names |= {"through": whose.through, "address": whose.address, "key": plan.keys[relation.name]}
    is_own = queries.named(Q["by_reference" if whose.through else "by_address"], **names)
    columns = [
        queries.filled(Q["hidden_column" if name in whose.hide else "column"], {"is_own": is_own}, column=name)
        for name in relation.columns
    ]
    parts = {"columns": queries.listed(columns), "is_own": is_own}
    template = Q["all_rows" if whose.hide else "own_rows"]
    place = {"own": own["own"], "schema": own["schema"], "table": relation.name}
    await app.execute(queries.filled(template, parts, **place))
    await app.execute(queries.named(Q["show"], **own, table=relation.name))
    table, column = (whose.through, whose.address) if whose.through else (relation.name, whose.column)
    if any(found.is_table and found.name == table for found in plan.relations):
        index = f"{table}_{column}"[:56] + "_whose"
        place = {"schema": own["schema"], "table": table, "column": column, "index": index}
        try:
            await app.execute(queries.named(Q["index"], **place))
        except pg.ProgramLimitExceeded as error:
            said = f"agent.toml: `reads.bound.{relation.name}`: {table}.{column} holds a text that is too long to be"
            hint = "An address has at most 320 characters: name the column that holds addresses, or mend that row."
            raise errors.BadAgent(f"{said} looked up by.", hint=hint) from error
