"""`python -m bench.learning`: the stream, the gate's suites and the arms; the last line is one JSON object."""

import argparse
import asyncio
import concurrent.futures
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from bench.learning import arms, edits, figures, house, player, report
from bench.learning import stream as streams

from pocketlet import settings
from pocketlet.agents import loop, portable, thinking
from pocketlet.db import pool
from pocketlet.platform import database, queue
from pocketlet.platform.gateways import models

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
            yield opened, loop.Engine(opened, thinker, None, "bench", worker, config.home), Path(folder)
            await gateway.aclose()
            await queue.unregister(opened, worker)


def model(options: argparse.Namespace, arm: arms.Arm) -> str:
    """The member of the stand-in family that the arm runs on."""
    traits = {"flip": options.flip, "obey": options.obey, "slip": options.slip, "gullible": options.gullible}
    traits |= {"over": options.curator_over, "wrong": options.curator_wrong, "verbose": options.curator_verbose}
    traits |= {"window": options.window} | dict(arm.model or {})
    return "standin/" + ",".join(f"{name}={value:g}" for name, value in traits.items())


async def one_seed(options: argparse.Namespace, seed: int) -> report.Found:
    """Every arm on one seed's stream."""
    played: report.Found = []
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


def job(options: argparse.Namespace, seed: int) -> report.Found:
    """One seed, in a process of its own."""
    return asyncio.run(one_seed(options, seed))


def parse() -> argparse.Namespace:
    """The options; every default is printed with the figures."""
    parser = argparse.ArgumentParser(prog="bench-learning", description=__doc__)
    parser.add_argument("--seeds", default="1-4", help="for instance 1-3 or 4,7,9")
    parser.add_argument("--items", type=int, default=200, help="mails in a stream")
    parser.add_argument("--flip", type=float, default=0.29, help="share of repeated tasks that end differently")
    parser.add_argument("--flips", default="0", help="further flips, at which only `ours` and the harmful edits play")
    parser.add_argument("--obey", type=float, default=1.0)
    parser.add_argument("--slip", type=float, default=0.0)
    parser.add_argument("--gullible", type=float, default=1.0)
    parser.add_argument("--window", type=int, default=0, help="words of a prompt that the model heeds; 0: all")
    parser.add_argument("--windows", default="", help="further windows, at which `ours` plays against `full-history`")
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
    options.windows = [int(part) for part in options.windows.split(",") if part]
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
    made = report.summary(options, run(options))
    for flip in options.flips:
        found = run(argparse.Namespace(**{**vars(options), "flip": flip, "arms": ["ours"], "harmless": 0}))
        report.add_flip(made, flip, found, options.items)
    for window in options.windows:
        more = {"window": window, "arms": ["ours", "full-history"], "suites": False}
        report.add_window(made, window, run(argparse.Namespace(**{**vars(options), **more})))
    report.tell(made)
    print(f"took {time.monotonic() - began:.0f} s")
    if options.json:
        options.json.write_text(json.dumps(made, indent=1))
    print(json.dumps(made["line"]))


def run(options: argparse.Namespace) -> report.Found:
    """Every seed, in as many processes as there are cores."""
    with concurrent.futures.ProcessPoolExecutor(min(os.cpu_count() or 1, len(options.seeds))) as workers:
        seeds = list(workers.map(job, [options] * len(options.seeds), options.seeds))
    return [one for seed in seeds for one in seed]


if __name__ == "__main__":
    main()
