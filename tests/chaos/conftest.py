"""The outside world of the crm story, and worker processes to kill in it."""

import multiprocessing
import os
import shutil
from collections.abc import AsyncGenerator
from datetime import date
from pathlib import Path

import doomed
import killing
import pytest

import pocketlet.demo
from pocketlet import settings
from pocketlet.agents import portable
from pocketlet.db import pool
from pocketlet.demo import data, mails, sink

CRM = Path(pocketlet.demo.__file__).parent / "crm"


@pytest.fixture
async def killer(
    db: pool.Database, config: settings.Settings, standin_url: str, tmp_path: Path
) -> AsyncGenerator[killing.Killer]:
    """The crm agent (its changes count once they are proven), a mail sink, and the means to have workers die on it."""
    folder = tmp_path / "crm"
    shutil.copytree(CRM, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    cast = data.write(folder, seed=1, today=date(2026, 11, 22))
    manifest = folder / "agent.toml"
    text = manifest.read_text(encoding="utf-8").replace('adopt = "ask"', 'adopt = "proven"')
    # A killed call stays reserved at its worst case: hundreds of them are more than a day's money.
    manifest.write_text(text.replace("{run = 0.50, day = 5.00}", "{run = 50.0, day = 5000.0}"))
    agent = await portable.load(db, folder)
    listener = await sink.serve(tmp_path / "sent")
    port = listener.sockets[0].getsockname()[1]
    environment = {
        "OPENAI_BASE_URL": standin_url,
        "POCKETLET_SMTP_URL": f"smtp://127.0.0.1:{port}?sent={tmp_path / 'sent'}",
    }
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(doomed.PRELOAD)
    yield killing.Killer(db, config, agent, mails.story(cast).known, tmp_path / "sent", environment, context)
    listener.close()
    await listener.wait_closed()
    await portable.remove(db, agent.name)
    os.environ.pop("POCKETLET_SMTP_URL", None)
