"""Slots: what is due is a row first, it starts one run, and its end is what the trigger's checks say."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import due
import pytest
import workshop as workshops
from scripted_model import finishes, says

from pocketlet import errors
from pocketlet.agents import agent as agents
from pocketlet.agents import portable, runs
from pocketlet.agents.triggers import stored
from pocketlet.agents.waking import beginning, mails, rounds, settling, slots, ticking
from pocketlet.learning import kinds
from pocketlet.platform import installation

Opener = Callable[..., Awaitable[workshops.Workshop]]
HOURLY = '[triggers.hourly]\nschedule = "hourly"\ntask = "Count the tea."\n'
MAIL = '[triggers]\nmail = "{name}@shop.example"\n'


async def test_a_schedule_fires_once_for_each_time_and_runs(open_shop: Opener, turned: Any) -> None:
    await turned.to(datetime(2027, 3, 1, 8, 30, tzinfo=UTC))
    shop = await open_shop(HOURLY)
    assert await ticking.tick(shop.database) == 0
    await turned.turn(timedelta(minutes=30, seconds=5))
    assert await ticking.tick(shop.database) == 1
    assert await ticking.tick(shop.database) == 0
    assert [(slot["key"], slot["state"]) for slot in await due.rows(shop)] == [("2027-03-01T09:00+0", "due")]
    assert await rounds.begin_due(shop.database) == 1
    [run] = await due.started(shop)
    shop.says(finishes("Counted."))
    await shop.advance(run)
    row = await shop.row("SELECT label, input FROM pocketlet.run WHERE id = %s", run)
    assert (row["label"], row["input"]["text"]) == ("playbook", "Count the tea.")
    assert await settling.settle(shop.database) == 1
    assert [slot["state"] for slot in await due.rows(shop)] == ["done"]


async def test_a_schedule_that_was_down_catches_up_as_it_says(open_shop: Opener, turned: Any) -> None:
    await turned.to(datetime(2027, 3, 1, 8, 30, tzinfo=UTC))
    every = '[triggers.{0}]\nschedule = "hourly"\ntask = "Count."\ncatch_up = "{0}"\n'
    shop = await open_shop("".join(every.format(policy) for policy in ("latest", "all", "skip")))
    await turned.turn(timedelta(hours=5))
    assert await ticking.tick(shop.database) == 3
    found = await shop.rows(
        "SELECT t.name, s.state, count(*) AS n FROM pocketlet.slot s JOIN pocketlet.trigger t ON t.id = s.trigger_id"
        " WHERE s.agent_id = %s GROUP BY 1, 2 ORDER BY 1, 2",
        shop.agent.id,
    )
    counted = [(row["name"], row["state"], row["n"]) for row in found]
    assert counted == [("all", "due", 5), ("latest", "due", 1), ("latest", "skipped", 4), ("skip", "skipped", 5)]
    assert all(slot["reason"] for slot in await due.rows(shop) if slot["state"] == "skipped")


async def test_a_clock_that_jumps_a_day_ahead_and_back_doubles_nothing(open_shop: Opener, turned: Any) -> None:
    await turned.to(datetime(2027, 3, 1, 8, 30, tzinfo=UTC))
    shop = await open_shop(HOURLY.replace("task", 'catch_up = "all"\ncatch_up_limit = 50\ntask'))
    for jump in (1, -1, 1, 1):
        await turned.turn(timedelta(days=jump))
        await ticking.tick(shop.database)
    times = [slot["due_at"] for slot in await due.rows(shop) if slot["state"] == "due"]
    assert times == [datetime(2027, 3, 1, 9, tzinfo=UTC) + timedelta(hours=n) for n in range(48)]


async def test_a_mail_is_a_slot_and_a_run_at_once_and_a_second_delivery_is_nothing(open_shop: Opener) -> None:
    shop = await open_shop('[triggers]\nmail = "desk-mail@shop.example"\n')
    raw = workshops.mail()
    async with shop.database.api() as conn:
        run = await mails.accept(conn, "<Desk-Mail@shop.example>", raw)
    async with shop.database.api() as conn:
        assert await mails.accept(conn, "desk-mail@shop.example", raw) is None
    assert await due.started(shop) == [run]
    with pytest.raises(errors.NotFound):
        async with shop.database.api() as conn:
            await mails.accept(conn, "nobody@shop.example", raw)


async def test_a_mail_of_ours_that_comes_back_is_not_kept_and_no_run_reads_a_link_that_decides(
    open_shop: Opener,
) -> None:
    shop = await open_shop('[triggers]\nmail = "desk-link@shop.example"\n')
    path = "/decide/12." + "aB3-_" * 8 + "xyz"
    links = f"See https://pocketlet.example{path} or https://scan.example/?u=x{path.replace('/', '%2F')}&y=1."
    async with shop.database.api() as conn:
        ours = f"<notice-1-x@{await installation.identity(conn)}.pocketlet>".encode()
        raw = workshops.mail(links).replace(b"<ask-1@customer.example>", ours)
        assert await mails.accept(conn, "desk-link@shop.example", raw) is None
        run = await mails.accept(conn, "desk-link@shop.example", workshops.mail(links, subject=f"Fwd: {path}"))
        task = (await runs.load(conn, run)).input
    assert bytes((await due.rows(shop))[0]["body"]) == b""
    assert task["text"].endswith("/decide/[removed] or https://scan.example/?u=x%2Fdecide%2F[removed]&y=1.")
    assert task["subject"] == "Fwd: /decide/[removed]"


async def test_a_mail_that_was_sent_automatically_is_recorded_and_starts_nothing(open_shop: Opener) -> None:
    shop = await open_shop('[triggers]\nmail = "desk-auto@shop.example"\n')
    raw = b"Auto-Submitted: auto-replied\r\n" + workshops.mail()
    async with shop.database.api() as conn:
        assert await mails.accept(conn, "desk-auto@shop.example", raw) is None
    [slot] = await due.rows(shop)
    assert (slot["state"], slot["run_id"]) == ("skipped", None)
    assert "loop" in slot["reason"]


async def test_a_condition_that_does_not_hold_costs_no_model_call(open_shop: Opener) -> None:
    more = '[triggers.low]\nresult_of = "nobody"\nwhen = "select count(*) from memories"\n'
    shop = await open_shop(more)
    await due.event(shop, "low", "1")
    await rounds.begin_due(shop.database)
    [slot] = await due.rows(shop)
    assert (slot["state"], await due.started(shop)) == ("skipped", [])
    assert "condition" in slot["reason"]
    assert await shop.rows("SELECT FROM pocketlet.ledger WHERE agent_id = %s", shop.agent.id) == []


async def test_a_condition_that_can_not_be_asked_keeps_the_slot_and_tells_the_owner(open_shop: Opener) -> None:
    shop = await open_shop('[triggers.low]\nresult_of = "nobody"\nwhen = "select nothing from nowhere"\n')
    await due.event(shop, "low", "1")
    await rounds.begin_due(shop.database)
    [slot] = await due.rows(shop)
    assert (slot["state"], slot["not_before"] is not None) == ("due", True)
    [notice] = await due.problems(shop)
    assert "condition" in notice["title"]


@pytest.mark.parametrize(
    ("outcome", "after", "state"),
    [("done", "", "done"), ("nothing_to_do", "", "done"), ("blocked", "", "failed"), ("needs_person", "", "failed"),
     ("done", "select count(*) from results where run = %(run)s", "done"), ("done", "select false", "failed"),
     ("done", "select 1 where false", "failed"), ("done", "select oops", "failed")],
)  # fmt: skip
async def test_only_what_can_be_seen_is_a_success(open_shop: Opener, outcome: str, after: str, state: str) -> None:
    check = f'after = "{after}"\n' if after else ""
    shop = await open_shop('[triggers.work]\nresult_of = "nobody"\n' + check)
    await due.event(shop, "work", "1", b"go")
    await rounds.begin_due(shop.database)
    [run] = await due.started(shop)
    shop.says(finishes("So it ended.", outcome))
    await shop.advance(run)
    assert await settling.settle(shop.database) == 1
    [slot] = await due.rows(shop)
    assert slot["state"] == state
    assert [notice["count"] for notice in await due.problems(shop)] == ([1] if state == "failed" else [])


async def test_many_failed_events_are_one_notice_until_each_was_made_good(open_shop: Opener) -> None:
    shop = await open_shop('[triggers.work]\nresult_of = "nobody"\n')
    for number in range(2):
        await due.event(shop, "work", str(number), b"go")
    await rounds.begin_due(shop.database)
    for run in await due.started(shop):
        await due.ended(shop, run, "blocked")
    assert [notice["count"] for notice in await due.problems(shop)] == [2]
    await due.event(shop, "work", "6", b"go")
    await rounds.begin_due(shop.database)
    await due.ended(shop, (await due.started(shop))[-1], "done")
    assert len(await due.problems(shop)) == 1  # the success of another mail is none of this one
    for slot in await due.rows(shop):
        if slot["state"] == "failed":
            async with shop.database.api() as conn:
                await slots.replay(conn, slot["id"])
            await rounds.begin_due(shop.database)
            await due.ended(shop, (await due.started(shop))[-1], "done")
    assert await due.problems(shop) == []


async def test_of_a_schedule_the_next_success_ends_the_notice(open_shop: Opener, turned: Any) -> None:
    await turned.to(datetime(2027, 3, 1, 8, 30, tzinfo=UTC))
    shop = await open_shop(HOURLY)
    for outcome in ("blocked", "done"):
        await turned.turn(timedelta(hours=1))
        await rounds.once(shop.database)
        await due.ended(shop, (await due.started(shop))[-1], outcome)
        assert len(await due.problems(shop)) == (outcome == "blocked")


async def test_a_failed_run_that_is_tried_again_makes_its_slot_good(open_shop: Opener) -> None:
    shop = await open_shop('[triggers.work]\nresult_of = "nobody"\n')
    await due.event(shop, "work", "1", b"go")
    await rounds.begin_due(shop.database)
    [run] = await due.started(shop)
    shop.says(says(""))
    await shop.advance(run)
    await settling.settle(shop.database)
    assert [slot["state"] for slot in await due.rows(shop)] == ["failed"]
    async with shop.database.api() as conn:
        await kinds.retry(conn, run)
    assert [slot["state"] for slot in await due.rows(shop)] == ["claimed"]


async def test_what_comes_while_a_trigger_is_paused_is_recorded_and_begun_when_it_goes_on(open_shop: Opener) -> None:
    shop = await open_shop('[triggers]\nmail = "desk-paused@shop.example"\n')
    trigger = await due.find(shop, "mail")
    async with shop.database.api() as conn:
        await stored.pause(conn, trigger, "on holiday")
    async with shop.database.api() as conn:
        assert await mails.accept(conn, "desk-paused@shop.example", workshops.mail()) is None
    assert await rounds.begin_due(shop.database) == 0
    async with shop.database.api() as conn:
        await stored.resume(conn, trigger)
    assert await rounds.begin_due(shop.database) == 1
    assert len(await due.started(shop)) == 1


async def test_a_new_revision_moves_its_triggers_and_fires_for_nothing_that_lies_before(
    open_shop: Opener, turned: Any, tmp_path: Any
) -> None:
    await turned.to(datetime(2027, 3, 1, 8, 30, tzinfo=UTC))
    shop = await open_shop(HOURLY)
    await turned.turn(timedelta(hours=3))
    folder = workshops.write_folder(tmp_path / "next", shop.name, HOURLY.replace("hourly", "every 10 minutes", 2))
    folder_text = (folder / "agent.toml").read_text().replace("[triggers.every 10 minutes]", "[triggers.hourly]")
    (folder / "agent.toml").write_text(folder_text)
    await portable.renew(shop.database, folder)
    await ticking.tick(shop.database)
    assert await due.rows(shop) == []
    folder = workshops.write_folder(tmp_path / "third", shop.name)
    await portable.renew(shop.database, folder)
    assert await shop.rows("SELECT FROM pocketlet.trigger WHERE agent_id = %s AND active", shop.agent.id) == []
    async with shop.database.api() as conn:
        agent = await agents.get(conn, shop.name)
    shop.agent = agent
    await shop.decide(1, "rollback")
    [row] = await shop.rows("SELECT * FROM pocketlet.trigger WHERE agent_id = %s AND active", shop.agent.id)
    assert row["next_at"] == datetime(2027, 3, 1, 12, tzinfo=UTC)


async def test_a_slot_is_done_again_as_a_slot_of_its_own(open_shop: Opener) -> None:
    shop = await open_shop('[triggers]\nmail = "desk-again@shop.example"\n')
    async with shop.database.api() as conn:
        await mails.accept(conn, "desk-again@shop.example", workshops.mail())
    [slot] = await due.rows(shop)
    async with shop.database.api() as conn:
        number = await slots.replay(conn, slot["id"])
    await rounds.begin_due(shop.database)
    first, second = await due.rows(shop)
    assert (second["id"], second["replays"], second["state"]) == (number, first["id"], "claimed")
    assert second["body"] == first["body"]


async def test_a_simulated_event_leaves_no_slot_and_its_run_is_dry(open_shop: Opener) -> None:
    shop = await open_shop('[triggers.work]\nresult_of = "nobody"\ntask = "Look at it."\n')
    trigger = await due.find(shop, "work")
    async with shop.database.api() as conn:
        run = await beginning.simulate(conn, shop.agent, trigger, slots.Event("x", b'{"a": 1}'))
    row = await shop.row("SELECT dry, input, label FROM pocketlet.run WHERE id = %s", run)
    assert (row["dry"], row["label"], row["input"]["order"]) == (True, "outside", "Look at it.")
    assert await due.rows(shop) == []


async def test_one_statement_says_what_was_due_and_what_came_of_it(open_shop: Opener) -> None:
    shop = await open_shop('[triggers.work]\nresult_of = "nobody"\n')
    for number in range(3):
        await due.event(shop, "work", str(number), b"go")
    await rounds.begin_due(shop.database)
    first, second, third = await due.started(shop)
    shop.says(finishes())
    await shop.advance(first)
    shop.says(finishes("No.", "blocked"))
    await shop.advance(second)
    await shop.change("UPDATE pocketlet.run SET state = 'waiting' WHERE id = %s", third)
    await settling.settle(shop.database)
    async with shop.database.api() as conn:
        [row] = [row for row in await slots.today(conn) if row["agent"] == shop.name]
    assert [row[name] for name in ("due", "done", "failed", "waits_for_you", "under_way")] == [3, 1, 1, 1, 0]


async def test_what_can_not_be_read_is_a_failed_slot_and_a_notice(open_shop: Opener) -> None:
    shop = await open_shop('[triggers.inbox]\nmailbox = "imap://me@localhost/INBOX"\nsecret = "INBOX"\n')
    await due.event(shop, "inbox", "1", b"\x00 no mail at all")
    await rounds.begin_due(shop.database)
    [slot] = await due.rows(shop)
    assert slot["state"] == "failed", slot["reason"]
    assert len(await due.problems(shop)) == 1
