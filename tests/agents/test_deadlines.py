"""Runs that take too long or lose worker after worker are ended, told of once, and go on by the owner's word alone."""

import asyncio

import pytest
from scripted_model import Fault, calls, finishes, mails
from workshop import Workshop, mail

from pocketlet import errors
from pocketlet.agents import deadlines, manifest, runs
from pocketlet.db import pool
from pocketlet.platform import breaker, leases, notices, queue

TURN = "UPDATE pocketlet.run SET deadline_at = deadline_at - interval '1 hour' WHERE id = %s RETURNING id"
LOSE = "UPDATE pocketlet.run SET state = 'running', worker_id = NULL WHERE id = %s RETURNING id"
LEFT = (
    "SELECT extract(epoch FROM deadline_at - pocketlet.now())::int AS left, recoveries FROM pocketlet.run WHERE id = %s"
)


async def told(shop: Workshop) -> list[dict[str, object]]:
    """Open notices about the workshop's agent."""
    async with shop.database.api() as conn:
        return [row for row in await notices.standing(conn) if row["agent"] == shop.name]


async def lose(shop: Workshop, run: int, times: int) -> None:
    """As if so many workers had died with the run in their hands."""
    for _ in range(times):
        await shop.row(LOSE, run)
        await queue.rescue(shop.database)


def test_a_deadline_is_a_length_of_time() -> None:
    text = 'name = "x"\njob = "y"\nmodel = "z"\n'
    assert manifest.parse(text).deadline == 3600
    assert manifest.parse(f'{text}deadline = "30 minutes"').deadline == 1800
    with pytest.raises(errors.BadAgent, match="`deadline`: 'soon' is no length of time"):
        manifest.parse(f'{text}deadline = "soon"')


async def test_a_hung_model_is_cut_at_the_deadline(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "MARGIN", 0.2)
    shop.says(finishes())
    await shop.run(b"What is needed for a call is loaded now.")
    run = await shop.create(b"Go.")
    await shop.row(
        "UPDATE pocketlet.run SET deadline_at = pocketlet.now() + interval '1.5 s' WHERE id = %s RETURNING id", run
    )
    shop.model.faults[shop.name] = [Fault(hang=True)]
    assert await shop.advance(run) == "failed"
    ending = await shop.ending(run)
    assert ending["error"] == "The run took longer than its `deadline` allows."
    assert f"`pocketlet retry {run}`" in ending["hint"]
    assert len(shop.model.requests[shop.name]) == 2
    assert await shop.retry(run) == "done"  # with the whole time anew
    assert (await shop.row(LEFT, run))["left"] > 3000


async def test_a_hung_step_is_cut_by_itself(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "STEP", 0.5)
    shop.says(finishes())
    shop.model.faults[shop.name] = [Fault(hang=True)]
    run = await shop.run(b"Go.")
    assert (await shop.ending(run))["error"] == "A step took longer than 0.5 s."


async def test_a_run_past_its_deadline_takes_no_step_and_is_told_once(shop: Workshop) -> None:
    shop.says(mails("ann@customer.example"), finishes())
    for count in (1, 2):
        run = await shop.run(mail())
        assert (await shop.row(LEFT, run))["left"] > 3500
        await shop.row(TURN.replace("1 hour", "2 hours"), run)
        await shop.answer(run)
        assert (await shop.ending(run))["state"] == "failed"
        [notice] = await told(shop)
        assert (notice["problem"], notice["count"]) == (f"agent:{shop.agent.id}:overdue", count)
    shop.says(finishes())
    await shop.run(b"Quickly.")
    assert await told(shop) == []


async def test_time_that_it_waits_for_a_person_does_not_count(shop: Workshop) -> None:
    shop.says(mails("ann@customer.example"), finishes())
    run = await shop.run(mail())
    before = (await shop.row(LEFT, run))["left"]
    earlier = "SET deadline_at = deadline_at - interval '5 hours', since = since - interval '5 hours'"
    await shop.row(f"UPDATE pocketlet.run {earlier} WHERE id = %s RETURNING id", run)
    assert (await shop.row(LEFT, run))["left"] < 0
    await shop.answer(run)
    assert (await shop.ending(run))["state"] == "done"
    assert abs((await shop.row(LEFT, run))["left"] - before) < 60


async def test_a_run_that_loses_its_workers_is_set_apart_until_the_owner_lets_it_go_on(shop: Workshop) -> None:
    shop.says(finishes())
    run = await shop.create(b"Go.")
    await lose(shop, run, deadlines.RECOVERIES + 1)
    assert await shop.advance(run) == "failed"
    ending = await shop.ending(run)
    assert (ending["outcome"], ending["error"][:31]) == ("quarantined", "The run lost its worker 4 times")
    assert shop.model.requests[shop.name] == []
    [notice] = await told(shop)
    assert notice["problem"] == f"run:{run}:quarantined"
    await queue.rescue(shop.database)
    assert await shop.advance(run) == "failed"
    assert await shop.retry(run) == "done"
    assert await told(shop) == []


