"""The talk with an agent's manager: its turns, what was looked up in each, and the change that a turn ends in."""

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import pydantic

from pocketlet import errors
from pocketlet.agents import agent as agents
from pocketlet.agents import journal, report, revisions
from pocketlet.agents import task as tasks
from pocketlet.db import pool, queries
from pocketlet.learning import cards, chat, feedback, kinds, proposals
from pocketlet.platform import apps
from pocketlet.surfaces.api import caller as callers
from pocketlet.surfaces.api import changes, endpoint, following, paging

Q = queries.load("chat_page")
SHOWN = 4_000  # characters of what a tool was asked, and of what it answered
MOST_NAMES = 50  # that are tried for a new agent
#: Words of a job that say nothing of it.
IDLE = re.compile(
    "a|all|an|and|are|as|at|be|by|can|do|each|every|for|from|get|have|if|in|is|it|its|me|my|of|on|or|our|please|run|so|"
    "that|the|their|them|these|they|this|to|us|want|we|what|when|which|who|will|with|would|you|your"
)
LONGEST = chat.MAX_MESSAGE  # characters of a message
LONGEST_FILE = chat.MAX_ATTACHED  # characters of what is attached
Text = Annotated[str, pydantic.Field(min_length=1, max_length=LONGEST)]


class Attached(endpoint.Model):
    """A text file that goes with a message. It counts as from outside, whoever wrote it."""

    name: Annotated[str, pydantic.Field(max_length=300)]
    text: Annotated[str, pydantic.Field(min_length=1, max_length=LONGEST_FILE)]


class Message(endpoint.Model):
    """What you say to the manager."""

    message: Text
    attached: Attached | None = None


class Job(endpoint.Model):
    """What a new agent is to do, in your words. `name`: of small letters, digits and _; made of the words, if none is
    given. `model`: provider:name; the usual one, if none is given.
    """

    message: Text
    name: Annotated[str, pydantic.Field(max_length=41)] = ""
    model: Annotated[str, pydantic.Field(max_length=200)] = ""


class Asked(endpoint.Model):
    """The turn that was begun: a run of that agent."""

    agent: str
    run: int


class Tool(endpoint.Model):
    """Something that the manager did in a turn. `asked` and `answer` are cut at 4,000 characters."""

    seq: int
    tool: str
    asked: str
    answer: str
    error: bool
    label: str
    seconds: float


class Turn(endpoint.Model):
    """One message and what came of it. `attached`: the name of the file that went with it. `state`: that of its run.
    `error`: why it failed, or is laid aside. `card`: the change that it proposes; nothing is changed before you accept.
    """

    run: int
    at: datetime
    ended_at: datetime | None
    said: str
    attached: str
    state: str
    stopping: bool
    tools: list[Tool]
    reply: str
    error: str
    hint: str
    cost: Decimal
    card: changes.Change | None


class Talk(endpoint.Page[Turn]):
    """The conversation, the newest turn first. `job`: what the agent is for. `empty`: it is still to be set up."""

    agent: str
    job: str
    empty: bool


class ModelOffer(endpoint.Model):
    """What a new agent can be made with. `model`: the usual one, empty if there is none."""

    model: str
    models: list[str]


async def history(caller: callers.Caller, agent: str, *, limit: paging.Limit = 10, cursor: paging.Cursor = "") -> Talk:
    """Shows the conversation with an agent's manager, the newest turn first."""
    below = paging.after(cursor)
    async with caller.database.api() as conn:
        found = await callers.agent(conn, caller, agent)
        rows = await _rows(conn, found, below=below, limit=limit + 1)
        kept, following = paging.cut(rows, limit, "run")
        turns = [await _turn(conn, found, row) for row in kept]
        job = (await revisions.load(conn, found, found.current)).manifest.job
    return Talk(items=turns, next=following, agent=agent, job=job, empty=job == proposals.EMPTY)


async def turn(caller: callers.Caller, agent: str, run: int) -> Turn:
    """Shows one turn of a conversation with a manager."""
    async with caller.database.api() as conn:
        found = await callers.agent(conn, caller, agent)
        return await _turn(conn, found, await _row(conn, found, run))


async def say(caller: callers.Caller, agent: str, body: Message) -> Asked:
    """Says something to an agent's manager. A run of a worker answers; nothing changes before you accept it."""
    attached = body.attached and chat.Attached(body.attached.name, body.attached.text)
    async with caller.database.api() as conn:
        found = await callers.agent(conn, caller, agent)
        return Asked(agent=agent, run=await chat.ask(conn, found, body.message, attached))


