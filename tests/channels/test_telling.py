"""What the owner is told and how often: once a problem, in summaries, not at night, and never twice by accident."""

import asyncio
import dataclasses
from datetime import UTC, datetime, timedelta

import outside_http
import owner_ground
import pytest
from mail_server import MailServer
from scripted_model import finishes, mails
from workshop import CUSTOMER, Workshop, mail

from pocketlet import errors
from pocketlet.agents import news, telling
from pocketlet.platform import notices
from pocketlet.platform.channels import definitions
from pocketlet.platform.gateways import submission

NIGHT = definitions.quiet("22:00-07:00", "Europe/Berlin")


async def test_a_hundred_failures_are_one_message_and_then_summaries(
    ground: owner_ground.Ground, bot: outside_http.Telegram
) -> None:
    await ground.telegram(bot)
    for _ in range(100):
        await ground.report()
        await ground.tell()
    assert len(bot.said) == 1
    assert "The backup failed." in bot.texts()[0]
    told: list[int] = []
    for hours in range(1, 73):
        await ground.passed(hours=1)
        for _ in range(3):
            if await ground.tell():
                told.append(hours)
    assert told == [1, 6, 24, 48, 72]
    assert "100 times since" in bot.texts()[1]
    await ground.resolve()
    assert await ground.tell() == 1
    assert bot.texts()[-1].startswith("Over: The backup failed.")
    assert await ground.tell() == 0


async def test_summaries_that_were_slept_through_are_one(
    ground: owner_ground.Ground, bot: outside_http.Telegram
) -> None:
    await ground.telegram(bot)
    await ground.report()
    await ground.tell()
    await ground.passed(days=3, hours=5)
    assert [await ground.tell(), await ground.tell()] == [1, 0]
    assert await ground.states() == [(bot_subject(await ground.notices()), n, "succeeded") for n in (1, 6)]


def bot_subject(open_ones: list[dict[str, object]]) -> str:
    return f"notice:{open_ones[0]['notice']}"


def test_summaries_come_after_an_hour_six_hours_and_then_daily() -> None:
    hours = [0, 0.9, 1, 5.9, 6, 23.9, 24, 47.9, 48, 240]
    assert [news.summaries(timedelta(hours=one)) for one in hours] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 13]
    first = datetime(2026, 11, 1, tzinfo=UTC)
    for number in range(1, 20):
        at = news.since(number, first)
        assert news.summaries(at - first) == number
        assert number == 1 or news.summaries(at - first - timedelta(seconds=1)) == number - 1


async def test_what_the_owner_dismissed_or_never_heard_of_is_not_told_to_be_over(
    ground: owner_ground.Ground, bot: outside_http.Telegram
) -> None:
    await ground.telegram(bot)
    number = await ground.report("a")
    await ground.tell()
    async with ground.database.api() as conn:
        await notices.dismiss(conn, number)
    await ground.report("b")
    await ground.resolve("b")
    assert await ground.tell() == 0


async def test_a_problem_that_comes_and_goes_is_told_once_an_hour_at_most(
    ground: owner_ground.Ground, bot: outside_http.Telegram
) -> None:
    await ground.telegram(bot)
    for _ in range(30):
        await ground.report()
        await ground.tell()
        await ground.resolve()
        await ground.tell()
        await ground.passed(minutes=1)
    assert len(bot.said) == 2  # that it began, and that it was over
    await ground.report()
    await ground.passed(minutes=40)
    assert await ground.tell() == 1


@pytest.mark.parametrize(
    ("hours", "zone", "instants"),
    [
        ("22:00-07:00", "Europe/Berlin", {"2026-11-22T20:59": 0, "2026-11-22T21:00": 1, "2026-11-23T05:59": 1}),
        ("22:00-07:00", "Europe/Berlin", {"2026-11-23T06:00": 0, "2026-07-01T20:00": 1, "2026-07-02T05:00": 0}),
        # The night in which clocks go forward, and the one in which they go back
        ("22:00-07:00", "Europe/Berlin", {"2026-03-29T00:59": 1, "2026-03-29T04:59": 1, "2026-03-29T05:00": 0}),
        ("22:00-07:00", "Europe/Berlin", {"2026-10-25T04:59": 1, "2026-10-25T05:59": 1, "2026-10-25T06:00": 0}),
        ("01:00-02:30", "Europe/Berlin", {"2026-03-29T00:30": 1, "2026-03-29T01:30": 0, "2026-10-25T00:15": 1}),
        ("12:00-13:00", "UTC", {"2026-01-01T11:59": 0, "2026-01-01T12:00": 1, "2026-01-01T13:00": 0}),
    ],
)
def test_quiet_hours_are_those_of_the_clock_on_the_wall(hours: str, zone: str, instants: dict[str, int]) -> None:
    quiet = definitions.quiet(hours, zone)
    found = {text: quiet.holds(datetime.fromisoformat(f"{text}:00+00:00")) for text in instants}
    assert found == {text: bool(held) for text, held in instants.items()}


