"""Each local time fires once, whatever the clocks do and however the time is cut into ticks; downtime as chosen."""

import functools
import itertools
import shutil
import zoneinfo
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import calendar_oracle as oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketlet import errors
from pocketlet.agents.triggers import calendar

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
#: It comes back half a minute after noon: what was due at noon is on time.
NOW = datetime(2026, 6, 15, 12, 0, 30, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def told(cron: str, zone: str, after: datetime, until: datetime) -> list[tuple[str, datetime]]:
    return [(one.key, one.due) for one in calendar.occurrences(calendar.Schedule(cron, zone), after, until)]


def short(cron: str, zone: str, day: str) -> list[str]:
    """A UTC day's occurrences, as `key@hour:minute`."""
    before = at(day) - timedelta(seconds=1)
    return [f"{key[11:]}@{due:%H:%M}" for key, due in told(cron, zone, before, before + DAY)]


@pytest.mark.parametrize(
    ("cron", "zone", "day", "expected"),
    [
        ("30 2 * * *", "Europe/Berlin", "2026-03-29", ["02:30+0@01:00"]),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25", ["02:30+0@00:30"]),
        ("0,30 2 * * *", "Europe/Berlin", "2026-03-29", ["02:00+0@01:00", "02:30+0@01:00"]),
        ("0 2,3 * * *", "Europe/Berlin", "2026-03-29", ["02:00+0@01:00", "03:00+0@01:00"]),
        ("*/30 2 * * *", "Europe/Berlin", "2026-03-29", []),
        (
            "*/30 2 * * *",
            "Europe/Berlin",
            "2026-10-25",
            ["02:00+0@00:00", "02:30+0@00:30", "02:00+1@01:00", "02:30+1@01:30"],
        ),
        (
            "15 */2 25 * *",
            "Europe/Berlin",
            "2026-10-25",
            ["02:15+0@00:15", "02:15+1@01:15", *(f"{h:02}:15+0@{h - 1:02}:15" for h in range(4, 24, 2))],
        ),
        ("0 2 * * *", "Australia/Lord_Howe", "2026-10-03", ["02:00+0@15:30"]),
        (
            "*/20 1 * * *",
            "Australia/Lord_Howe",
            "2026-04-04",
            ["01:00+0@14:00", "01:20+0@14:20", "01:40+0@14:40", "01:40+1@15:10"],
        ),
        ("0 */3 28 * *", "Asia/Beirut", "2027-03-28", [f"{h:02}:00+0@{h - 3:02}:00" for h in range(3, 24, 3)]),
        ("0 0 * * *", "Asia/Beirut", "2027-03-27", ["00:00+0@22:00"]),
    ],
)
def test_gaps_and_hours_that_come_twice(cron: str, zone: str, day: str, expected: list[str]) -> None:
    assert short(cron, zone, day) == expected


@pytest.mark.parametrize("zone", oracle.ODD)
def test_odd_zones_agree_with_the_oracle(zone: str) -> None:
    around = oracle.windows(zone)
    for turn in {*around[:2], *around[-2:]}:
        after, until = turn - 15 * HOUR, turn + 15 * HOUR
        minutes = oracle.walk(zone, after, until)
        for cron in oracle.kinds(zone, turn):
            assert told(cron, zone, after, until) == oracle.Rule(cron).due(minutes), cron


def test_the_odd_zones_are_odd() -> None:
    assert {"Australia/Lord_Howe", "Antarctica/Troll"} <= set(oracle.ODD)
    steps = {
        abs(oracle.shown(zone, turn) - oracle.shown(zone, turn - oracle.MINUTE) - oracle.MINUTE)
        for zone in oracle.ODD
        for turn in oracle.turns(zone)
    }
    assert {HOUR / 2, HOUR, 2 * HOUR} <= steps


@st.composite
def places(draw: st.DrawFn) -> tuple[str, datetime]:
    """A zone, and an instant near one of its turns."""
    zone = draw(st.sampled_from(oracle.ODD))
    turn = draw(st.sampled_from(oracle.windows(zone)))
    return zone, turn + draw(st.integers(-40, 40)) * oracle.MINUTE * 30


@st.composite
def crons(draw: st.DrawFn) -> str:
    """Expressions of all kinds, many of them about the small hours, when clocks are turned."""
    minute = st.sampled_from(["*", "*/7", "*/30", "0", "30", "15,45", "10-20/5", "59"])
    hour = st.sampled_from(["*", "*/2", "*/3", "0", "1", "2", "1-3", "0,2", "23", "0-23", "3", "2-5/2"])
    day = st.sampled_from(["*", "*", "*", "L", "LW", "1-7", "*/2", "26-31", "5"])
    month = st.sampled_from(["*", "*", "*", "3,4,9,10,11", "*/2"])
    weekday = st.sampled_from(["*", "*", "*", "SUN", "6,7", "1-5", "0#2", "7L", "FRI", "*/2"])
    return " ".join([draw(part) for part in (minute, hour, day, month, weekday)])


@settings(max_examples=60)
@given(crons(), places())
def test_any_schedule_agrees_with_the_oracle(cron: str, place: tuple[str, datetime]) -> None:
    zone, begins = place
    until = begins + 20 * HOUR
    assert told(cron, zone, begins, until) == oracle.Rule(cron).due(oracle.walk(zone, begins, until))


@settings(max_examples=60)
@given(
    crons(),
    places(),
    st.lists(st.integers(0, 5 * 86_400) | st.integers(0, 480).map(lambda quarter: 900 * quarter), max_size=12),
)
def test_ticks_lose_and_double_nothing(cron: str, place: tuple[str, datetime], cuts: list[int]) -> None:
    zone, begins = place
    ends = [begins, *(begins + timedelta(seconds=cut) for cut in sorted(cuts)), begins + 5 * DAY]
    ticks = [told(cron, zone, after, until) for after, until in itertools.pairwise(ends)]
    whole = told(cron, zone, begins, begins + 5 * DAY)
    assert list(itertools.chain.from_iterable(ticks)) == whole
    assert len({key for key, _ in whole}) == len(whole)
    assert [due for _, due in whole] == sorted(due for _, due in whole)


@settings(max_examples=40)
@given(crons(), places(), st.lists(st.integers(-86_400, 86_400), max_size=12))
def test_a_clock_that_jumps_loses_and_doubles_nothing(cron: str, place: tuple[str, datetime], jumps: list[int]) -> None:
    zone, begins = place
    watermark, found = begins, Counter[str]()
    moments = itertools.accumulate((timedelta(seconds=jump) for jump in jumps), initial=begins)
    for now in [*moments, begins + 3 * DAY]:
        found.update(key for key, _ in told(cron, zone, watermark, now))
        watermark = max(watermark, now)
    assert found == Counter(key for key, _ in told(cron, zone, begins, watermark))
    assert set(found.values()) <= {1}


@pytest.mark.parametrize(
    ("old", "new", "doubled"), [("Europe/Berlin", "Europe/Athens", []), ("Europe/Athens", "Europe/Berlin", [10])]
)
def test_new_rules_of_a_zone_fire_no_local_time_again(old: str, new: str, doubled: list[int]) -> None:
    """A country changes its offset between two ticks: a local time that comes again has the key that is recorded."""
    change = at("2026-06-10T06:30")
    before = [key for key, _ in told("0 9 * * *", old, at("2026-06-08"), change)]
    later = [key for key, _ in told("0 9 * * *", new, change, at("2026-06-13"))]
    assert sorted(set(before) & set(later)) == [f"2026-06-{day}T09:00+0" for day in doubled]
    # One that moved to before the last tick is found when the time since then is gone through once more.
    again = [key for key, _ in told("0 9 * * *", new, change - 3 * HOUR, change)]
    assert sorted({*before, *later, *again}) == [f"2026-06-{day:02}T09:00+0" for day in range(8, 13)]


def test_what_comes_next() -> None:
    schedule = calendar.schedule("every weekday at 9:00", "Europe/Berlin")
    assert schedule == calendar.Schedule("0 9 * * 1-5", "Europe/Berlin")
    assert calendar.following(schedule, at("2026-11-20T08:00")) == calendar.Occurrence(
        "2026-11-23T09:00+0", at("2026-11-23T08:00")
    )
    assert [one.key for one in calendar.upcoming(schedule, at("2026-11-20T07:59:59.5"), 2)] == [
        "2026-11-20T09:00+0",
        "2026-11-23T09:00+0",
    ]
    leap = calendar.schedule("0 0 29 2 *", "UTC")
    assert calendar.following(leap, at("2024-02-29T00:00")) == calendar.Occurrence(
        "2028-02-29T00:00+0", at("2028-02-29")
    )
    assert calendar.following(calendar.Schedule("0 0 * 2 MON#5", "UTC"), at("2026-01-01")) is None
    assert not calendar.upcoming(schedule, at("2026-11-20"), 0)


@pytest.mark.parametrize("cron", ["0 9 * * *", "0 */9 * * *"])
def test_after_is_left_out_and_until_is_not(cron: str) -> None:
    nine, ten = at("2026-06-10T09:00"), at("2026-06-10T10:00")
    assert [due for _, due in told(cron, "UTC", nine - HOUR, nine)] == [nine]
    assert not told(cron, "UTC", nine, ten)
    assert not told(cron, "UTC", nine - HOUR, nine - timedelta(microseconds=1))
    assert not told(cron, "UTC", ten, nine)


def test_instants_may_come_in_any_zone() -> None:
    berlin = zoneinfo.ZoneInfo("Europe/Berlin")
    schedule = calendar.schedule("hourly", "UTC")
    found = calendar.following(schedule, datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=berlin))
    assert found == calendar.Occurrence("2026-10-25T02:00+0", at("2026-10-25T02:00"))
    assert found.due.tzinfo is UTC


