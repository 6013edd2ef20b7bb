"""Every attempt of the escape corpus, on both versions, by each login that it names."""

from collections.abc import AsyncGenerator

import attempts
import psycopg
import pytest

from pocketlet import errors
from pocketlet.db import pool, reader

ALL = list(attempts.attempts())


@pytest.fixture(scope="session")
async def judge(arena: pool.Database) -> AsyncGenerator[pool.Conn]:
    """The superuser, who only looks."""
    async with arena.setup() as conn:
        yield conn


@pytest.fixture(scope="session")
async def before(judge: pool.Conn) -> dict[str, str]:
    """The evidence as it is before the first attempt, and must be after each."""
    return await attempts.evidence(judge)


@pytest.mark.parametrize("attempt", ALL, ids=str)
async def test_attempt(
    arena: pool.Database, judge: pool.Conn, before: dict[str, str], attempt: attempts.Attempt
) -> None:
    outcome = await attempts.run(arena, attempt)
    after = await attempts.evidence(judge)
    assert not attempts.verdict(attempt, outcome)
    assert after == before, {subject for subject in after if after[subject] != before[subject]}


def test_every_entry_is_tried_or_says_why_not() -> None:
    tried = {attempt.name for attempt in ALL}
    entries = attempts.entries()
    later = [name for name, entry in entries.items() if "later" in entry]
    elsewhere = [name for name, entry in entries.items() if "elsewhere" in entry]
    assert tried | set(later) | set(elsewhere) == set(entries)
    assert all(entries[name].get("note") for name in tried if "residue" in entries[name])


@pytest.mark.parametrize("role", ["mallory", "mallory_ro", "mallory_try", "mallory_bnd"])
@pytest.mark.parametrize("name", ["postgres", "template1"])
async def test_no_login_to_another_database(arena: pool.Database, role: str, name: str) -> None:
    with pytest.raises(errors.NoPostgres, match="permission denied for database"):
        async with arena.login(role, database=name):
            pass


@pytest.mark.parametrize(
    ("role", "limit"), [("mallory", 10), ("mallory_ro", 5), ("mallory_try", 5), ("mallory_bnd", 5)]
)
async def test_connections_are_counted(arena: pool.Database, role: str, limit: int) -> None:
    connections: list[psycopg.AsyncConnection] = []
    try:
        for _ in range(limit):
            connections.append(await psycopg.AsyncConnection.connect(**arena.conninfo(role)))
        with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
            await psycopg.AsyncConnection.connect(**arena.conninfo(role))
        if role == "mallory_ro":
            with pytest.raises(errors.NoPostgres, match="too many connections"):
                await reader.query(arena, role, "SELECT 1")
    finally:
        for connection in connections:
            await connection.close()


async def test_an_app_ends_no_session_but_its_own(arena: pool.Database) -> None:
    async with arena.api() as platform, arena.login("alice") as peer, arena.login("mallory") as conn:
        for victim in (platform, peer):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await conn.execute("SELECT pg_terminate_backend(%s)", (victim.info.backend_pid,))
