"""A scripted model, a mail server, and an agent in a workshop of its own for each test."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import pytest
import workshop as workshops
from mail_server import MailServer
from scripted_model import ScriptedModel

from pocketlet.db import pool

Opener = Callable[..., Awaitable[workshops.Workshop]]


@pytest.fixture(scope="session")
async def model() -> AsyncGenerator[ScriptedModel]:
    async with ScriptedModel().listening() as listening:
        yield listening


@pytest.fixture
async def mail_server(tmp_path: Path) -> AsyncGenerator[MailServer]:
    async with MailServer(tmp_path / "sent").listening() as listening:
        yield listening


@pytest.fixture
async def open_shop(
    db: pool.Database, model: ScriptedModel, mail_server: MailServer, tmp_path: Path
) -> AsyncGenerator[Opener]:
    """Opens workshops of agents: `await open_shop(more, schema__01="…")`; `more` are lines of agent.toml."""
    opened: list[workshops.Workshop] = []

    async def open_one(more: str = "", **files: str) -> workshops.Workshop:
        name = workshops.fresh_name()
        folder = workshops.write_folder(tmp_path / name, name, more, **files)
        opened.append(await workshops.open_workshop(db, folder, model, mail_server))
        return opened[-1]

    yield open_one
    for shop in opened:
        await workshops.close_workshop(shop)


@pytest.fixture
async def shop(open_shop: Opener) -> workshops.Workshop:
    """A workshop with an agent as `write_folder` makes it."""
    return await open_shop()
