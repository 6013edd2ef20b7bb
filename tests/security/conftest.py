"""Both Postgres versions with the platform on them, and two apps: `mallory`, who attacks, and `alice`."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import attempts
import debian_postgres
import pytest

from pocketlet import settings
from pocketlet.db import pool
from pocketlet.platform import apps, database

ALICE = f"""
CREATE TABLE secrets (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text NOT NULL);
INSERT INTO secrets (body) VALUES ('{attempts.CANARY}'), ('{attempts.CANARY} too');
CREATE FUNCTION secret_code() RETURNS text LANGUAGE sql AS $$ SELECT '{attempts.CANARY}' $$;
CREATE VIEW secret_view AS SELECT id, '{attempts.CANARY}' AS word FROM secrets;
CREATE TYPE secret_word AS ENUM ('open', 'sesame');
INSERT INTO memories (kind, subject, body) VALUES ('note', 'private', '{attempts.CANARY}');
"""
MALLORY = "INSERT INTO memories (kind, subject, body) VALUES ('note', 'mine', 'nothing special');"


@pytest.fixture(scope="session", params=["embedded", "debian-15"])
async def opened(
    request: pytest.FixtureRequest, config: settings.Settings, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[pool.Database]:
    """The platform's database on each version; by URL and with passwords on Postgres 15."""
    if request.param == "embedded":
        async with database.opened(config, fast=True) as embedded:
            yield embedded
        return
    if debian_postgres.missing() and os.environ.get("CI") != "true":
        pytest.skip("Postgres 15 is not installed here; continuous integration has it")
    async with _on_debian(tmp_path_factory.mktemp("home15")) as external:
        yield external


@asynccontextmanager
async def _on_debian(home: Path) -> AsyncGenerator[pool.Database]:
    with debian_postgres.running() as url:
        config = settings.read({"POCKETLET_HOME": str(home), "POCKETLET_DATABASE_URL": url})
        async with database.opened(config) as external:
            yield external


@pytest.fixture(scope="session")
async def arena(opened: pool.Database) -> AsyncGenerator[pool.Database]:
    """A database with `mallory` and `alice` in it."""
    for name, statements in (("mallory", MALLORY), ("alice", ALICE)):
        await apps.install(opened, name)
        async with opened.login(name) as conn:
            await conn.execute(statements.encode())
    yield opened
    for name in ("mallory", "alice"):
        await apps.uninstall(opened, name)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What of the corpus was not tried here, so that it is not forgotten."""
    entries = attempts.entries()
    later = [f"{name}: {entry['later']}" for name, entry in entries.items() if "later" in entry]
    elsewhere = sum("elsewhere" in entry for entry in entries.values())
    tried = len(list(attempts.attempts()))
    terminalreporter.section("escape corpus")
    terminalreporter.write_line(
        f"{len(entries)} attempts: {len(entries) - elsewhere - len(later)} by data ({tried} with each login), "
        f"{elsewhere} in tests of their own, {len(later)} later:"
    )
    for line in later:
        terminalreporter.write_line(f"  {line}")