async def begin(caller: callers.Caller, body: Job) -> Asked:
    """Makes a new agent of yours out of a job in your own words. Its manager proposes the rest; you accept it."""
    model = body.model.strip() or (await offer(caller)).model
    name = await _made(caller, body.name.strip(), body.message, model)
    return await say(caller, name, Message(message=body.message))


async def offer(caller: callers.Caller) -> ModelOffer:
    """Lists the models that a new agent can think with: the one of the settings, and those of your agents."""
    async with caller.database.api() as conn:
        mine = await callers.everyone(conn, caller)
        used = [(await revisions.load(conn, one, one.current)).manifest.model for one in mine]
    usual = [caller.config.model] if caller.config.model else list[str]()
    known = list(dict.fromkeys([*usual, *used]))
    return ModelOffer(model=known[0] if known else "", models=known)


async def events(caller: callers.Caller, agent: str, run: int, *, after: int = 0) -> AsyncIterator[endpoint.Event]:
    """Follows a turn as it goes on: each step once it is committed, then the reply and the card, or why it failed.

    `after`: the number of the last step that is known already.
    """
    async with caller.database.api() as conn:
        await _row(conn, await callers.agent(conn, caller, agent), run)
    yield endpoint.Event("", {})  # it is followed from now on, even if nothing comes for long
    async for event in chat.events(caller.database, run, following.LONGEST):
        seq = int(event.data.get("seq", 0))
        if event.kind != "step" or seq > after:
            yield endpoint.Event(event.kind, event.data, str(seq) if event.kind == "step" else "")


async def stop(caller: callers.Caller, agent: str, run: int) -> Turn:
    """Stops a turn that is under way: before its next step at the latest."""
    async with caller.database.api() as conn:
        await _row(conn, await callers.agent(conn, caller, agent), run)
        await kinds.stop(conn, run)
    return await turn(caller, agent, run)


async def retry(caller: callers.Caller, agent: str, run: int) -> Turn:
    """Lets a turn that failed or was stopped go on from where it was."""
    async with caller.database.api() as conn:
        await _row(conn, await callers.agent(conn, caller, agent), run)
        await kinds.retry(conn, run)
    return await turn(caller, agent, run)


async def accept(caller: callers.Caller, agent: str, run: int) -> Turn:
    """Accepts the change that a turn proposed: it counts from the next run on."""
    await cards.accept(caller.database, await _card(caller, agent, run))
    return await turn(caller, agent, run)


async def discard(caller: callers.Caller, agent: str, run: int) -> Turn:
    """Discards the change that a turn proposed."""
    await cards.discard(caller.database, await _card(caller, agent, run))
    return await turn(caller, agent, run)


async def undo(caller: callers.Caller, agent: str, run: int) -> Turn:
    """Undoes an accepted change: goes back to the revision before an accepted change. Tables that it brought keep their
    rows.
    """
    await cards.undo(caller.database, await _card(caller, agent, run))
    return await turn(caller, agent, run)


async def _card(caller: callers.Caller, agent: str, run: int) -> cards.Card:
    async with caller.database.api() as conn:
        await _row(conn, await callers.agent(conn, caller, agent), run)
        card = await cards.of_run(conn, run)
    if card is None:
        raise errors.Conflict(f"Turn {run} proposed no change.", hint="Ask for one.")
    return card


async def _row(conn: pool.Conn, agent: agents.Agent, run: int) -> Mapping[str, Any]:
    rows = await _rows(conn, agent, run=run if 0 < run < 2**63 else 0)
    if not rows:
        raise errors.NotFound(f"There is no turn {run} in the talk with {agent.name}.")
    return rows[0]


async def _rows(
    conn: pool.Conn, agent: agents.Agent, *, run: int | None = None, below: int | None = None, limit: int = 1
) -> Sequence[Mapping[str, Any]]:
    values = {"agent": agent.id, "run": run, "below": below, "limit": limit}
    return await (await conn.execute(Q["turns"], values)).fetchall()


