"""Workers are killed at the commits of a run: no step is done again, the mail leaves once, the money adds up."""

import os
import random

import pytest
from doomed import Point
from killing import Killer, Play

from pocketlet.platform import queue

SEED = 20261122
NAMED = [
    Point("after", effect="planned"),
    Point("after", effect="dispatching"),
    Point("before", mailed=True),
    Point("after", effect="succeeded"),
]
MONEY = """
SELECT (SELECT count(*) FROM pocketlet.step WHERE run_id = %(run)s AND kind = 'model') AS replies,
       count(*) FILTER (WHERE l.state = 'settled') AS settled,
       count(*) FILTER (WHERE l.state = 'reserved') AS lost,
       (SELECT spent FROM pocketlet.budget WHERE scope = 'run:' || %(run)s) = sum(l.cost) AS spent_adds_up,
       (SELECT reserved FROM pocketlet.budget WHERE scope = 'run:' || %(run)s)
         = coalesce(sum(l.reserved) FILTER (WHERE l.state = 'reserved'), 0) AS reserved_adds_up
  FROM pocketlet.ledger l WHERE l.run_id = %(run)s
"""


async def check(killer: Killer, play: Play, peaceful: list[object]) -> None:
    """The run is as one that nobody disturbed."""
    assert play.state == "done"
    assert killer.sent(play.run) == 1
    assert await killer.steps(play.run) == peaceful
    async with killer.database.api() as conn:
        money = await (await conn.execute(MONEY, {"run": play.run})).fetchone()
        effects = await (
            await conn.execute("SELECT state FROM pocketlet.effect WHERE run_id = %s", (play.run,))
        ).fetchall()
        results = await (await conn.execute("SELECT FROM crm.results WHERE run = %s", (play.run,))).fetchall()
    assert money
    assert money["settled"] == money["replies"]
    assert money["lost"] <= play.died
    assert money["spent_adds_up"]
    assert money["reserved_adds_up"]
    assert effects == [{"state": "succeeded"}]
    assert len(results) == 1
    await queue.rescue(killer.database)  # a worker that died when all was done leaves its row and its last job behind
    left = "SELECT count(*) FROM pocketlet.worker WHERE role = 'worker' AND pid <> %s"
    assert await killer.row(left, os.getpid()) == {"count": 0}
    assert await killer.row("SELECT count(*) FROM queue.procrastinate_jobs WHERE status = 'todo'") == {"count": 0}


async def test_a_few_kills(killer: Killer) -> None:
    undisturbed = await killer.play(None)
    peaceful = await killer.steps(undisturbed.run)
    await check(killer, undisturbed, peaceful)
    dice = random.Random(SEED)
    points = [*NAMED, *(Point(side, dice.randint(1, undisturbed.commits)) for side in ("before", "after"))]
    for point in points:
        play = await killer.play(point)
        assert play.died, point
        await check(killer, play, peaceful)


@pytest.mark.chaos
@pytest.mark.timeout(900)
async def test_every_commit(killer: Killer) -> None:
    undisturbed = await killer.play(None)
    peaceful = await killer.steps(undisturbed.run)
    for commit in range(1, undisturbed.commits + 1):
        for side in ("before", "after"):
            play = await killer.play(Point(side, commit))
            assert play.died, (side, commit)
            await check(killer, play, peaceful)