async def test_a_step_makes_good_for_lost_workers(shop: Workshop) -> None:
    shop.says(calls(("sql", {"query": "SELECT 1"})), mails("ann@customer.example"), finishes())
    run = await shop.create(b"Go.")
    await lose(shop, run, deadlines.RECOVERIES)
    assert (await shop.row(LEFT, run))["recoveries"] == deadlines.RECOVERIES
    assert await shop.advance(run) == "waiting"
    assert (await shop.row(LEFT, run))["recoveries"] == 0


async def test_a_worker_that_ends_well_is_no_loss(shop: Workshop) -> None:
    run = await shop.create(b"Go.")
    worker = await queue.register(shop.database, "worker")
    async with shop.database.api() as conn:
        mine = await runs.claim(conn, run, worker)
    assert mine
    await queue.unregister(shop.database, worker)
    assert (await shop.row("SELECT state, recoveries FROM pocketlet.run WHERE id = %s", run)) == {
        "state": "queued", "recoveries": 0,
    }  # fmt: skip
    with pytest.raises(errors.LostRun):
        async with shop.database.api() as conn:
            await runs.hold(conn, mine)


async def test_a_run_that_gets_nowhere_is_taken_from_its_worker(shop: Workshop) -> None:
    shop.says(finishes())
    run = await shop.create(b"Go.")
    async with shop.database.api() as conn:
        stuck = await runs.claim(conn, run, shop.engine.worker)
    assert stuck
    await queue.rescue(shop.database)
    async with shop.database.api() as conn:
        assert await runs.state(conn, run) == "running"
    await shop.row("UPDATE pocketlet.run SET since = since - interval '1 hour' WHERE id = %s RETURNING id", run)
    await queue.rescue(shop.database)
    assert (await shop.row("SELECT state FROM pocketlet.run WHERE id = %s", run))["state"] == "queued"
    with pytest.raises(errors.LostRun):
        async with shop.database.api() as conn:
            await runs.hold(conn, stuck)
    [notice] = await told(shop)
    assert notice["problem"] == queue.stalled(run)
    assert await shop.advance(run) == "done"
    assert await told(shop) == []


async def stalled(shop: Workshop) -> int:
    """A run that got nowhere and was taken from its worker; the owner was told."""
    run = await shop.create(b"Go.")
    async with shop.database.api() as conn:
        assert await runs.claim(conn, run, shop.engine.worker)
    await shop.row("UPDATE pocketlet.run SET since = since - interval '1 hour' WHERE id = %s RETURNING id", run)
    await queue.rescue(shop.database)
    assert [row["problem"] for row in await told(shop)] == [queue.stalled(run)]
    return run


async def test_what_was_told_of_a_run_is_over_however_it_ends(shop: Workshop) -> None:
    shop.says(finishes())
    stopped = await stalled(shop)
    async with shop.database.api() as conn:
        assert await runs.stop(conn, stopped) == "stopped"
    assert await told(shop) == []
    stops = await stalled(shop)
    await shop.row("UPDATE pocketlet.run SET stop_requested = true WHERE id = %s RETURNING id", stops)
    assert await shop.advance(stops) == "stopped"
    assert await told(shop) == []
    shop.model.faults[shop.name] = [Fault(status=400)]
    assert await shop.advance(await stalled(shop)) == "failed"
    assert await told(shop) == []


async def test_a_run_that_the_owner_tries_again_is_not_set_apart_any_more(shop: Workshop) -> None:
    run = await shop.create(b"Go.")
    for _ in range(2):
        await lose(shop, run, deadlines.RECOVERIES + 1)
        assert await shop.advance(run) == "failed"
        assert [row["problem"] for row in await told(shop)] == [f"run:{run}:quarantined"]
        async with shop.database.api() as conn:
            await runs.retry(conn, run)
        assert await told(shop) == []


async def test_without_a_heartbeat_no_work_goes_on(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process slept: what it was at ends before its next act, as others may have it."""
    monkeypatch.setattr(leases, "DEAD_AFTER", 0.2)
    lease = leases.Lease()
    with pytest.raises(errors.NoPostgres):
        async with lease.held():
            await asyncio.Event().wait()
    acts: list[str] = []
    lease.renew(asyncio.get_running_loop().time())
    with pytest.raises(errors.NoPostgres):
        await _asleep(lease, acts)
    assert acts == []


async def _asleep(lease: leases.Lease, acts: list[str]) -> None:
    async with lease.held():
        lease.renew(asyncio.get_running_loop().time() - 60)  # it slept for a minute
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        acts.append("sent")


async def test_models_that_do_not_answer_are_one_notice_until_one_does(db: pool.Database) -> None:
    async with db.api() as conn:
        for number in range(breaker.FAILURES):
            assert breaker.PROBLEM not in [row["problem"] for row in await notices.standing(conn)], number
            await breaker.note(conn, ok=False, why="status 500")
        (notice,) = [row for row in await notices.standing(conn) if row["problem"] == breaker.PROBLEM]
        assert "status 500" in notice["title"]
        await breaker.note(conn, ok=True)
        assert breaker.PROBLEM not in [row["problem"] for row in await notices.standing(conn)]