async def _turn(conn: pool.Conn, agent: agents.Agent, row: Mapping[str, Any]) -> Turn:
    task, run = tasks.from_record(row["input"]), row["run"]
    seconds = {step["seq"]: step["seconds"] for step in await report.progress(conn, run)}
    draft = await feedback.draft_of(conn, run) if row["state"] == "done" else None
    same = ("run", "at", "ended_at", "state", "stopping")
    return Turn(
        **{name: row[name] for name in same},
        cost=row["cost_usd"],
        said=chat.said(task),
        attached=task.attachments[0][0] if task.attachments else "",
        tools=[_tool(step, seconds.get(step.seq, 0)) for step in await journal.read(conn, run) if step.kind == "tool"],
        reply=row["reply"] or "",
        error=row["error"] or "",
        hint=row["hint"] or "",
        card=await changes.changed(conn, agent, draft) if draft else None,
    )


def _tool(step: journal.Step, seconds: float) -> Tool:
    return Tool(
        seq=step.seq,
        tool=step.tool or "",
        asked=_asked(step)[:SHOWN],
        answer=journal.content(step)[:SHOWN],
        error=bool(step.error),
        label=step.label,
        seconds=seconds,
    )


def _asked(step: journal.Step) -> str:
    """What a tool was given, a line each; SQL alone."""
    given: dict[str, object] = dict(step.request)
    if step.tool == "sql":
        return str(given.get("query", ""))
    return "\n".join(f"{name}: {value if isinstance(value, str) else _json(value)}" for name, value in given.items())


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1)


async def _made(caller: callers.Caller, name: str, job: str, model: str) -> str:
    """A new agent of the caller's, and its name. Raises errors.Conflict, errors.BadInput, errors.BadSetting.

    A name that is another owner's agent, a role of this Postgres or reserved is refused in the same words.
    """
    if name:
        return await _named(caller, name, model)
    for candidate in _names(job):
        if await chat.exists(caller.database, candidate):
            continue
        try:
            await chat.make(caller.database, candidate, model, caller.owner.id)
        except errors.Conflict:  # another one took it meanwhile, or it is a role's of this Postgres
            continue
        return candidate
    raise errors.Conflict("No name was found for this agent.", hint="Give it one: small letters, digits and _.")


async def _named(caller: callers.Caller, name: str, model: str) -> str:
    async with caller.database.api() as conn:
        mine = {one.name for one in await callers.everyone(conn, caller)}
    if name in mine:
        raise errors.Conflict(f"There is an agent {name!r} of yours already.", hint="Take another name.")
    hint = "Take another one, or none: then one is made of your words."
    taken = errors.BadInput(f"The name {name!r} can't be had.", hint=hint)
    try:
        apps.check_name(name)
    except errors.BadAgent as error:
        if apps.NAME.fullmatch(name):
            raise taken from error
        raise
    try:
        await chat.make(caller.database, name, model, caller.owner.id)
    except errors.Conflict as error:
        raise taken from error
    return name


def _names(job: str) -> Iterator[str]:
    words = [word for word in re.findall(r"[a-z]{2,}", job.lower()) if not IDLE.fullmatch(word)]
    stem = "_".join(words[:2])[:30].rstrip("_") or "agent"
    for number in range(1, MOST_NAMES + 1):
        name = stem if number == 1 else f"{stem}_{number}"
        try:
            apps.check_name(name)
        except errors.BadAgent:
            name = f"agent_{name}"
        yield name


ENDPOINTS = (
    endpoint.Endpoint("GET", "/agents/{agent}/chat", "read", history),
    endpoint.Endpoint("POST", "/agents/{agent}/chat", "run", say, status=202, keyed=True),
    endpoint.Endpoint("GET", "/chat", "read", offer),
    endpoint.Endpoint("POST", "/chat", "admin", begin, status=202, keyed=True),
    endpoint.Endpoint("GET", "/agents/{agent}/chat/{run}", "read", turn),
    endpoint.Endpoint("GET", "/agents/{agent}/chat/{run}/events", "read", events),
    endpoint.Endpoint("POST", "/agents/{agent}/chat/{run}/stop", "run", stop),
    endpoint.Endpoint("POST", "/agents/{agent}/chat/{run}/retry", "run", retry, keyed=True),
    endpoint.Endpoint("POST", "/agents/{agent}/chat/{run}/accept", "approve", accept, keyed=True),
    endpoint.Endpoint("POST", "/agents/{agent}/chat/{run}/discard", "approve", discard, keyed=True),
    endpoint.Endpoint("POST", "/agents/{agent}/chat/{run}/undo", "approve", undo, keyed=True),
)
