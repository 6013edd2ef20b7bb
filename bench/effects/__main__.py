"""`make bench-effects`: thousands of effects against every fault; the last line is one JSON object."""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bench.effects import beyond, lives, referee
from bench.effects import ground as grounds

from pocketlet import settings
from pocketlet.platform import database

LANES = 48  # effects under way at once


async def drive(ground: grounds.Ground, options: argparse.Namespace, seen: lives.Seen) -> None:
    """Every effect of the seed, several at a time."""
    dice = random.Random(f"effects {options.seed}")
    scripts = iter([lives.script(n, dice, answers=options.answers) for n in range(options.effects)])

    async def lane() -> None:
        for told in scripts:
            await lives.live(ground, told, seen)

    async with asyncio.TaskGroup() as lanes:
        for _ in range(LANES):
            lanes.create_task(lane())


@dataclass
class Measured:
    """`seconds` are those of the effects alone; `beyond`: what no promise covers, by name."""

    seen: lives.Seen
    verdict: referee.Verdict
    seconds: float
    beyond: dict[str, object]


async def measure(options: argparse.Namespace) -> Measured:
    """On a Postgres of its own."""
    seen = lives.Seen()
    with tempfile.TemporaryDirectory(prefix="pocketlet-bench-") as folder:
        Path(folder).chmod(0o755)
        config = settings.read({"POCKETLET_HOME": str(Path(folder) / "home")})
        async with (
            database.opened(config, fast=True) as opened,
            grounds.opened(opened, config.home, "bench", options.patience) as ground,
        ):
            began = time.monotonic()
            await drive(ground, options, seen)
            seconds = time.monotonic() - began
            verdict = await referee.judge(ground)
            more: dict[str, object] = {"of": options.beyond}
            more["doubled_by_sleepers"] = await beyond.sleepers(ground, options.effects, options.beyond)
            more["doubled_filed_late"] = await beyond.filed_late(ground, 2 * options.effects, options.beyond)
            return Measured(seen, verdict, seconds, more)


def parse() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="bench.effects", description=__doc__)
    parser.add_argument("--effects", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--patience", type=float, default=0.5, help="seconds until a time-out")
    parser.add_argument(
        "--answers", action=argparse.BooleanOptionalAction, default=True, help="the provider answers with errors, too"
    )
    parser.add_argument("--beyond", type=int, default=8, help="effects of each case that no promise covers yet")
    return parser.parse_args()


def main() -> int:
    """Prints the figures; 1 if a promise was broken."""
    options = parse()
    found = asyncio.run(measure(options))
    seen, verdict, seconds = found.seen, found.verdict, found.seconds
    for (effect_class, state), count in sorted(verdict.states.items()):
        print(f"  {effect_class:<11} {state:<12} {count}")
    print("  " + ", ".join(f"{name} {count}" for name, count in sorted(seen.figures.items())))
    for name in verdict.broken:
        for said in getattr(verdict, name)[:5]:
            print(f"  {name}: {said}")
    for said, count in Counter(seen.wrong).most_common(5):
        print(f"  wrong: {said} ({count})")
    line = {"effects": options.effects, "seed": options.seed, **verdict.broken, "wrong": len(seen.wrong)}
    line |= {"unknown": verdict.unknown, "stopped_by_fence": seen.figures.get("stopped by the fence", 0)}
    line |= {"seconds": round(seconds, 1), "effects_per_second": round(options.effects / seconds, 1)}
    line |= {"beyond": found.beyond}
    print(json.dumps(line))
    return int(any(verdict.broken.values()) or bool(seen.wrong))


if __name__ == "__main__":
    sys.exit(main())
