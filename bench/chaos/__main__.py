"""`python -m bench.chaos`: kills, sleeps and restarts under load; the last line is one JSON object."""

import argparse
import asyncio
import json
import logging
import random
import sys
import time
from collections import Counter
from typing import Any

from bench.chaos import ground as grounds
from bench.chaos import load as loads
from bench.chaos import points, referee, sweep

from pocketlet.platform import doctor

REST = "SELECT count(*)::int AS n FROM pocketlet.run WHERE state IN ('queued', 'running', 'waiting')"
DUE = "SELECT count(*)::int AS n FROM pocketlet.slot WHERE state IN ('due', 'claimed')"
NO_MORE = "UPDATE pocketlet.trigger SET next_at = NULL WHERE kind = 'schedule'"
RUNS = "SELECT count(*)::int AS n FROM pocketlet.run"
SOON = 20.0  # seconds in which 95 of 100 runs go on whose worker was lost
HOLD = 600.0  # seconds until what does not come to rest is called stuck


async def run(options: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """The whole sweep; the figures, and what was wrong in words."""
    began = time.monotonic()
    async with grounds.opened(options.seed, options.effects) as ground:
        load = loads.Load(ground)
        strikes = sweep.Sweep(ground, random.Random(options.seed))
        await ground.again(loads.turned_back(options.back))
        coming = [asyncio.create_task(work) for work in (load.feed(), load.correct())]
        owner = asyncio.create_task(load.own())
        chosen = _chosen(options)
        await strikes.points(chosen)
        said(began, f"{len(strikes.died_at)} of {2 * len(chosen)} points died at; missed: {strikes.missed}")
        await strikes.storm(options.storm, options.asleep)
        said(began, f"kills {strikes.kills}, sleeps {strikes.sleeps}, restarts {strikes.restarts}")
        calm = [await ground.herd.start(role) for role in ("up", "worker")]
        await _enough(ground, options.runs)
        load.open = False
        await asyncio.wait(coming, timeout=60)
        for task in coming:
            task.cancel()
        rested = await _rest(ground)
        said(began, f"at rest: {rested}; corrected {load.corrected} times; doubts {load.doubts}")
        said(began, f"the owner tried again: {Counter(load.retried)}")
        owner.cancel()
        for creature in calm:
            await creature.kill()
        verdict = await referee.judge(ground, load, [*strikes.losses, *strikes.slept])
        killed = referee.p95(await referee.resumed(ground, strikes.losses))
        crowded = referee.p95(await referee.resumed(ground, strikes.crowded))
        reds = [check for check in await doctor.examine(ground.config) if check.state == "red"]
        said(began, f"log: {Counter(_lines(ground)).most_common(12)}")
        if options.record:
            points.write_reached({name for name, _ in strikes.died_at})
    wrong = [*verdict.lost, *verdict.doubled, *verdict.undone, *verdict.stuck]
    wrong += [f"doctor: {check.name}: {check.found}" for check in reds] + [f"missed: {name}" for name in strikes.missed]
    wrong += [f"resumed only after {verdict.p95:.1f} s"] if verdict.p95 > SOON else []
    line = _line(strikes, load, verdict)
    line |= {"killed_resume_p95_s": round(killed, 1), "crowded_resume_p95_s": round(crowded, 1)}
    line |= {"doctor_red": len(reds), "seconds": round(time.monotonic() - began)}
    return line, wrong


def _line(strikes: sweep.Sweep, load: loads.Load, verdict: referee.Verdict) -> dict[str, Any]:
    return {
        "crash_points": len({name for name, _ in strikes.died_at}),
        "slots": verdict.slots,
        "lost": len(verdict.lost),
        "effects": verdict.effects,
        "doubled": len(verdict.doubled),
        "runs": verdict.runs,
        "finished": verdict.finished,
        "resume_p95_s": round(verdict.p95, 1),
        "died_at": len(strikes.died_at),
        "missed": len(strikes.missed),
        "kills": strikes.kills,
        "sleeps": strikes.sleeps,
        "restarts": strikes.restarts,
        "recoveries": len(verdict.resumed),
        "undone": len(verdict.undone),
        "doubts": load.doubts,
        "corrected": load.corrected,
        "retried": len(load.retried),
    }


def said(began: float, text: str) -> None:
    """A line of progress."""
    print(f"{time.monotonic() - began:6.0f} s  {text}", flush=True)


def _chosen(options: argparse.Namespace) -> list[points.Point]:
    found = points.sweepable()
    return [point for point in found if options.only in point.name][:: options.every]


async def _count(ground: grounds.Ground, statement: str) -> int:
    (row,) = await ground.rows(statement)
    return int(str(row["n"]))


async def _enough(ground: grounds.Ground, runs: int) -> None:
    """Returns once there are so many runs."""
    while True:
        if await _count(ground, RUNS) >= runs:
            return
        await asyncio.sleep(1)


async def _rest(ground: grounds.Ground) -> bool:
    """Whether all came to rest."""
    await ground.rows(NO_MORE)
    until = time.monotonic() + HOLD
    while time.monotonic() < until:
        if not await _count(ground, REST) and not await _count(ground, DUE):
            return True
        await asyncio.sleep(0.5)
    return False


def _lines(ground: grounds.Ground) -> list[str]:
    """What the processes logged, without what differs."""
    log = ground.folder / "log"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    return [" ".join(line.split()[3:])[:110] for line in lines if " WARNING " in line or " ERROR " in line]


def parse() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="bench.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=300, help="at least so many")
    parser.add_argument("--effects", type=int, default=4, help="outside actions of each run")
    parser.add_argument("--storm", type=float, default=150, help="seconds of random kills, sleeps and restarts")
    parser.add_argument("--asleep", type=float, default=20, help="seconds that a stopped process sleeps")
    parser.add_argument("--back", type=int, default=5, help="minutes of schedules that are due at once")
    parser.add_argument("--only", default="", help="only points with this in their names")
    parser.add_argument("--every", type=int, default=1, help="only each n-th point")
    parser.add_argument("--record", action="store_true", help="write the points that were reached into points.toml")
    parser.add_argument("--full", action="store_true", help="1,000 runs with 10 effects each, sleeps of 60 s")
    options = parser.parse_args()
    if options.full:
        options.runs, options.effects, options.storm, options.asleep = 1000, 10, 600, 60
    return options


def main() -> int:
    """Prints the figures; 1 if anything was lost, doubled or not finished."""
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)  # it tells of each restart that we make
    line, wrong = asyncio.run(run(parse()))
    for text in wrong[:40]:
        print(f"  {text}")
    print(json.dumps(line))
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
