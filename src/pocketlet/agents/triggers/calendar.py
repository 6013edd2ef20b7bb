"""When a schedule is due, and what to do about the times that were missed: pure, without a clock.

`cronsim` reads the expression and walks local times; which instant a local time is, is decided here. (With a time zone,
cronsim 2.8 loses local times in a gap but the first, and goes wrong where a gap begins at midnight or an hour is cut.)
"""

import collections
import difflib
import functools
import importlib.resources
import itertools
import zoneinfo
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import cronsim
import tzdata

from pocketlet import errors
from pocketlet.agents.triggers import words

#: What is at most this late is on time, whatever the policy.
GRACE = timedelta(seconds=60)
#: What is later than this is not caught up on, unless a trigger says otherwise.
WINDOW = timedelta(hours=24)
#: More skipped occurrences than this are one range.
MOST_SINGLE = 1_000
POLICIES = ("latest", "all", "skip")
#: A schedule fires within so many years of any instant, or it can't be made.
HORIZON = 8
#: Zones' offsets are looked at in these steps. Since 1970, no zone has changed its offset twice within 6 days.
STEP = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A cron expression of five fields, by the clocks of an IANA time zone. Made by `schedule`, which checks both."""

    cron: str
    zone: str


@dataclass(frozen=True, slots=True)
class Occurrence:
    """`key`: the local time that the schedule names and its fold, unique in a schedule. `due`: the instant, in UTC."""

    key: str
    due: datetime


@dataclass(frozen=True, slots=True)
class Skipped:
    """What is not started, from `first` to `last` (of one: both are it), and why, for the owner to read."""

    first: Occurrence
    last: Occurrence
    count: int
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What to start and what not, both oldest first; of more than 1,000 skipped ones there is one range."""

    start: list[Occurrence]
    skipped: list[Skipped]


@dataclass(frozen=True, slots=True)
class _Change:
    """The instant (without its zone: UTC) at which a zone's offset changes."""

    at: datetime
    before: timedelta
    after: timedelta


@dataclass(frozen=True, slots=True)
class _Stretch:
    """One offset of a zone, from `begins` to before `ends`; `previous` is the one before. Instants as in a change."""

    begins: datetime
    ends: datetime
    offset: timedelta
    previous: timedelta


@functools.lru_cache(maxsize=4_096)
def schedule(text: str, zone: str) -> Schedule:
    """The schedule that `text` says, in plain English or as cron, in an IANA time zone. Raises BadInput."""
    expression = words.cron(text)
    if zone not in zones():
        raise errors.BadInput(f"There is no time zone {zone[:80]!r}.", hint=_near(zone))
    for year in range(2000, 2060, 4):
        begins = datetime(year, 1, 1)  # noqa: DTZ001 -- a local time
        if (found := next(cronsim.CronSim(expression, begins), None)) is None or found.year > year + HORIZON:
            raise errors.BadInput(
                f"{expression!r} can go {HORIZON} years without being due.",
                hint="Look at its day of the month, its month and its day of the week: together they hardly ever come.",
            )
    return Schedule(expression, zone)


def occurrences(schedule: Schedule, after: datetime, until: datetime) -> Iterator[Occurrence]:
    """What is due after `after` and until `until` (itself included), in order and one at a time; both know their zone.

    If minute or hour begins with a star, it follows real time: an hour that comes twice counts twice, and one that is
    left out does not count. Otherwise each local time counts once: at the first of the two times that it comes, and
    at the first instant after a gap that it falls in. Several can be due at one instant, but with different keys.
    """
    minute, hour, *_ = schedule.cron.split()
    rule = _by_real_time if minute.startswith("*") or hour.startswith("*") else _by_local_time
    return rule(schedule, after.astimezone(UTC), until.astimezone(UTC))


def following(schedule: Schedule, after: datetime) -> Occurrence | None:
    """The first that is due after `after`; None if there is none within about eight years."""
    return next(occurrences(schedule, after, after + timedelta(days=366 * (HORIZON + 1))), None)


def upcoming(schedule: Schedule, after: datetime, n: int) -> list[Occurrence]:
    """The first `n` that are due after `after`, as far as there are so many within about eight years."""
    return list(itertools.islice(occurrences(schedule, after, after + timedelta(days=366 * (HORIZON + 1))), n))


