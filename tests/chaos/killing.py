"""Plays the crm story's first mail with workers that die, and looks at what is left."""

import asyncio
import mailbox
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

import doomed

from pocketlet import settings
from pocketlet.agents import agent as agents
from pocketlet.agents import approving, journal, revisions, runs
from pocketlet.agents import task as tasks
from pocketlet.db import pool


@dataclass(frozen=True, slots=True)
class Play:
    """How a run went: `commits` of the last worker, and whether the first one died at its point."""

    run: int
    state: str
    commits: int
    died: bool


@dataclass
class Killer:
    """One agent, one mail, one sink."""

    database: pool.Database
    config: settings.Settings
    agent: agents.Agent
    mail: bytes
    maildir: Path
    environment: dict[str, str]
    context: ForkServerContext

    async def play(self, point: doomed.Point | None) -> Play:
        """The whole run; the owner approves what is asked. A worker that died is followed by one that does not."""
        for message in (self.maildir / "new").iterdir():
            message.unlink()
        run = await self._create()
        worker, pipe = self.start(run, point)
        died = False
        while True:
            try:
                state, commits = await asyncio.to_thread(pipe.recv)
            except EOFError:
                await asyncio.to_thread(worker.join)
                assert worker.exitcode == -9, worker.exitcode
                died = True
                worker, pipe = self.start(run, None)
                continue
            if state != "waiting":
                pipe.send("end")
                await asyncio.to_thread(worker.join)
                return Play(run, state, commits, died)
            await self._approve(run)
            pipe.send("go on")

    async def _create(self) -> int:
        async with self.database.api() as conn:
            playbook = await revisions.load(conn, self.agent, self.agent.current)
            return await runs.create(conn, self.agent, tasks.read(self.mail), self.mail, playbook.manifest)

    def start(
        self, run: int, point: doomed.Point | None, *, learns: bool = False
    ) -> tuple[ForkServerProcess, Connection]:
        """A worker that dies at the point, and the end of the pipe that hears from it."""
        here, there = self.context.Pipe()
        address = self.database.address
        order = doomed.Order(
            host=address.host,
            port=address.port,
            user=address.setup_user,
            home=self.config.home,
            maildir=self.maildir,
            environment=self.environment,
            run=run,
            point=point,
            learns=learns,
        )
        worker = self.context.Process(target=doomed.work, args=(order, there), daemon=True)
        worker.start()
        there.close()
        return worker, here

    async def _approve(self, run: int) -> None:
        async with self.database.api() as conn:
            for question in await approving.questions(conn):
                if question["run"] == run:
                    await approving.decide(conn, question["approval"], yes=True)

    def sent(self, run: int) -> int:
        """How often the run's mail arrived."""
        box = mailbox.Maildir(self.maildir)
        return sum(str(message["Message-ID"]).startswith(f"<effect-{run}-") for message in box)

    async def steps(self, run: int) -> list[tuple[int, str, str | None, Any, Any]]:
        """The journal, without what differs from run to run."""
        async with self.database.api() as conn:
            found = await journal.read(conn, run)
        return [(step.seq, step.kind, step.tool, step.request, step.response) for step in found]

    async def row(self, query: str, *values: Any) -> dict[str, Any]:
        """The first row of a query."""
        async with self.database.api() as conn:
            row = await (await conn.execute(query.encode(), values)).fetchone()
        assert row
        return row
