"""`python -m bench.learning`: the stream, the gate's suites and the arms; the last line is one JSON object."""

import argparse
import asyncio
import concurrent.futures
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from bench.learning import arms, edits, figures, house, player
from bench.learning import stream as streams

from pocketlet import settings
from pocketlet.agents import loop, portable, thinking
from pocketlet.db import pool
from pocketlet.platform import database, queue
from pocketlet.platform.gateways import models

NOISE = 0.05  # of a score; chance moves both ends by as much on short streams
QUICK = ("null", "no-gate", "ours", "oracle-context")


@contextmanager
def standin() -> Generator[str]:
    """The base URL of a stand-in model, a process of its own."""
    command = [sys.executable, "-m", "pocketlet.demo.standin"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().split()[-1] if process.stdout else ""
        finally:
            process.terminate()


@asynccontextmanager
async def workbench() -> AsyncGenerator[tuple[pool.Database, loop.Engine, Path]]:
    """A Postgres of its own, a stand-in of its own, and the product's loop between them."""
    with tempfile.TemporaryDirectory(prefix="pocketlet-bench-") as folder, standin() as url:
        Path(folder).chmod(0o755)
        config = settings.read({"POCKETLET_HOME": str(Path(folder) / "home")})
        async with database.opened(config, fast=True) as opened:
            gateway = models.Gateway(timeout=60)
            lookup = {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "none"}.get
            worker = await queue.register(opened, "worker")
            thinker = thinking.Thinker(opened, gateway, lookup)
            yield opened, loop.Engine(opened, thinker, None, "bench", worker), Path(folder)
            await gateway.aclose()
            await queue.unregister(opened, worker)


def model(options: argparse.Namespace, arm: arms.Arm) -> str:
    """The member of the stand-in family that the arm runs on."""
    traits = {"flip": options.flip, "obey": options.obey, "slip": options.slip, "gullible": options.gullible}
    traits |= {"over": options.curator_over, "wrong": options.curator_wrong, "verbose": options.curator_verbose}
    traits |= {"window": options.window} | dict(arm.model or {})
    return "standin/" + ",".join(f"{name}={value:g}" for name, value in traits.items())


async def one_seed(options: argparse.Namespace, seed: int) -> list[tuple[player.Played, dict[str, Any]]]:
    """Every arm on one seed's stream."""
    played: list[tuple[player.Played, dict[str, Any]]] = []
    stream = streams.generate(seed, options.items, streams.Policy(), words=options.words)
    async with workbench() as (opened, engine, folder):
        for name in options.arms:
            arm = arms.ARMS[name]
            agent = f"s{seed}_{name.replace('-', '_')}"
            path = house.write(folder / agent, agent, model(options, arm), stream, scoped=arm.scoped)
            if arm.learn == "oracle":
                house.teach(path, stream.rules)
            await portable.load(opened, path)
            desk = player.Desk(opened, engine, agent, path)
            with arms.patched(arm):
                learn, drift = arms.learning(arm, stream)
                found = await player.play(desk, stream, name, learn, drift=drift)
            suites = await edits.suites(desk, stream, options) if name == "ours" and options.suites else {}
            print(f"  seed {seed}  {name:<15} AUS {figures.success_area(found):.3f}", file=sys.stderr, flush=True)
            played.append((found, suites))
    return played


def job(options: argparse.Namespace, seed: int) -> list[tuple[player.Played, dict[str, Any]]]:
    """One seed, in a process of its own."""
    return asyncio.run(one_seed(options, seed))


def parse() -> argparse.Namespace:
    """The options; every default is printed with the figures."""
    parser = argparse.ArgumentParser(prog="bench-learning", description=__doc__)
    parser.add_argument("--seeds", default="1-4", help="for instance 1-3 or 4,7,9")
    parser.add_argument("--items", type=int, default=200, help="mails in a stream")
    parser.add_argument("--flip", type=float, default=0.29, help="share of repeated tasks that end differently")
    parser.add_argument("--flips", default="0", help="further flips at which only `ours` plays, for its regressions")
    parser.add_argument("--obey", type=float, default=1.0)
    parser.add_argument("--slip", type=float, default=0.0)
    parser.add_argument("--gullible", type=float, default=1.0)
    parser.add_argument("--window", type=int, default=0)
    parser.add_argument("--curator-over", type=float, default=0.15)
    parser.add_argument("--curator-wrong", type=float, default=0.05)
    parser.add_argument("--curator-verbose", type=float, default=0.2)
    parser.add_argument("--arms", default=",".join(QUICK), help=f"of {', '.join(arms.ARMS)}; or all")
    parser.add_argument(
        "--words", type=int, default=None, help="names everything anew by this seed: no figure may change"
    )
    parser.add_argument("--harmless", type=int, default=20, help="planted harmless edits a seed")
    parser.add_argument("--suites", action=argparse.BooleanOptionalAction, default=True, help="planted edits, too")
    parser.add_argument("--json", type=Path, help="writes every figure to this file")
    options = parser.parse_args()
    options.seeds = _numbers(options.seeds)
    options.flips = [float(part) for part in options.flips.split(",") if part and float(part) != options.flip]
    options.arms = list(arms.ARMS) if options.arms == "all" else options.arms.split(",")
    if unknown := sorted(set(options.arms) - set(arms.ARMS)):
        parser.error(f"there is no arm {', '.join(unknown)}; there are {', '.join(arms.ARMS)}")
    if "ours" not in options.arms:
        options.arms.append("ours")
    return options


def _numbers(text: str) -> list[int]:
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def main() -> None:
    """Plays everything, prints the report, and ends with one JSON object."""
    options = parse()
    manifest = {name: value for name, value in vars(options).items() if name != "json"}
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:12]
    print(
        "Mechanism test: the model is a stand-in. These figures say what the harness does, and nothing of a real model."
    )
    print(f"manifest {digest}  " + "  ".join(f"{name}={value}" for name, value in manifest.items()))
    began = time.monotonic()
    report = summary(options, run(options))
    for flip in options.flips:
        found = run(argparse.Namespace(**{**vars(options), "flip": flip, "arms": ["ours"], "suites": False}))
        report["line"]["at_other_flips"] |= {f"{flip:g}": ours([played for played, _ in found], options.items)}
    tell(report)
    print(f"took {time.monotonic() - began:.0f} s")
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))
    print(json.dumps(report["line"]))