def catch_up(policy: str, limit: int, window: timedelta, found: Iterable[Occurrence], now: datetime) -> Plan:
    """What to start of what has come due by `now`, `found` in order. Raises BadInput for an unknown policy.

    What is at most 60 s late is always started. Of the rest, which was missed, `latest` starts the newest unless one is
    on time, `all` the newest `limit`, `skip` none; and nothing that is later than `window`. Takes little memory,
    however long `found` is.
    """
    if policy not in POLICIES or limit < 0:
        hint = f"The policies are {', '.join(POLICIES)}; a limit is 0 or more."
        raise errors.BadInput(f"There is no policy {policy[:40]!r} with the limit {limit}.", hint=hint)
    most = {"latest": 1, "all": limit, "skip": 0}[policy]
    displaced = {
        "latest": "a later one was started in its place",
        "all": f"more than {limit} were missed, and only the newest {limit} are started",
        "skip": "it was missed, and this trigger does not catch up",
    }[policy]
    start: list[Occurrence] = []
    waiting: collections.deque[Occurrence] = collections.deque()
    left = _Left()
    for one in found:
        late = now - one.due
        if late <= GRACE:
            start.append(one)
            while policy == "latest" and waiting:  # it is the newest itself
                left.add(waiting.popleft(), displaced)
        elif policy != "skip" and late > window:
            left.add(one, f"it was more than {_hours(window)} late")
        else:
            waiting.append(one)
            if len(waiting) > most:
                left.add(waiting.popleft(), displaced)
    return Plan([*waiting, *start], left.told())


def local(instant: datetime, zone: str) -> datetime:
    """What the clocks of an IANA time zone show at an instant, by the installed package's rules. Raises BadInput."""
    return instant.astimezone(_zone(zone))


def zones() -> frozenset[str]:
    """The names of all time zones, as the installed package tzdata has them: this machine's own are not looked at."""
    return _zones()


def rules() -> str:
    """The release of the time zones' rules, such as "2026f". After a change, the instants of keys can differ."""
    return tzdata.IANA_VERSION


class _Left:
    """Counts what is skipped; keeps each as long as they are few."""

    def __init__(self) -> None:
        self.few: list[Skipped] = []
        self.last: Occurrence | None = None
        self.count = 0
        self.reasons: dict[str, None] = {}

    def add(self, one: Occurrence, reason: str) -> None:
        self.count += 1
        self.last = one
        self.reasons[reason] = None
        if self.count <= MOST_SINGLE:
            self.few.append(Skipped(one, one, 1, reason))

    def told(self) -> list[Skipped]:
        if self.last is None or self.count <= MOST_SINGLE:
            return self.few
        return [Skipped(self.few[0].first, self.last, self.count, ", or ".join(self.reasons))]


def _hours(time: timedelta) -> str:
    return f"{time / timedelta(hours=1):g} h"


def _by_local_time(schedule: Schedule, after: datetime, until: datetime) -> Iterator[Occurrence]:
    zone = _zone(schedule.zone)
    for nominal in cronsim.CronSim(schedule.cron, after.astimezone(zone).replace(tzinfo=None)):
        due = _instant(zone, nominal)
        if due > until:
            return
        if due > after:
            yield _occurrence(nominal, 0, due)


def _by_real_time(schedule: Schedule, after: datetime, until: datetime) -> Iterator[Occurrence]:
    bare_after, bare_until = after.replace(tzinfo=None), until.replace(tzinfo=None)
    for stretch in _stretches(schedule.zone, bare_after, bare_until):
        twice_until = stretch.begins + stretch.previous
        # The walk leaves out the instant that it begins at, but a stretch's first instant counts.
        begins = max(bare_after, stretch.begins - timedelta(seconds=1))
        for nominal in cronsim.CronSim(schedule.cron, begins + stretch.offset):
            due = nominal - stretch.offset
            if due >= stretch.ends or due > bare_until:
                break
            yield _occurrence(nominal, int(nominal < twice_until), due.replace(tzinfo=UTC))