@pytest.mark.parametrize(
    ("hours", "zone"), [("22-7", "UTC"), ("24:00-07:00", "UTC"), ("7:00-07:00", "UTC"), ("1:00-2:00", "../x")]
)
def test_hours_that_are_none_are_sent_back(hours: str, zone: str) -> None:
    with pytest.raises(errors.BadInput):
        definitions.quiet(hours, zone)


async def test_a_night_is_told_in_the_morning_as_one_message(
    ground: owner_ground.Ground, bot: outside_http.Telegram
) -> None:
    await ground.clock.to(datetime(2026, 3, 28, 21, 30, tzinfo=UTC))  # 22:30 in Berlin; clocks go forward at 2:00
    await ground.telegram(bot, quiet=NIGHT)
    for name in ("one", "two", "gone"):
        await ground.report(name, f"Problem {name}.")
    for _ in range(15):  # until 6:45 on the wall
        assert await ground.tell() == 0
        await ground.passed(minutes=29)
    await ground.resolve("gone")
    await ground.clock.to(datetime(2026, 3, 29, 5, 0, 1, tzinfo=UTC))
    assert [await ground.tell(), await ground.tell()] == [1, 0]
    assert bot.texts()[0].startswith("2 things to know")
    assert "- Problem one.\n- Problem two." in bot.texts()[0]
    assert {state for _, _, state in await ground.states()} == {"succeeded"}


async def test_urgent_things_are_told_at_night_too(ground: owner_ground.Ground, bot: outside_http.Telegram) -> None:
    await ground.clock.to(datetime(2026, 11, 22, 23, 0, tzinfo=UTC))
    await ground.telegram(bot, quiet=NIGHT, urgent=("problems",))
    await ground.report()
    assert await ground.tell() == 1


async def test_more_than_five_at_once_are_one_message(
    ground: owner_ground.Ground, receiver: outside_http.Receiver
) -> None:
    await ground.webhook(receiver)
    for number in range(6):
        await ground.report(f"slot:{number}:failed", f"Problem {number}.")
    assert await ground.tell() == 1
    [told] = receiver.taken.values()
    assert told["type"] == "pocketlet.digest"
    assert [item["title"] for item in told["data"]["items"]] == [f"Problem {number}." for number in range(6)]
    await ground.resolve("slot:3:failed")
    assert await ground.tell() == 1
    assert len(receiver.taken) == 2


async def test_workers_that_tell_at_once_tell_once(
    ground: owner_ground.Ground, bot: outside_http.Telegram, receiver: outside_http.Receiver
) -> None:
    await ground.telegram(bot)
    await ground.webhook(receiver)
    for number in range(4):
        await ground.report(f"slot:{number}:failed")
    sent = await asyncio.gather(*(ground.tell() for _ in range(8)))
    assert sum(sent) + await ground.tell() == 8
    assert (len(bot.said), len(receiver.requests)) == (4, 4)


async def lost(ground: owner_ground.Ground) -> None:
    """A worker was killed after it had committed `dispatching`."""
    await ground.change(
        "UPDATE pocketlet.delivery SET state = 'dispatching', attempt = 1, lease_until = pocketlet.now() + '5 min'"
    )


async def planned(ground: owner_ground.Ground) -> None:
    """A message that is to be sent, and was not yet."""
    await ground.report()
    async with ground.database.api() as conn:
        [channel] = await definitions.everything(conn)
        row = await (await conn.execute(telling.CHANNELS["hold"], {"id": channel.id})).fetchone()
        assert row
        way = await telling.opening.channel(conn, channel, ground.post)
        await telling._plan_due(conn, channel, way, row["now"])


