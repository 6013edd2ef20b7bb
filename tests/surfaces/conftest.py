"""The program on the shared home, a fake model, and the crm story played once through the commands."""

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import command_line
import crm_story
import pytest

from pocketlet import settings
from pocketlet.agents import thinking
from pocketlet.db import pool
from pocketlet.platform import database


@pytest.fixture(scope="session")
def home(second_home: Path) -> Path:
    """A home of this folder's own: other tests leave hostile apps in theirs, which `doctor` would report."""
    return second_home


@pytest.fixture(scope="session")
def config(home: Path) -> settings.Settings:
    """Settings as a command in this home would read them."""
    return settings.read({"POCKETLET_HOME": str(home)})


@pytest.fixture(scope="session")
async def db(config: settings.Settings) -> AsyncGenerator[pool.Database]:
    """This home's Postgres."""
    async with database.opened(config, fast=True) as opened:
        yield opened


@pytest.fixture(scope="session")
def bare(home: Path, db: pool.Database) -> command_line.Cli:
    """The program on the shared home, with no model and no mail server; `db` keeps its Postgres running."""
    unset = ("POCKETLET_DATABASE_URL", "POCKETLET_MODEL", "POCKETLET_SMTP_URL", "OPENAI_API_KEY", "NO_COLOR")
    return command_line.Cli({"POCKETLET_HOME": str(home), **dict.fromkeys(unset)})


@pytest.fixture(scope="session")
def model() -> Iterator[command_line.FakeModel]:
    """A model that says one sentence."""
    with command_line.FakeModel().serving() as server:
        yield server


@pytest.fixture
def cli(
    bare: command_line.Cli, model: command_line.FakeModel, monkeypatch: pytest.MonkeyPatch
) -> Iterator[command_line.Cli]:
    """The program with the fake model, which it asks again without a pause."""
    monkeypatch.setattr(thinking, "FIRST_PAUSE", 0.0)
    model.status = 200
    yield command_line.Cli({**bare.env, "OPENAI_BASE_URL": model.url})
    model.status = 200


@pytest.fixture
def talker(cli: command_line.Cli, tmp_path: Path) -> Iterator[str]:
    """An agent on the fake model."""
    assert cli("agent", "import", command_line.write_agent(tmp_path / "talker", "talker")).code == 0
    yield "talker"
    assert cli("agent", "remove", "talker", "--yes").code == 0


@pytest.fixture(scope="session")
def story(bare: command_line.Cli, tmp_path_factory: pytest.TempPathFactory) -> Iterator[crm_story.Story]:
    """The crm story, played."""
    with crm_story.played(bare, tmp_path_factory.mktemp("story")) as told:
        yield told
