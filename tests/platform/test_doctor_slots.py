"""`doctor` sees slots that nobody began, settled or told of, and runs that are past their deadline."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from pocketlet.agents import agent as agents
from pocketlet.agents import portable
from pocketlet.db import pool
from pocketlet.platform import doctor, notices

TRIGGER = """
INSERT INTO pocketlet.trigger (agent_id, name, kind, spec) VALUES (%(agent)s, 'daily', 'schedule', '{}') RETURNING id
"""
SLOT = """
INSERT INTO pocketlet.slot (agent_id, trigger_id, key, state, run_id, due_at, ended_at)
VALUES (%(agent)s, %(trigger)s, %(state)s || clock_timestamp(), %(state)s, %(run)s,
        pocketlet.now() - interval '1 hour', CASE %(state)s WHEN 'failed' THEN pocketlet.now() END) RETURNING id
"""
RUN = """
INSERT INTO pocketlet.run (agent_id, kind, revision, input, label, state, ended_at, deadline_at)
VALUES (%(agent)s, 'run', 1, '{}', 'owner', %(state)s, pocketlet.now() - interval '1 hour',
        pocketlet.now() - interval '1 hour') RETURNING id
"""


async def add(db: pool.Database, statement: str, **values: object) -> int:
    """A row; its number."""
    async with db.api() as conn:
        row = await (await conn.execute(statement.encode(), values)).fetchone()
    assert row
    return row["id"]


async def wrong(db: pool.Database, check: str) -> list[str]:
    """What the check finds amiss."""
    query = next(query for name, query, _ in doctor.ROWS if name == check)
    async with db.api() as conn:
        rows = await (await conn.execute(doctor.Q[query], {"dead_after": 10.0})).fetchall()
    return [row["what"] for row in rows]


@pytest.fixture
async def agent(db: pool.Database, tmp_path: Path) -> AsyncGenerator[agents.Agent]:
    """An agent that does nothing."""
    (tmp_path / "agent.toml").write_text('name = "idle"\njob = "Nothing."\nmodel = "openai:x"\n', encoding="utf-8")
    yield await portable.load(db, tmp_path)
    await portable.remove(db, "idle")


@pytest.fixture
async def trigger(db: pool.Database, agent: agents.Agent) -> AsyncGenerator[int]:
    """A schedule of an agent; nothing of it is left."""
    number = await add(db, TRIGGER, agent=agent.id)
    yield number
    async with db.setup() as conn:
        await conn.execute(b"DELETE FROM pocketlet.slot WHERE trigger_id = %s", (number,))
        await conn.execute(b"DELETE FROM pocketlet.run WHERE agent_id = %s", (agent.id,))
        await conn.execute(b"DELETE FROM pocketlet.notice WHERE problem LIKE 'trigger:%%'")


async def test_slots_that_nobody_began_or_settled(db: pool.Database, agent: agents.Agent, trigger: int) -> None:
    run = await add(db, RUN, agent=agent.id, state="done")
    due = await add(db, SLOT, agent=agent.id, trigger=trigger, state="due", run=None)
    claimed = await add(db, SLOT, agent=agent.id, trigger=trigger, state="claimed", run=run)
    assert await wrong(db, "due slots are begun") == [f"slot {due}"]
    assert await wrong(db, "slots end with their runs") == [f"slot {claimed}"]


async def test_a_failed_slot_that_nobody_was_told_of(db: pool.Database, agent: agents.Agent, trigger: int) -> None:
    failed = await add(db, SLOT, agent=agent.id, trigger=trigger, state="failed", run=None)
    assert await wrong(db, "failed slots were told of") == [f"slot {failed}"]
    async with db.api() as conn:
        await notices.report(conn, notices.Notice(f"trigger:{trigger}:failed", "It failed."))
    assert await wrong(db, "failed slots were told of") == []


async def test_a_run_past_its_deadline(db: pool.Database, agent: agents.Agent, trigger: int) -> None:
    run = await add(db, RUN, agent=agent.id, state="queued")
    assert await wrong(db, "runs end by their deadline") == [f"run {run}"]
