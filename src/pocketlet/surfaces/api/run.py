"""One run: what it was told, what it did step by step, what that cost, and how it goes on."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import pydantic

from pocketlet.agents import agent as agents
from pocketlet.agents import briefing as briefings
from pocketlet.agents import report
from pocketlet.db import pool, queries
from pocketlet.platform import connections
from pocketlet.surfaces.api import caller as callers
from pocketlet.surfaces.api import endpoint, following, paging, runs, story

Q = queries.load("run_page")
MOST_ACTS = 200  # the newest ones
FEW = 5  # steps that are named for their cost or time
Number = Annotated[int, pydantic.Field(ge=0, lt=2**31, description="A step's number; 0: none.")]


class RunTask(endpoint.Model):
    """What the run was asked to do. `origin`: whose words `text` is; of a mail `sender` to `attachments` are filled."""

    kind: str
    origin: story.Origin
    text: str
    sender: str
    sender_name: str
    to: str
    subject: str
    attachments: list[str]
    notes: list[str]
    order: str


class Part(endpoint.Model):
    """A part of the briefing. `tokens`: a quarter of its bytes; `share`: of the whole, 0 to 1."""

    part: str
    origin: story.Origin
    tokens: int
    share: float
    text: str


class Used(endpoint.Model):
    """A lesson that the run was told. `when`: the facts it is for; `feedback`: its source, on run `taught_on`."""

    name: str
    topic: str
    body: str
    when: dict[str, Any]
    since: datetime
    feedback: int | None
    taught_on: int | None


class Act(endpoint.Model):
    """What the run did outside, or wanted to. `state`: planned, approved, dispatching, succeeded, failed, unknown,
    refused, blocked or captured. `answer`: to the question about it, empty if there was none. `seq`: its step.
    `effect_class`: what a break past the send means.
    """

    effect: int
    seq: int
    tool: str
    kind: str
    effect_class: str
    state: str
    answer: str
    to: str
    rule: str
    attempts: int
    changed_at: datetime


class Touched(endpoint.Model):
    """What the run came near: `what` is table, memory, skill, attachment, connection, server, address or secret (its
    name alone: the gateway puts it in). `first`: the first step that did.
    """

    what: str
    name: str
    times: int
    first: int


class Costly(endpoint.Model):
    """A step that cost much, or took long."""

    seq: int
    cost: Decimal
    tokens: int
    seconds: float


class RunReplayed(endpoint.Model):
    """The run that this one does again on its input, with nothing sent; `cost`: what that one cost."""

    run: int
    model: str
    cost: Decimal


class Story(endpoint.Model):
    """A run. `current`: the revision in force. `label`: the least trusted text that it has read. `dry`: nothing is
    sent. `trigger`: empty if a person started it. `kept_back`: a sentence if its last act was not let out.
    `drafted`: the revision that it made. `acts`: the newest 200. `dearest` and `slowest`: where money and time
    went.
    """

    run: int
    agent: str
    kind: str
    title: str
    trigger: str
    revision: int
    current: int
    model: str
    label: str
    dry: bool
    outcome: str
    result: str
    kept_back: str
    error: str
    hint: str
    facts: dict[str, str]
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    totals: following.Totals
    task: RunTask
    briefing_hash: str
    context: list[Part]
    lessons: list[Used]
    acts: list[Act]
    touched: list[Touched]
    dearest: list[Costly]
    slowest: list[Costly]
    feedback: int | None
    drafted: int | None
    replays: RunReplayed | None


class Steps(endpoint.Model):
    """Steps in order. `earlier`: there are more: ask with it as `before`; `later`: ask with it as `after`."""

    items: list[story.Piece]
    earlier: int | None
    later: int | None


async def show(caller: callers.Caller, run: int) -> Story:
    """Shows a run: how it stands, what it was told, what it touched and where the money went."""
    async with caller.database.api() as conn:
        agent = await callers.run(conn, caller, run)
        stands = await _totals(conn, caller, agent, run)
        row = await (await conn.execute(Q["head"], {"run": run, "owner": caller.owner.id})).fetchone() or {}
        lessons = await (await conn.execute(report.Q["lessons"], {"ids": row["lessons"]})).fetchall()
        acts = await (await conn.execute(Q["effects"], {"run": run, "limit": MOST_ACTS})).fetchall()
        touched = await _touched(conn, agent, run)
        few = {"run": run, "limit": FEW}
        dearest = await (await conn.execute(Q["dearest"], few)).fetchall()
        slowest = await (await conn.execute(Q["slowest"], few)).fetchall()
    plain: dict[str, Any] = {
        name: row[name] for name in ("run", "agent", "kind", "revision", "current", "label", "dry", "facts", "feedback")
    } | {"drafted": row["drafted"], "kept_back": runs.kept_back(row | {"state": stands.state})}
    plain |= {
        name: row[name] or "" for name in ("trigger", "model", "outcome", "result", "error", "hint", "briefing_hash")
    }
    plain |= {name: row[name] for name in ("created_at", "started_at", "ended_at")}
    return Story(
        **plain,
        title=runs.title(row),
        totals=stands,
        task=_task(row["input"]),
        context=_context(row),
        lessons=[_lesson(one) for one in lessons],
        acts=[_act(one) for one in acts],
        touched=touched,
        dearest=[_costly(one) for one in dearest],
        slowest=[_costly(one) for one in slowest],
        replays=_replayed(row),
    )


async def standing(caller: callers.Caller, run: int) -> following.Totals:
    """Shows how a run stands, in figures."""
    async with caller.database.api() as conn:
        return await _totals(conn, caller, await callers.run(conn, caller, run), run)


async def steps(
    caller: callers.Caller, run: int, *, after: Number = 0, before: Number = 0, limit: paging.Limit = 100
) -> Steps:
    """Shows the steps of a run as a story: those after a number, or the last ones before one."""
    async with caller.database.api() as conn:
        agent = await callers.run(conn, caller, run)
        there = (await following.standing(conn, caller, run))["steps"]
        first = max(1, min(before, there + 1) - limit) if before else after + 1
        last = min(there, (min(first + limit, before) if before else first + limit) - 1)
        items = await following.pieces(conn, agent, run, first, last)
    earlier = first if items and first > 1 else None
    return Steps(items=items, earlier=earlier, later=last if items and last < there else None)


async def events(caller: callers.Caller, run: int, *, after: Number = 0) -> AsyncIterator[endpoint.Event]:
    """Follows a run until it ends: `steps` as they are committed, `head` with how it stands, and `end`."""
    async for event in following.events(caller, run, after):
        yield event


async def _totals(conn: pool.Conn, caller: callers.Caller, agent: agents.Agent, run: int) -> following.Totals:
    row = await following.standing(conn, caller, run)
    return following.totals(row, await following.counted(conn, run), await following.cap(conn, agent))


async def _touched(conn: pool.Conn, agent: agents.Agent, run: int) -> list[Touched]:
    """With the names of the secrets that were put into calls, as the connections have them now."""
    rows = await (await conn.execute(Q["touched"], {"run": run})).fetchall()
    found = [Touched(**row) for row in rows]
    used = {one.name: one for one in found if one.what == "connection"}
    if used:
        for connection in await connections.of_agent(conn, agent.id):
            if one := used.get(connection.name):
                names = story.secrets(connection)
                found += [Touched(what="secret", name=name, times=one.times, first=one.first) for name in names]
    return found


def _task(asked: Mapping[str, Any]) -> RunTask:
    plain = {name: asked.get(name, "") for name in ("kind", "text", "sender", "sender_name", "to", "subject", "order")}
    files = [f"{name} ({kind}, {size} bytes)" for name, kind, size in asked["attachments"]]
    return RunTask(**plain, origin=story.ORIGINS[asked["label"]], attachments=files, notes=list(asked["notes"]))


def _context(row: Mapping[str, Any]) -> list[Part]:
    if not row["briefing"]:
        return []
    parts = report.parts(briefings.from_record(row["briefing"]))
    whole = sum(one["tokens"] for one in parts) or 1
    origins: dict[str, story.Origin] = {"task": story.ORIGINS[row["input"]["label"]], "lessons": "owner"}
    return [Part(**one, origin=origins.get(one["part"], "own"), share=round(one["tokens"] / whole, 4)) for one in parts]


def _lesson(row: Mapping[str, Any]) -> Used:
    kept = {name: row[name] for name in ("name", "topic", "body", "when", "since", "feedback")}
    return Used(**kept, taught_on=row["taught_on_run"])


def _act(row: Mapping[str, Any]) -> Act:
    kept = {name: row[name] for name in ("seq", "tool", "kind", "state", "answer", "rule", "attempts", "changed_at")}
    return Act(**kept, effect=row["id"], effect_class=row["class"], to=row["destination"])


def _costly(row: Mapping[str, Any]) -> Costly:
    tokens = int(row["input"] + row["output"])
    return Costly(seq=row["seq"], cost=row["cost_usd"], tokens=tokens, seconds=row["seconds"])


def _replayed(row: Mapping[str, Any]) -> RunReplayed | None:
    if not row["replays"]:
        return None
    return RunReplayed(run=row["replays"], model=row["replayed_model"] or "", cost=row["replayed_usd"] or Decimal(0))


ENDPOINTS = (
    endpoint.Endpoint("GET", "/runs/{run}", "read", show),
    endpoint.Endpoint("GET", "/runs/{run}/standing", "read", standing),
    endpoint.Endpoint("GET", "/runs/{run}/steps", "read", steps),
    endpoint.Endpoint("GET", "/runs/{run}/events", "read", events),
)
