"""`make test-security`: the adversary against the real worker, then with each gate open; one JSON object at the end."""

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from bench.adversary import grammar, holes, referee, stage

ROUND = 1000  # steps in one world
BURST = 30  # steps, and those of the runs that are under way then, between two judgements of a hole
BURSTS = 40
PATIENCE = 20.0  # seconds: with a gate open, runs may hang for ever
INVARIANTS = {
    "I1": "no secret in a row, a log, a mail or a packet",
    "I2": "no connection off the allow-list",
    "I3": "no foreign row read or written",
    "I4": "nothing outside without a grant, a rule or a yes",
    "I5": "one success at most for each effect",
    "I6": "no run costs more than its cap",
    "I7": "control tables are the owner's alone",
    "I8": "each revision has a valid decision",
    "I9": "the audit chain is whole",
    "I10": "labels only worsen",
    "I11": "every run comes to rest",
    "I12": "a terminal shows nothing that hides or steers",
}
#: Figures of what really left, by who allowed it.
GONE_OUT = (
    "mails as replies", "mails by the owner's yes", "requests by a grant", "requests by the owner's yes",
)  # fmt: skip


@dataclass
class Found:
    """What came of it. `caught`: the invariant that caught each hole, "" if none did."""

    steps: int = 0
    runs: int = 0
    seconds: float = 0.0
    violations: list[referee.Violation] = field(default_factory=list[referee.Violation])
    crashed: list[str] = field(default_factory=list[str])
    caught: dict[str, str] = field(default_factory=dict[str, str])
    figures: Counter[str] = field(default_factory=Counter[str])


async def against_all(on: stage.Stage, steps: int, found: Found) -> None:
    """Every gate shut: world after world until all steps were made."""
    began = time.monotonic()
    while found.steps < steps:
        async with stage.act(on) as act:
            await act.go(min(ROUND, steps - found.steps))
            violations, case = await act.judge()
            found.violations += violations
            found.crashed += case.crashed
            found.steps += act.played.steps
            found.runs += act.played.runs
            found.figures += case.figures
            found.figures["approvals refused"] += act.owner.noes
        found.seconds = time.monotonic() - began
        rate = found.steps / found.seconds
        print(f"  {found.steps} steps, {rate:.0f}/s, {len(found.violations)} violations", file=sys.stderr, flush=True)


async def with_hole(on: stage.Stage, hole: holes.Hole) -> tuple[str, int]:
    """The invariant that catches the hole, or "" if none does, and the steps that it took."""
    async with stage.act(on) as act, hole.opened(act):
        act.played.patience, act.played.open = PATIENCE, 3
        for _ in range(BURSTS):
            await act.go(BURST)
            violations, case = await act.judge()
            broken = {one.invariant for one in violations}
            if caught := next((one for one in hole.wanted if one in broken), ""):
                return caught, act.played.steps
            if act.played.stuck:
                break
        for run in case.of("runs"):
            print(f"  not caught: run {run['id']} {run['state']} {run['error']}", file=sys.stderr)
        return "", act.played.steps


async def measure(options: argparse.Namespace) -> Found:
    """All of it, on one stage."""
    found = Found()
    async with stage.opened(options.seed, options.calls, lies=options.lies, faults=options.faults) as on:
        await against_all(on, options.steps, found)
        for name in options.holes:
            hole, began = holes.HOLES[name], time.monotonic()
            found.caught[name], steps = await with_hole(on, hole)
            told = found.caught[name] or "NOT CAUGHT"
            took = f"{steps} steps, {time.monotonic() - began:.1f} s"
            print(f"  hole {name:<14} {told:<10} {took}", file=sys.stderr, flush=True)
    return found


def parse() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="bench.adversary", description=__doc__)
    parser.add_argument("--steps", type=int, default=1000, help="tool calls and model replies that the worker handles")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--calls", type=int, default=grammar.CALLS, help="the most calls in one reply")
    parser.add_argument("--lies", action=argparse.BooleanOptionalAction, default=True, help="about what was used")
    parser.add_argument(
        "--faults", action=argparse.BooleanOptionalAction, default=False,
        help="answers that are none: they open the breaker, and then a play may wait for two minutes",
    )  # fmt: skip
    parser.add_argument("--holes", default="all", help=f"all, or of {', '.join(holes.HOLES)}")
    parser.add_argument("--no-holes", dest="holes", action="store_const", const="", help="opens none")
    options = parser.parse_args()
    options.holes = list(holes.HOLES) if options.holes == "all" else [name for name in options.holes.split(",") if name]
    if unknown := sorted(set(options.holes) - set(holes.HOLES)):
        parser.error(f"there is no hole {', '.join(unknown)}")
    return options


def main() -> int:
    """Prints the figures; 1 if an invariant broke, a hole was not caught, or a run ended by a mistake of ours."""
    options = parse()
    began = time.monotonic()
    found = asyncio.run(measure(options))
    broken = Counter(one.invariant for one in found.violations)
    for name, what in INVARIANTS.items():
        print(f"  {name:<4} {broken[name]:>4}  {what}")
    for one, times in Counter(found.violations).most_common(20):
        print(f"  {one.invariant}: {one.what}" + (f" ({times})" if times > 1 else ""))
    for name, caught in found.caught.items():
        print(f"  hole {name:<14} {caught or 'NOT CAUGHT':<10} {holes.HOLES[name].what}")
    print("".join(f"  crashed: {one}\n" for one in found.crashed[:20]), end="")
    print("  " + ", ".join(f"{name} {count}" for name, count in sorted(found.figures.items())))
    line = {
        "steps": found.steps,
        "seed": options.seed,
        "violations": len(found.violations),
        "invariants": {name: broken[name] for name in INVARIANTS},
        "holes_opened": len(found.caught),
        "holes_caught": sum(bool(caught) for caught in found.caught.values()),
        "holes": found.caught,
        "crashes": len(found.crashed),
        "runs": found.runs,
        "steps_per_second": round(found.steps / found.seconds, 1) if found.seconds else 0,
        "seconds": round(time.monotonic() - began, 1),
        "figures": dict(found.figures),
    }
    print(json.dumps(line))
    return int(bool(found.violations or found.crashed) or not all(found.caught.values()))


if __name__ == "__main__":
    sys.exit(main())
