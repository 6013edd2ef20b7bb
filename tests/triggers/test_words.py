"""Schedules in plain English mean one thing or are refused with what would work; descriptions can be read back."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pocketlet import errors
from pocketlet.agents.triggers import calendar, words

MEANT = {
    "every minute": "* * * * *",
    "every 15 minutes": "*/15 * * * *",
    "every five mins": "*/5 * * * *",
    "every half hour": "*/30 * * * *",
    "every quarter of an hour": "*/15 * * * *",
    "every 60 minutes": "0 * * * *",
    "every 15 minutes from 9 to 17 on weekdays": "*/15 9-16 * * 1-5",
    "every 10 minutes from 20:00 to midnight": "*/10 20-23 * * *",
    "hourly": "0 * * * *",
    "once an hour": "0 * * * *",
    "every hour at :10": "10 * * * *",
    "every hour at 10 minutes past": "10 * * * *",
    "every hour at minute 5": "5 * * * *",
    "every 2 hours": "0 */2 * * *",
    "every two hours at :05": "5 */2 * * *",
    "every hour from 9 to 17": "0 9-17 * * *",
    "every hour between 9 and 17 at :10": "10 9-16 * * *",
    "every hour at :10 from 9am to 5pm": "10 9-16 * * *",
    "every 4 hours from 8 to 20": "0 8,12,16,20 * * *",
    "every day at 9": "0 9 * * *",
    "Every day, at 9:05.": "5 9 * * *",
    "everyday at 9": "0 9 * * *",
    "daily at 7:30": "30 7 * * *",
    "at 6pm": "0 18 * * *",
    "6 p.m. daily": "0 18 * * *",
    "at 9 o'clock": "0 9 * * *",
    "noon": "0 12 * * *",
    "midnight": "0 0 * * *",
    "at 12am": "0 0 * * *",
    "at 12:30 PM": "30 12 * * *",
    "twice a day at 9 and 17": "0 9,17 * * *",
    "three times a day at 8, 12 and 18": "0 8,12,18 * * *",
    "every day at 9:00, 9:30, 17:00 and 17:30": "0,30 9,17 * * *",
    "every day at 8, 9, 10 and 11": "0 8-11 * * *",
    "every weekday at 9:00": "0 9 * * 1-5",
    "at 9 on weekdays": "0 9 * * 1-5",
    "weekends at 10": "0 10 * * 0,6",
    "every Monday and Thursday at 18:00": "0 18 * * 1,4",
    "MON, WED & FRI at 9:15": "15 9 * * 1,3,5",
    "mondays at noon": "0 12 * * 1",
    "monday to friday at 9": "0 9 * * 1-5",
    "mon-fri at 9": "0 9 * * 1-5",
    "friday to monday at 9": "0 9 * * 0,1,5,6",
    "monday to sunday at 9": "0 9 * * *",
    "once a week on monday at 9": "0 9 * * 1",
    "twice a week on monday and thursday at 9": "0 9 * * 1,4",
    "on the 1st at 8": "0 8 1 * *",
    "at noon on the 1st": "0 12 1 * *",
    "on the 1st and 15th of each month at 08:30": "30 8 1,15 * *",
    "on the first day of the month at 8": "0 8 1 * *",
    "monthly on the last day at 17:00": "0 17 L * *",
    "on the last weekday of the month at 17:00": "0 17 LW * *",
    "first monday of the month at 9": "0 9 * * 1#1",
    "on the 1st and 3rd tuesday of each month at 9": "0 9 * * 2#1,2#3",
    "every month on the last friday at 17:00": "0 17 * * 5L",
    "every january 2nd at 9": "0 9 2 1 *",
    "on 24 december at 18:00": "0 18 24 12 *",
    "2nd of january at 9am": "0 9 2 1 *",
    "yearly on march 3 at 10:00": "0 10 3 3 *",
    "0 9 * * 1-5": "0 9 * * 1-5",
    " 0  9 * * mon-fri ": "0 9 * * MON-FRI",
    "*/5 9-17 1,15 jan-jun fri#2": "*/5 9-17 1,15 JAN-JUN FRI#2",
    "@daily": "0 0 * * *",
}
REFUSED = {
    "": "one line",
    "x" * 201: "one line",
    "tomorrow at 9": "understood",
    "every morning": "understood",
    "every day": "at what time",
    "every monday": "at what time",
    "on the 1st": "at what time",
    "monthly": "understood",
    "every monday at 9 and thursday at 18": "understood",
    "every monday and the 1st at 9": "understood",
    "every 45 minutes": "divide an hour",
    "every 0 minutes": "understood|divide",
    "every 5 hours": "divide a day",
    "every 24 hours": "divide a day",
    "every other day at 9": "can't be counted",
    "every 2 days at 9": "can't be counted",
    "every second monday at 9": "can't be counted",
    "every two weeks at 9": "can't be counted",
    "daily at 25": "time of day",
    "daily at 9:75": "time of day",
    "at 13pm": "time of day",
    "at 0am": "time of day",
    "every hour at :75": "60 minutes",
    "every hour from 17 to 9": "full hours",
    "every hour from 9:30 to 17": "full hours",
    "at 9:15 and 17:30": "two triggers",
    "twice a day at 9": "does not name 2",
    "twice an hour": "divide a day",
    "every february 30th at 9": "no such day",
    "on the 32nd at 9": "no such day",
    "* * * *": "five fields",
    "0 0 9 * * *": "five fields",
    "61 * * * *": "minute",
    "* * * * 8": "day-of-week",
    "0 9 * * FRI-MON": "day-of-week",
    "*/0 * * * *": "minute",
    "0 9 * * 1; drop table": "understood",
    "every day at 9 ünd 10": "understood",
}
SAID = {
    "* * * * *": "every minute",
    "*/15 * * * *": "every 15 minutes",
    "*/15 9-16 * * 1-5": "every 15 minutes from 09:00 to 17:00 on weekdays",
    "0 * * * 0,6": "every hour on weekends",
    "5 */2 * * 1,4": "every 2 hours at :05 on Monday and Thursday",
    "0 9 * * MON-FRI": "every weekday at 09:00",
    "0 9 * * 7": "every Sunday at 09:00",
    "0,30 9,17 * * *": "every day at 09:00, 09:30, 17:00 and 17:30",
    "30 8 1,15,22,23 * *": "on the 1st, 15th, 22nd and 23rd of each month at 08:30",
    "0 17 L * *": "on the last day of each month at 17:00",
    "0 17 LW * *": "on the last weekday of each month at 17:00",
    "0 9 * * SUN#2": "on the second Sunday of each month at 09:00",
    "0 9 * * 5L": "on the last Friday of each month at 09:00",
    "0 9 2 1 *": "every year on January 2 at 09:00",
    "0 0 1 * 1": "on the 1st of each month and every Monday at 00:00",
    "0 9 * 7 *": "at 09:00 every day in July",
    "0 9 21-23/2 * 1": "at 09:00 on every second day of the month from 21 through 23 and on Monday",
    "0 9 22 2,3 *": "at 09:00 on the 22nd day of February and March",
}


@pytest.mark.parametrize("text", MEANT)
def test_plain_english(text: str) -> None:
    assert words.cron(text) == MEANT[text]
    assert words.cron(text.upper()) == MEANT[text]
    calendar.schedule(text, "Europe/Berlin")


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_understood_is_refused_with_what_would_work(text: str) -> None:
    with pytest.raises(errors.BadInput, match=REFUSED[text]) as caught:
        words.cron(text)
    assert len(str(caught.value)) < 250
    examples = re.findall(r'"([^"]+)"', caught.value.hint)
    assert len(examples) >= 3
    assert all(words.cron(one) for one in examples)


@pytest.mark.parametrize("cron", SAID)
def test_descriptions(cron: str) -> None:
    assert words.describe(cron) == SAID[cron]
    assert words.describe(cron.lower()) == SAID[cron]


@pytest.mark.parametrize("cron", ["", "every day at 9", "* * * *", "61 * * * *"])
def test_only_cron_is_described(cron: str) -> None:
    with pytest.raises(errors.BadInput):
        words.describe(cron)


@pytest.mark.parametrize("text", MEANT)
def test_what_was_meant_is_said_so_that_it_can_be_read_again(text: str) -> None:
    said = words.describe(MEANT[text])
    if MEANT[text] not in ("*/5 9-17 1,15 JAN-JUN FRI#2", "0 9 * * 2#1,2#3"):
        assert same(words.cron(said), MEANT[text]), said


FIELD = {
    "minute": ["*", "*/15", "*/7", "0", "30", "0,30", "5-8", "*/60", "0-59", "10-50/20"],
    "hour": ["*", "*/2", "*/5", "0", "9", "9,17", "9-17", "0-23", "20-23", "8-18/3", "9-10"],
    "day": ["*", "*", "*", "1", "1,15", "L", "LW", "*/2", "22-28", "31", "L,1"],
    "month": ["*", "*", "*", "1", "2,7", "JAN-JUN", "*/3"],
    "weekday": ["*", "*", "*", "1-5", "MON-FRI", "0,6", "7", "5L", "1#1", "MON,WED", "0-6", "1-7", "1#1,3#3", "*/2"],
}


def same(one: str, other: str) -> bool:
    """Whether two expressions mean the same, from before a gap and from before an hour that comes twice."""
    first, second = (calendar.Schedule(cron, "Europe/Berlin") for cron in (one, other))
    starts = (datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 10, 24, 22, tzinfo=UTC))
    return all(calendar.upcoming(first, start, 60) == calendar.upcoming(second, start, 60) for start in starts)


@settings(max_examples=100)
@given(st.builds(" ".join, st.tuples(*(st.sampled_from(parts) for parts in FIELD.values()))))
@example("10 0-23 * * *")
@example("0 0-23 * * *")
def test_a_description_that_can_be_read_means_the_same(cron: str) -> None:
    try:
        said = words.describe(cron)
    except errors.BadInput:
        return
    assert said == " ".join(said.split())
    try:
        read = words.cron(said)
    except errors.BadInput:
        return
    assert same(read, cron), said


PARTS = sorted(
    {part for text in MEANT for part in text.split()} | {"", "99", ":", "*/2", "L", "-1", "#", "²", "İ", "٣"}
)


@settings(max_examples=200)
@given(st.lists(st.sampled_from(PARTS), max_size=9).map(" ".join) | st.text(max_size=40))
def test_any_text_is_a_schedule_or_bad_input(text: str) -> None:
    try:
        cron = words.cron(text)
    except errors.BadInput:
        return
    assert len(cron.split()) == 5
    assert words.describe(cron)
    assert words.cron(cron) == cron


@pytest.mark.parametrize("text", ["at 00:00 in every third month", "every second month at 9", "every 2nd month at 9"])
def test_months_apart_are_not_days_of_a_month(text: str) -> None:
    with pytest.raises(errors.BadInput, match="apart can't be counted"):
        words.cron(text)