async def test_a_chat_message_whose_worker_was_lost_is_not_sent_twice(
    ground: owner_ground.Ground, bot: outside_http.Telegram
) -> None:
    await ground.telegram(bot)
    await planned(ground)
    await lost(ground)
    assert await ground.tell() == 0  # somebody may be at it
    await ground.passed(minutes=6)
    assert await ground.tell() == 0
    assert [state for _, _, state in await ground.states()] == ["unknown"]
    [_, channel] = sorted(await ground.notices(), key=lambda row: row["problem"], reverse=True)
    assert "Nobody knows" in channel["title"]
    await ground.passed(hours=1)
    assert await ground.tell() == 1
    assert "since" in bot.texts()[0]


async def test_a_webhook_whose_worker_was_lost_is_sent_again_under_its_id(
    ground: owner_ground.Ground, receiver: outside_http.Receiver
) -> None:
    await ground.webhook(receiver)
    receiver.faults.append("drop after")
    await ground.report()
    assert await ground.tell() == 0
    await ground.report(title="It failed once more.")
    await ground.passed(seconds=6)
    assert await ground.tell() == 1
    (_, first, one), (_, second, two) = receiver.requests
    assert (first["webhook-id"], one) == (second["webhook-id"], two)
    await ground.report("other")
    await planned_row_of(ground, "other")
    await ground.passed(minutes=6)
    assert await ground.tell() == 1
    assert len(receiver.taken) == 2


async def planned_row_of(ground: owner_ground.Ground, problem: str) -> None:
    assert problem
    await ground.tell()
    await ground.change(
        "UPDATE pocketlet.delivery SET state = 'dispatching', lease_until = pocketlet.now() + '5 min' "
        "WHERE id = (SELECT max(id) FROM pocketlet.delivery)"
    )


async def test_a_mail_whose_worker_was_lost_is_looked_for_first(
    ground: owner_ground.Ground, mail_server: MailServer
) -> None:
    server = submission.read(mail_server.url_with_sent)
    ground.post = dataclasses.replace(ground.post, server=server)
    await ground.mail()
    await ground.report("a")
    mail_server.faults.append("drop after")
    assert await ground.tell() == 0
    await ground.passed(minutes=6)
    assert await ground.tell() == 0
    assert len(mail_server.taken()) == 1
    assert await ground.states() == [(f"notice:{(await ground.notices())[-1]['notice']}", 1, "succeeded")]
    await ground.report("b")
    mail_server.faults.append("drop before")
    await ground.tell()
    await ground.passed(minutes=6)
    assert await ground.tell() == 1
    assert len(mail_server.taken()) == 2


async def test_a_mail_without_a_sent_folder_is_sent_at_most_once(
    ground: owner_ground.Ground, mail_server: MailServer
) -> None:
    ground.post = dataclasses.replace(ground.post, server=submission.read(mail_server.url))
    await ground.mail()
    await ground.report()
    mail_server.faults.append("drop after")
    await ground.tell()
    await ground.passed(minutes=6)
    assert await ground.tell() == 0
    assert len(mail_server.taken()) == 1
    assert [state for _, _, state in await ground.states()] == ["unknown"]


async def test_a_channel_that_fails_is_told_on_the_others_and_pauses(
    ground: owner_ground.Ground, bot: outside_http.Telegram, receiver: outside_http.Receiver
) -> None:
    await ground.telegram(bot)
    await ground.webhook(receiver)
    bot.faults += [(401, {})] * 50
    await ground.report()
    for _ in range(60):  # two minutes
        await ground.tell()
        await ground.passed(seconds=2)
    assert len(bot.requests) <= 5
    assert next(iter(receiver.taken.values()))["data"]["problem"] == "slot:1:failed"
    [failing] = [row for row in await ground.notices() if row["problem"].startswith("channel:")]
    assert "does not know the bot's token" in failing["title"]
    assert any("does not work" in one["data"]["title"] for one in receiver.taken.values())
    bot.faults.clear()
    await ground.passed(hours=2)
    assert await ground.tell() >= 1
    assert not [row for row in await ground.notices() if row["problem"].startswith("channel:")]
    assert not any("channel telegram" in text for text in bot.texts())
    await ground.tell()
    assert [one for one in receiver.taken.values() if one["type"] == "pocketlet.over"]


