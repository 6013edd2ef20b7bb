"""What the effects happen on: real rows of an agent with a connection and a mail server, both of them on loopback."""

import contextlib
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.effects import postbox, provider
from bench.effects import truth as truths

from pocketlet.agents import agent as agents
from pocketlet.agents import effects, mailing, outward, portable, revisions, runs, toolbox
from pocketlet.agents import playbook as playbooks
from pocketlet.agents import task as tasks
from pocketlet.db import pool
from pocketlet.platform import connection_changes, connections, queue, vault
from pocketlet.platform.gateways import submission, wire

MANIFEST = """
name = "{name}"
job = "Do what the owner says."
model = "openai:none"
tools = ["send_mail", "http"]
{more}

[mail]
address = "shop@shop.example"
"""
FOLDER = 50  # mails in one Sent folder: a look reads all of them
TOKEN = "tok-9a71c-of-the-bench"


@dataclass
class Ground:
    """The agent, the two ways out, and what really happened there. `patience`: seconds until a time-out."""

    database: pool.Database
    home: Path
    agent: agents.Agent
    playbook: playbooks.Playbook
    connection: connections.Connection
    truth: truths.Truth
    box: postbox.Postbox
    worker: int
    http: toolbox.Tool

    async def begin(self, number: int, raw: bytes = b"") -> int:
        """A run for this effect, on the owner's own word if no `raw` is given; nobody has begun it."""
        raw = raw or f"Do number {number}.".encode()
        async with self.database.api() as conn:
            return await runs.create(conn, self.agent, tasks.read(raw), raw, self.playbook.manifest)

    async def claim(self, run: int) -> runs.Run:
        """A worker takes the run: whoever had it before has a stale fence."""
        async with self.database.api() as conn:
            claimed = await runs.claim(conn, run, self.worker)
        assert claimed, f"run {run} can't be claimed"
        return claimed

    def context(self, run: runs.Run, number: int, *, down: bool = False) -> toolbox.Context:
        """What the run's tools may use; `down`: the mail server can't be reached."""
        url = self.box.url(number // FOLDER)
        url = url.replace(self.box.host, "127.0.0.1:9") if down else url
        task = tasks.from_record(run.input)
        sender = mailing.Sender(self.agent, self.playbook.manifest, task, submission.read(url), "bench")
        return toolbox.Context(self.database, sender, self.playbook, run, 1, self.home)

    def carrier(self, context: toolbox.Context, kind: str, *, down: bool = False) -> effects.Carrier:
        """The product's own carrier of this kind; `down`: nobody listens where the connection goes."""
        if kind == "mail":
            return context.sender
        return Nowhere() if down else outward.Requests(self.database, self.home, self.agent.id, self.connection)

    async def found(self, run: int) -> effects.Effect:
        """The run's effect as it stands."""
        async with self.database.api() as conn:
            effect = await effects.find(conn, run, 1)
        assert effect
        return effect

    async def rows(self, statement: str, *values: object) -> list[dict[str, object]]:
        """Rows of the platform's own tables, as the referee reads them."""
        async with self.database.api() as conn:
            return list(await (await conn.execute(statement.encode(), values)).fetchall())

    async def turn(self, effect: effects.Effect, number: int, hours: float) -> None:
        """Lets hours pass for this effect, here and at the provider."""
        self.truth.hours[number] += hours
        back = "UPDATE pocketlet.effect SET dispatched_at = dispatched_at - make_interval(mins => %s) WHERE id = %s"
        async with self.database.api() as conn:
            await conn.execute(back.encode(), (round(hours * 60), effect.id))


class Nowhere:
    """Carries requests (effects.Carrier) over the real wire to a port where nobody listens."""

    async def carry(self, effect: effects.Effect) -> str:
        """Raises errors.ServiceUnreachable."""
        target = wire.Target("http://127.0.0.1:9", ("127.0.0.1",), seconds=5.0)
        return outward.said(await wire.send(target, wire.Request("PUT", f"/{effect.id}", body=effect.message)))

    async def look(self, effect: effects.Effect) -> bool | None:
        """Nobody can know."""
        return None


@contextmanager
def impatient(seconds: float) -> Generator[None]:
    """Lets the mail gateway give up after `seconds`, so that a time-out is a matter of a moment."""
    before, submission.SECONDS = submission.SECONDS, seconds
    try:
        yield
    finally:
        submission.SECONDS = before


@asynccontextmanager
async def opened(
    database: pool.Database, home: Path, name: str, patience: float, *, more: str = ""
) -> AsyncGenerator[Ground]:
    """An agent of this name with all that belongs to it; nothing of it is left afterwards.

    `more`: lines of its agent.toml.
    """
    truth = truths.Truth()
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pocketlet-bench-")))
        stack.enter_context(impatient(patience))
        service = await stack.enter_async_context(provider.Provider(truth).listening())
        box = await stack.enter_async_context(postbox.Postbox(truth, folder / "sent").listening())
        (folder / "agent.toml").write_text(MANIFEST.format(name=name, more=more), encoding="utf-8")
        agent = await portable.load(database, folder)
        stack.push_async_callback(portable.remove, database, name)
        async with database.api() as conn:
            playbook = await revisions.load(conn, agent, agent.current)
            connection = await _connect(conn, home, agent, service.url, patience)
        stack.push_async_callback(_disconnect, database, connection.name)
        worker = await queue.register(database, "worker")
        stack.push_async_callback(queue.unregister, database, worker)
        offered = await outward.offers(database, agent.id, ["http"])
        yield Ground(database, home, agent, playbook, connection, truth, box, worker, offered["http"])


async def _connect(
    conn: pool.Conn, home: Path, agent: agents.Agent, url: str, patience: float
) -> connections.Connection:
    name = f"{agent.name}-service"
    secret = f"{connections.prefix(name)}TOKEN"
    auth = connections.Auth("bearer", (connections.Place("bearer", secret),))
    allowed = [connections.operation(f"{verb} {path}", kind) for kind, (verb, path) in provider.PATHS.items()]
    allowed += [connections.operation(f"{verb} {path}") for verb, path in provider.MORE]
    draft = connections.Draft(
        name, url, auth, allow=tuple(allowed), pinned=("127.0.0.1",), seconds=patience, secrets={secret: TOKEN}
    )
    made = await connection_changes.add(conn, vault.key(home), draft)
    await connection_changes.grant(conn, name, agent.name)
    return made


async def _disconnect(database: pool.Database, name: str) -> None:
    async with database.api() as conn:
        await connection_changes.remove(conn, name)
