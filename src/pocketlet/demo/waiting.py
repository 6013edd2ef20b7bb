"""Waiting for runs, while looking after the worker: a worker that was killed is started again."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pocketlet import clock, errors
from pocketlet.agents import approving, runs
from pocketlet.db import pool
from pocketlet.demo import world as worlds
from pocketlet.learning import feedback

PATIENCE = 75.0  # seconds; a run whose worker died may need a heartbeat's time to be noticed
EVERY = 0.05
REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Watch:
    """What the story waits for."""

    database: pool.Database
    world: worlds.World

    async def until(self, happened: Callable[[pool.Conn], Awaitable[object]], what: str) -> None:
        """Returns once `happened` is true. Raises errors.Failed if that takes too long."""
        deadline = clock.monotonic() + PATIENCE
        while clock.monotonic() < deadline:
            await asyncio.to_thread(self.world.look_after)
            async with self.database.api() as conn:
                if await happened(conn):
                    return
            await asyncio.sleep(EVERY)
        raise errors.Failed(
            f"{what} took longer than {PATIENCE:g} s.", hint="See `pocketlet status` and `pocketlet doctor`."
        )

    async def rest(self, run: int) -> str:
        """The state in which the run rests. Raises errors.Failed if it failed, with its own error, or was removed."""

        async def at_rest(conn: pool.Conn) -> bool:
            return await runs.state(conn, run) in (*runs.AT_REST, REMOVED)

        await self.until(at_rest, f"Run {run}")
        async with self.database.api() as conn:
            if await runs.state(conn, run) == REMOVED:
                raise errors.Failed(f"Run {run} was removed, with its agent, while the demo waited for it.")
            row = await runs.ending(conn, run)
        if row["state"] == "failed":
            raise errors.Failed(f"Run {run} failed: {row['error']}", hint=row["hint"] or "")
        return row["state"]

    async def answered(self, run: int) -> None:
        """The run has acted on the owner's answer and rests."""

        async def done(conn: pool.Conn) -> bool:
            open_questions = [row for row in await approving.questions(conn) if row["run"] == run]
            if any(row["question"] == "send-again" for row in open_questions):
                raise errors.Failed(f"Run {run} can't know whether its mail was sent.", hint="`pocketlet approvals`")
            return await runs.state(conn, run) in ("done", "failed", "stopped", REMOVED)

        await self.until(done, f"Run {run}")
        await self.rest(run)

    async def settled(self, given: int) -> None:
        """The feedback has its outcome: the draft was tried on all the cases that it is to be tried on."""

        async def judged(conn: pool.Conn) -> bool:
            return not await feedback.under_way(conn, given)

        await self.until(judged, "The replays")

    async def run_of(self, message_id: str) -> int:
        """The run that a mail started."""
        found: list[int] = []

        async def started(conn: pool.Conn) -> bool:
            found.extend(await runs.started_by(conn, message_id))
            return bool(found)

        await self.until(started, "The mail's run")
        return found[-1]
