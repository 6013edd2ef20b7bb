"""What the sweep happens on: a Postgres of its own, two agents with every kind of trigger, and the world outside."""

import asyncio
import contextlib
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TypeVar

from bench.chaos import herd as herds
from bench.effects import postbox, provider
from bench.effects import truth as truths

import pocketlet.demo
from pocketlet import errors, settings
from pocketlet.agents import agent as agents
from pocketlet.agents import portable
from pocketlet.db import pool
from pocketlet.demo import data, mails
from pocketlet.platform import connection_changes, connections, database, vault
from pocketlet.platform.channels import definitions

CRM = Path(pocketlet.demo.__file__).parent / "crm"
SECRET = "chaos-hook-secret-of-the-sweep"
SCHEDULES = 6
MANIFEST = """
name = "chaos"
job = "Do what you are told."
model = "openai:chaos"
price = {{input = 0.01, output = 0.01}}
tools = ["sql", "remember", "send_mail", "http"]
budget = {{run = 100, day = 1000000}}
max_steps = 100

[mail]
address = "desk@chaos.example"

[triggers]
mail = "desk@chaos.example"

[triggers.hook]
webhook = "standard"
secret = "CHAOS_HOOK"
when = "SELECT true"
"""
SCHEDULE = """
[triggers.round{n}]
schedule = "every minute"
task = "Do round {n}. effects={effects}"
overlap = "parallel"
catch_up = "all"
when = "SELECT true"
after = "SELECT true"
"""
R = TypeVar("R")


class Dice(defaultdict[int, list[str]]):
    """The faults of a service by the number of the effect: now and then the line drops before or after the deed."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._seed = seed

    def __missing__(self, number: int) -> list[str]:
        dice = random.Random(f"{self._seed} {number}")
        self[number] = ["drop after"] if dice.random() < 0.06 else []
        return self[number]


@dataclass
class Ground:
    """`effects`: how many each run has. `resting`: no more work comes in."""

    database: pool.Database
    config: settings.Settings
    truth: truths.Truth
    herd: herds.Herd
    agent: agents.Agent
    crm: agents.Agent
    known: bytes
    effects: int
    ports: tuple[int, int]
    folder: Path
    notes: list[str] = field(default_factory=list[str])

    async def again(self, work: Callable[[pool.Conn], Awaitable[R]]) -> R:
        """One transaction of the owner's or the referee's, tried until Postgres is there."""
        while True:
            try:
                async with self.database.api() as conn:
                    return await work(conn)
            except (errors.NoPostgres, pool.DatabaseError) as error:
                self.notes.append(f"postgres: {pool.first_line(error)[:80]}")
                await asyncio.sleep(0.2)

    async def rows(self, statement: str, *values: object) -> list[dict[str, object]]:
        """Rows of the platform's own tables."""

        async def ask(conn: pool.Conn) -> list[dict[str, object]]:
            cursor = await conn.execute(statement.encode(), values)
            return list(await cursor.fetchall()) if cursor.description else []

        return await self.again(ask)


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextmanager
def program(module: str) -> Generator[str]:
    """The base URL of a program of the outside world."""
    with subprocess.Popen([sys.executable, "-m", module], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().split()[-1] if process.stdout else ""
        finally:
            process.terminate()


@asynccontextmanager
async def opened(seed: int, effects: int, *, fast: bool = False) -> AsyncGenerator[Ground]:
    """All of it; nothing is left afterwards. `fast`: Postgres itself is not struck, and need not keep what it says."""
    truth = truths.Truth(faults=Dice(seed))
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pocketlet-chaos-")))
        folder.chmod(0o755)
        service = await stack.enter_async_context(provider.Provider(truth).listening())
        box = await stack.enter_async_context(postbox.Postbox(truth, folder / "sent").listening())
        model = stack.enter_context(program("bench.chaos.model"))
        standin = stack.enter_context(program("pocketlet.demo.standin"))
        ports = (free_port(), free_port())
        environment = {
            "POCKETLET_HOME": str(folder / "home"),
            "POCKETLET_MAIL_PORT": str(ports[0]),
            "POCKETLET_PORT": str(ports[1]),
            "POCKETLET_SMTP_URL": box.url(0),
            "OPENAI_BASE_URL": model,
            "OPENAI_API_KEY": "none",
            "ANTHROPIC_BASE_URL": re.sub("/v1$", "", standin),
            "ANTHROPIC_API_KEY": "none",
        }
        config = settings.read(environment)
        db = await stack.enter_async_context(database.opened(config, fast=fast))
        agent = await _chaos(db, config, folder, service.url, effects)
        crm, known = await _crm(db, folder)
        log = folder / "log"
        yield Ground(
            db, config, truth, herds.Herd(environment, log), agent, crm, known, effects, ports, folder
        )  # fmt: skip


async def _chaos(db: pool.Database, config: settings.Settings, folder: Path, url: str, effects: int) -> agents.Agent:
    """The agent whose runs act outside."""
    home = folder / "chaos"
    home.mkdir()
    text = MANIFEST.format() + "".join(SCHEDULE.format(n=n, effects=effects) for n in range(SCHEDULES))
    (home / "agent.toml").write_text(text, encoding="utf-8")
    key = vault.key(config.home)
    async with db.api() as conn:
        await vault.put(conn, key, "CHAOS_HOOK", SECRET)
    agent = await portable.load(db, home)
    allowed = tuple(
        connections.operation(f"{verb} {path}", kind) for kind, (verb, path) in provider.PATHS.items()
    )  # fmt: skip
    secret = f"{connections.prefix('service')}TOKEN"
    auth = connections.Auth("bearer", (connections.Place("bearer", secret),))
    draft = connections.Draft(
        "service", url, auth, allow=allowed, pinned=("127.0.0.1",), seconds=5.0, secrets={secret: "tok-of-the-sweep"}
    )
    async with db.api() as conn:
        await vault.grant(conn, "CHAOS_HOOK", agent.id)
        await connection_changes.add(conn, key, draft)
        await connection_changes.grant(conn, "service", agent.name)
        await definitions.add(conn, definitions.Definition("told", "webhook", f"{url}/told/0", pinned=("127.0.0.1",)))
    return agent


async def _crm(db: pool.Database, folder: Path) -> tuple[agents.Agent, bytes]:
    """The agent of the demo's story, whose changes count once they are proven; a mail to it."""
    home = folder / "crm"
    shutil.copytree(CRM, home, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    cast = data.write(home, seed=1, today=date(2026, 11, 22))
    manifest = home / "agent.toml"
    text = manifest.read_text(encoding="utf-8").replace('adopt = "ask"', 'adopt = "proven"')
    text = text.replace("{run = 0.50, day = 5.00}", "{run = 500.0, day = 500000.0}").replace("openai:", "anthropic:")
    manifest.write_text(text, encoding="utf-8")
    return await portable.load(db, home), mails.story(cast).known


def today() -> datetime:
    """Now, as the outside world knows it."""
    return datetime.now(UTC)
