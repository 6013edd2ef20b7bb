"""The kinds of run. Curation is a run: the loop, queue, ledger and journal are the same for all."""

from collections.abc import Mapping, Sequence

from pocketlet import errors
from pocketlet.agents import agent as agents
from pocketlet.agents import journal, loop, runs, toolbox, work
from pocketlet.db import pool
from pocketlet.learning import cassette, chat, feedback, manager, proving, trials


def _managers_tools(_: loop.Work) -> Mapping[str, toolbox.Tool]:
    return manager.TOOLS


def _trials_tools(found: loop.Work) -> Mapping[str, toolbox.Tool]:
    return cassette.tools(found, work.tools(found))


async def _judge(conn: pool.Conn, found: loop.Work, steps: Sequence[journal.Step], end: toolbox.Finish) -> None:
    """The trial's verdict, and the next step of what it was made for."""
    await agents.lock(conn, found.agent.id)
    trial = await trials.judge(conn, found.run, steps, end.summary)
    if trial:
        await proving.judged(conn, found.agent, trial)


async def _lost(conn: pool.Conn, found: loop.Work, error: str) -> None:
    await agents.lock(conn, found.agent.id)
    trial = await trials.could_not_run(conn, found.run.id, error)
    if trial:
        await proving.judged(conn, found.agent, trial)


KINDS: Mapping[str, loop.Kind] = {
    "run": loop.Kind(work.tools, work.brief, work.finish, more=work.more),
    "trial": loop.Kind(_trials_tools, work.brief, _judge, _lost, work.more),
    "manager": loop.Kind(_managers_tools, manager.brief, manager.finish, manager.failed),
    "chat": loop.Kind(chat.tools, chat.brief, chat.finish),
}


async def retry(conn: pool.Conn, number: int) -> None:
    """Lets a failed or stopped run go on from its journal. Raises errors.NotFound, errors.Conflict.

    A curation waits for its turn: while another one is under way it can't be tried again, and neither can one whose
    feedback another has taken up since.
    """
    run = await runs.load(conn, number)
    await agents.lock(conn, run.agent_id)
    if run.kind == "manager" and (busy := await feedback.curating(conn, run.agent_id)):
        raise errors.Conflict(f"Run {busy} learns something else now.", hint=f"Wait for it: `pocketlet show {busy}`.")
    if run.kind == "manager" and not await feedback.of_curation(conn, number):
        raise errors.Conflict(f"What run {number} was about was taken up by another run.")
    await runs.retry(conn, number)
    await feedback.reopen(conn, number)


async def stop(conn: pool.Conn, number: int) -> str:
    """Asks a run to stop, and lets whoever waits for it know if it does at once; the state it is in now.

    Raises errors.NotFound, errors.Conflict (it is at rest already).
    """
    state = await runs.stop(conn, number)
    if state == "stopped":
        run = await runs.load(conn, number)
        await loop.abandon(conn, KINDS[run.kind], run, "It was stopped by the owner.")
    return state
