"""The manager that its owner talks to: a message is one run of kind chat, and what it proposes is one draft revision.

It reads the playbook, the conversation, and typed views; no login of its can read a word from outside. Nothing changes
before the owner accepts the card that the turn ends in.
"""

import asyncio
import math
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pocketlet import clock, errors
from pocketlet.agents import agent as agents
from pocketlet.agents import briefing as briefings
from pocketlet.agents import folder as folders
from pocketlet.agents import journal, loop, portable, report, revisions, runs, toolbox
from pocketlet.agents import task as tasks
from pocketlet.db import pool, queries
from pocketlet.learning import cards, manager, proposals, proving
from pocketlet.platform import apps

Q = queries.load("chat")
TURNS = 10  # of the conversation that the manager is shown
CUT = 2_000  # characters of each side of them
MAX_MESSAGE = 8_000
MAX_ATTACHED = 30_000  # characters
ATTACHED = "\n\n# Attached file\n"
MAX_TOKENS = 8_000  # of a reply: a whole agent is longer than a run's
POLL = 0.05  # seconds


@dataclass(frozen=True, slots=True)
class Event:
    """Something of a turn that is committed: `kind` is step, reply, card or failed; `data` is as JSON has it."""

    kind: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Attached:
    """A text file that goes with a message. Whoever wrote it, the run that reads it is `outside`."""

    name: str
    text: str


async def say(database: pool.Database, name: str, message: str, *, model: str | None = None) -> int:
    """Queues the owner's message to the manager of an agent; the run that answers it.

    If there is no agent of that name, an empty one is made, on `model` (provider:name).
    Raises errors.BadInput, errors.BadAgent, errors.BadSetting, errors.Conflict.
    """
    _text(message)
    if not await exists(database, name):
        await make(database, name, model)
    async with database.api() as conn:
        return await ask(conn, await agents.get(conn, name), message)


async def ask(conn: pool.Conn, agent: agents.Agent, message: str, attached: Attached | None = None) -> int:
    """Queues the owner's message to the manager of this agent; the run that answers it. Raises errors.BadInput."""
    task = tasks.Task("text", _text(message), "owner")
    if attached is not None:
        quoted = tasks.quote(_attached(attached))
        file = (_name(attached), "text/plain", len(attached.text.encode()))
        task = replace(task, text=f"{task.text}{ATTACHED}{quoted}", label="outside", attachments=(file,))
    row = {"agent": agent.id, "kind": "chat", "revision": agent.current, "input": task.record(), "label": task.label}
    return await runs.insert(conn, row)


def _text(message: str) -> str:
    text = message.replace("\r\n", "\n").replace("\x00", "").strip()
    if not 0 < len(text) <= MAX_MESSAGE:
        raise errors.BadInput(f"A message has 1 to {MAX_MESSAGE} characters.")
    return text


def _attached(file: Attached) -> str:
    text = file.text.replace("\r\n", "\n").replace("\x00", "").strip()
    if not 0 < len(text) <= MAX_ATTACHED:
        raise errors.BadInput(f"An attached file is a text of 1 to {MAX_ATTACHED} characters.")
    return text


def _name(file: Attached) -> str:
    """Without folders, and in one line."""
    return " ".join(file.name.replace("\x00", "").replace("\\", "/").rpartition("/")[2].split())[:100] or "file"


def said(task: tasks.Task) -> str:
    """What the owner wrote, without what was attached."""
    return task.text.partition(ATTACHED)[0] if task.attachments else task.text


async def exists(database: pool.Database, name: str) -> bool:
    """Whether there is an agent of that name."""
    async with database.api() as conn:
        return any(agent.name == name for agent in await agents.everyone(conn))


async def make(database: pool.Database, name: str, model: str | None, owner: int = agents.KEEPER) -> None:
    """An agent that does nothing yet. Raises errors.BadAgent, errors.BadSetting, errors.Conflict."""
    apps.check_name(name)
    if not model:
        hint = "Set POCKETLET_MODEL (openai:gpt-5-mini, say) and the provider's key to make one of a sentence."
        raise errors.BadSetting(f"There is no agent {name!r}, and no model to make one with.", hint=hint)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / name
        folders.write(folder, proposals.empty(name, model))
        await portable.load(database, folder, origin="chat", owner=owner)