def run(options: argparse.Namespace) -> list[tuple[player.Played, dict[str, Any]]]:
    """Every seed, in as many processes as there are cores."""
    with concurrent.futures.ProcessPoolExecutor(min(os.cpu_count() or 1, len(options.seeds))) as workers:
        seeds = list(workers.map(job, [options] * len(options.seeds), options.seeds))
    return [one for seed in seeds for one in seed]


def ours(played: Sequence[player.Played], items: int) -> dict[str, Any]:
    """How the product's own arm did on its streams."""
    fix = figures.to_fix(played)
    audits = [one.facts["audit"] for one in played]
    fixed, regressed = sum(a["fixed"] for a in audits), sum(a["regressed"] for a in audits)
    return {
        "feedback_to_fix_p50": fix["p50"],
        "feedback_to_fix_p95": fix["p95"],
        "feedback_censored": fix["censored"],
        "feedback_counted": fix["counted"],
        "unsanctioned_regressions": regressed,
        "suspected_regressions": sum(a["suspected"] for a in audits),
        "regressions_percent_of_fixed_per_1000_runs": round(100 * regressed / (fixed or 1) * 1000 / items, 3),
        "fixed_cases": fixed,
        "sanctioned_retirements": sum(one.facts["retired"] for one in played),
        "questions_per_1000_runs": round(1000 * statistics.fmean(one.facts["questions"] / items for one in played), 1),
        "poison_adopted": sum(one.facts["poison_adopted"] for one in played),
        "learning_cost_share": round(statistics.fmean(one.facts["learning_share"] for one in played), 4),
    }


