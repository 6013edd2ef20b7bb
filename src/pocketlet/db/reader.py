"""The reader gate: the only way in which SQL that a model (or a person at the console) wrote is run.

Postgres is the parser. The connection is logged in as the agent's reader, which has no right to write; the
transaction is read-only; the extended protocol admits one statement; a cursor admits only SELECT, VALUES, TABLE and
WITH … SELECT; planned cost, time, rows and bytes are capped, the bytes before they are in this process. The missing
rights are the wall, the rest limits the damage of burning. All that a query reads is one snapshot, of which the memory
version is told.
"""

import json
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import cast

import psycopg
from psycopg import errors as pg

from pocketlet import clock, errors
from pocketlet.db import narrow, pool, queries

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
VALUE = 16  # bytes that a value counts beside its own: also many small ones take room
SPARE = 2**20  # bytes of all that is not values: the plan, messages, framing
HINT = (
    "Ask for less: filter by a key (an entity, an id, a date), add LIMIT, or aggregate in SQL; "
    "for words use the search tool."
)
PARTS = "Ask for parts of long values: left(column, 1000), length(column), fewer columns."


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps of one query: seconds, rows, bytes of values, and the planner's cost estimate."""

    seconds: float = 2.0
    rows: int = 50
    bytes: int = 256 * 1024
    cost: float = 5e6

    @property
    def cut(self) -> str:
        """What is said of values of more bytes."""
        return f"cut at {self.bytes // 1024} KB"

    @property
    def wire(self) -> int:
        """Bytes of all that Postgres says: what passes the cap of values is told from what is beyond all measure."""
        return 2 * self.bytes + SPARE


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


@dataclass(frozen=True, slots=True)
class _Reading:
    """A session in which one query is read until `deadline`."""

    conn: pool.Conn
    wire: narrow.Wire
    limits: Limits
    deadline: float


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
    async with (
        database.login(role) as conn,
        narrow.narrowed(conn, limits.wire) as wire,
        _shown(database, conn, login, as_of),
    ):
        reading = _Reading(conn, wire, limits, clock.monotonic() + limits.seconds)
        version = await _begin(conn)
        if as_of not in (None, version):
            said = f"{role} would read the memory of version {version}, not {as_of}: the query was not run."
            raise errors.Failed(said, hint="See `pocketlet doctor`.")
        try:
            with _translated(reading):
                rows = await _read(reading, statement, params)
                if not wire.cut:
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
def _translated(reading: _Reading) -> Generator[None]:
    try:
        yield
    except psycopg.DatabaseError as error:
        if reading.wire.cut:
            raise _too_large(reading.limits) from error
        if isinstance(error, psycopg.OperationalError) and (error.sqlstate or "") in LOST:
            if clock.monotonic() < reading.deadline:
                raise
            # Past the deadline it was the watchdog that ended it.
            raise Stopped(_too_long(reading.limits), hint=HINT) from error
        # 53…: resources, 57014: time. Only then does asking for less help.
        greedy = (error.sqlstate or "").startswith(("53", "57"))
        raise Stopped(_explain(error, reading.limits), hint=HINT if greedy else "") from error


async def _read(reading: _Reading, text: str, params: Mapping[str, object] | None) -> Rows:
    if "\x00" in text:
        raise Stopped("The query holds a NUL character.")
    conn, statement = reading.conn, text.encode("utf-8", "replace")
    await _limit_time(reading)
    explained = await conn.execute(b"EXPLAIN (FORMAT JSON) " + statement, params, binary=True)
    plan = _plan(await explained.fetchone())
    cost = cast("float", plan.get("Total Cost", 0.0))
    if cost > reading.limits.cost:
        raise Stopped("The query would read too much (estimated cost over the limit).", hint=HINT)
    await _limit_time(reading)
    await conn.execute(b"DECLARE q NO SCROLL CURSOR FOR " + statement, params, binary=True)
    return replace(await _fetched(reading), tables=frozenset(_tables(plan)), cost=cost)


async def _fetched(reading: _Reading) -> Rows:
    """What the cursor gives. A first row that is too large is refused; a later one is left out, and what follows."""
    limits = reading.limits
    found: list[tuple[str | None, ...]] = []
    columns: tuple[str, ...] = ()
    size = 0
    while True:
        # One row first: of a batch that is too large, all is lost.
        await _limit_time(reading)
        small = found and size / len(found) < limits.bytes / BATCH
        try:
            cursor = await reading.conn.execute(Q["fetch_batch"] if small else Q["fetch"])
        except psycopg.OperationalError:
            if not reading.wire.cut or not found:
                raise
            return Rows(columns, tuple(found), limits.cut)
        columns, batch = _text_rows(cursor)
        for row in batch:
            size += sum(len(value or "") + VALUE for value in row)
            if capped := _capped(limits, len(found), size):
                return Rows(columns, tuple(found), capped)
            found.append(row)
        if not batch:
            return Rows(columns, tuple(found))


def _capped(limits: Limits, rows: int, size: int) -> str:
    """Which cap ends the reading before one more row, if any. Raises Stopped if that is the first one."""
    if rows == limits.rows:
        return f"only the first {limits.rows} rows are shown"
    if size <= limits.bytes:
        return ""
    if not rows:
        raise _too_large(limits)
    return limits.cut


async def _limit_time(reading: _Reading) -> None:
    left = reading.deadline - clock.monotonic()
    if left <= 0:
        raise Stopped(_too_long(reading.limits), hint=HINT)
    # SET takes no parameter and set_config is not this role's to call: a fixed ladder of texts instead.
    await reading.conn.execute(Q[next((name for name, seconds in LADDER if left <= seconds), LADDER[-1][0])])


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


def _too_large(limits: Limits) -> Stopped:
    return Stopped(f"One piece of the answer is larger than {limits.bytes // 1024} KB: nothing was read.", hint=PARTS)


def _one_line(text: str) -> str:
    """Messages quote names and values of the query: of those, no more than a line's worth."""
    return " ".join(text[:MESSAGE].split()) + ("…" if len(text) > MESSAGE else "")
