"""Channels of one owner to servers on loopback, and the agents' workshop."""

import importlib.util
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import outside_http
import owner_ground
import pytest

from pocketlet import settings
from pocketlet.db import pool
from pocketlet.platform.channels import opening

AGENTS = Path(__file__).parents[1] / "agents"
if str(AGENTS) not in sys.path:
    sys.path.insert(0, str(AGENTS))
_spec = importlib.util.spec_from_file_location("agents_fixtures_of_channels", AGENTS / "conftest.py")
assert _spec
assert _spec.loader
_fixtures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_fixtures)

model = _fixtures.model
mail_server = _fixtures.mail_server
open_shop = _fixtures.open_shop
shop = _fixtures.shop

EMPTY = ("DELETE FROM pocketlet.channel", "DELETE FROM pocketlet.notice", "DELETE FROM pocketlet.secret")


@pytest.fixture
async def ground(db: pool.Database, config: settings.Settings, turned: object) -> AsyncGenerator[owner_ground.Ground]:
    """An owner without channels or problems, before and after."""
    await emptied(db)
    yield owner_ground.Ground(db, opening.Post(config.home), turned)
    await emptied(db)


async def emptied(db: pool.Database) -> None:
    async with db.setup() as conn:
        for statement in EMPTY:
            await conn.execute(statement.encode())


@pytest.fixture
async def receiver() -> AsyncGenerator[outside_http.Receiver]:
    """A receiver of webhooks."""
    server = outside_http.Receiver()
    async with server.listening():
        yield server


@pytest.fixture
async def bot() -> AsyncGenerator[outside_http.Telegram]:
    """A server that speaks Telegram's Bot API."""
    server = outside_http.Telegram()
    async with server.listening():
        yield server
