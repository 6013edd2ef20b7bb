"""Workers are killed at the commits of a curation: what is learnt is there whole or not at all, and ends the same."""

import os
import random

import pytest
from correcting import Taught, correct
from doomed import Point
from killing import Killer

from pocketlet.platform import queue

SEED = 20261122


@pytest.fixture
async def corrected_run(killer: Killer) -> int:
    """A run to correct, of an agent whose changes count once they have proved themselves."""
    return (await killer.play(None)).run


async def check(killer: Killer, taught: Taught, peaceful: Taught) -> None:
    """What was learnt is what is learnt when nobody disturbs."""
    assert taught.learnt == peaceful.learnt
    assert taught.sent == 0
    assert taught.money["lost"] <= (taught.wreck is not None)
    assert taught.money["adds_up"]
    if taught.wreck:
        told = taught.wreck
        whole = {told[name] for name in ("manager", "revision", "lesson", "assertion", "candidate", "trial")}
        assert len(whole) == 1, told
        assert len({told[name] for name in ("outcome", "decision", "in_force")}) == 1, told
        assert told["unjudged"] == 0
    await queue.rescue(killer.database)
    left = "SELECT count(*) FROM pocketlet.worker WHERE role = 'worker' AND pid <> %s"
    assert await killer.row(left, os.getpid()) == {"count": 0}
    assert await killer.row("SELECT count(*) FROM queue.procrastinate_jobs WHERE status = 'todo'") == {"count": 0}


async def undisturbed(killer: Killer, run: int) -> Taught:
    """The correction without a kill, which is worth comparing with."""
    peaceful = await correct(killer, run, None)
    assert peaceful.learnt["outcome"].startswith("adopted as revision N (proven)")
    assert (peaceful.learnt["case_state"], peaceful.learnt["passes"]) == ("stable", 3)
    assert [trial.rstrip("123") for trial in peaceful.learnt["decisions"]] == ["adoptgate"]
    assert len(peaceful.learnt["trials"]) == 5
    return peaceful


async def test_a_few_kills(killer: Killer, corrected_run: int) -> None:
    peaceful = await undisturbed(killer, corrected_run)
    dice = random.Random(SEED)
    for commit in sorted(dice.sample(range(1, peaceful.commits + 1), 3)):
        taught = await correct(killer, corrected_run, Point(dice.choice(("before", "after")), commit))
        assert taught.wreck, commit
        await check(killer, taught, peaceful)


@pytest.mark.chaos
@pytest.mark.timeout(1800)
async def test_every_commit(killer: Killer, corrected_run: int) -> None:
    peaceful = await undisturbed(killer, corrected_run)
    for commit in range(1, peaceful.commits + 1):
        for side in ("before", "after"):
            taught = await correct(killer, corrected_run, Point(side, commit))
            assert taught.wreck, (side, commit)
            await check(killer, taught, peaceful)
