"""`python -m bench.calendar`: every time zone, every change of its clocks, every kind of schedule, against an oracle.

This folder has no __init__.py on purpose: for a file that is run in bench/, a package here would hide Python's own
`calendar`. The last line is one JSON object; the exit code is 1 if anything was missed or came twice.
"""

import argparse
import json
import random
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pocketlet.agents.triggers import calendar

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "triggers"))

import calendar_oracle as oracle

AROUND = timedelta(hours=30)
Found = list[tuple[str, datetime]]


@dataclass
class Figures:
    """What was compared: `missed` and `doubled` count occurrences, of which some were at another instant."""

    zones: int = 0
    transitions: int = 0
    schedules: int = 0
    compared: int = 0
    missed: int = 0
    doubled: int = 0


def ticked(schedule: calendar.Schedule, after: datetime, until: datetime, dice: random.Random) -> Found:
    """What seven ticks find, cut at any second and at quarters of an hour, where much is due."""
    seconds = int((until - after).total_seconds())
    cuts = [*(dice.randrange(seconds) for _ in range(3)), *(dice.randrange(0, seconds, 900) for _ in range(3))]
    ends = [*(after + timedelta(seconds=cut) for cut in sorted(cuts)), until]
    found: Found = []
    for end in ends:
        found += [(one.key, one.due) for one in calendar.occurrences(schedule, after, end)]
        after = end
    return found


def look(zone: str, turn: datetime, figures: Figures, dice: random.Random) -> None:
    """Compares every kind of schedule around one change of a zone's clocks."""
    after, until = turn - AROUND, turn + AROUND
    minutes = oracle.walk(zone, after, until)
    for cron in oracle.kinds(zone, turn):
        wanted = oracle.Rule(cron).due(minutes)
        found = ticked(calendar.Schedule(cron, zone), after, until, dice)
        missed, doubled = Counter(wanted) - Counter(found), Counter(found) - Counter(wanted)
        again = len(found) - len({key for key, _ in found})
        figures.schedules += 1
        figures.compared += len(wanted)
        figures.missed += missed.total()
        figures.doubled += max(doubled.total(), again)
        if missed or doubled or again:
            print(f"{zone} {turn} {cron!r}: missed {list(missed)[:3]}, doubled {list(doubled)[:3]}", flush=True)


def main() -> int:
    """Runs the sweep; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zones", nargs="*", default=oracle.names())
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    figures, dice = Figures(), random.Random(options.seed)
    began = time.monotonic()
    for n, zone in enumerate(options.zones, 1):
        figures.zones += 1
        figures.transitions += len(oracle.turns(zone))
        for turn in oracle.windows(zone):
            look(zone, turn, figures, dice)
        if n % 25 == 0:
            print(f"{n} of {len(options.zones)} zones, {time.monotonic() - began:.0f} s: {figures}", flush=True)
    years = "-".join(map(str, oracle.YEARS))
    print(f"Time zones {calendar.rules()}, {years}: {figures.zones} zones, {figures.transitions} transitions,")
    print(f"{figures.compared} occurrences compared: {figures.missed} missed, {figures.doubled} doubled.")
    print(json.dumps({**asdict(figures), "rules": calendar.rules(), "seconds": round(time.monotonic() - began, 1)}))
    return 1 if figures.missed or figures.doubled else 0


if __name__ == "__main__":
    sys.exit(main())