@pytest.mark.parametrize("text", ["30 2 31 2 *", "0 0 30 2 *", "0 0 * 2 MON#5", "every february 30th at 9"])
def test_what_hardly_ever_comes_is_refused(text: str) -> None:
    with pytest.raises(errors.BadInput) as caught:
        calendar.schedule(text, "UTC")
    assert caught.value.hint


@pytest.mark.parametrize(
    ("zone", "meant"),
    [
        ("europe/berlin", "Europe/Berlin"),
        ("Berlin", "Europe/Berlin"),
        ("New York", "America/New_York"),
        ("Europe/Munich", "Europe/"),
        ("Asia/Calcuta", "Asia/Calcutta"),
        ("", "such as Europe/Berlin"),
        ("../UTC", "UTC"),
        ("localtime", "such as Europe/Berlin"),
        ("x" * 10_000, "such as Europe/Berlin"),
    ],
)
def test_a_zone_that_is_none(zone: str, meant: str) -> None:
    with pytest.raises(errors.BadInput) as caught:
        calendar.schedule("hourly", zone)
    assert meant in caught.value.hint
    with pytest.raises(errors.BadInput):
        calendar.following(calendar.Schedule("0 9 * * *", zone), NOW)


def test_every_zone_can_be_used() -> None:
    assert zoneinfo.available_timezones() - {"localtime"} <= calendar.zones()
    assert len(calendar.zones()) > 500
    assert all(calendar.following(calendar.Schedule("0 9 * * *", zone), NOW) for zone in calendar.zones())
    assert calendar.rules()[:4].isdigit()


