"""The loop that every run goes through: read the journal, do the one next thing, write it down, until the run rests.

A worker may die between any two lines. What is in the journal is not done again; a model call whose answer was lost
is made again and both are in the ledger; an outside effect is looked up before it is tried again (`effects`).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pocketlet import clock, errors
from pocketlet.agents import (
    agent as agents,
)
from pocketlet.agents import (
    brakes,
    deadlines,
    effects,
    journal,
    mailing,
    outward,
    revisions,
    runs,
    thinking,
    toolbox,
)
from pocketlet.agents import (
    briefing as briefings,
)
from pocketlet.agents import playbook as playbooks
from pocketlet.agents import (
    task as tasks,
)
from pocketlet.agents.skills import store as skills
from pocketlet.db import pool
from pocketlet.platform.gateways import submission
from pocketlet.policy import labels

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Engine:
    """What every run on this worker shares.

    `worker` is its row; `instance` names this installation in Message-IDs; `home` is where the sealing key lies.
    Once `leaving` is set, no run takes another step here.
    """

    database: pool.Database
    thinker: thinking.Thinker
    server: submission.Submission | None
    instance: str
    worker: int
    home: Path
    leaving: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Work:
    """A claimed run with all that belongs to it. `more`: tools of what the owner connected the agent to."""

    run: runs.Run
    agent: agents.Agent
    playbook: playbooks.Playbook
    task: tasks.Task
    more: Mapping[str, toolbox.Tool] = field(default_factory=dict[str, toolbox.Tool])


@dataclass(frozen=True, slots=True)
class Kind:
    """What sets one kind of run apart: its tools, its briefing, and what its end means (in the same transaction).

    `failed` is told why a run of this kind ended without a result: it failed, or was stopped. `more` finds the tools of
    what the agent is connected to.
    """

    tools: Callable[[Work], Mapping[str, toolbox.Tool]]
    brief: Callable[[pool.Conn, Work, str], Awaitable[briefings.Briefing]]
    finish: Callable[[pool.Conn, Work, Sequence[journal.Step], toolbox.Finish], Awaitable[None]]
    failed: Callable[[pool.Conn, Work, str], Awaitable[None]] | None = None
    more: Callable[[pool.Database, Work], Awaitable[Mapping[str, toolbox.Tool]]] | None = None


async def advance(engine: Engine, kinds: Mapping[str, Kind], number: int) -> None:
    """Takes a run as far as it goes: to its end, or to where it waits for a person."""
    async with engine.database.api() as conn:
        run = await runs.claim(conn, number, engine.worker)
    if run is None:
        return
    try:
        await _drive(engine, kinds[run.kind], run)
    except errors.LostRun:
        log.info("run %s goes on elsewhere", number)
    except errors.ModelPaused as error:
        await _put_off(engine, run, error)
    except errors.NoPostgres:
        raise  # the queue brings the job back; the run is as its journal says
    except errors.PocketletError as error:
        await _fail(engine, kinds[run.kind], run, error)
    except Exception as error:
        log.exception("run %s failed", number)
        unexpected = errors.Failed(f"Pocketlet itself failed: {type(error).__name__}.", hint="The log has the details.")
        await _fail(engine, kinds[run.kind], run, unexpected)


async def _put_off(engine: Engine, run: runs.Run, error: errors.ModelPaused) -> None:
    """No model is asked for a while: a run that would fail of it goes on by itself afterwards."""
    try:
        async with engine.database.api() as conn:
            await runs.put_off(conn, run, error.until, str(error))
    except errors.LostRun:
        log.info("run %s goes on elsewhere", run.id)


async def _fail(engine: Engine, kind: Kind, run: runs.Run, error: errors.PocketletError) -> None:
    ending = {"error": str(error), "hint": error.hint.replace("RUN", str(run.id)), "exit_code": error.exit_code}
    outcome = "quarantined" if isinstance(error, errors.Quarantined) else "failed"
    try:
        async with engine.database.api() as conn:
            await runs.rest(conn, run, "failed", outcome=outcome, **ending)
            await deadlines.tell(conn, run, error)
            await abandon(conn, kind, run, str(error))
    except errors.LostRun:
        log.info("run %s goes on elsewhere", run.id)


async def abandon(conn: pool.Conn, kind: Kind, run: runs.Run, why: str) -> None:
    """What it means for others that a run ends without a result."""
    if kind.failed:
        agent = await agents.by_id(conn, run.agent_id)
        playbook = await revisions.load(conn, agent, run.revision)
        await kind.failed(conn, Work(run, agent, playbook, tasks.from_record(run.input)), why)


async def _drive(engine: Engine, kind: Kind, run: runs.Run) -> None:
    deadlines.check(run)
    async with engine.database.api() as conn:
        agent = await agents.by_id(conn, run.agent_id)
        stored = await revisions.load(conn, agent, run.revision)
        await runs.begin(conn, run, stored.manifest.deadline)
        playbook, off = await skills.in_force(conn, agent, run.revision, stored)
    if off:
        names = ", ".join(one.skill.name for one in off)
        log.warning("run %s does without skill %s: its text is not what was installed", run.id, names)
    work = Work(run, agent, playbook, tasks.from_record(run.input))
    if kind.more:
        async with deadlines.cut(deadlines.STEP):
            work = replace(work, more=await kind.more(engine.database, work))
    async with engine.database.api() as conn:
        briefing = await _briefing(engine, conn, kind, work)
        today = playbook if agent.current == run.revision else await revisions.load(conn, agent, agent.current)
        steps = await journal.read(conn, run.id)
    manifest = replace(playbook.manifest, budget=today.manifest.budget)  # money is the owner's word of today
    while True:
        work = replace(work, run=replace(run, label=labels.join(run.label, *(step.label for step in steps))))
        left = await _time_left(engine, kind, work)
        if left is None:
            return None
        state = journal.fold(steps)
        if steps and steps[-1].kind == "model" and not state.pending:
            return await _finish(engine, kind, work, steps, _in_words(steps[-1]))
        async with deadlines.cut(left):
            if state.pending:
                step = await _use_tool(engine, kind, work, steps, state)
            else:
                _check_limits(work, steps)
                step = await engine.thinker.think(work.run, work.agent, manifest, briefing, state)
        if step is None:
            return None
        steps.append(journal.as_stored(step))


def _in_words(last: journal.Step) -> toolbox.Finish:
    """A reply without a call ends the run, if it is whole and says something. Raises errors.BadModelReply."""
    reason = last.response["finish"]
    if reason == "length":
        hint = "Raise `max_tokens` in agent.toml, import it with --replace, and start a new run."
        raise errors.BadModelReply("The model's answer was cut off at `max_tokens`.", hint=hint)
    if reason == "content_filter" or not last.response["text"].strip():
        # Its answer stands in the journal: a retry would read the same one.
        hint = "Start a new run, or try another model."
        raise errors.BadModelReply("The model ended without an answer and without calling a tool.", hint=hint)
    return toolbox.Finish("done", last.response["text"])


async def _briefing(engine: Engine, conn: pool.Conn, kind: Kind, work: Work) -> briefings.Briefing:
    """The stored briefing; compiled and stored if the run has just begun."""
    if work.run.briefing:
        return briefings.from_record(work.run.briefing)
    model = work.run.model or engine.thinker.model_of(work.playbook.manifest)
    briefing = await kind.brief(conn, work, model)
    record: dict[str, Any] = {
        "briefing": briefing.record(),
        "hash": briefing.hash,
        "overhead": briefing.overhead_tokens,
        "lessons": list(briefing.lessons),
        "model": model,
    }
    await runs.start_briefing(conn, work.run, record)
    return briefings.from_record(record["briefing"])


async def _time_left(engine: Engine, kind: Kind, work: Work) -> float | None:
    """Seconds until the deadline; None if the run takes no further step here: it was stopped, or the worker leaves."""
    if engine.leaving.is_set():
        async with engine.database.api() as conn:
            await runs.put_off(conn, work.run, clock.now(), "")
        return None
    async with engine.database.api() as conn:
        held = await runs.hold(conn, work.run)
        if not held.stop:
            return held.left
        await runs.rest(conn, work.run, "stopped", outcome="stopped", result="Stopped by the owner.")
        await abandon(conn, kind, work.run, "It was stopped by the owner.")
    return None


def _check_limits(work: Work, steps: Sequence[journal.Step]) -> None:
    limit = work.playbook.manifest.max_steps
    if len(steps) >= limit:
        hint = (
            "See what it keeps doing: `pocketlet show RUN`. For more steps, raise `max_steps` in agent.toml, "
            "`pocketlet agent import --replace DIR`, and start a new run."
        )
        raise errors.Failed(f"The run took {limit} steps and did not finish.", hint=hint)
    if why := brakes.stuck(steps):
        raise errors.Failed(why, hint=brakes.HINT)


async def _use_tool(
    engine: Engine, kind: Kind, work: Work, steps: list[journal.Step], state: journal.State
) -> journal.Step | None:
    """Does the next call of the last reply and writes its step; None if the run rests now."""
    wanted = state.pending[0]
    sender = mailing.Sender(work.agent, work.playbook.manifest, work.task, engine.server, engine.instance)
    context = toolbox.Context(engine.database, sender, work.playbook, work.run, state.next_seq, engine.home)
    began = clock.monotonic()
    tools = kind.tools(work)
    gone = await outward.orphaned(context) if toolbox.problem(tools, wanted) else None
    outcome = gone or await toolbox.call(tools, context, wanted)
    meta = {**(outcome.meta or {}), "seconds": round(clock.monotonic() - began, 3), "from": outcome.label}
    meta |= {"edited": True} if outcome.request else {}
    if outcome.parks:
        async with engine.database.api() as conn:
            await _park(conn, work, state.next_seq)
        return None
    label = labels.join(work.run.label, outcome.label)
    request: Any = outcome.request or (wanted.args if wanted.args is not None else {"raw": wanted.raw})
    response = None if outcome.error else outcome.text
    step = journal.Step(state.next_seq, "tool", wanted.name, request, response, outcome.error, label, meta)
    if outcome.finish:
        await _finish(engine, kind, work, [*steps, step], outcome.finish, last=step)
        return None
    async with engine.database.api() as conn:
        if outcome.commit:
            await outcome.commit(conn)
        await journal.write(conn, work.run.id, work.run.fence, step)
    return step


async def _park(conn: pool.Conn, work: Work, seq: int) -> None:
    """Waiting holds no worker. The answer may have come before we got here: then the run is woken at once."""
    await runs.rest(conn, work.run, "waiting", outcome="waiting")
    effect = await effects.find(conn, work.run.id, seq)
    if effect is None or not effect.waits:
        await runs.wake(conn, work.run.id)


async def _finish(
    engine: Engine,
    kind: Kind,
    work: Work,
    steps: Sequence[journal.Step],
    finish: toolbox.Finish,
    *,
    last: journal.Step | None = None,
) -> None:
    """The last step, what the end means, and the state of rest: one transaction."""
    async with engine.database.api() as conn:
        if last:
            await journal.write(conn, work.run.id, work.run.fence, last)
        await kind.finish(conn, work, steps, finish)
        await deadlines.over(conn, work.run)
        await runs.rest(conn, work.run, "done", outcome=finish.outcome, result=finish.summary)
