"""Plays: the real worker takes runs from its queue, the model is the adversary, the owner answers as they come."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Any

from bench.adversary import owner as owners
from bench.adversary import world

from pocketlet import clock, errors
from pocketlet.learning import kinds

ROWS = b"""
SELECT r.id, r.kind, r.state, (SELECT count(*) FROM pocketlet.step s WHERE s.run_id = r.id) AS steps
  FROM pocketlet.run r WHERE r.agent_id = ANY (%s)
"""
PATIENCE = 150.0  # seconds without a step, after which a run will never rest: longer than the breaker's first pauses
HALTING = 10.0  # seconds that runs get to stop, when their world goes
ENDED = ("done", "failed", "stopped")


@dataclass
class Played:
    """`steps` so far; `stuck`: runs that did not come to rest. `most`: steps of a run at which a play breaks off.
    `open`: runs under way at once.
    """

    patience: float = PATIENCE
    most: int = 10**9
    open: int = 4
    steps: int = 0
    runs: int = 0
    stuck: list[int] = field(default_factory=list[int])


async def play(ground: world.World, owner: owners.Owner, played: Played, steps: int) -> None:
    """Takes in mails and tasks until `steps` more were made and everything rests."""
    goal, last = played.steps + steps, (played.steps, clock.monotonic())
    while True:
        rows = await _rows(ground)
        played.steps, played.runs = sum(row["steps"] for row in rows), len(rows)
        if played.steps > last[0]:
            last = (played.steps, clock.monotonic())
        moving = [row for row in rows if row["state"] not in ENDED]
        await owner.answer()
        await owner.look_at(rows)
        if played.steps >= goal and not moving:
            await owner.settle()
            if all(row["state"] in ENDED for row in await _rows(ground)):
                return
        elif clock.monotonic() - last[1] > played.patience or any(row["steps"] > played.most for row in rows):
            played.stuck = [row["id"] for row in moving]
            return
        if played.steps < goal and sum(row["id"] in ground.given for row in moving) < played.open:
            await ground.begin()
        await asyncio.sleep(0.01)


async def _rows(ground: world.World) -> list[dict[str, Any]]:
    ids = [person.id for person in ground.people]
    async with ground.database.api() as conn:
        return list(await (await conn.execute(ROWS, (ids,))).fetchall())


async def halt(ground: world.World) -> None:
    """Stops what still moves, so that the world can go."""
    began = clock.monotonic()
    while moving := [row for row in await _rows(ground) if row["state"] not in ENDED]:
        for row in moving:
            with contextlib.suppress(errors.Conflict, errors.NotFound):
                async with ground.database.api() as conn:
                    await kinds.stop(conn, row["id"])
        if clock.monotonic() - began > HALTING:
            return
        await asyncio.sleep(0.05)