def test_the_machines_own_zones_are_not_read(tmp_path: Path) -> None:
    """A machine whose files are old, or wrong, changes nothing."""
    (tmp_path / "Europe").mkdir()
    source = next(path for folder in zoneinfo.TZPATH for path in Path(folder).glob("Asia/Tokyo"))
    shutil.copy(source, tmp_path / "Europe" / "Vaduz")
    zoneinfo.reset_tzpath(to=[tmp_path])
    try:
        zoneinfo.ZoneInfo.clear_cache(only_keys=["Europe/Vaduz"])
        assert zoneinfo.ZoneInfo("Europe/Vaduz").utcoffset(datetime(2026, 1, 1)) == 9 * HOUR
        assert short("0 9 * * *", "Europe/Vaduz", "2026-01-01") == ["09:00+0@08:00"]
    finally:
        zoneinfo.reset_tzpath()
        zoneinfo.ZoneInfo.clear_cache()


OFF = {"3 h": timedelta(hours=3), "3 d": timedelta(days=3), "30 d": timedelta(days=30)}
#: schedule, time off: all that came due; then for latest, all (up to 10) and skip: how many are started.
TABLE = [
    ("every minute", "3 h", 180, 1, 11, 1),
    ("every minute", "3 d", 4_320, 1, 11, 1),
    ("every minute", "30 d", 43_200, 1, 11, 1),
    ("every 15 minutes", "3 h", 12, 1, 11, 1),
    ("every 15 minutes", "3 d", 288, 1, 11, 1),
    ("every 15 minutes", "30 d", 2_880, 1, 11, 1),
    ("every hour", "3 h", 3, 1, 3, 1),
    ("every hour", "3 d", 72, 1, 11, 1),
    ("every hour", "30 d", 720, 1, 11, 1),
    ("every hour at :30", "3 h", 3, 1, 3, 0),
    ("every 6 hours at :30", "3 d", 12, 1, 4, 0),
    ("daily at 9", "3 h", 0, 0, 0, 0),
    ("daily at 9", "3 d", 3, 1, 1, 0),
    ("daily at 9", "30 d", 30, 1, 1, 0),
    ("daily at 12", "3 d", 3, 1, 1, 1),
    ("on the 1st at 8", "3 h", 0, 0, 0, 0),
    ("on the 1st at 8", "3 d", 0, 0, 0, 0),
    ("on the 1st at 8", "30 d", 1, 0, 0, 0),
]


@functools.cache
def missed(text: str, off: timedelta) -> list[calendar.Occurrence]:
    return list(calendar.occurrences(calendar.schedule(text, "UTC"), NOW - off, NOW))


def plan(policy: str, found: list[calendar.Occurrence], limit: int = 10) -> calendar.Plan:
    return calendar.catch_up(policy, limit, calendar.WINDOW, found, NOW)


