"""`python -m bench.schedules`: agents on schedules, on two workers, in real time; the last line is one JSON object."""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bench.schedules import figures, herd, model

from pocketlet import settings
from pocketlet.agents import worker as workers
from pocketlet.agents.triggers import stored
from pocketlet.db import pool
from pocketlet.learning import kinds
from pocketlet.platform import database
from pocketlet.surfaces import serve

TARGET = 2.0  # seconds: 95 % of slots are begun by then
LOOK = 5.0  # seconds between two looks at the processes
SETTLES = 20.0  # seconds after the last slot was due, for it to be begun
NOTE = "light: row, revision, trigger and the login that its condition is asked on; no tables, no other logins"


async def work(*, guarded: bool) -> None:
    """What `pocketlet up --role worker` serves, until it is ended; not `guarded`: the same without the watchdog."""
    config = settings.read()
    if guarded:
        await serve.serve(config, "worker", lambda _: print("here", flush=True))
        return
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with database.opened(config) as opened, workers.serving(opened, config, "worker", kinds.KINDS):
        print("here", flush=True)
        await stop.wait()


@asynccontextmanager
async def worker(environment: dict[str, str], log: Path, more: list[str]) -> AsyncGenerator[int]:
    """The process id of a worker."""
    command = [sys.executable, "-m", "bench.schedules", "--work", *more]
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=subprocess.PIPE, stderr=errors)
    try:
        assert process.stdout
        await process.stdout.readline()
        yield process.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """On a Postgres of its own."""
    kind = herd.Kind(options.agents, min(options.whole, options.agents), min(options.busy, options.whole))
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pocketlet-bench-")))
        folder.chmod(0o755)
        config = settings.read({"POCKETLET_HOME": str(folder / "home")})
        asked = await stack.enter_async_context(model.Model().listening())
        opened = await stack.enter_async_context(database.opened(config))
        began = time.perf_counter()
        await herd.made(opened, kind, folder / "agent", options.seed)
        made = time.perf_counter() - began
        print(f"  {kind.agents} agents made in {made:.0f} s, {kind.whole} of them whole", flush=True)
        environment = {**os.environ, "POCKETLET_HOME": str(config.home), "OPENAI_BASE_URL": asked.url}
        environment |= {"OPENAI_API_KEY": "none"}
        more = ["--unguarded"] if options.unguarded else []
        starting = [worker(environment, folder / "log", more) for _ in range(options.workers)]
        pids = [await stack.enter_async_context(one) for one in starting]
        processes = [figures.Process(pid, f"worker {n}") for n, pid in enumerate(pids, 1)]
        processes.append(figures.Process(_postmaster(config.home), "postgres", children=True))
        told = await _observed(opened, processes, options)
        told |= {"agents": kind.agents, "whole": kind.whole, "light": kind.agents - kind.whole, "note": NOTE}
        told |= {"busy": kind.busy, "workers": options.workers, "made_seconds": round(made)}
        told |= {"model_calls_of_idle": asked.asked["idle"], "model_calls_of_busy": asked.asked["busy"]}
        told["watchdog"] = not options.unguarded
        told["log_lines"] = len((folder / "log").read_text().splitlines())
    return told


def _postmaster(home: Path) -> int:
    [found] = home.rglob("postmaster.pid")
    return int(found.read_text().split()[0])


async def _observed(
    opened: pool.Database, processes: list[figures.Process], options: argparse.Namespace
) -> dict[str, Any]:
    """What happens in so many minutes, once what came due while the agents were made is done."""
    await _drained(opened)
    async with opened.api() as conn:
        first = await stored.now(conn)
    began = time.perf_counter()
    while (seconds := time.perf_counter() - began) < options.minutes * 60:
        for process in processes:
            process.look()
        await asyncio.sleep(LOOK)
    async with opened.api() as conn:
        last = await stored.now(conn)
    await asyncio.sleep(SETTLES)
    async with opened.api() as conn:
        late, states = await figures.late(conn, first, last)
        paid = await (await conn.execute(figures.PAID.encode())).fetchone() or {}
    told: dict[str, Any] = {"minutes": options.minutes, "slots": sum(states.values()), "states": states}
    told |= {f"late_p{part}_s": round(figures.share(late, part / 100), 3) for part in (50, 95, 99)}
    told |= {
        "late_max_s": round(late[-1], 3) if late else None,
        "ledger_of_idle": paid["idle"],
        "ledger_of_busy": paid["busy"],
    }
    thirds = {process.name: process.thirds() for process in processes if not process.children}
    told["memory_mb"] = {name: [round(one, 1) for one in pair] for name, pair in thirds.items()}
    told["processor_share"] = {process.name: round(process.share(seconds), 3) for process in processes}
    return told


async def _drained(opened: pool.Database) -> None:
    """Waits until nothing that is due waits."""
    while True:
        async with opened.api() as conn:
            row = await (await conn.execute(b"SELECT count(*) AS n FROM pocketlet.slot WHERE state = 'due'")).fetchone()
            behind = await (await conn.execute(BEHIND)).fetchone()
        if row and behind and row["n"] == behind["n"] == 0:
            return
        await asyncio.sleep(1)


BEHIND = b"SELECT count(*) AS n FROM pocketlet.trigger WHERE next_at < pocketlet.now() - interval '2 seconds'"


def parse() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="bench.schedules", description=__doc__)
    parser.add_argument("--agents", type=int, default=10_000)
    parser.add_argument("--whole", type=int, default=300, help="of them are installed with all that an agent has")
    parser.add_argument("--busy", type=int, default=150, help="of the whole ones have something to do each time")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--unguarded", action="store_true", help="workers without the watchdog, to tell what that costs"
    )
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def table(told: dict[str, Any]) -> None:
    """The figures for a person."""
    print(f"  {told['agents']} agents ({told['whole']} whole, {told['light']} light), {told['workers']} workers")
    print(f"  {told['slots']} slots in {told['minutes']:g} minutes: {told['states']}")
    print(
        f"  begun late by p50 {told['late_p50_s']} s, p95 {told['late_p95_s']} s, p99 {told['late_p99_s']} s, "
        f"at most {told['late_max_s']} s (target: p95 {TARGET:g} s)"
    )
    print(f"  model calls of idle agents: {told['model_calls_of_idle']} asked, {told['ledger_of_idle']} in the ledger")
    print(f"  model calls of busy agents: {told['model_calls_of_busy']} asked, {told['ledger_of_busy']} in the ledger")
    for name, (before, after) in told["memory_mb"].items():
        told_share = f"{told['processor_share'][name]:.0%} of a processor"
        print(f"  {name}: {before:.0f} MB in the first third, {after:.0f} MB in the last; {told_share}")
    print(f"  postgres: {told['processor_share']['postgres']:.0%} of a processor; watchdog: {told['watchdog']}")
    print(f"  {told['note']}")


def main() -> int:
    """Prints the figures; 1 if an idle agent asked a model, or the target is missed."""
    options = parse()
    if options.work:
        asyncio.run(work(guarded=not options.unguarded))
        return 0
    told = asyncio.run(measure(options))
    table(told)
    print(json.dumps(told))
    idle = told["model_calls_of_idle"] + told["ledger_of_idle"]
    return int(idle > 0 or told["late_p95_s"] > TARGET)


if __name__ == "__main__":
    sys.exit(main())
