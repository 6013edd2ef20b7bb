"""The reader gate: the only way in which SQL that a model (or a person at the console) wrote is run.

Postgres is the parser. The connection is logged in as the agent's reader, which has no right to write; the
transaction is read-only; the extended protocol admits one statement; a cursor admits only SELECT, VALUES, TABLE and
WITH … SELECT; planned cost, time, rows and bytes are capped. The missing rights are the wall, the rest limits the
damage of burning. All that a query reads is one snapshot, of which the memory version is told.
"""

import json
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import cast

import psycopg
from psycopg import errors as pg

from pocketlet import clock, errors
from pocketlet.db import pool, queries

Q = queries.load("reader")
BATCH = 20
LADDER = (
    ("limit_100ms", 0.1),
    ("limit_500ms", 0.5),
    ("limit_1s", 1.0),
    ("limit_2s", 2.0),
    ("limit_3s", 3.0),
    ("limit_4s", 4.0),
    ("limit_5s", 5.0),
)
LOST = {"", "57P01", "57P02", "57P03"}  # SQLSTATEs of an OperationalError after which there is no connection
MESSAGE = 300  # characters of an error message that are passed on
HINT = (
    "Ask for less: filter by a key (an entity, an id, a date), add LIMIT, or aggregate in SQL; "
    "for words use the search tool."
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps of one query: seconds, rows, bytes of values, and the planner's cost estimate."""

    seconds: float = 2.0
    rows: int = 50
    bytes: int = 256 * 1024
    cost: float = 5e6


@dataclass(frozen=True, slots=True)
class Rows:
    """Values as Postgres spells them in text (None is NULL). `capped` says which cap ended the reading, if any.

    `tables` are the names of all tables that the statement reads, however it spells them. `version` is that of the
    memory as the same snapshot saw it (0 where there is no agent): a later query `as_of` it reads the same memory.
    `cost` is what the planner thought that all of it would take, in its own units.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...]
    capped: str = ""
    tables: frozenset[str] = frozenset()
    version: int = 0
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class Bound:
    """A login that sees only one correspondent's rows: those of `entity`, an address. Empty: nobody's."""

    login: str
    entity: str


class Stopped(errors.GateRefusal):
    """The gate refused or stopped this query. `version` as in `Rows`."""

    version: int = 0


async def query(
    database: pool.Database,
    login: str | Bound,
    statement: str,
    *,
    params: Mapping[str, object] | None = None,
    limits: Limits | None = None,
    as_of: int | None = None,
) -> Rows:
    """Runs one SELECT as `login`; with `as_of`, a trial's or a bound login sees `memories` and `results` as of that
    version.

    Raises errors.GateRefusal with a reason that a model can act on, and errors.NoPostgres if the connection is lost.
    """
    limits = limits or Limits()
    role = login.login if isinstance(login, Bound) else login
    async with database.login(role) as conn, _shown(database, conn, login, as_of):
        deadline = clock.monotonic() + limits.seconds
        version = await _begin(conn)
        if as_of not in (None, version):
            said = f"{role} would read the memory of version {version}, not {as_of}: the query was not run."
            raise errors.Failed(said, hint="See `pocketlet doctor`.")
        try:
            with _translated(limits, deadline):
                rows = await _read(conn, statement, params, limits, deadline)
                await conn.rollback()  # never COMMIT: a notification of a function that was called would leave
        except Stopped as error:
            error.version = version
            raise
        return replace(rows, version=version)


@asynccontextmanager
async def _shown(
    database: pool.Database, conn: pool.Conn, login: str | Bound, version: int | None
) -> AsyncGenerator[None]:
    """Lets the session see what it is to see, which is written where the session's own role can neither read nor write.

    Whose rows, if the login is bound; the memory as of `version`, if there is one.
    """
    values = {"pid": conn.info.backend_pid, "version": version}
    if isinstance(login, Bound):
        show, forget, values = "show_own", "forget_own", values | {"login": login.login, "entity": login.entity}
    elif version is not None:
        show, forget = "show_past", "forget_past"
    else:
        yield
        return
    async with database.api() as platform:
        await platform.execute(Q[show], values)
    try:
        yield
    finally:
        async with database.api() as platform:
            await platform.execute(Q[forget], values)


async def _begin(conn: pool.Conn) -> int:
    cursor = await conn.execute(Q["begin"])
    while cursor.nextset():
        pass
    return ((await cursor.fetchone()) or {}).get("version") or 0


@contextmanager
def _translated(limits: Limits, deadline: float) -> Generator[None]:
    try:
        yield
    except psycopg.DatabaseError as error:
        if isinstance(error, psycopg.OperationalError) and (error.sqlstate or "") in LOST:
            if clock.monotonic() < deadline:
                raise
            # Past the deadline it was the watchdog that ended it.
            raise Stopped(_too_long(limits), hint=HINT) from error
        # 53…: resources, 57014: time. Only then does asking for less help.
        greedy = (error.sqlstate or "").startswith(("53", "57"))
        raise Stopped(_explain(error, limits), hint=HINT if greedy else "") from error


async def _read(
    conn: pool.Conn, text: str, params: Mapping[str, object] | None, limits: Limits, deadline: float
) -> Rows:
    if "\x00" in text:
        raise Stopped("The query holds a NUL character.")
    statement = text.encode("utf-8", "replace")
    await _limit_time(conn, deadline, limits)
    explained = await conn.execute(b"EXPLAIN (FORMAT JSON) " + statement, params, binary=True)
    plan = _plan(await explained.fetchone())
    cost = cast("float", plan.get("Total Cost", 0.0))
    if cost > limits.cost:
        raise Stopped("The query would read too much (estimated cost over the limit).", hint=HINT)
    tables = frozenset(_tables(plan))
    await _limit_time(conn, deadline, limits)
    await conn.execute(b"DECLARE q NO SCROLL CURSOR FOR " + statement, params, binary=True)
    found: list[tuple[str | None, ...]] = []
    columns: tuple[str, ...] = ()
    size = 0
    while True:
        # One row first: a batch is held in memory whole, and its rows may be megabytes each.
        await _limit_time(conn, deadline, limits)
        small = found and size / len(found) < limits.bytes / BATCH
        cursor = await conn.execute(Q["fetch_batch"] if small else Q["fetch"])
        columns, batch = _text_rows(cursor)
        for row in batch:
            size += sum(len(value) for value in row if value is not None)
            if len(found) == limits.rows:
                return Rows(columns, tuple(found), f"only the first {limits.rows} rows are shown", tables, cost=cost)
            if size > limits.bytes:
                return Rows(columns, tuple(found), f"cut at {limits.bytes // 1024} KB", tables, cost=cost)
            found.append(row)
        if not batch:
            return Rows(columns, tuple(found), "", tables, cost=cost)


async def _limit_time(conn: pool.Conn, deadline: float, limits: Limits) -> None:
    left = deadline - clock.monotonic()
    if left <= 0:
        raise Stopped(_too_long(limits), hint=HINT)
    # SET takes no parameter and set_config is not this role's to call: a fixed ladder of texts instead.
    await conn.execute(Q[next((name for name, seconds in LADDER if left <= seconds), LADDER[-1][0])])


def _plan(row: Mapping[str, object] | None) -> Mapping[str, object]:
    text = (row or {}).get("QUERY PLAN")
    document = json.loads(text) if isinstance(text, str | bytes) else text
    return cast("list[dict[str, dict[str, object]]]", document)[0]["Plan"] if document else {}


def _tables(plan: Mapping[str, object]) -> Iterator[str]:
    """Every table that the plan reads, however the statement spelt it; views stand there as what is under them."""
    if isinstance(name := plan.get("Relation Name"), str):
        yield name
    for part in cast("list[Mapping[str, object]]", plan.get("Plans", [])):
        yield from _tables(part)


def _text_rows(
    cursor: psycopg.AsyncCursor[dict[str, object]],
) -> tuple[tuple[str, ...], list[tuple[str | None, ...]]]:
    result = cursor.pgresult
    if result is None:
        return (), []
    names = tuple((result.fname(i) or b"").decode("utf-8", "replace") for i in range(result.nfields))
    values = [
        tuple(
            None if (value := result.get_value(row, column)) is None else value.decode("utf-8", "replace")
            for column in range(result.nfields)
        )
        for row in range(result.ntuples)
    ]
    return names, values


def _explain(error: psycopg.DatabaseError, limits: Limits) -> str:
    said = _one_line(error.diag.message_primary or str(error))
    match error:
        case pg.QueryCanceled():
            return _too_long(limits)
        case pg.ConfigurationLimitExceeded() | pg.OutOfMemory():
            return "The query needed more temporary space than it may use and was stopped."
        case pg.SyntaxError():
            return f"Only one SELECT is read here, and this is not one that Postgres understands: {said}"
        case pg.InsufficientPrivilege():
            return f"Not allowed: {said}"
        case _:
            hint = _one_line(error.diag.message_hint or "")
            return f"{said}{' (' + hint + ')' if hint else ''}"


def _too_long(limits: Limits) -> str:
    return f"The query took longer than {limits.seconds:g} s and was stopped."


def _one_line(text: str) -> str:
    """Messages quote names and values of the query: of those, no more than a line's worth."""
    return " ".join(text[:MESSAGE].split()) + ("…" if len(text) > MESSAGE else "")