@pytest.mark.parametrize("policy", calendar.POLICIES)
@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row[0]}, {row[1]}")
def test_downtime(row: tuple[str, str, int, int, int, int], policy: str) -> None:
    text, off, due, *started = row
    found = missed(text, OFF[off])
    assert len(found) == due
    made = plan(policy, found)
    start = started[calendar.POLICIES.index(policy)]
    assert made.start == found[len(found) - start :]
    left = found[: len(found) - start]
    assert sum(one.count for one in made.skipped) == len(left)
    assert all(one.reason for one in made.skipped)
    if len(left) > calendar.MOST_SINGLE:
        assert [(one.first, one.last) for one in made.skipped] == [(left[0], left[-1])]
    else:
        assert [one.first for one in made.skipped] == [one.last for one in made.skipped] == left


@pytest.mark.parametrize("policy", calendar.POLICIES)
def test_what_is_a_minute_late_is_on_time(policy: str) -> None:
    edges = [timedelta(seconds=61), timedelta(seconds=60), timedelta(0)]
    found = [calendar.Occurrence(str(late), NOW - late) for late in edges]
    made = plan(policy, found)
    assert made.start[-2:] == found[1:]
    assert (found[0] in made.start) == (policy == "all")


@pytest.mark.parametrize("policy", ["latest", "all"])
def test_the_window_has_an_end(policy: str) -> None:
    inside = calendar.Occurrence("inside", NOW - calendar.WINDOW)
    outside = calendar.Occurrence("outside", NOW - calendar.WINDOW - timedelta(seconds=1))
    made = plan(policy, [outside, inside])
    assert made.start == [inside]
    assert [(one.first, one.reason) for one in made.skipped] == [(outside, "it was more than 24 h late")]


def test_reasons_are_in_words() -> None:
    found = missed("every 15 minutes", timedelta(days=2))
    reasons = {
        policy: list(dict.fromkeys(one.reason for one in plan(policy, found).skipped)) for policy in calendar.POLICIES
    }
    assert reasons == {
        "latest": ["it was more than 24 h late", "a later one was started in its place"],
        "all": ["it was more than 24 h late", "more than 10 were missed, and only the newest 10 are started"],
        "skip": ["it was missed, and this trigger does not catch up"],
    }
    (whole,) = plan("latest", missed("every minute", timedelta(days=2))).skipped
    assert whole.reason == " or ".join([f"{reasons['latest'][0]},", reasons["latest"][1]])


def test_all_with_no_limit_to_speak_of() -> None:
    found = missed("every minute", timedelta(hours=20))
    assert plan("all", found, limit=5_000) == calendar.Plan(found, [])
    assert len(plan("all", found, limit=0).start) == 1


def test_exactly_a_thousand_are_rows() -> None:
    found = missed("every minute", timedelta(hours=40))[:1_000]
    assert [one.count for one in plan("skip", found).skipped] == [1] * 1_000
    found = missed("every minute", timedelta(hours=40))[:1_001]
    assert [one.count for one in plan("skip", found).skipped] == [1_001]


def test_what_is_long_is_not_kept() -> None:
    """A generator is read once, and only the newest and the first thousand are held."""
    alive = Watched()
    made = calendar.catch_up("latest", 1, calendar.WINDOW, alive.all(), NOW)
    assert made.skipped[0].count == alive.made - 1
    assert made.skipped[0].first.key == "2026-05-16T12:01+0"


class Watched:
    """Thirty days of every minute, one at a time."""

    made = 0

    def all(self) -> Iterator[calendar.Occurrence]:
        for one in calendar.occurrences(calendar.schedule("every minute", "UTC"), NOW - OFF["30 d"], NOW):
            self.made += 1
            yield one


@pytest.mark.parametrize(("policy", "limit"), [("newest", 1), ("", 1), ("all", -1)])
def test_unknown_policies(policy: str, limit: int) -> None:
    with pytest.raises(errors.BadInput, match="policy") as caught:
        calendar.catch_up(policy, limit, calendar.WINDOW, [], NOW)
    assert "latest" in caught.value.hint


@given(
    st.sampled_from(calendar.POLICIES),
    st.integers(0, 20),
    st.integers(0, 48),
    st.lists(st.integers(0, 72 * 3600), max_size=60),
)
def test_nothing_is_lost_between_start_and_skipped(policy: str, limit: int, hours: int, ages: list[int]) -> None:
    found = [
        calendar.Occurrence(f"{n}", NOW - timedelta(seconds=age)) for n, age in enumerate(sorted(ages, reverse=True))
    ]
    made = calendar.catch_up(policy, limit, timedelta(hours=hours), found, NOW)
    assert [*(one.first for one in made.skipped), *made.start] == found
    assert {one.key for one in found if NOW - one.due <= calendar.GRACE} <= {one.key for one in made.start}
    late = [one for one in made.start if NOW - one.due > calendar.GRACE]
    assert len(late) <= {"latest": 1, "all": limit, "skip": 0}[policy]
