"""A scripted model, a mail server, and an agent in a workshop of its own for each test; the stand-in for its story."""

import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import date
from pathlib import Path

import pytest
import workshop as workshops
from mail_server import MailServer
from scripted_model import ScriptedModel

import pocketlet.demo
from pocketlet.db import pool
from pocketlet.demo import data, mails

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


@pytest.fixture
async def crm(
    db: pool.Database, model: ScriptedModel, mail_server: MailServer, standin_url: str, tmp_path: Path
) -> AsyncGenerator[tuple[workshops.Workshop, mails.Story]]:
    """The agent of the demo's story on the stand-in, and the story's mails."""
    folder = tmp_path / "crm"
    source = Path(pocketlet.demo.__file__).parent / "crm"
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    manifest = (folder / "agent.toml").read_text(encoding="utf-8")
    name = workshops.fresh_name()
    (folder / "agent.toml").write_text(manifest.replace('name = "crm"', f'name = "{name}"'), encoding="utf-8")
    cast = data.write(folder, seed=1, today=date(2026, 11, 22))
    shop = await workshops.open_workshop(db, folder, model, mail_server, model_url=standin_url)
    yield shop, mails.story(cast)
    await workshops.close_workshop(shop)