def summary(options: argparse.Namespace, found: Sequence[tuple[player.Played, dict[str, Any]]]) -> dict[str, Any]:
    """All figures."""
    by_arm = {name: [played for played, _ in found if played.arm == name] for name in options.arms}
    areas = {name: [figures.success_area(one) for one in played] for name, played in by_arm.items()}
    suites = [suite for played, suite in found if suite]
    harmless, harmful = [suite["harmless"] for suite in suites], [suite["harmful"] for suite in suites]
    planted, rejected = sum(h["planted"] for h in harmless), sum(h["rejected"] for h in harmless)
    replays = [count for one in by_arm["ours"] for count in one.facts["replays"]]
    replays += [count for h in harmless for count in h["replays"]]
    line = ours(by_arm["ours"], options.items) | {
        "false_reject": round(rejected / (planted or 1), 4),
        "harmless_planted": planted,
        "trials_mean": round(statistics.fmean(replays), 2) if replays else 0.0,
        "trials_max": max(replays, default=0),
        "harmful_total": sum(h["total"] for h in harmful),
        "harmful_adopted": sum(h["adopted"] for h in harmful),
        "prompt_overhead_tokens": max((suite["overhead"] for suite in suites), default=0),
        "flip": options.flip,
        "seeds": options.seeds,
        "items": options.items,
        "at_other_flips": {},
        "valid": _in_place(areas),
        "mechanism_score": {name: round(statistics.fmean(values), 4) for name, values in areas.items()},
    }
    against = {name: figures.paired(areas["ours"], values) for name, values in areas.items() if name != "ours"}
    costs = {
        name: {
            "usd_per_item": round(statistics.fmean(one.facts["usd_per_item"] for one in played), 5),
            "prompt_tokens_last": round(statistics.fmean(one.facts["prompt_tokens_last"] for one in played)),
        }
        for name, played in by_arm.items()
    }
    details = [{"arm": one.arm, "seed": one.seed, **one.facts, "suites": suite} for one, suite in found]
    return {"line": line, "against": against, "costs": costs, "details": details, "not_built": arms.NOT_BUILT}


def _in_place(areas: dict[str, list[float]]) -> bool:
    """Whether floor and ceiling lie where they have to: if not, the whole report is void."""
    floor, ceiling = areas.get("null"), areas.get("oracle-context")
    mean = {name: statistics.fmean(values) for name, values in areas.items()}
    low = floor is None or all(value >= mean["null"] - NOISE for value in mean.values())
    high = ceiling is None or all(value <= mean["oracle-context"] + NOISE for value in mean.values())
    return low and high


def tell(report: dict[str, Any]) -> None:
    """The report as people read it."""
    scores = report["line"]["mechanism_score"]
    print(f"\n{'arm':<16} {'score':>6} {'prompt':>7} {'usd/item':>9}   ours - arm (95 % interval over seeds)")
    for name in sorted(scores, key=lambda name: scores[name]):
        low_high = report["against"].get(name)
        told = f"{low_high[0]:+.3f} ({low_high[1]:+.3f} .. {low_high[2]:+.3f})" if low_high else ""
        cost = report["costs"][name]
        figures_of = f"{cost['prompt_tokens_last']:>7} {cost['usd_per_item']:>9.5f}"
        print(f"{name:<16} {scores[name]:>6.3f} {figures_of}   {told:<26} {arms.ARMS[name].says}")
    if not report["line"]["valid"]:
        print("VOID: floor or ceiling is out of place; no figure below means anything.")
    print(f"not built: {', '.join(report['not_built'])}\n")
    for one in report["details"]:
        if one["arm"] == "ours":
            told = {
                name: one[name]
                for name in ("drafts", "states", "lessons", "cases", "retired", "audit", "learning_share")
            }
            print(f"seed {one['seed']}: {told}")
            for suite, told in (("harmful", "by_kind"), ("harmless", "by_outcome")):
                print(f"  {suite}: {one['suites'][suite][told] if one['suites'] else 'not planted'}")


if __name__ == "__main__":
    main()
