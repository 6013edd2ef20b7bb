"""Every point is read off the source, named once, and died at by the sweep or explained; three are tried here."""

import asyncio
import random
import signal
from pathlib import Path

import pytest
from bench.chaos import ground as grounds
from bench.chaos import load as loads
from bench.chaos import points, referee, sweep

from pocketlet import crashing
from pocketlet.db import pool

TRIED = ("agents.loop._use_tool#2", "platform.gateways.wire.send", "surfaces.serve._listening.accept")
NO_MORE = "UPDATE pocketlet.trigger SET next_at = NULL WHERE kind = 'schedule'"
REST = "SELECT id FROM pocketlet.run WHERE state IN ('queued', 'running', 'waiting')"
STEPS = "SELECT run_id, seq, fence FROM pocketlet.step ORDER BY run_id, seq"
RUNNING = """
SELECT r.id FROM pocketlet.run r JOIN pocketlet.worker w ON w.id = r.worker_id WHERE r.state = 'running' AND w.pid = %s
"""
DUE = "SELECT id FROM pocketlet.slot WHERE state IN ('due', 'claimed')"


def test_every_point_is_named_once() -> None:
    found = points.everywhere()
    assert len({point.name for point in found}) == len({point.where for point in found}) == len(found)
    assert set(TRIED) <= {point.name for point in found}


def test_every_point_is_died_at_or_explained() -> None:
    names, table = [point.name for point in points.everywhere()], points.table()
    left = points.unexplained(names, {*table.reached, *table.unreached})
    assert not left, f"`python -m bench.chaos --record` dies there, or points.toml says why not: {left}"
    assert not set(table.reached) - set(names), "points.toml names points that are gone"
    assert points.unexplained(table.reached, table.unreached) == sorted(table.reached)


def test_other_kinds_of_io_are_explained() -> None:
    table = points.table()
    assert points.unexplained(points.others(), table.others) == []
    assert points.unexplained(points.undecorated(), table.parts) == []


def test_the_table_is_not_stale() -> None:
    names, table = [point.name for point in points.everywhere()], points.table()
    assert points.stale(names, table.unreached) == []
    assert points.stale(points.others(), table.others) == []
    assert points.stale(points.undecorated(), table.parts) == []


async def test_a_point_is_told_by_the_line_that_asks(
    db: pool.Database, tmp_path_factory: pytest.TempPathFactory
) -> None:
    log = tmp_path_factory.mktemp("points") / "log"
    crashing.arm(f"log {log}")
    try:
        async with db.api() as conn:
            await conn.execute(b"SELECT 1")
    finally:
        crashing.arm("")
    (told,) = log.read_text(encoding="utf-8").splitlines()
    assert told.startswith(f"{__file__}:")


async def drained(ground: grounds.Ground) -> None:
    """A worker that is told to end in the middle of work hands all of it back by itself."""
    leaving = await ground.herd.start("worker")
    while not await ground.rows(RUNNING, leaving.pid):
        assert leaving.alive
    leaving.signal(signal.SIGTERM)
    assert await leaving.gone(60)
    assert leaving.process.exitcode == 0
    assert await ground.rows("SELECT id FROM pocketlet.worker WHERE pid = %s", leaving.pid) == []
    assert await ground.rows("SELECT id FROM pocketlet.run WHERE state = 'running'") == []


async def finished(ground: grounds.Ground) -> None:
    """Somebody does what is left."""
    last = await ground.herd.start("up")
    await ground.rows(NO_MORE)
    while await ground.rows(REST) or await ground.rows(DUE):
        assert last.alive
    await last.kill()


@pytest.mark.timeout(120)
async def test_runs_survive_a_kill_at_three_points() -> None:
    chosen = [point for point in points.everywhere() if point.name in TRIED]
    async with grounds.opened(1, 2, fast=True) as ground:
        load, strikes = loads.Load(ground, most=4), sweep.Sweep(ground, random.Random(1))
        coming, owner = asyncio.create_task(load.feed()), asyncio.create_task(load.own())
        await strikes.points(chosen)
        await drained(ground)
        load.open = False
        await coming
        await finished(ground)
        owner.cancel()
        verdict = await referee.judge(ground, load, strikes.losses)
    assert not strikes.missed
    assert strikes.died_at == {(name, side) for name in TRIED for side in sweep.SIDES}
    assert [*verdict.lost, *verdict.doubled, *verdict.undone, *verdict.stuck] == []
    assert load.mails
    assert load.deliveries


async def asleep(pid: int) -> None:
    """Returns once the process is stopped."""
    while True:
        if Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "T":
            return
        await asyncio.sleep(0.1)


@pytest.mark.chaos
@pytest.mark.timeout(300)
@pytest.mark.parametrize("gateway", ["submission.Submission.send", "wire.send"])
async def test_a_sleeper_sends_nothing_when_it_wakes(gateway: str) -> None:
    """Stopped with the first byte still to leave; when it wakes, its runs have long been done by another."""
    async with grounds.opened(1, 2, fast=True) as ground:
        load = loads.Load(ground, most=4)
        coming, owner = asyncio.create_task(load.feed()), asyncio.create_task(load.own())
        sleeper = await ground.herd.start("up", f"pocketlet.platform.gateways.{gateway} before 3 stop")
        await asleep(sleeper.pid)
        load.open = False
        await coming
        other = await ground.herd.start("worker")
        await ground.rows(NO_MORE)
        while await ground.rows(REST) or await ground.rows(DUE):
            assert other.alive
        steps = await ground.rows(STEPS)
        sleeper.signal(signal.SIGCONT)
        sleeper.signal(signal.SIGTERM)
        assert await sleeper.gone(60)
        owner.cancel()
        assert await ground.rows(STEPS) == steps
        verdict = await referee.judge(ground, load, [])
        await other.kill()
    assert [*verdict.lost, *verdict.doubled, *verdict.undone, *verdict.stuck] == []
