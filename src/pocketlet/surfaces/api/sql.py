"""SQL: an owner's SELECT on an agent's tables, through the reader gate, and the ones that she keeps."""

import collections
import contextlib
import re
import weakref
from collections.abc import Generator
from datetime import datetime
from typing import Annotated

import pydantic

from pocketlet import clock, errors
from pocketlet.agents import agent as agents
from pocketlet.agents import provenance
from pocketlet.db import pool, queries, reader
from pocketlet.platform import apps
from pocketlet.surfaces.api import caller as callers
from pocketlet.surfaces.api import endpoint, tables

Q = queries.load("memory_page")
PARAMETER = re.compile(r"%\(([A-Za-z_]\w{0,39})\)s")
LONE = re.compile(r"%(?!\([A-Za-z_]\w{0,39}\)s)")
MOST_SAVED = 200
AT_ONCE = 2  # queries of one owner, in one process: of a reader's logins (pool.LOGINS_AT_ONCE) one is left to runs
_READING: weakref.WeakKeyDictionary[pool.Database, collections.Counter[int]] = weakref.WeakKeyDictionary()
READS = "Here one SELECT is read, and nothing is changed. A memory is corrected or forgotten on its own page."
#: What a newcomer may ask: a sentence, the table that it needs, the query.
EXAMPLES = (
    ("What runs did last", "results", Q["example_results"]),
    ("All about one person", "memories", Q["example_person"]),
    ("What came from outside", "memories", Q["example_outside"]),
    ("What you said of its work", "feedback", Q["example_feedback"]),
)

Value = Annotated[str, pydantic.Field(max_length=4_000)]
Statement = Annotated[str, pydantic.Field(min_length=1, max_length=20_000)]


class Query(endpoint.Model):
    """One SELECT (or WITH, VALUES, TABLE). `%(name)s` in it is a parameter: its value is in `parameters`."""

    query: Statement
    parameters: dict[str, Value] = pydantic.Field(default_factory=dict[str, str])


class Answer(endpoint.Model):
    """`capped`: which limit ended the reading, or empty. `cost`: what the planner expected, in its own units.

    `seconds`: how long it took. `tables`: all that were read. `origin`: outside, if one of them may hold words from
    there, else own; of each row, what it says of itself by its columns integrity and author.
    """

    columns: list[str]
    rows: list[tables.Row]
    capped: str
    cost: float
    seconds: float
    tables: list[str]
    origin: str


class Named(endpoint.Model):
    """A query to keep; one of the same name is replaced."""

    name: Annotated[str, pydantic.Field(min_length=1, max_length=80)]
    query: Statement


class SavedQuery(endpoint.Model):
    """A query of yours. `parameters`: the names that it asks for."""

    id: int
    name: str
    query: str
    parameters: list[str]
    changed_at: datetime


class AllSaved(endpoint.Model):
    """Your queries on one agent, by name."""

    items: list[SavedQuery]


def parameters(query: str) -> list[str]:
    """The names of the parameters, each once, in their order."""
    return list(dict.fromkeys(PARAMETER.findall(query)))


async def ask(caller: callers.Caller, agent: str, *, body: Query) -> Answer:
    """Reads an agent's tables with one SELECT, as its reader, which can change nothing; 1,000 rows and 2 MB at most,
    and two queries of yours at a time.
    """
    async with caller.database.api() as conn:
        mine = await callers.agent(conn, caller, agent)
    begun = clock.monotonic()
    found = await _read(caller, mine, body, tables.LIMITS)
    seconds = clock.monotonic() - begun
    async with caller.database.api() as conn:
        label = await provenance.of_tables(conn, mine, found.tables, found.version)
    whole = "outside" if label == "outside" else "own"
    return Answer(
        columns=list(found.columns),
        rows=[tables.Row(cells=list(row), origin=_origin(found.columns, row, whole)) for row in found.rows],
        capped=found.capped,
        cost=found.cost,
        seconds=round(seconds, 4),
        tables=sorted(found.tables),
        origin=whole,
    )


async def csv(caller: callers.Caller, agent: str, *, body: Query) -> endpoint.Text:
    """Exports what a SELECT reads, as a CSV file of 10,000 rows at most; what a spreadsheet would calculate has '
    before it.
    """
    async with caller.database.api() as conn:
        mine = await callers.agent(conn, caller, agent)
    found = await _read(caller, mine, body, tables.LARGE)
    return endpoint.Text(tables.spelled(found.columns, found.rows), f"{agent}.csv")


