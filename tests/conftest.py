"""One cluster a worker process, one database in it, a fresh app a test: the product's isolation is the tests'."""

import itertools
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import hypothesis
import pytest

from pocketlet import settings
from pocketlet.db import pool
from pocketlet.platform import apps, database

_numbers = itertools.count(1)
hypothesis.settings.register_profile("untimed", deadline=None)  # how long an example takes is no matter of a test
hypothesis.settings.load_profile("untimed")


@contextmanager
def reachable_folder() -> Generator[Path]:
    """A folder that the server's own user can enter when root runs the tests (pytest's are root's alone), then gone."""
    with tempfile.TemporaryDirectory(prefix="pocketlet-") as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path / "home"


@pytest.fixture(scope="session")
def second_home() -> Iterator[Path]:
    """Another POCKETLET_HOME of this test process."""
    with reachable_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """POCKETLET_HOME of one test module."""
    with reachable_folder() as folder:
        yield folder


@pytest.fixture
def own_home() -> Iterator[Path]:
    """POCKETLET_HOME of one test."""
    with reachable_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """POCKETLET_HOME of this test process."""
    with reachable_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def config(home: Path) -> settings.Settings:
    """Settings as a command in this home would read them."""
    return settings.read({"POCKETLET_HOME": str(home)})


@pytest.fixture(scope="session")
async def db(config: settings.Settings) -> AsyncGenerator[pool.Database]:
    """The embedded Postgres with the platform's schema."""
    async with database.opened(config, fast=True) as opened:
        yield opened


class Turned:
    """The database's one clock, as far before or behind the real one as a test wants it."""

    def __init__(self, database: pool.Database) -> None:
        self._database = database
        self._ahead = timedelta()

    async def turn(self, by: timedelta) -> None:
        """Further by so much; back if it is negative."""
        await self._set(self._ahead + by)

    async def to(self, instant: datetime) -> None:
        """To this instant, from where it goes on."""
        async with self._database.setup() as conn:
            row = await (await conn.execute(b"SELECT clock_timestamp() AS now")).fetchone()
        assert row
        await self._set(instant - row["now"])

    async def _set(self, ahead: timedelta) -> None:
        self._ahead = ahead
        body = f"SELECT pg_catalog.clock_timestamp() + make_interval(secs => {ahead.total_seconds()})"
        statement = f"""CREATE OR REPLACE FUNCTION pocketlet.now() RETURNS timestamptz LANGUAGE sql STABLE
                        SET search_path = pg_catalog, pg_temp AS $$ {body} $$"""
        async with self._database.setup() as conn:
            await conn.execute(statement.encode())


@pytest.fixture
async def turned(db: pool.Database) -> AsyncGenerator[Turned]:
    """`pocketlet.now()` in the hand of the test; right again afterwards."""
    clock = Turned(db)
    yield clock
    await clock.turn(-clock._ahead)  # pyright: ignore[reportPrivateUsage]


@pytest.fixture
async def app(db: pool.Database) -> AsyncGenerator[str]:
    """A freshly installed app; removed afterwards."""
    name = f"app{next(_numbers)}"
    await apps.install(db, name)
    yield name
    await apps.uninstall(db, name)


@pytest.fixture(scope="session")
def standin_url() -> Iterator[str]:
    """The base URL of a stand-in model, a process of its own."""
    command = [sys.executable, "-m", "pocketlet.demo.standin"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process.stdout.readline().split()[-1]
        process.terminate()
