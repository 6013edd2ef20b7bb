"""Says again, slowly, when schedules are due: by walking real time minute by minute and looking at the zone's clocks.

Written from the rules in docs/concepts/triggers.md. It shares nothing with `pocketlet.agents.triggers.calendar`.
"""

import functools
import importlib.resources
import zoneinfo
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
COARSE = 6 * HOUR
NAMES = {name: str(n) for n, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"))}
YEARS = (2024, 2030)
#: Zones whose clocks do odd things: 30 minutes, 2 hours, at midnight, in Ramadan, by quarters of an hour, or nothing.
ODD = (
    *("Africa/Cairo", "Africa/Casablanca", "America/Havana", "America/New_York", "America/Nuuk", "America/Santiago"),
    *("America/Sao_Paulo", "America/St_Johns", "Antarctica/Troll", "Asia/Beirut", "Asia/Gaza", "Asia/Kathmandu"),
    *("Asia/Tehran", "Atlantic/Azores", "Australia/Lord_Howe", "Europe/Berlin", "Europe/Dublin", "Pacific/Apia"),
    *("Pacific/Chatham", "UTC"),
)


@dataclass(frozen=True)
class Instant:
    """A minute of real time, and what the clocks show: `skipped` are the local minutes that never came before it."""

    at: datetime
    local: datetime
    again: bool
    skipped: tuple[datetime, ...]


@functools.cache
def names() -> tuple[str, ...]:
    return tuple(sorted((importlib.resources.files("tzdata") / "zones").read_text(encoding="ascii").split()))


@functools.cache
def clocks(name: str) -> zoneinfo.ZoneInfo:
    with (importlib.resources.files("tzdata") / f"zoneinfo/{name}").open("rb") as file:
        return zoneinfo.ZoneInfo.from_file(file, key=name)


def shown(zone: str, at: datetime) -> datetime:
    """What the clocks of a zone show, without its zone."""
    return at.astimezone(clocks(zone)).replace(tzinfo=None, fold=0)


@functools.cache
def turns(zone: str) -> tuple[datetime, ...]:
    """The first minutes with another offset, of seven years."""
    at, end = datetime(YEARS[0], 1, 1, tzinfo=UTC), datetime(YEARS[1] + 1, 1, 1, tzinfo=UTC)
    found: list[datetime] = []
    local = shown(zone, at)
    while at < end:
        before, local = local, shown(zone, at + COARSE)
        if local - before != COARSE:
            found += [t for t in (at + n * MINUTE for n in range(1, COARSE // MINUTE + 1)) if jumps(zone, t)]
        at += COARSE
    return tuple(found)


def windows(zone: str) -> tuple[datetime, ...]:
    """What to look around in a zone: its turns, else a leap day and the end of a year."""
    return turns(zone) or (datetime(2024, 2, 29, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))


def jumps(zone: str, at: datetime) -> bool:
    return shown(zone, at) - shown(zone, at - MINUTE) != MINUTE


def walk(zone: str, after: datetime, until: datetime) -> list[Instant]:
    """Every minute after `after` until `until`; both are full minutes."""
    # Whether a local minute came before is known only from the day before.
    at = after - timedelta(hours=26)
    local = shown(zone, at)
    seen = {local}
    found: list[Instant] = []
    while at < until:
        at += MINUTE
        before, local = local, shown(zone, at)
        skipped = tuple(before + n * MINUTE for n in range(1, round((local - before) / MINUTE)))
        if at > after:
            found.append(Instant(at, local, local in seen, skipped))
        seen.add(local)
    return found


class Rule:
    """A cron expression, as a question to one local minute."""

    def __init__(self, cron: str) -> None:
        self.fields = cron.split()
        minute, hour, day, month, weekday = self.fields
        self.by_real_time = minute.startswith("*") or hour.startswith("*")
        self.minutes, self.hours = numbers(minute, 0, 59), numbers(hour, 0, 23)
        self.months = numbers(month, 1, 12)
        self.both = day.startswith("*") or weekday.startswith("*")
        self.days: dict[tuple[int, int, int], bool] = {}

    def matches(self, local: datetime) -> bool:
        if local.minute not in self.minutes or local.hour not in self.hours:
            return False
        date = (local.year, local.month, local.day)
        if date not in self.days:
            self.days[date] = local.month in self.months and self.on_day(local)
        return self.days[date]

    def on_day(self, local: datetime) -> bool:
        by_date = any(date_matches(part, local) for part in self.fields[2].split(","))
        by_name = any(weekday_matches(part, local) for part in self.fields[4].split(","))
        return (by_date and by_name) if self.both else (by_date or by_name)

    def due(self, minutes: list[Instant]) -> list[tuple[str, datetime]]:
        """Keys and instants, in order."""
        found: list[tuple[str, datetime]] = []
        for one in minutes:
            if not self.by_real_time:
                found += [(f"{gone:%Y-%m-%dT%H:%M}+0", one.at) for gone in one.skipped if self.matches(gone)]
            if self.matches(one.local) and (self.by_real_time or not one.again):
                found.append((f"{one.local:%Y-%m-%dT%H:%M}+{one.again:d}", one.at))
        return found


def numbers(field: str, lowest: int, highest: int) -> set[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        begin = lowest if span == "*" else int(NAMES.get(first, first))
        end = highest if span == "*" or (step and not last) else int(NAMES.get(last, last) or begin)
        found |= set(range(begin, end + 1, int(step or 1)))
    return found


def date_matches(part: str, local: datetime) -> bool:
    last = monthrange(local.year, local.month)[1]
    if part == "L":
        return local.day == last
    if part == "LW":
        work = [day for day in range(1, last + 1) if local.replace(day=day).isoweekday() < 6]
        return local.day == work[-1]
    return local.day in numbers(part, 1, 31)


def weekday_matches(part: str, local: datetime) -> bool:
    today = local.isoweekday() % 7
    if part.endswith("L"):
        return today == int(part[:-1]) % 7 and (local + timedelta(days=7)).month != local.month
    if "#" in part:
        name, which = part.split("#")
        return today == int(NAMES.get(name, name)) % 7 and (local.day - 1) // 7 + 1 == int(which)
    return today in {n % 7 for n in numbers(part, 0, 7)}


def kinds(zone: str, turn: datetime) -> tuple[str, ...]:
    """Schedules of every kind that a change of the clocks can trip up."""
    before, after = shown(zone, turn - MINUTE) + MINUTE, shown(zone, turn)
    first, last = min(before, after), max(before, after)
    middle = first + (last - first) / 2
    middle = middle.replace(second=0)
    early = first - MINUTE
    return (
        f"{middle.minute} {middle.hour} * * *",
        f"{first.minute} {first.hour} * * *",
        f"{last.minute} {last.hour} * * *",
        f"{early.minute} {early.hour} * * *",
        f"5,20,35,50 {','.join(sorted({str(first.hour), str(middle.hour), str(last.hour)}))} * * *",
        f"{middle.minute} 0-23 {middle.day} * *",
        f"{middle.minute} {middle.hour} {middle.day} {middle.month} {middle.isoweekday()}",
        f"0 0 * * {middle:%a}".upper(),
        "* * * * *",
        "*/7 * * * *",
        f"*/10 {first.hour} * * *",
        f"{middle.minute} */2 * * *",
        f"*/15 * {last.day} * *",
        f"0 * * {last.month} {last.isoweekday() % 7}",
        f"*/20 {last.hour}-23 * * {first:%a},{last:%a}".upper(),
        "59 23 L,15 * *",
    )
