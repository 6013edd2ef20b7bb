"""An agent with a webhook trigger, its secret in the vault, and a sender that signs with the reference library."""

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import raw_client
import standardwebhooks

from pocketlet import settings
from pocketlet.agents import agent as agents
from pocketlet.agents import portable
from pocketlet.agents.triggers import stored
from pocketlet.db import pool
from pocketlet.platform import vault

MANIFEST = """
name = "{name}"
job = "Look at what comes."
model = "openai:none"
price = {{input = 1.0, output = 2.0}}

[triggers.orders]
webhook = "standard"
secret = {secrets}
task = "Read the order."
"""


@dataclass(frozen=True)
class Ground:
    """`port` is the server's; `secret` is what the sender signs with."""

    database: pool.Database
    config: settings.Settings
    agent: agents.Agent
    secret: str
    port: int = 0
    name: str = "HOOK"
    headers: Mapping[str, str] = field(default_factory=dict)

    def aged(self, **changes: Any) -> "Ground":
        """The same with something else in its place."""
        return replace(self, **changes)

    @property
    def path(self) -> str:
        """Where the trigger's deliveries go."""
        return f"/hooks/{self.agent.name}/orders"

    async def now(self) -> int:
        """The database's time, in seconds since 1970."""
        async with self.database.api() as conn:
            return int((await stored.now(conn)).timestamp())

    async def fields(self, identity: str, body: str, *, age: int = 0) -> list[tuple[str, str]]:
        """The header fields of a signed delivery that was sent `age` seconds ago."""
        return signed(self.secret, identity, await self.now() - age, body)

    async def deliver(self, identity: str, body: str = '{"n": 1}', *, age: int = 0) -> raw_client.Reply:
        """One delivery on a connection of its own."""
        given = await self.fields(identity, body, age=age)
        return await raw_client.ask(self.port, "POST", self.path, given, body.encode())

    async def rows(self, query: str) -> list[dict[str, Any]]:
        """Rows of the platform's own tables; %s is the agent's number."""
        async with self.database.api() as conn:
            return list(await (await conn.execute(query.encode(), [self.agent.id])).fetchall())

    async def slots(self) -> list[dict[str, Any]]:
        """Every slot of the agent, in the order in which they came."""
        return await self.rows("SELECT * FROM pocketlet.slot WHERE agent_id = %s ORDER BY id")

    async def runs(self) -> int:
        """How many runs the agent has."""
        [row] = await self.rows("SELECT count(*) AS n FROM pocketlet.run WHERE agent_id = %s")
        return int(row["n"])

    async def change(self, statement: str) -> None:
        """Changes rows behind the code's back; %s is the agent's number."""
        async with self.database.api() as conn:
            await conn.execute(statement.encode(), [self.agent.id])


def signed(secret: str, identity: str, timestamp: int, body: str) -> list[tuple[str, str]]:
    """The header fields by the reference library."""
    at = datetime.fromtimestamp(timestamp, UTC)
    signature = standardwebhooks.Webhook(secret).sign(identity, at, body)
    return [("webhook-id", identity), ("webhook-timestamp", str(timestamp)), ("webhook-signature", signature)]


def fresh_secret() -> str:
    """As senders make them."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


async def made(
    database: pool.Database, config: settings.Settings, folder: Path, name: str, names: str = '"HOOK"'
) -> Ground:
    """The agent, and its secret, granted. `names`: the `secret` of its trigger, as in agent.toml."""
    folder.mkdir(parents=True)
    (folder / "agent.toml").write_text(MANIFEST.format(name=name, secrets=names), encoding="utf-8")
    agent = await portable.load(database, folder)
    secret = fresh_secret()
    ground = Ground(database, config, agent, secret)
    await keep(ground, "HOOK", secret)
    return ground


async def keep(ground: Ground, name: str, value: str) -> None:
    """Seals a secret and grants it to the agent."""
    async with ground.database.api() as conn:
        await vault.put(conn, vault.key(ground.config.home), name, value)
        await vault.grant(conn, name, ground.agent.id)


async def removed(ground: Ground) -> None:
    """Leaves nothing of it."""
    async with ground.database.api() as conn:
        for name in await vault.names(conn):
            await vault.remove(conn, name)
    await portable.remove(ground.database, ground.agent.name)
