"""Migrations: they make what the schema files say, all of it or nothing, and no version works on another's database."""

import asyncio
import dataclasses
import itertools
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

import pocketlet
from pocketlet import errors
from pocketlet.db import migrate, pool, queries
from pocketlet.platform import accounts, binaries

SCHEMA = sorted(path.stem for path in (Path(pocketlet.__file__).parent / "sql" / "schema").glob("*.sql"))
TRAP = """
CREATE FUNCTION public.trap() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity = 'pocketlet.ledger') THEN {act} END IF;
END $$;
GRANT EXECUTE ON FUNCTION public.trap() TO PUBLIC;
CREATE EVENT TRIGGER trap ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION public.trap();
"""
_numbers = itertools.count(1)


@pytest.fixture
async def fresh(db: pool.Database) -> AsyncGenerator[pool.Database]:
    """A database of the test's own that does not exist yet; dropped afterwards."""
    name = f"scratch{next(_numbers)}"
    async with pool.Database(dataclasses.replace(db.address, database=name)) as scratch:
        yield scratch
    async with db.setup() as conn:
        await conn.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())


async def applied(database: pool.Database) -> dict[str, str]:
    """What is written down as applied."""
    async with database.setup() as conn:
        found = await (await conn.execute("SELECT name, checksum FROM migrations.applied")).fetchall()
    return {row["name"]: row["checksum"] for row in found}


async def schemas(database: pool.Database) -> set[str]:
    """The schemas that are not Postgres' own."""
    async with database.setup() as conn:
        query = "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"
        return {row["nspname"] for row in await (await conn.execute(query.encode())).fetchall()}


async def run(database: pool.Database, statement: str) -> None:
    """One or more statements as whoever set the cluster up."""
    async with database.setup() as conn:
        await conn.execute(statement.encode())


def dump(database: pool.Database) -> str:
    """The control schema as pg_dump spells it."""
    address = database.address
    place = ["-h", address.host, "-p", str(address.port), "-U", address.setup_user, "-d", address.database]
    done = binaries.find().run(["pg_dump", "-s", "-n", "pocketlet", *place], accounts.caller(), seconds=60)
    assert done.returncode == 0, done.stderr
    # The key in these lines is another one in each dump.
    return "\n".join(line for line in done.stdout.splitlines() if not line.startswith(("\\restrict", "\\unrestrict")))


async def test_the_schema_files_are_the_sum_of_the_migrations(fresh: pool.Database) -> None:
    await migrate.prepare(fresh)
    migrated = dump(fresh)
    assert "CREATE TABLE pocketlet.ledger" in migrated
    await run(fresh, "DROP SCHEMA pocketlet CASCADE")
    async with fresh.admin() as conn:
        await conn.execute(migrate.Q["as_platform"])
        for name in SCHEMA:
            await conn.execute(queries.text(f"schema/{name}.sql"))
    assert dump(fresh) == migrated


async def test_a_prepared_database_is_ready_and_stays_as_it_is(fresh: pool.Database) -> None:
    assert not await migrate.ready(fresh)
    await migrate.prepare(fresh)
    assert await migrate.ready(fresh)
    before = await applied(fresh)
    await migrate.prepare(fresh)
    assert await applied(fresh) == before == migrate.wanted()


async def test_two_that_prepare_at_once_do_not_disturb_each_other(fresh: pool.Database) -> None:
    others = [pool.Database(fresh.address) for _ in range(2)]
    await asyncio.gather(*(migrate.prepare(database) for database in (fresh, *others)))
    assert await migrate.ready(fresh)
    for other in others:
        await other.close()


async def test_a_changed_migration_is_refused(fresh: pool.Database) -> None:
    await migrate.prepare(fresh)
    await run(fresh, "UPDATE migrations.applied SET checksum = 'another' WHERE name = '0001_initial.sql'")
    assert not await migrate.ready(fresh)
    with pytest.raises(errors.BadMigration, match=r"0001_initial\.sql is not the one that was applied") as caught:
        await migrate.prepare(fresh)
    assert caught.value.hint
    assert caught.value.exit_code == 7


async def test_a_newer_database_is_refused_and_left_alone(fresh: pool.Database) -> None:
    await migrate.prepare(fresh)
    await run(fresh, "INSERT INTO migrations.applied (name, checksum) VALUES ('0099_future.sql', 'x')")
    await run(fresh, "UPDATE migrations.applied SET checksum = 'newer' WHERE name = '00_cluster'")
    before = await applied(fresh)
    assert not await migrate.ready(fresh)
    with pytest.raises(errors.BadMigration, match=r"newer version of Pocketlet \(0099_future\.sql\)"):
        await migrate.prepare(fresh)
    assert await applied(fresh) == before


async def test_the_queue_of_a_newer_version_is_refused_too(fresh: pool.Database) -> None:
    await migrate.prepare(fresh)
    await run(fresh, "UPDATE migrations.applied SET checksum = '99.0.0' WHERE name = '00_queue'")
    with pytest.raises(errors.BadMigration, match=r"procrastinate 99\.0\.0"):
        await migrate.prepare(fresh)


FAILURES = [
    ("RAISE EXCEPTION 'no ledger today';", errors.BadMigration),
    ("PERFORM pg_terminate_backend(pg_backend_pid());", errors.PocketletError),
]


@pytest.mark.parametrize(("act", "error"), FAILURES, ids=["fails", "is cut off"])
async def test_a_migration_that_does_not_end_leaves_nothing(
    fresh: pool.Database, act: str, error: type[errors.PocketletError]
) -> None:
    await migrate.prepare(fresh)
    await run(fresh, "DROP SCHEMA pocketlet CASCADE; DELETE FROM migrations.applied WHERE name = '0001_initial.sql'")
    await run(fresh, TRAP.format(act=act))
    with pytest.raises(error):
        await migrate.prepare(fresh)
    assert "pocketlet" not in await schemas(fresh)
    assert "0001_initial.sql" not in await applied(fresh)
    await run(fresh, "DROP EVENT TRIGGER trap; DROP FUNCTION public.trap()")
    await migrate.prepare(fresh)
    assert await migrate.ready(fresh)
