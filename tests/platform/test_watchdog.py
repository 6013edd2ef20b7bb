"""The watchdog: limits that no session can switch off, and settings that come back."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import psycopg
import pytest

from pocketlet.db import pool
from pocketlet.platform import apps, watchdog

NEVER = watchdog.Limits(reader_active=3600, reader_idle=3600, app_active=3600, app_idle=3600)
READERS_NOW = watchdog.Limits(reader_active=0, reader_idle=0, app_active=3600, app_idle=3600)
APPS_NOW = watchdog.Limits(reader_active=3600, reader_idle=3600, app_active=0, app_idle=0)
BURN = "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r"
SETTINGS = """
SELECT setdatabase, setrole::regrole::text, setting FROM pg_db_role_setting, unnest(setconfig) AS setting
 ORDER BY 1, 2, 3
"""


@asynccontextmanager
async def burning(db: pool.Database, role: str) -> AsyncGenerator[asyncio.Task[object]]:
    """A session of `role` that switched its time limit off and is in a statement without end."""
    async with db.login(role) as conn, db.login("pd_watch") as watch:
        await conn.execute("SET statement_timeout = 0")
        task: asyncio.Task[object] = asyncio.create_task(conn.execute(BURN))
        seen = "SELECT FROM pg_stat_activity WHERE pid = %s AND state = 'active' AND query LIKE 'WITH RECURSIVE%%'"
        while not (await watch.execute(seen, (conn.info.backend_pid,))).rowcount:
            pass
        yield task


async def settings_of_all(db: pool.Database) -> list[dict[str, object]]:
    async with db.setup() as conn:
        return await (await conn.execute(SETTINGS)).fetchall()


async def test_a_fresh_app_has_the_settings_that_are_wanted(db: pool.Database, app: str) -> None:
    assert await watchdog.sweep(db) == []


async def test_a_reader_that_switched_its_time_limit_off_is_ended(db: pool.Database, app: str) -> None:
    role = apps.reader(app)
    async with burning(db, role) as task:
        assert await watchdog.sweep(db, NEVER) == []
        [ended] = await watchdog.sweep(db, READERS_NOW)
        assert (ended["role"], ended["was"], ended["ended"]) == (role, "active", True)
        with pytest.raises(psycopg.errors.AdminShutdown):
            await task


async def test_an_app_has_its_own_limit(db: pool.Database, app: str) -> None:
    async with burning(db, app) as task:
        assert await watchdog.sweep(db, READERS_NOW) == []
        [ended] = await watchdog.sweep(db, APPS_NOW)
        assert ended["role"] == app
        with pytest.raises(psycopg.errors.AdminShutdown):
            await task


@pytest.mark.parametrize("broken", [False, True])
async def test_a_transaction_that_nobody_works_in_is_ended(db: pool.Database, app: str, broken: bool) -> None:
    async with db.login(apps.reader(app)) as conn:
        await conn.execute("SET idle_in_transaction_session_timeout = 0")
        await conn.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        await conn.execute("SELECT 1")
        if broken:
            with pytest.raises(psycopg.errors.DivisionByZero):
                await conn.execute("SELECT 1 / 0")
        [ended] = await watchdog.sweep(db, READERS_NOW)
        assert ended["was"] == "idle in transaction"
        with pytest.raises(psycopg.OperationalError):
            await conn.execute("SELECT 1")


async def test_who_is_neither_app_nor_reader_is_left_alone(db: pool.Database, app: str) -> None:
    now = watchdog.Limits(reader_active=0, reader_idle=0, app_active=0, app_idle=0)
    async with db.setup() as superuser, db.api() as platform, db.admin() as admin, db.login(app) as idle:
        for conn in (superuser, platform, admin):
            await conn.execute("SELECT 1")
        assert await watchdog.sweep(db, now) == []
        for conn in (superuser, platform, admin, idle):
            await conn.execute("SELECT 1")


@pytest.mark.parametrize(
    "change",
    [
        "ALTER ROLE CURRENT_USER SET statement_timeout = 0",
        "ALTER ROLE CURRENT_USER SET default_transaction_read_only = off",
        "ALTER ROLE CURRENT_USER SET search_path = pg_temp",
        "ALTER ROLE CURRENT_USER SET application_name = 'mine'",
        "ALTER ROLE CURRENT_USER RESET idle_in_transaction_session_timeout",
        "ALTER ROLE CURRENT_USER RESET ALL",
        "ALTER ROLE CURRENT_USER IN DATABASE pocketlet SET statement_timeout = 0",
    ],
)
@pytest.mark.parametrize("reads", [True, False])
async def test_settings_come_back(db: pool.Database, app: str, change: str, reads: bool) -> None:
    role = apps.reader(app) if reads else app
    before = await settings_of_all(db)
    async with db.login(role) as conn:
        await conn.execute("SET default_transaction_read_only = off")
        await conn.execute(change.encode())
    assert await settings_of_all(db) != before
    assert await watchdog.sweep(db) == [{"app": app, "roles": [role]}]
    assert await settings_of_all(db) == before
    assert await watchdog.sweep(db) == []


async def test_it_watches_until_it_is_cancelled_and_reconnects(db: pool.Database, app: str) -> None:
    task = asyncio.create_task(watchdog.watch(db, every=0))
    try:
        for _ in range(2):
            async with db.login(app) as conn:
                await conn.execute("ALTER ROLE CURRENT_USER SET statement_timeout = 0")
            while await drifted(db):
                pass
            async with db.setup() as conn:
                await conn.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'pd_watch'")
    finally:
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def drifted(db: pool.Database) -> bool:
    return any(row["setting"] == "statement_timeout=0" for row in await settings_of_all(db))


async def test_what_is_written_to_a_roles_settings_is_noticed_even_if_it_is_what_stood_there(
    db: pool.Database, app: str
) -> None:
    async with db.login("pd_watch") as conn:
        before = await (await conn.execute(watchdog.Q["written"])).fetchone()
        assert await (await conn.execute(watchdog.Q["written"])).fetchone() == before
        async with db.login(app) as own:
            await own.execute("ALTER ROLE CURRENT_USER SET statement_timeout = 0")
            await own.execute("ALTER ROLE CURRENT_USER RESET statement_timeout")
        assert await (await conn.execute(watchdog.Q["written"])).fetchone() != before
    await watchdog.sweep(db)
