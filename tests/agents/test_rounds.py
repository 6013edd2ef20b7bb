"""Rounds: what is due is begun in order, as the trigger says, and nothing holds up everything else."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import due
import pytest
import workshop as workshops

from pocketlet.agents import portable
from pocketlet.agents.waking import mails, rounds, settling, slots, ticking
from pocketlet.db import pool
from pocketlet.platform import notices, space

Opener = Callable[..., Awaitable[workshops.Workshop]]
HOURLY = '[triggers.hourly]\nschedule = "hourly"\ntask = "Count the tea."\n'
MAIL = '[triggers]\nmail = "{name}@shop.example"\n'


@pytest.mark.parametrize(
    ("overlap", "states"),
    [
        ("skip", ["claimed", "skipped", "skipped"]),
        ("queue", ["claimed", "skipped", "due"]),
        ("parallel", ["claimed"] * 3),
    ],
)
async def test_runs_of_one_schedule_overlap_as_it_says(
    open_shop: Opener, turned: Any, overlap: str, states: list[str]
) -> None:
    await turned.to(datetime(2027, 3, 1, 8, 30, tzinfo=UTC))
    shop = await open_shop(HOURLY + f'overlap = "{overlap}"\n')
    for _ in range(3):
        await turned.turn(timedelta(hours=1))
        await ticking.tick(shop.database)
        await rounds.begin_due(shop.database)
    await rounds.begin_due(shop.database)
    assert [slot["state"] for slot in await due.rows(shop)] == states
    if overlap == "queue":
        await due.ended(shop, (await due.started(shop))[0], "done")
        await turned.turn(timedelta(seconds=10))
        await rounds.begin_due(shop.database)
        assert len(await due.started(shop)) == 2


async def test_who_catches_up_with_all_does_them_one_after_the_other(open_shop: Opener, turned: Any) -> None:
    await turned.to(datetime(2027, 3, 1, 8, 30, tzinfo=UTC))
    shop = await open_shop(HOURLY + 'catch_up = "all"\n')
    await turned.turn(timedelta(hours=3))
    for number in range(1, 4):
        await rounds.once(shop.database)
        assert len(await due.started(shop)) == number
        await due.ended(shop, (await due.started(shop))[-1], "done")
        await turned.turn(timedelta(seconds=10))
    assert [slot["state"] for slot in await due.rows(shop)] == ["done"] * 3


async def test_events_that_queue_keep_their_order(open_shop: Opener, turned: Any) -> None:
    shop = await open_shop('[triggers.work]\nresult_of = "nobody"\noverlap = "queue"\n')
    for number in range(3):
        await due.event(shop, "work", str(number), b"go")
    for _ in range(3):
        await rounds.begin_due(shop.database)
        await due.ended(shop, (await due.started(shop))[-1], "done")
        await turned.turn(timedelta(seconds=10))
    rows = await shop.rows("SELECT key, run_id FROM pocketlet.slot WHERE agent_id = %s ORDER BY run_id", shop.agent.id)
    assert [row["key"] for row in rows] == ["0", "1", "2"]


async def test_a_long_backlog_of_one_trigger_keeps_no_other_waiting(open_shop: Opener) -> None:
    shop = await open_shop(
        '[triggers.flood]\nresult_of = "nobody"\noverlap = "queue"\n\n[triggers.work]\nresult_of = "nobody"\n'
    )
    for number in range(120):
        await due.event(shop, "flood", str(number), b"go")
    await due.event(shop, "work", "1", b"go")
    assert await rounds.begin_due(shop.database) == 2
    assert await rounds.begin_due(shop.database) <= 1


async def test_a_trigger_that_is_removed_begins_nothing_more(open_shop: Opener, tmp_path: Path) -> None:
    shop = await open_shop('[triggers.work]\nresult_of = "nobody"\n')
    await due.event(shop, "work", "1", b"go")
    trigger = await due.find(shop, "work")
    async with shop.database.api() as conn:
        await notices.report(conn, notices.Notice(f"trigger:{trigger.id}:failed", "It failed.", agent=shop.agent.id))
    await portable.renew(shop.database, workshops.write_folder(tmp_path / "next", shop.name))
    assert [(slot["state"], slot["reason"]) for slot in await due.rows(shop)] == [
        ("skipped", "the trigger was removed")
    ]
    assert await due.problems(shop) == []


async def test_a_fault_of_one_duty_is_told_and_the_duty_goes_on(db: pool.Database) -> None:
    turns = asyncio.Queue[int]()

    async def falls(_: pool.Database) -> None:
        turns.put_nowait(turns.qsize())
        if turns.qsize() < 2:
            raise OSError("the disk is gone")

    async with rounds.attending(db, {falls: 0.01}):
        while True:
            async with db.api() as conn:
                open_ = [one["problem"] for one in await notices.standing(conn)]
            if turns.qsize() >= 2 and "duty:falls" not in open_:
                break
    assert turns.qsize() >= 2


async def test_a_run_that_waits_for_the_owner_keeps_nobody_waiting(open_shop: Opener, turned: Any) -> None:
    await turned.to(datetime(2027, 3, 1, 8, 30, tzinfo=UTC))
    shop = await open_shop(HOURLY)
    await turned.turn(timedelta(hours=1))
    await rounds.once(shop.database)
    await shop.change("UPDATE pocketlet.run SET state = 'waiting' WHERE agent_id = %s", shop.agent.id)
    await turned.turn(timedelta(hours=1))
    await rounds.once(shop.database)
    assert len(await due.started(shop)) == 2


async def test_a_slot_that_a_worker_took_and_lost_is_begun_by_another_once(open_shop: Opener, turned: Any) -> None:
    shop = await open_shop('[triggers.work]\nresult_of = "nobody"\n')
    await due.event(shop, "work", "1", b"go")
    async with shop.database.api() as conn:
        [[lost]] = await slots.take(conn, 10)
    async with shop.database.api() as conn:
        assert await slots.take(conn, 10) == []
        slow = await slots.load(conn, lost)
    await turned.turn(timedelta(seconds=slots.LEASE + 1))
    assert await rounds.begin_due(shop.database) == 1
    async with shop.database.api() as conn:
        assert not await slots.hold(conn, slow)
    assert len(await due.started(shop)) == 1


async def test_what_nobody_begins_is_told(open_shop: Opener, turned: Any) -> None:
    shop = await open_shop('[triggers.work]\nresult_of = "nobody"\n')
    await due.event(shop, "work", "1")
    await due.event(shop, "work", "2")
    await settling.late(shop.database)
    assert await due.problems(shop) == []
    await turned.turn(timedelta(minutes=6))
    await settling.late(shop.database)
    await settling.late(shop.database)
    [notice] = await due.problems(shop)
    assert (notice["count"], "has not begun" in notice["title"]) == (2, True)
    await rounds.begin_due(shop.database)
    await settling.late(shop.database)
    assert await due.problems(shop) == []


async def test_what_can_not_be_begun_holds_up_nobody(open_shop: Opener) -> None:
    shop = await open_shop('[triggers.work]\nresult_of = "nobody"\n')
    for number in range(2):
        await due.event(shop, "work", str(number), b"go")
    broken = await open_shop('[triggers.work]\nresult_of = "nobody"\n')
    await due.event(broken, "work", "1", b"go")
    await broken.change(
        "UPDATE pocketlet.slot SET due_at = due_at - interval '1 hour' WHERE agent_id = %s", broken.agent.id
    )
    await broken.change("UPDATE pocketlet.agent SET current = 99 WHERE id = %s", broken.agent.id)
    assert await rounds.begin_due(shop.database) == 3
    assert len(await due.started(shop)) == 2
    [slot] = await due.rows(broken)
    assert (slot["state"], "could not be begun" in slot["reason"]) == ("due", True)


async def test_on_a_full_disk_nothing_new_is_begun_and_nothing_is_lost(open_shop: Opener, tmp_path: Path) -> None:
    shop = await open_shop('[triggers]\nmail = "desk-full@shop.example"\n')
    assert await space.look(shop.database, tmp_path, share=1.1, enough=2**62)
    async with shop.database.api() as conn:
        assert await mails.accept(conn, "desk-full@shop.example", workshops.mail()) is None
    assert await rounds.begin_due(shop.database) == 0
    async with shop.database.api() as conn:
        [problem] = [one["problem"] for one in await notices.standing(conn) if one["agent"] is None]
        assert problem.startswith(space.PROBLEM)
    assert not await space.look(shop.database, tmp_path, share=0.0)
    assert await rounds.begin_due(shop.database) == 1
    assert len(await due.started(shop)) == 1
