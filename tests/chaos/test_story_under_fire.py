"""The worker is killed, again and again, while the story is told: it completes, and each mail left exactly once."""

import asyncio
import json
import mailbox
import random
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pocketlet import settings
from pocketlet.demo import story, waiting
from pocketlet.platform import database

POINTS = 110  # about as many states as the story goes through: steps written, effects moved, runs rested


class Killer:
    """Kills the worker when the story has gone through so many states, a random few milliseconds later."""

    def __init__(self, seed: int, times: int) -> None:
        self._random = random.Random(seed)
        self.targets = sorted(self._random.sample(range(2, POINTS), times))
        self.kills = 0
        self._seen: set[str] = set()

    async def watch(self, watch: waiting.Watch) -> None:
        """Until cancelled."""
        while True:
            async with watch.database.api() as conn:
                rows = await (await conn.execute(STATES)).fetchall()
            self._seen |= {row["state"] for row in rows}
            worker = watch.world.worker
            if self.targets and len(self._seen) >= self.targets[0] and worker and worker.poll() is None:
                self.targets = self.targets[1:]
                await asyncio.sleep(self._random.random() * 0.03)
                worker.send_signal(signal.SIGKILL)
                self.kills += 1
            await asyncio.sleep(0.002)


STATES = b"""
SELECT 'step ' || run_id || ' ' || seq AS state FROM pocketlet.step
UNION ALL SELECT 'effect ' || id || ' ' || state FROM pocketlet.effect
UNION ALL SELECT 'run ' || id || ' ' || state FROM pocketlet.run
UNION ALL SELECT 'ledger ' || id || ' ' || state FROM pocketlet.ledger
"""


@asynccontextmanager
async def killing(killer: Killer, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[None]:
    """The killer at work on the story that is told inside."""
    tasks: list[asyncio.Task[None]] = []
    original = waiting.Watch.until

    async def until(self: waiting.Watch, *args: object) -> None:
        if not tasks:
            tasks.append(asyncio.create_task(killer.watch(self)))
        await original(self, *args)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(waiting.Watch, "until", until)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def told_under_fire(home: Path, seed: int, kills: int, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """The facts of a story in which the worker is killed about so often."""
    config = settings.read({"POCKETLET_HOME": str(home)})
    killer = Killer(seed, kills)
    async with killing(killer, monkeypatch):
        facts = await story.tell(config, seed=seed, quiet=True)
    assert facts["ok"], json.dumps(facts, indent=1)
    sent = [str(message["Message-ID"]) for message in mailbox.Maildir(home / "demo" / "sent", create=False)]
    assert len(sent) == len(set(sent)) == 3
    async with database.opened(config) as db, db.api() as conn:
        row = await (await conn.execute(GAPS)).fetchone()
        assert row == {"gaps": 0, "unsettled_budget": 0}
    return {**facts, "kills": killer.kills}


GAPS = b"""
SELECT (SELECT count(*) FROM (SELECT run_id, max(seq) - count(*) AS gap FROM pocketlet.step GROUP BY run_id) g
         WHERE gap <> 0) AS gaps,
       (SELECT count(*) FROM pocketlet.budget b
         WHERE b.spent <> (SELECT coalesce(sum(l.cost), 0) FROM pocketlet.ledger l WHERE b.scope = ANY (l.scopes))
       ) AS unsettled_budget
"""


async def test_the_story_survives_a_few_kills(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = await told_under_fire(own_home, 3, 3, monkeypatch)
    assert facts["kills"] == 3


@pytest.mark.chaos
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [11, 12])
async def test_the_story_survives_twenty_kills(own_home: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    facts = await told_under_fire(own_home, seed, 20, monkeypatch)
    assert facts["kills"] == 20