def _occurrence(nominal: datetime, fold: int, due: datetime) -> Occurrence:
    return Occurrence(f"{nominal.isoformat(timespec='minutes')}+{fold}", due)


def _instant(zone: zoneinfo.ZoneInfo, nominal: datetime) -> datetime:
    """The first instant at which clocks show a local time, or the end of the gap that it falls in."""
    due = nominal.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if due.astimezone(zone).replace(tzinfo=None) == nominal:
        return due
    years = sorted({(due - STEP).year, due.year})
    changes = itertools.chain.from_iterable(_changes(zone.key, year) for year in years)
    return next(one.at for one in changes if one.at + one.before <= nominal < one.at + one.after).replace(tzinfo=UTC)


def _stretches(zone: str, after: datetime, until: datetime) -> Iterator[_Stretch]:
    """The offsets in force from `after` to `until`, from the one at `after` on."""
    changes = [one for year in (after.year - 1, after.year) for one in _changes(zone, year)]
    gone = [one for one in changes if one.at <= after]
    offset = _offset(_zone(zone), after)
    last = gone[-1] if gone else _Change(after - timedelta(days=300), offset, offset)
    later = (one for year in range(after.year, until.year + 1) for one in _changes(zone, year) if one.at > after)
    for change in later:
        yield _Stretch(last.at, change.at, last.after, last.before)
        if change.at > until:
            return
        last = change
    yield _Stretch(last.at, until + STEP, last.after, last.before)


@functools.lru_cache(maxsize=8_192)
def _changes(zone: str, year: int) -> tuple[_Change, ...]:
    """The changes of a zone's offset after the first instant of a year (UTC), until the next year's."""
    clocks = _zone(zone)
    begins, ends = datetime(year, 1, 1), datetime(year + 1, 1, 1)  # noqa: DTZ001 -- UTC, without saying so
    found: list[_Change] = []
    before = _offset(clocks, begins)
    while begins < ends:
        stop = min(begins + STEP, ends)
        after = _offset(clocks, stop)
        if after != before:
            found.append(_Change(_turn(clocks, begins, stop), before, after))
        begins, before = stop, after
    return tuple(found)


def _turn(clocks: zoneinfo.ZoneInfo, begins: datetime, stop: datetime) -> datetime:
    """The first second with the offset that is in force at `stop` and not at `begins`."""
    wanted = _offset(clocks, stop)
    while stop - begins > timedelta(seconds=1):
        middle = begins + timedelta(seconds=(stop - begins) // timedelta(seconds=2))
        if _offset(clocks, middle) == wanted:
            stop = middle
        else:
            begins = middle
    return stop


def _offset(clocks: zoneinfo.ZoneInfo, instant: datetime) -> timedelta:
    return instant.replace(tzinfo=UTC).astimezone(clocks).utcoffset() or timedelta(0)


@functools.lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset((importlib.resources.files("tzdata") / "zones").read_text(encoding="ascii").split())


@functools.lru_cache(maxsize=1_024)
def _zone(name: str) -> zoneinfo.ZoneInfo:
    """From the package: ZoneInfo(name) would prefer the machine's files, which can be years old."""
    if name not in zones():
        raise errors.BadInput(f"There is no time zone {name[:80]!r}.", hint=_near(name))
    place = (importlib.resources.files("tzdata") / "zoneinfo").joinpath(*name.split("/"))
    with place.open("rb") as file:
        return zoneinfo.ZoneInfo.from_file(file, key=name)


def _near(wanted: str) -> str:
    """Which zone was meant, as a hint."""
    names = {name.lower(): name for name in sorted(zones())}
    cities = {name.rpartition("/")[2]: name for name in reversed(names)}
    asked = wanted[:80].strip().lower().replace(" ", "_")
    city = asked.rpartition("/")[2]
    for pool in (names, cities):
        for one in (asked, city):
            if near := difflib.get_close_matches(one, pool, n=1, cutoff=0.75):
                return f"Did you mean {names.get(near[0]) or names[cities[near[0]]]}? Nothing was changed."
    return "Give a name of the IANA list, such as Europe/Berlin, America/New_York or UTC. Nothing was changed."
