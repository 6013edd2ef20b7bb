"""The stage of the story: a home without other workers, the shop's folder made from its seed, and a fresh agent."""

import asyncio
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from pocketlet import clock, errors
from pocketlet.agents import agent as agents
from pocketlet.agents import portable, revisions
from pocketlet.db import pool
from pocketlet.demo import data, telling, waiting
from pocketlet.platform import cluster_home, locks, queue

AGENT = "crm"
ELSEWHERE = "Tell the demo elsewhere: POCKETLET_HOME=/some/new/folder pocketlet demo crm"


@contextmanager
def only_demo(home: Path) -> Generator[None]:
    """Keeps other demos out of this home. Raises errors.Conflict if one is there."""
    cluster_home.make_home(home)
    (home / "demo").mkdir(exist_ok=True)
    lock = locks.open_file(home / "demo" / "lock")
    try:
        if not locks.try_exclusive(lock):
            raise errors.Conflict("A demo is running in this home already.", hint=ELSEWHERE)
        yield
    finally:
        locks.unlock_and_close(lock)


async def check_alone(database: pool.Database) -> None:
    """A worker that is there would take the demo's runs, with its own model. Raises errors.Conflict.

    One that a killed demo left behind ends by itself within moments.
    """
    deadline = clock.monotonic() + waiting.PATIENCE
    while True:
        await queue.rescue(database)
        async with database.api() as conn:
            roles = {worker["role"] for worker in await queue.workers(conn)}
        if roles & {"up", "worker"} or ("demo" in roles and clock.monotonic() > deadline):
            raise errors.Conflict(
                "Another worker is running here, and would take the demo's runs.",
                hint=f"`pocketlet down` stops it. {ELSEWHERE}",
            )
        if "demo" not in roles:
            return
        await asyncio.sleep(waiting.EVERY)


async def prepare(database: pool.Database, folder: Path, seed: int, teller: telling.Teller) -> data.Cast:
    """A fresh folder and a fresh agent; a killed demo's are taken away first."""
    async with database.api() as conn:
        there = [agent for agent in await agents.everyone(conn) if agent.name == AGENT]
        for agent in there:
            if agent.origin != "demo" or await _has_own_revision(conn, agent):
                raise errors.Conflict("There is an agent `crm` that is not the demo's, or not only.", hint=ELSEWHERE)
    if there:
        teller.progress("taking the last demo's agent away, with its runs and lessons")
        await portable.remove(database, AGENT)
    shutil.rmtree(folder, ignore_errors=True)
    with resources.as_file(resources.files("pocketlet.demo") / "crm") as source:
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns("__pycache__"))
    cast = data.write(folder, seed=seed, today=clock.now().date())
    await portable.load(database, folder, origin="demo")
    return cast


async def _has_own_revision(conn: pool.Conn, agent: agents.Agent) -> bool:
    """Whether its owner imported a revision over what the demo made: those of the manager come from its runs."""
    return any(row["revision"] != 1 and row["run"] is None for row in await revisions.history(conn, agent))
