"""Seeing to it that runs go on while a command waits for them: by a worker that is there, or by hosting one here."""

import asyncio
import contextlib
from typing import TYPE_CHECKING, Self

from pocketlet import clock, settings
from pocketlet.surfaces.cli import output

if TYPE_CHECKING:
    from pocketlet.db import pool

POLL = 0.05  # seconds
LOOK_AROUND = 2.0  # seconds between looks for a living worker
WORKERS = ("up", "worker")


class Attendant:
    """Waits for runs and tells their progress on stderr. `async with Attendant(database) as attendant`.

    A worker that is hosted here ends with the block. Workers of other commands do not count: they may leave any moment.
    """

    def __init__(self, database: "pool.Database") -> None:
        self._database = database
        self._stack = contextlib.AsyncExitStack()
        self._hosting = False
        self._looked = float("-inf")
        self._told: dict[int, int] = {}
        self._said: set[str] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    async def rest(self, *numbers: int) -> None:
        """Returns when each of the runs has ended or waits for an answer. Raises errors.NotFound if one is removed."""
        waited_for = list(numbers)
        try:
            while waited_for := [number for number in waited_for if not await self._look_at(number)]:
                await self._ensure_worker()
                await asyncio.sleep(POLL)
        except asyncio.CancelledError:
            self._say_goodbye(waited_for)
            raise

    async def settled(self, *given: int) -> None:
        """Returns when each feedback has its outcome, or nothing that it waits for moves any more."""
        from pocketlet.learning import feedback

        for number in given:
            while True:
                async with self._database.api() as conn:
                    waits = await feedback.under_way(conn, number)
                if not waits:
                    break
                await self.rest(*waits)

    async def _look_at(self, number: int) -> bool:
        """Tells the run's new steps; whether it is at rest."""
        from pocketlet.agents import report

        async with self._database.api() as conn:
            at_rest = await report.resting(conn, number)
            steps = await report.progress(conn, number)
            waits = await report.put_off(conn, number)
        if waits and waits not in self._said:
            self._said.add(waits)
            output.note(f"run {number}  {waits} Ctrl-C leaves it in the queue.")
        if number not in self._told and not at_rest and steps:
            self._told[number] = len(steps)  # done before we came
        for step in steps[self._told.get(number, 0) :]:
            cost = f"  {output.money(step['cost_usd'])}" if step["kind"] == "model" else ""
            error = "  (error)" if step["error"] else ""
            name = step["tool"] or "model"
            output.note(f"run {number}  step {step['seq']}  {name:<10}  {step['seconds']:.2f} s{cost}{error}")
        self._told[number] = len(steps)
        return at_rest

    async def _ensure_worker(self) -> None:
        from pocketlet.agents import worker
        from pocketlet.learning import kinds
        from pocketlet.platform import queue

        if self._hosting or clock.monotonic() - self._looked < LOOK_AROUND:
            return
        self._looked = clock.monotonic()
        await queue.rescue(self._database)
        async with self._database.api() as conn:
            alive = [found for found in await queue.workers(conn) if found["role"] in WORKERS]
        if not alive:
            hosted = worker.serving(self._database, settings.read(), "command", kinds.KINDS)
            await self._stack.enter_async_context(hosted)
            self._hosting = True

    def _say_goodbye(self, numbers: list[int]) -> None:
        for number in numbers:
            if self._hosting:
                output.note(f"Run {number} is kept as it stands; `pocketlet up` goes on with it.")
            else:
                output.note(f"Run {number} goes on without this command; `pocketlet stop {number}` stops it.")
            output.note(f"Next: `pocketlet show {number}`.")