async def _read(caller: callers.Caller, agent: agents.Agent, asked: Query, limits: reader.Limits) -> reader.Rows:
    """Raises errors.BadInput, errors.GateRefusal, errors.GateBusy."""
    names = parameters(asked.query)
    lacking = [name for name in names if name not in asked.parameters]
    if lacking:
        raise errors.BadInput(f"The query asks for {', '.join(lacking)}.", hint="Give a value for each parameter.")
    statement, values = asked.query, None
    if names:
        statement, values = LONE.sub("%%", asked.query), {name: asked.parameters[name] for name in names}
    login = apps.reader(agent.name)
    try:
        with _one_of_few(caller):
            return await reader.query(caller.database, login, statement, params=values, limits=limits)
    except reader.Stopped as error:
        raise errors.GateRefusal(str(error), hint=error.hint or READS) from error


@contextlib.contextmanager
def _one_of_few(caller: callers.Caller) -> Generator[None]:
    """Raises errors.GateBusy."""
    reading = _READING.setdefault(caller.database, collections.Counter())
    if reading[caller.owner.id] >= AT_ONCE:
        raise errors.GateBusy(f"{AT_ONCE} queries of yours are being read already.")
    reading[caller.owner.id] += 1
    try:
        yield
    finally:
        reading[caller.owner.id] -= 1


def _origin(columns: tuple[str, ...], row: tuple[str | None, ...], whole: str) -> str:
    if "integrity" not in columns:
        return whole
    said = dict(zip(columns, row, strict=True))
    return tables.origin(said["integrity"], said.get("author"))


async def saved(caller: callers.Caller, agent: str) -> AllSaved:
    """Lists the queries on an agent that you keep."""
    async with caller.database.api() as conn:
        mine = await callers.agent(conn, caller, agent)
        return AllSaved(items=await _saved(conn, caller, mine))


async def _saved(conn: pool.Conn, caller: callers.Caller, agent: agents.Agent) -> list[SavedQuery]:
    values = {"owner": caller.owner.id, "agent": agent.id}
    rows = await (await conn.execute(Q["saved"], values)).fetchall()
    return [SavedQuery(**row, parameters=parameters(row["query"])) for row in rows]


async def save(caller: callers.Caller, agent: str, *, body: Named) -> SavedQuery:
    """Keeps a query under a name, in the place of the one that has it; it is not run."""
    name = " ".join(body.name.split())
    if not name or not body.query.strip():
        raise errors.BadInput("A query that is kept has a name and a text.")
    async with caller.database.api() as conn:
        mine = await callers.agent(conn, caller, agent)
        values = {"owner": caller.owner.id, "agent": mine.id, "name": name, "query": body.query}
        known = await _saved(conn, caller, mine)
        if len(known) >= MOST_SAVED and name not in {one.name for one in known}:
            raise errors.Conflict(f"{MOST_SAVED} queries are kept already.", hint="Remove one first.")
        row = await (await conn.execute(Q["save"], values)).fetchone()
    return SavedQuery(**row or {}, parameters=parameters(body.query))


async def unsave(caller: callers.Caller, agent: str, query: int) -> endpoint.Done:
    """Removes one of the queries that you keep."""
    async with caller.database.api() as conn:
        mine = await callers.agent(conn, caller, agent)
        values = {"owner": caller.owner.id, "agent": mine.id, "id": query if 0 < query < 2**63 else 0}
        if not (await conn.execute(Q["unsave"], values)).rowcount:
            raise errors.NotFound(f"There is no query {query} of yours.")
    return endpoint.Done(said="The query is not kept any more.")


ENDPOINTS = (
    endpoint.Endpoint("POST", "/agents/{agent}/sql", "read", ask),
    endpoint.Endpoint("POST", "/agents/{agent}/sql/csv", "read", csv, media="text/csv"),
    endpoint.Endpoint("GET", "/agents/{agent}/queries", "read", saved),
    endpoint.Endpoint("POST", "/agents/{agent}/queries", "run", save, status=201),
    endpoint.Endpoint("DELETE", "/agents/{agent}/queries/{query}", "run", unsave),
)