async def test_a_pause_that_the_service_asks_for_is_kept(
    ground: owner_ground.Ground, bot: outside_http.Telegram
) -> None:
    await ground.telegram(bot)
    bot.faults.append((429, {"retry-after": "60"}))
    await ground.report()
    for _ in range(5):
        await ground.tell()
        await ground.passed(seconds=10)
    assert len(bot.requests) == 1
    await ground.passed(seconds=15)
    assert await ground.tell() == 1
    assert [row["problem"] for row in await ground.notices()] == ["slot:1:failed"]


async def test_what_is_over_before_a_broken_channel_works_again_is_not_told(
    ground: owner_ground.Ground, bot: outside_http.Telegram
) -> None:
    await ground.telegram(bot)
    bot.faults.append((403, {}))
    await ground.report()
    await ground.tell()
    await ground.resolve()
    await ground.passed(minutes=1)
    assert await ground.tell() == 0
    assert [state for _, _, state in await ground.states()] == ["failed"]


async def test_a_question_is_told_once_and_then_each_day(
    ground: owner_ground.Ground, shop: Workshop, bot: outside_http.Telegram
) -> None:
    await ground.telegram(bot)
    shop.says(mails(CUSTOMER, "Dear Ann, private matters."), finishes())
    run = await shop.run(mail())
    number = (await shop.question(run))["approval"]
    assert [await ground.tell(), await ground.tell()] == [1, 0]
    assert f"`pocketlet approve {number}`" in bot.texts()[0]
    assert news.unlinked(CUSTOMER) in bot.texts()[0]
    assert "private matters" not in bot.texts()[0]
    await ground.passed(hours=25)
    assert [await ground.tell(), await ground.tell()] == [1, 0]
    assert bot.texts()[1].startswith("Still waits")
    await shop.answer(run)
    await ground.passed(hours=25)
    assert await ground.tell() == 0


async def test_of_a_strangers_link_a_question_names_the_host_and_nothing_can_be_clicked(
    ground: owner_ground.Ground, shop: Workshop, bot: outside_http.Telegram, receiver: outside_http.Receiver
) -> None:
    await ground.telegram(bot)
    await ground.webhook(receiver, about=("approvals",))
    link = "https://evil.example/pocketlet.example/decide/1?approve=yes"
    shop.says(mails(CUSTOMER, f"Dear Ann, see {link}"), finishes())
    await shop.run(mail())
    assert await ground.tell() == 2
    [text] = bot.texts()
    assert "is not the owner's: evil[.]example\n" in text
    for said in (text, next(iter(receiver.taken.values()))["data"]["why"]):
        assert "approve=yes" not in said
        assert "://" not in said


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://evil.example/a and www.evil.example", "https:⁄⁄evil[.]example/a and www[.]evil[.]example"),
        ("tg://user?id=1 @admin ann@shop.example", "tg:⁄⁄user?id=1 [@]admin ann[@]shop[.]example"),
        ("evil。com xn--e1awd7f.xn--p1ai 10.0.0.1:80", "evil[.]com xn--e1awd7f[.]xn--p1ai 10[.]0[.]0[.]1:80"),
        ("http:\\\\evil.example", "http:⁄⁄evil[.]example"),
        ("It cost 49.90 on 22.11.2026. Done.", "It cost 49.90 on 22.11.2026. Done."),
    ],
)
def test_nothing_that_is_told_of_can_be_clicked(text: str, shown: str) -> None:
    assert (news.line(text), news.paragraph(text)) == (shown, shown)


async def test_results_are_told_where_they_are_wanted(
    ground: owner_ground.Ground, shop: Workshop, bot: outside_http.Telegram, receiver: outside_http.Receiver
) -> None:
    shop.says(finishes("It was before."))
    await shop.run(mail())
    await ground.telegram(bot, about=("results",))
    await ground.webhook(receiver)
    shop.says(finishes("The parcel is *late* <b>now</b>."))
    run = await shop.run(mail(number=2))
    assert [await ground.tell(), await ground.tell()] == [1, 0]
    [text] = bot.texts()
    assert f"run {run}" in text
    assert "The parcel is *late* <b>now</b>." in text
    assert not receiver.taken
