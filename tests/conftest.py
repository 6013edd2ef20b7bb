"""One cluster a worker process, one database in it, a fresh app a test: the product's isolation is the tests'."""

import itertools
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from pocketlet import settings
from pocketlet.db import pool
from pocketlet.platform import apps, database

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """POCKETLET_HOME of this test process."""
    return tmp_path_factory.mktemp("home")


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
