"""The queue: jobs are done, and what dead workers held comes back at once, once."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from pocketlet import errors
from pocketlet.agents import agent as agents
from pocketlet.agents import manifest as manifests
from pocketlet.agents import portable, runs
from pocketlet.agents import task as tasks
from pocketlet.db import pool
from pocketlet.platform import queue

MANIFEST = 'name = "queued"\njob = "Wait."\nmodel = "openai:none"\n'


@pytest.fixture
async def agent(db: pool.Database, tmp_path: Path) -> AsyncGenerator[agents.Agent]:
    """An agent whose runs nobody takes up but the test."""
    (tmp_path / "agent.toml").write_text(MANIFEST)
    yield await portable.load(db, tmp_path)
    await portable.remove(db, "queued")


@pytest.fixture
def dead_pid() -> int:
    """The number of a process of this machine that is no more."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


async def create(db: pool.Database, agent: agents.Agent) -> int:
    """A queued run."""
    async with db.api() as conn:
        return await runs.create(conn, agent, tasks.read(b"Go."), b"Go.", manifests.parse(MANIFEST))


async def rows(db: pool.Database, query: str, *values: Any) -> list[dict[str, Any]]:
    """Rows of the platform's own tables; a statement that changes them gives none."""
    async with db.api() as conn:
        cursor = await conn.execute(query.encode(), values)
        return list(await cursor.fetchall()) if cursor.description else []


async def jobs(db: pool.Database, run: int) -> list[str]:
    """The states of a run's jobs."""
    query = "SELECT status::text FROM queue.procrastinate_jobs WHERE lock = %s ORDER BY id"
    return [row["status"] for row in await rows(db, query, f"run:{run}")]


async def begun_by_the_dead(db: pool.Database, run: int, pid: int, state: str) -> None:
    """As if a worker process, gone since, had fetched the run's job and left the run in `state`."""
    (hands,) = await rows(db, "SELECT queue.procrastinate_register_worker_v1() AS id")
    held = "UPDATE queue.procrastinate_jobs SET status = 'doing', worker_id = %s WHERE lock = %s"
    await rows(db, held, hands["id"], f"run:{run}")
    worker = await queue.register(db, "worker")
    await rows(db, "UPDATE pocketlet.worker SET pid = %s, queue_worker = %s WHERE id = %s", pid, hands["id"], worker)
    holder = worker if state == "running" else None
    await rows(db, "UPDATE pocketlet.run SET state = %s, worker_id = %s WHERE id = %s", state, holder, run)


async def test_a_worker_is_listed_while_it_is_there(db: pool.Database) -> None:
    worker = await queue.register(db, "up", queue.Ports(2525))
    async with db.api() as conn:
        (found,) = [row for row in await queue.workers(conn) if row["id"] == worker]
    assert (found["role"], found["pid"], found["mail_port"]) == ("up", os.getpid(), 2525)
    await queue.unregister(db, worker)
    async with db.api() as conn:
        assert worker not in [row["id"] for row in await queue.workers(conn)]


async def test_a_run_is_queued_once_at_a_time(db: pool.Database, agent: agents.Agent) -> None:
    run = await create(db, agent)
    async with db.api() as conn:
        await runs.wake(conn, run)
        await runs.wake(conn, run)
    assert await jobs(db, run) == ["todo"]


async def test_a_run_that_was_not_made_leaves_no_job(db: pool.Database, agent: agents.Agent) -> None:
    before = await rows(db, "SELECT FROM queue.procrastinate_jobs")
    async with db.api() as conn:
        await runs.create(conn, agent, tasks.read(b"Go."), b"Go.", manifests.parse(MANIFEST))
        await conn.rollback()
    assert await rows(db, "SELECT FROM queue.procrastinate_jobs") == before


@pytest.mark.parametrize("state", ["queued", "running", "waiting"])
async def test_what_a_dead_worker_held_comes_back_at_once(
    db: pool.Database, agent: agents.Agent, dead_pid: int, state: str
) -> None:
    run = await create(db, agent)
    await begun_by_the_dead(db, run, dead_pid, state)
    assert await queue.rescue(db) == 1
    assert await jobs(db, run) == ["todo"]
    async with db.api() as conn:
        assert await runs.state(conn, run) == ("waiting" if state == "waiting" else "queued")
    assert await queue.rescue(db) == 0


