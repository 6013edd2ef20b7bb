"""When a run is ended from outside: a step or the whole run takes too long, or its workers are lost again and again."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from pocketlet import errors
from pocketlet.agents import runs
from pocketlet.db import pool
from pocketlet.platform import notices

STEP = 600.0  # seconds that one step may take, with all its attempts
MARGIN = 2.0  # seconds that a step gets beyond the run's deadline, so that its own time-outs come first
RECOVERIES = 3  # in a row, of a run that loses its worker before it writes a step
TOLD = (errors.Overdue, errors.Quarantined)


@asynccontextmanager
async def cut(left: float) -> AsyncGenerator[None]:
    """Ends what is done inside after `left` seconds, or after STEP. Raises errors.Overdue."""
    if left <= 0:
        raise errors.Overdue
    limit = asyncio.timeout(min(STEP, left + MARGIN))
    try:
        async with limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        why = f"A step took longer than {STEP:g} s." if left + MARGIN > STEP else ""
        raise errors.Overdue(why) from error


def check(run: runs.Run) -> None:
    """Raises errors.Quarantined if the run has lost its worker too often."""
    if run.recoveries > RECOVERIES:
        raise errors.Quarantined(
            f"The run lost its worker {run.recoveries} times in a row at the same step: it is set apart."
        )


async def tell(conn: pool.Conn, run: runs.Run, error: errors.PocketletError) -> None:
    """One notice of a run that was ended so; one that a trigger started is told of with the trigger's work."""
    if not isinstance(error, TOLD) or await runs.has_slot(conn, run.id):
        return
    hint = error.hint.replace("RUN", str(run.id))
    said = f"Run {run.id} was ended. {error}"
    await notices.report(conn, notices.Notice(_problem(run, error), said, hint, run.agent_id, run.id))


async def over(conn: pool.Conn, run: runs.Run) -> None:
    """A run came to its end by itself: what was told of the agent is over."""
    await notices.resolve(conn, f"agent:{run.agent_id}:overdue", f"run {run.id} ended in time")


def _problem(run: runs.Run, error: errors.PocketletError) -> str:
    quarantined = isinstance(error, errors.Quarantined)
    return notices.of_run(run.id, "quarantined") if quarantined else f"agent:{run.agent_id}:overdue"
