"""The next times of a schedule as people read them: by their own clocks, with a note where clocks change. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from pocketlet.agents.triggers import calendar


@dataclass(frozen=True, slots=True)
class Firing:
    """`due`: the instant, in UTC. `local`: what the zone's clocks show. `note`: what clocks' changes do to it."""

    due: datetime
    local: datetime
    note: str


def upcoming(schedule: calendar.Schedule, after: datetime, n: int) -> list[Firing]:
    """The first `n` times after `after`, as `calendar.upcoming` finds them."""
    return list(_told(schedule, after, n))


def _told(schedule: calendar.Schedule, after: datetime, n: int) -> Iterator[Firing]:
    before = calendar.local(after, schedule.zone)
    for one in calendar.upcoming(schedule, after, n):
        local = calendar.local(one.due, schedule.zone)
        nominal = datetime.fromisoformat(one.key.rpartition("+")[0])
        yield Firing(one.due, local, _note(before, local, nominal))
        before = local


def _note(before: datetime, local: datetime, nominal: datetime) -> str:
    """`nominal`: the local time that the schedule names."""
    clock = local.replace(tzinfo=None)
    if clock != nominal:
        return f"there is no {nominal:%H:%M} on that day, as clocks go forward: it runs at {local:%H:%M}"
    if local.replace(fold=1).utcoffset() != local.replace(fold=0).utcoffset():
        which = "second" if local.fold else "first"
        return f"{nominal:%H:%M} comes twice on that day, as clocks go back: this is the {which}"
    was, now = before.utcoffset() or timedelta(0), local.utcoffset() or timedelta(0)
    if was != now:
        return f"clocks go {'forward' if now > was else 'back'} before this one"
    return ""
