"""`python -m bench.ui_run`: how soon the page of a long run opens and a committed step is there; last line: JSON.

Over HTTP on loopback, the server in a process of its own; what a browser needs to draw it comes on top (`tests/ui`).
"""

import argparse
import asyncio
import json
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx2
from bench import listening

from pocketlet import settings
from pocketlet.agents import agent as agents
from pocketlet.agents import journal, portable, runs
from pocketlet.agents import task as tasks
from pocketlet.db import pool
from pocketlet.platform import database

OPENS = 1.0  # seconds until the page of a run with 2,000 steps is there
VISIBLE = 0.25  # seconds from the commit of a step until a page has it, 95 %
AGENT = 'name = "long"\njob = "Long work."\nmodel = "openai:none"\nprice = {input = 1.0, output = 2.0}\n'
#: Whoever writes the run by hand; where workers are, none of them takes it from him.
WORKER = """INSERT INTO pocketlet.worker (host, pid, role, heartbeat)
  VALUES ('bench', 1, 'command', pocketlet.now() + interval '1 hour') RETURNING id"""
NO_JOB = "DELETE FROM queue.procrastinate_jobs WHERE lock = 'run:' || %s"
GONE = "DELETE FROM pocketlet.worker WHERE id = %s"
LEDGER = """INSERT INTO pocketlet.ledger (agent_id, agent, run_id, step_seq, kind, model, state, scopes, reserved, cost,
  input_tokens, output_tokens, price, price_version)
  VALUES (%s, 'long', %s, %s, 'run', 'openai:none', 'settled', '{}', 0.001, 0.0005, 900, 40, '{}', 'bench')"""
ROWS = "name\tcity\tspent\n" + "".join(f"Customer {n}\tTown {n}\t{n * 7}.50\n" for n in range(8)) + "(8 rows)"


class Long:
    """A run with many steps, each pair a reply with some prose and a look at rows."""

    def __init__(self, opened: pool.Database, agent: agents.Agent) -> None:
        self._database = opened
        self._agent = agent
        self._run: runs.Run | None = None
        self._worker = 0
        self.seq = 0

    async def begin(self) -> int:
        """Its number."""
        task = tasks.read(b"Go through all customers")
        values: dict[str, Any] = {"agent": self._agent.id, "kind": "run", "revision": 1, "raw": b"x", "facts": {}}
        async with self._database.api() as conn:
            number = await runs.insert(conn, values | {"input": task.record(), "label": task.label})
            await conn.execute(NO_JOB, (number,))
            row = await (await conn.execute(WORKER)).fetchone()
            self._worker = row["id"] if row else 0
            self._run = await runs.claim(conn, number, self._worker)
        return number

    async def write(self, count: int) -> float:
        """So many more steps, in one transaction; when it was committed."""
        assert self._run
        async with self._database.api() as conn:
            for _ in range(count):
                self.seq += 1
                await journal.write(conn, self._run.id, self._run.fence, _step(self.seq))
                if self.seq % 2:
                    await conn.execute(LEDGER, (self._agent.id, self._run.id, self.seq))
        return time.perf_counter()

    async def end(self) -> None:
        """It is done."""
        assert self._run
        async with self._database.api() as conn:
            await runs.rest(conn, self._run, "done", outcome="done", result="All customers are gone through.")
            await conn.execute(GONE, (self._worker,))


def _step(seq: int) -> journal.Step:
    if seq % 2 == 0:
        meta = {"seconds": 0.01, "rows": 8, "capped": "", "tables": ["customers"], "from": "own-data"}
        asked = {"query": f"SELECT name, city, spent FROM customers WHERE id > {seq} ORDER BY spent DESC LIMIT 8"}
        return journal.Step(seq, "tool", "sql", asked, ROWS, None, "owner", meta)
    calls = [{"id": "c", "tool": "sql", "args": {"query": "SELECT name FROM customers"}, "raw": ""}]
    text = f"Next I look at the customers from number {seq} on, the **dearest** first, and write down who is late."
    reply = {"text": text, "calls": calls, "finish": "tool_call", "message": {"content": text}}
    usage = {"input": 900, "output": 40, "cached": 0}
    return journal.Step(seq, "model", None, {"hash": "x"}, reply | {"usage": usage}, None, "owner", {"seconds": 0.4})


async def opening(url: str, number: int, times: int) -> tuple[list[float], int]:
    """Seconds that the page took, each time, and its bytes."""
    taken: list[float] = []
    size = 0
    async with httpx2.AsyncClient(base_url=url, timeout=60) as client:
        for _ in range(times):
            began = time.perf_counter()
            answer = await client.get(f"/runs/{number}")
            taken.append(time.perf_counter() - began)
            assert answer.status_code == 200
            size = len(answer.content)
    return taken, size


async def visible(url: str, number: int, long: Long, times: int, seed: int) -> list[float]:
    """Seconds from the commit of a step until it is in the page's stream."""
    arrived: dict[int, float] = {}
    here = asyncio.Event()

    async def follow() -> None:
        after = long.seq
        async with (
            httpx2.AsyncClient(base_url=url, timeout=60) as client,
            client.stream("GET", f"/runs/{number}/live?after={after}") as answer,
        ):
            async for line in answer.aiter_lines():
                here.set()
                if line.startswith("id: "):
                    for seq in range(max(arrived, default=after) + 1, int(line[4:].partition(":")[0]) + 1):
                        arrived[seq] = time.perf_counter()
                if len(arrived) >= times:
                    return

    following = asyncio.create_task(follow())
    await here.wait()
    dice = random.Random(seed)
    committed: dict[int, float] = {}
    for _ in range(times):
        await asyncio.sleep(dice.uniform(0.02, 0.4))
        at = await long.write(1)
        committed[long.seq] = at
    await following
    return [arrived[seq] - at for seq, at in committed.items()]


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """On a Postgres of its own."""
    with tempfile.TemporaryDirectory(prefix="pocketlet-bench-") as folder:
        Path(folder).chmod(0o755)
        config = settings.read({"POCKETLET_HOME": str(Path(folder) / "home")})
        async with database.opened(config) as opened:
            source = Path(folder) / "agent"
            source.mkdir()
            (source / "agent.toml").write_text(AGENT, encoding="utf-8")
            await portable.load(opened, source)
            async with opened.api() as conn:
                agent = await agents.get(conn, "long")
            long = Long(opened, agent)
            number = await long.begin()
            await long.write(options.steps)
            async with listening.serving(config.home) as port:
                url = f"http://127.0.0.1:{port}"
                taken, size = await opening(url, number, options.times)
                delays = await visible(url, number, long, options.live, options.seed)
    slowest, late = max(taken), statistics.quantiles(delays, n=20)[-1]
    return {
        "steps": options.steps,
        "page_kb": round(size / 1024),
        "opens_median_s": round(statistics.median(taken), 3),
        "opens_slowest_s": round(slowest, 3),
        "opens_of_target": round(slowest / OPENS, 2),
        "visible_median_ms": round(statistics.median(delays) * 1000),
        "visible_p95_ms": round(late * 1000),
        "visible_of_target": round(late / VISIBLE, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--times", type=int, default=10, help="how often the page is opened")
    parser.add_argument("--live", type=int, default=100, help="steps that are followed")
    parser.add_argument("--seed", type=int, default=1)
    print(json.dumps(asyncio.run(measure(parser.parse_args()))))


if __name__ == "__main__":
    main()
