"""One cluster a worker process, one database in it, a fresh app a test: the product's isolation is the tests'."""

import itertools
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pocketlet import settings
from pocketlet.db import pool
from pocketlet.platform import apps, database

_numbers = itertools.count(1)


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
