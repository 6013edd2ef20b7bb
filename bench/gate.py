"""What the reader gate costs: the same SELECT through it and on a plain new connection, as a ratio of one run."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from pocketlet import settings
from pocketlet.db import reader
from pocketlet.platform import apps, database

ROUNDS = 200
STATEMENT = "SELECT id, subject FROM memories ORDER BY id LIMIT 20"


async def p50(work: Callable[[], Awaitable[object]]) -> float:
    """The median of ROUNDS calls, in ms."""
    took: list[float] = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        await work()
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


async def main() -> None:
    """Prints both medians and their ratio."""
    with tempfile.TemporaryDirectory() as home:
        config = settings.read({"POCKETLET_HOME": str(Path(home) / "home")})
        async with database.opened(config, fast=True) as db:
            await apps.install(db, "bench")

            async def plain() -> None:
                async with db.login("bench_ro") as conn:
                    await (await conn.execute(STATEMENT.encode())).fetchall()

            async def gated() -> None:
                await reader.query(db, "bench_ro", STATEMENT)

            base, gate = await p50(plain), await p50(gated)
    print(f"plain SELECT on a new connection  p50 {base:6.2f} ms")
    print(f"the same through the gate         p50 {gate:6.2f} ms   {gate / base:4.1f} x")


asyncio.run(main())
