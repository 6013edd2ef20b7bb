"""The web application on a real listener on loopback, and an agent that takes webhooks."""

import itertools
from collections.abc import AsyncGenerator
from pathlib import Path

import hook_ground
import pytest

from pocketlet import settings
from pocketlet.db import pool
from pocketlet.platform.gateways import listener
from pocketlet.surfaces.web import app as web

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
async def port(db: pool.Database, config: settings.Settings) -> AsyncGenerator[int]:
    """Where the application answers."""
    async with listener.listening(0, lambda port: web.made(db, config, port)) as number:
        yield number


@pytest.fixture
async def ground(
    db: pool.Database, config: settings.Settings, port: int, tmp_path: Path
) -> AsyncGenerator[hook_ground.Ground]:
    """An agent with a trigger and its secret."""
    made = await hook_ground.made(db, config, tmp_path / "agent", f"hooked{next(_numbers)}")
    yield made.aged(port=port)
    await hook_ground.removed(made)