async def events(database: pool.Database, run: int, longest: float = math.inf) -> AsyncIterator[Event]:
    """What a turn does, as it is committed: its steps, then its reply and the card if it has one, or why it failed.

    Begins with the first step whenever it is called, and breaks off after `longest` seconds. Raises errors.NotFound if
    the run is removed.
    """
    told, until = 0, clock.monotonic() + longest
    while True:
        async with database.api() as conn:
            at_rest = await report.resting(conn, run)
            steps = await report.progress(conn, run)
        for step in steps[told:]:
            kept = {name: step[name] for name in ("seq", "tool", "error", "seconds")}
            yield Event("step", {"run": run, **kept, "cost_usd": f"{step['cost_usd'].normalize():f}"})
        told = len(steps)
        if at_rest:
            break
        if clock.monotonic() > until:
            return
        await asyncio.sleep(POLL)
    async with database.api() as conn:
        ending = await runs.ending(conn, run)
        card = await cards.of_run(conn, run)
    if ending["state"] != "done":
        yield Event("failed", {"run": run, **{name: ending[name] for name in ("state", "error", "hint", "exit_code")}})
        return
    yield Event("reply", {"run": run, "text": ending["result"]})
    if card:
        yield Event("card", card.record())


async def brief(conn: pool.Conn, work: loop.Work, model: str) -> briefings.Briefing:
    """The playbook in full, what the manager's SQL may read, the last turns, and the message."""
    playbook, name = work.playbook, work.agent.name
    login = {"schema": name, "login": apps.manager(name)}
    readable = await (await conn.execute(Q["tables"], login)).fetchall()
    state = "empty" if playbook.manifest.job == proposals.EMPTY else "working"
    system = manager.system(
        "chat",
        playbook,
        ("agent.toml", playbook.manifest_text),
        ("Memory", playbook.tables),
        ("Agent", f"name: {name}\nstate: {state}"),
        ("Tables", "\n".join(row["line"] for row in readable)),
    )
    values = {"agent": work.agent.id, "run": work.run.id, "turns": TURNS}
    earlier = await (await conn.execute(Q["earlier"], values)).fetchall()
    talk = "\n".join(line for row in earlier for line in _turn(row))
    return briefings.Briefing(
        system=system,
        user=f"{briefings.section('Conversation', talk)}\n\n# Message\n{work.task.text}".strip(),
        tools=tuple(tool.offer for tool in proposals.TOOLS.values()),
        model=model,
        max_tokens=max(MAX_TOKENS, playbook.manifest.max_tokens),
    )


def _turn(row: Mapping[str, Any]) -> list[str]:
    """An earlier turn; its lines are set in, so that none can pass for a heading."""
    said = [f"owner: {_cut(row['said'])}", f"you: {_cut(row['reply'] or '')}" if row["state"] == "done" else "you: -"]
    return said + ([f"(you proposed revision {row['revision']}: {row['standing']})"] if row["revision"] else [])


def _cut(text: str) -> str:
    return "\n  ".join((text if len(text) <= CUT else text[:CUT] + " …").splitlines())


def tools(_: loop.Work) -> Mapping[str, toolbox.Tool]:
    """The same for every agent: one to look things up, and those that propose."""
    return proposals.TOOLS


async def finish(conn: pool.Conn, work: loop.Work, steps: Sequence[journal.Step], end: toolbox.Finish) -> None:
    """What was proposed becomes one draft, which always waits for the owner: with the end of the run, or not at all."""
    noted = [step for step in steps if step.tool == "propose_lesson" and not step.error]
    drafted = [manager.drafted_lesson(step.request, work, None) for step in noted]
    draft = proposals.folded(work.playbook, steps)
    draft = replace(draft, lessons=(*draft.lessons, *drafted))
    if draft.digest == work.playbook.digest:
        return
    reason = " ".join((end.summary or work.task.text).split())[:500]
    change = revisions.Change(reason, "manager", work.run.revision, run=work.run.id)
    n = await revisions.add(conn, work.agent, draft, change)
    stored = await revisions.load(conn, work.agent, n)
    await proving.begin(
        conn,
        work.agent,
        proving.Draft(n, work.playbook, stored, None, curation=work.run.id, owner_decides=True),
    )
