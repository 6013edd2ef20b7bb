"""Runs written by hand, as a worker writes them: claimed, step by step under the fence, and at rest."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pocketlet.agents import agent as agents
from pocketlet.agents import approving, effects, journal, mailing, portable, revisions, runs, standing
from pocketlet.agents import task as tasks
from pocketlet.db import pool

AGENT = """
name = "{name}"
job = "Write reports."
model = "openai:none"
tools = ["sql", "send_mail"]
price = {{input = 1.0, output = 2.0}}
budget = {{run = 0.25, day = 5.0}}
"""
WORKER = "INSERT INTO pocketlet.worker (host, pid, role) VALUES ('by hand', 1, 'command') RETURNING id"


async def hire(database: pool.Database, folder: Path, name: str) -> agents.Agent:
    """An agent of the keeper's, with nothing done."""
    folder.mkdir(exist_ok=True)
    (folder / "agent.toml").write_text(AGENT.format(name=name), encoding="utf-8")
    await portable.load(database, folder)
    async with database.api() as conn:
        return await agents.get(conn, name)


@dataclass
class Handmade:
    """A run that the test works on in the place of a worker."""

    database: pool.Database
    agent: agents.Agent
    number: int = 0
    run: runs.Run | None = None
    seq: int = 0

    async def begin(self, text: bytes = b"Write the weekly report") -> int:
        """Its number; a worker that is none has it."""
        task = tasks.read(text)
        values: dict[str, Any] = {"agent": self.agent.id, "kind": "run", "revision": self.agent.current, "facts": {}}
        values |= {"input": task.record(), "raw": text, "label": task.label}
        async with self.database.api() as conn:
            self.number = await runs.insert(conn, values)
            row = await (await conn.execute(WORKER)).fetchone()
            self.run = await runs.claim(conn, self.number, row["id"] if row else 0)
        return self.number

    async def think(self, text: str = "I look.", tool: str = "sql", **args: object) -> None:
        """A reply of the model that asks for one call."""
        calls = [{"id": "c", "tool": tool, "args": args, "raw": ""}]
        usage = {"input": 100, "output": 10, "cached": 0}
        await self._write("model", None, {"hash": "x"}, _reply(text, calls, usage), {"seconds": 0.25})

    async def use(self, tool: str, answer: str, meta: Mapping[str, Any] | None = None, **args: object) -> None:
        """A tool's step."""
        await self._write("tool", tool, args, answer, {"seconds": 0.01, "from": "own-data"} | dict(meta or {}))

    async def steps(self, count: int) -> None:
        """So many, by turns a reply and a look at something."""
        for _ in range(count):
            if self.seq % 2 == 0:
                await self.think(query="SELECT name FROM customers")
            else:
                meta = {"rows": 1, "capped": "", "tables": ["customers"]}
                await self.use("sql", "name\nAnn\n(1 row)", meta, query="SELECT name FROM customers")

    async def ask(self, to: str, subject: str, body: str) -> int:
        """A mail that its next step would send, and for which the owner is asked; the run waits. The approval."""
        assert self.run
        async with self.database.api() as conn:
            playbook = await revisions.load(conn, self.agent, self.run.revision)
            task = tasks.from_record(self.run.input)
            sender = mailing.Sender(self.agent, playbook.manifest, task, None, "by-hand")
            intent = sender.intent(self.run, self.seq + 1, mailing.Mail(to, subject, body))
            known = await standing.of_run(conn, self.run, sender, playbook)
            effect = await effects.plan(conn, self.run, self.seq + 1, intent, known)
            rows = await approving.questions(conn)
        await self.rest("waiting", outcome="waiting", result=None)
        return next(row["approval"] for row in rows if row["effect"] == effect.id)

    async def rest(self, state: str = "done", **facts: object) -> None:
        """Its end, or where it waits."""
        assert self.run
        async with self.database.api() as conn:
            await runs.rest(conn, self.run, state, **({"outcome": state, "result": "All is written."} | facts))

    async def _write(self, kind: str, tool: str | None, request: Any, response: Any, meta: dict[str, Any]) -> None:
        assert self.run
        self.seq += 1
        step = journal.Step(self.seq, kind, tool, request, response, None, self.run.label, meta)
        async with self.database.api() as conn:
            await journal.write(conn, self.run.id, self.run.fence, step)


def _reply(text: str, calls: list[dict[str, Any]], usage: Mapping[str, int]) -> dict[str, Any]:
    return {"text": text, "calls": calls, "finish": "tool_call", "usage": usage, "message": {}}
