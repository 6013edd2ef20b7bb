"""A worker process that kills itself with SIGKILL at a chosen point of a run, or of what is learnt from one."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from pocketlet import settings
from pocketlet.agents import approving, runs, worker
from pocketlet.db import pool
from pocketlet.learning import kinds

PRELOAD = [
    "pocketlet.agents.worker",
    "pocketlet.platform.gateways.clients",
    "pocketlet.platform.gateways.failures",
    "pocketlet.platform.gateways.wire_format",
    "pydantic_ai.models.openai",
    "pydantic_ai.providers.openai",
]

MOVING = b"""
SELECT FROM pocketlet.run r JOIN pocketlet.run o ON o.agent_id = r.agent_id
 WHERE o.id = %s AND r.state IN ('queued', 'running')
"""


@dataclass(frozen=True, slots=True)
class Point:
    """Where a worker dies: just before or just after a commit of the run.

    `commit` is the number of that commit in this process; or `effect` the state that the run's effect is in then;
    or `mailed`: the mail has left already.
    """

    side: str
    commit: int = 0
    effect: str = ""
    mailed: bool = False

    def __str__(self) -> str:
        return f"{self.side} " + (self.effect or ("the mail left" if self.mailed else f"commit {self.commit}"))


@dataclass(frozen=True, slots=True)
class Order:
    """What a worker process is given; everything in it can be pickled.

    With `learns`, it is done when nothing of the run's agent is left to do, and not when the run rests.
    """

    host: str
    port: int
    user: str
    home: Path
    maildir: Path
    environment: dict[str, str]
    run: int
    point: Point | None
    learns: bool = False


class Doomed(pool.Database):
    """A database that ends its process at one of the commits of a run."""

    def __init__(self, order: Order) -> None:
        super().__init__(pool.Address(order.host, order.port, "pocketlet", order.user, None, lambda role: None))
        self.commits = 0
        self.committed = asyncio.Event()
        self._order = order

    @asynccontextmanager
    async def api(self) -> AsyncGenerator[pool.Conn]:
        task = asyncio.current_task()
        of_a_run = task is not None and task.get_name().startswith("process job")
        async with super().api() as conn:
            yield conn
            if of_a_run:
                self.commits += 1
                await self._pass("before", conn)
        if of_a_run:
            self.committed.set()
            async with super().api() as conn:
                await self._pass("after", conn)

    async def _pass(self, side: str, conn: pool.Conn) -> None:
        point = self._order.point
        if point is None or point.side != side:
            return
        if point.effect:
            query = "SELECT FROM pocketlet.effect WHERE run_id = %s AND state = %s"
            reached = (await conn.execute(query, (self._order.run, point.effect))).rowcount > 0
        elif point.mailed:
            reached = any((self._order.maildir / "new").iterdir())
        else:
            reached = self.commits == point.commit
        if reached:
            os.kill(os.getpid(), signal.SIGKILL)


def work(order: Order, pipe: Connection) -> None:
    """Serves until the other end says so; tells it whenever the run is at rest: (its state, commits so far)."""
    os.environ.update(order.environment)
    asyncio.run(_serve(order, pipe))


async def _serve(order: Order, pipe: Connection) -> None:
    config = settings.read({"POCKETLET_HOME": str(order.home)})
    async with Doomed(order) as database, worker.serving(database, config, "worker", kinds.KINDS):
        while True:
            rest = _learnt if order.learns else _rest
            pipe.send((await rest(database, order.run), database.commits))
            if await asyncio.to_thread(pipe.recv) == "end":
                return


async def _rest(database: Doomed, run: int) -> str:
    """The state in which nothing moves until a person says something."""
    while True:
        database.committed.clear()
        async with database.api() as conn:
            state = await runs.state(conn, run)
            asked = any(question["run"] == run for question in await approving.questions(conn))
        if state in runs.AT_REST and (state != "waiting" or asked):
            return state
        await database.committed.wait()


async def _learnt(database: Doomed, run: int) -> str:
    """Done, once neither the manager nor the gate has anything left to do."""
    while True:
        database.committed.clear()
        async with database.api() as conn:
            moving = (await conn.execute(MOVING, (run,))).rowcount
        if not moving:
            return "done"
        await database.committed.wait()