async def test_a_run_that_was_woken_after_its_worker_died_is_not_stuck(
    db: pool.Database, agent: agents.Agent, dead_pid: int
) -> None:
    run = await create(db, agent)
    await begun_by_the_dead(db, run, dead_pid, "waiting")
    async with db.api() as conn:
        await runs.wake(conn, run)
    assert await jobs(db, run) == ["doing", "todo"]
    await queue.rescue(db)
    assert await jobs(db, run) == ["todo"]


async def test_a_job_whose_holder_nobody_knows_comes_back(db: pool.Database, agent: agents.Agent) -> None:
    run = await create(db, agent)
    await rows(db, "UPDATE queue.procrastinate_jobs SET status = 'doing' WHERE lock = %s", f"run:{run}")
    async with db.api() as conn:
        await runs.wake(conn, run)
    assert await queue.rescue(db) == 1
    assert await jobs(db, run) == ["todo"]


async def test_what_a_living_worker_holds_is_left_alone(db: pool.Database, agent: agents.Agent) -> None:
    run = await create(db, agent)
    await begun_by_the_dead(db, run, os.getpid(), "running")
    assert await queue.rescue(db) == 0
    assert await jobs(db, run) == ["doing"]
    await rows(db, "DELETE FROM pocketlet.worker")
    assert await queue.rescue(db) == 1


async def test_a_worker_that_was_thought_dead_goes_on(db: pool.Database, agent: agents.Agent) -> None:
    """A laptop that slept: its row was given up, its heartbeat comes back, and the runs that it claims are its own."""
    worker = await queue.register(db, "worker")
    await rows(db, "UPDATE pocketlet.worker SET heartbeat = heartbeat - interval '1 hour' RETURNING id")
    await queue.rescue(db)
    run = await create(db, agent)
    async with db.api() as conn:
        assert await runs.claim(conn, run, worker) is not None
    await queue.unregister(db, worker)


async def test_a_queued_run_that_lost_its_job_gets_one(db: pool.Database, agent: agents.Agent) -> None:
    run = await create(db, agent)
    await rows(db, "DELETE FROM queue.procrastinate_jobs WHERE lock = %s RETURNING id", f"run:{run}")
    await queue.rescue(db)
    assert await jobs(db, run) == ["todo"]


async def test_jobs_are_done_and_gone(db: pool.Database, agent: agents.Agent) -> None:
    numbers = [await create(db, agent) for _ in range(6)]
    done: asyncio.Queue[int] = asyncio.Queue()
    worker = await queue.register(db, "worker")

    async def advance(run: int) -> None:
        await rows(db, "UPDATE pocketlet.run SET state = 'done' WHERE id = %s RETURNING id", run)
        await done.put(run)

    async with queue.working(db, worker, advance):
        found = [await asyncio.wait_for(done.get(), 60) for _ in numbers]
    assert sorted(found) == numbers
    assert [state for number in numbers for state in await jobs(db, number)] == []
    await queue.unregister(db, worker)


async def test_a_worker_goes_on_after_its_connections_were_cut(db: pool.Database, agent: agents.Agent) -> None:
    done: asyncio.Queue[int] = asyncio.Queue()
    worker = await queue.register(db, "worker")
    async with queue.working(db, worker, done.put):
        first = await create(db, agent)
        assert await asyncio.wait_for(done.get(), 60) == first
        async with db.setup() as conn:
            await conn.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'pd_api'")
        second = await _create_again(db, agent)
        assert await asyncio.wait_for(done.get(), 60) == second
    await queue.unregister(db, worker)


async def _create_again(db: pool.Database, agent: agents.Agent) -> int:
    """The pool hands out each cut connection once more before it notices."""
    for _ in range(20):
        try:
            return await create(db, agent)
        except errors.NoPostgres:
            continue
    raise AssertionError("Postgres stays away")
