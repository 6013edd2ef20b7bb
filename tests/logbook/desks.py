"""Who the tests of the Logbook are: programs and browsers of owners, on the data of the crm demo."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from pocketlet import settings
from pocketlet.agents import portable
from pocketlet.db import pool
from pocketlet.platform import database, owners
from pocketlet.platform.gateways import listener
from pocketlet.surfaces.web import app as web

FOREIGN = """
name = "foreign"
job = "Somebody else's work."
model = "openai:none"
price = {input = 1.0, output = 2.0}
"""


@dataclass(frozen=True)
class Desk:
    """`told`: what `pocketlet demo crm --json` printed. `tokens`: by owner's name, with all scopes."""

    database: pool.Database
    config: settings.Settings
    port: int
    told: dict[str, Any]
    tokens: dict[str, str]

    @property
    def url(self) -> str:
        """Where the pages are."""
        return f"http://127.0.0.1:{self.port}"

    def run_of(self, step: str) -> int:
        """The run of a step of the story: known-customer, new-customer, feedback, policy-followed, attack, rollback."""
        return next(one["run"] for one in self.told["steps"] if one["id"] == step)

    def client(self, owner: str = "owner") -> httpx2.AsyncClient:
        """A program of that owner's. For pages of hers, see `browser`."""
        return httpx2.AsyncClient(base_url=self.url, headers={"authorization": f"Bearer {self.tokens[owner]}"})

    async def browser(self, owner: str = "owner") -> httpx2.AsyncClient:
        """As a browser in which the owner is logged in: a cookie, and the fields that a browser sends."""
        async with self.database.api() as conn:
            secret = await owners.new_session(conn, await owners.by_name(conn, owner), "test")
        fields = {"sec-fetch-site": "same-origin", "origin": self.url}
        return httpx2.AsyncClient(base_url=self.url, headers=fields, cookies={f"pocketlet-{self.port}": secret})


@contextmanager
def story() -> Generator[tuple[Path, dict[str, Any]]]:
    """The crm story, told in a home of its own: that home, and the facts. The home is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="pocketlet-") as folder:
        Path(folder).chmod(0o755)
        home = Path(folder) / "home"
        own = {name: value for name, value in os.environ.items() if not name.startswith(("POCKETLET_", "OPENAI_"))}
        own |= {"POCKETLET_HOME": str(home), "POCKETLET_MAIL_PORT": "0", "POCKETLET_PORT": "0"}
        command = [sys.executable, "-m", "pocketlet.surfaces.cli.main", "demo", "crm", "--json"]
        done = subprocess.run(command, env=own, capture_output=True, text=True, timeout=110, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        yield home, json.loads(done.stdout)
        subprocess.run([*command[:3], "down"], env=own, capture_output=True, timeout=60, check=False)


@asynccontextmanager
async def opened(home: Path, facts: dict[str, Any], folder: Path) -> AsyncGenerator[Desk]:
    """The desk on that home, with a second owner, whose agent's folder is `folder`."""
    config = settings.read({"POCKETLET_HOME": str(home)})
    async with database.opened(config) as found:
        (folder / "agent.toml").write_text(FOREIGN, encoding="utf-8")
        await portable.load(found, folder)
        async with found.api() as conn:
            await owners.add(conn, "second")
            await owners.give(conn, "foreign", "second")
            tokens: dict[str, str] = {}
            for owner in await owners.everyone(conn):
                _, tokens[owner.name] = await owners.new_token(conn, owner, "test", frozenset(owners.SCOPES), None)
        async with listener.listening(0, lambda port: web.made(found, config, port)) as port:
            yield Desk(found, config, port, facts, tokens)
