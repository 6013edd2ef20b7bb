"""`python -m bench.webhooks`: many copies of each delivery on several connections; the last line is one JSON object."""

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from bench import listening

from pocketlet import settings
from pocketlet.agents import agent as agents
from pocketlet.agents import portable
from pocketlet.agents.triggers import stored
from pocketlet.db import pool
from pocketlet.platform import database, signatures, vault

MANIFEST = """
name = "hooked"
job = "Look at what comes."
model = "openai:none"
price = {input = 1.0, output = 2.0}

[triggers.orders]
webhook = "standard"
secret = "HOOK"
"""
SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"
COUNTS = """
SELECT (SELECT count(*) FROM pocketlet.slot WHERE agent_id = %s) AS slots,
       (SELECT count(*) FROM pocketlet.run WHERE agent_id = %s) AS runs
"""


def request(port: int, identity: str, at: int, body: bytes) -> bytes:
    """A signed delivery."""
    fields = signatures.sign([signatures.key(SECRET)], identity, at, body)
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    head = f"POST /hooks/hooked/orders HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {len(body)}\r\n{lines}\r\n"
    return head.encode() + body


class Load:
    """Deliveries on several connections; `statuses` and `times` (seconds) of the answers."""

    def __init__(self, port: int, options: argparse.Namespace, at: int) -> None:
        identities = [f"msg_{number % options.distinct}" for number in range(options.deliveries)]
        random.Random(options.seed).shuffle(identities)
        self.port = port
        self.at = at
        self.statuses: Counter[int] = Counter()
        self.times: list[float] = []
        self._waiting = iter(identities)
        self._body = b'{"order": "' + b"x" * options.size + b'"}'

    async def lane(self) -> None:
        """One connection, which stays open."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        for identity in self._waiting:
            raw = request(self.port, identity, self.at, self._body)
            began = time.perf_counter()
            writer.write(raw)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.partition(b"content-length: ")[2].split()[0]))
            self.times.append(time.perf_counter() - began)
            self.statuses[int(head.split()[1])] += 1
        writer.close()


async def ready(opened: pool.Database, config: settings.Settings, folder: Path) -> agents.Agent:
    """An agent with a trigger, and its secret."""
    folder.mkdir()
    (folder / "agent.toml").write_text(MANIFEST, encoding="utf-8")
    agent = await portable.load(opened, folder)
    async with opened.api() as conn:
        await vault.put(conn, vault.key(config.home), "HOOK", SECRET)
        await vault.grant(conn, "HOOK", agent.id)
    return agent


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """On a Postgres of its own."""
    with tempfile.TemporaryDirectory(prefix="pocketlet-bench-") as folder:
        Path(folder).chmod(0o755)
        config = settings.read({"POCKETLET_HOME": str(Path(folder) / "home")})
        async with database.opened(config, fast=True) as opened:
            agent = await ready(opened, config, Path(folder) / "agent")
            async with opened.api() as conn:
                at = int((await stored.now(conn)).timestamp())
            async with listening.serving(config.home) as port:
                load = Load(port, options, at)
                began = time.perf_counter()
                async with asyncio.TaskGroup() as lanes:
                    for _ in range(options.connections):
                        lanes.create_task(load.lane())
                seconds = time.perf_counter() - began
            async with opened.api() as conn:
                counts = await (await conn.execute(COUNTS.encode(), [agent.id, agent.id])).fetchone() or {}
    cuts = statistics.quantiles(load.times, n=100)
    told: dict[str, Any] = {"deliveries": options.deliveries, "distinct": options.distinct, **counts}
    told |= {"statuses": dict(sorted(load.statuses.items())), "seconds": round(seconds, 1)}
    told |= {"deliveries_per_second": round(options.deliveries / seconds)}
    return told | {"p50_ms": round(cuts[49] * 1000, 1), "p99_ms": round(cuts[98] * 1000, 1)}


def parse() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="bench.webhooks", description=__doc__)
    parser.add_argument("--deliveries", type=int, default=10_000)
    parser.add_argument("--distinct", type=int, default=500, help="ids; a trigger takes 600 new ones a minute")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--size", type=int, default=500, help="bytes of a body")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def main() -> int:
    """Prints the figures; 1 unless each id is one slot and one run."""
    options = parse()
    told = asyncio.run(measure(options))
    print(f"  {told['deliveries']} deliveries of {told['distinct']} events: {told['runs']} runs, {told['slots']} slots")
    print(f"  {told['deliveries_per_second']} a second; p50 {told['p50_ms']} ms, p99 {told['p99_ms']} ms")
    print(json.dumps(told))
    return int(not told["runs"] == told["slots"] == told["distinct"])


if __name__ == "__main__":
    sys.exit(main())
