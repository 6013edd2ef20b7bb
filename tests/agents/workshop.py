"""One agent and all that its runs need: a scripted model, a mail server, and the loop, driven by hand.

A run is taken as far as it goes by `advance`, in the test's own task: nothing is waited for.
"""

import dataclasses
import itertools
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from mail_server import MailServer
from scripted_model import Reply, ScriptedModel, finishes, mails

from pocketlet.agents import agent as agents
from pocketlet.agents import (
    approving,
    journal,
    loop,
    portable,
    revisions,
    runs,
    thinking,
    work,
)
from pocketlet.agents import playbook as playbooks
from pocketlet.agents import task as tasks
from pocketlet.db import pool
from pocketlet.learning import adoption, cases, feedback, kinds, trials
from pocketlet.platform import queue
from pocketlet.platform.gateways import models, submission

CUSTOMER = "ann@customer.example"
MANIFEST = """
name = "{name}"
job = "Answer mail."
model = "openai:{name}"
price = {{input = 1.0, output = 2.0}}
{more}

[mail]
address = "shop@shop.example"

[facts.intent]
late_order = ["late"]
"""
#: What learning does next, and what a trial is for.
QUEUED = """
SELECT r.id AS run, r.kind, r.curation, t.purpose, t.attempt, t.revision, t.draft, c.id AS case, c.run_id AS case_run
  FROM pocketlet.run r LEFT JOIN pocketlet.trial t ON t.run_id = r.id LEFT JOIN pocketlet.cases c ON c.id = t.case_id
 WHERE r.agent_id = %s AND r.kind IN ('manager', 'trial') AND r.state = 'queued' ORDER BY r.id LIMIT 1
"""
_numbers = itertools.count(1)


def fresh_name() -> str:
    """A name that no other agent of this test process has."""
    return f"desk{next(_numbers)}"


def mail(
    text: str = "My order is late.", *, sender: str = CUSTOMER, number: int = 1, subject: str = "Where is it?"
) -> bytes:
    """A mail to the shop."""
    message = EmailMessage()
    message["From"] = f"Ann Lee <{sender}>"
    message["To"] = "shop@shop.example"
    message["Subject"] = subject
    message["Message-ID"] = f"<ask-{number}@customer.example>"
    message.set_content(text)
    return message.as_bytes()


def write_folder(path: Path, name: str, more: str = "", **files: str) -> Path:
    """An agent folder; `files` maps a path with `__` for `/` and no suffix to a text (`.md`, `.sql` by the folder)."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "agent.toml").write_text(MANIFEST.format(name=name, more=more), encoding="utf-8")
    (path / "INSTRUCTIONS.md").write_text("Be kind.\n", encoding="utf-8")
    for key, text in files.items():
        folder, _, stem = key.partition("__")
        target = path / folder / f"{stem}{'.sql' if folder == 'schema' else '.md'}"
        target.parent.mkdir(exist_ok=True)
        target.write_text(text, encoding="utf-8")
    return path


@dataclasses.dataclass
class Workshop:
    """`pauses` are the seconds that a run would have waited between attempts at a model."""

    database: pool.Database
    agent: agents.Agent
    model: ScriptedModel
    mail: MailServer
    engine: loop.Engine
    pauses: list[float]

    @property
    def name(self) -> str:
        """The agent's name, which is its model's name too."""
        return self.agent.name

    def says(self, *replies: Reply, manager: bool = False) -> None:
        """Writes the model's script."""
        self.model.script(f"{self.name}#manager" if manager else self.name, *replies)

    def reach(self, url: str | None) -> None:
        """Sends mail to `url` from now on."""
        self.engine = dataclasses.replace(self.engine, server=submission.read(url))

    def think(self, **changes: Any) -> None:
        """Changes how models are asked: gateway, lookup, override."""
        self.engine = dataclasses.replace(self.engine, thinker=dataclasses.replace(self.engine.thinker, **changes))

    async def create(self, raw: bytes) -> int:
        """A run of the agent's current revision that nobody has begun."""
        async with self.database.api() as conn:
            self.agent = await agents.get(conn, self.name)
            playbook = await revisions.load(conn, self.agent, self.agent.current)
            return await runs.create(conn, self.agent, tasks.read(raw), raw, playbook.manifest)

    async def advance(self, run: int) -> str:
        """Takes the run as far as it goes; the state it is in then."""
        await loop.advance(self.engine, kinds.KINDS, run)
        async with self.database.api() as conn:
            return await runs.state(conn, run)

    async def run(self, raw: bytes) -> int:
        """A run, made and taken as far as it goes."""
        number = await self.create(raw)
        await self.advance(number)
        return number

    async def steps(self, run: int) -> list[journal.Step]:
        """The journal."""
        async with self.database.api() as conn:
            return await journal.read(conn, run)

    async def row(self, query: str, *values: Any) -> dict[str, Any]:
        """The first row of a query on the platform's own tables."""
        return (await self.rows(query, *values))[0]

    async def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """All rows of a query on the platform's own tables."""
        async with self.database.api() as conn:
            return list(await (await conn.execute(query.encode(), values)).fetchall())

    async def change(self, statement: str, *values: Any) -> int:
        """Changes rows behind the code's back, as the API login; how many."""
        async with self.database.api() as conn:
            return (await conn.execute(statement.encode(), values)).rowcount

    async def ending(self, run: int) -> dict[str, Any]:
        """How the run stands: state, outcome, result, error, hint, exit_code, label."""
        columns = "state, outcome, result, error, hint, exit_code, label, briefing_hash"
        return await self.row(f"SELECT {columns} FROM pocketlet.run WHERE id = %s", run)

    async def effect(self, run: int) -> dict[str, Any]:
        """The run's one effect."""
        (found,) = await self.rows("SELECT * FROM pocketlet.effect WHERE run_id = %s", run)
        return found

    async def question(self, run: int) -> dict[str, Any]:
        """The one question that the run waits for."""
        async with self.database.api() as conn:
            (found,) = [row for row in await approving.questions(conn) if row["run"] == run]
        return found

    async def answer(self, run: int, *, yes: bool = True, because: str = "") -> str:
        """The owner's word on the run's question, and the run taken on; its state then."""
        number = (await self.question(run))["approval"]
        async with self.database.api() as conn:
            await approving.decide(conn, number, yes=yes, because=because)
        return await self.advance(run)

    async def retry(self, run: int) -> str:
        """Tries a failed run again; its state then."""
        async with self.database.api() as conn:
            await kinds.retry(conn, run)
        return await self.advance(run)

    async def feedback(
        self, run: int, verdict: str, comment: str = "", edited: str | None = None
    ) -> tuple[int, int | None]:
        """The owner's word on a run; its number and the manager's run, which is taken as far as it goes."""
        async with self.database.api() as conn:
            number, manager = await feedback.give(conn, run, feedback.Said(verdict, comment, edited))
        if manager is not None:
            await self.advance(manager)
        return number, manager

    async def learn(
        self, mailed: Callable[[dict[str, Any]], str] | None = None, *managers: tuple[Reply, ...]
    ) -> list[str]:
        """Takes the manager and the gate as far as they go, a run at a time: the kind or purpose of each.

        `mailed` says what the model writes to the customer in a trial (a row of QUEUED), `managers` what each manager
        does in turn; without them the scripts stay.
        """
        done: list[str] = []
        scripts = iter(managers)
        while queued := await self.rows(QUEUED, self.agent.id):
            [row] = queued
            if row["kind"] == "manager" and (script := next(scripts, None)):
                self.says(*script, manager=True)
            if mailed and row["purpose"]:
                self.says(mails(CUSTOMER, mailed(row)), finishes())
            await self.advance(row["run"])
            done.append(row["purpose"] or row["kind"])
        async with self.database.api() as conn:
            self.agent = await agents.get(conn, self.name)
        return done

    async def stable(self, body: str, text: str, *, subject: str = "Hello") -> int:
        """A run that mailed `body` on a mail of `text`, right by the owner's word, and its case stable by decree."""
        while True:
            self.says(mails(CUSTOMER, body), finishes())
            run = await self.run(mail(text, subject=subject))
            await self.feedback(run, "right")
            await self.change("UPDATE pocketlet.cases SET state = 'stable', passes = 3 WHERE run_id = %s", run)
            case = await self.row("SELECT id FROM pocketlet.cases WHERE run_id = %s", run)
            if not cases.audit(case["id"]):
                return run
            await self.change("UPDATE pocketlet.cases SET state = 'retired' WHERE run_id = %s", run)

    async def states(self) -> dict[int, str]:
        """The agent's revisions, each with what was decided on it."""
        query = "SELECT n, state FROM pocketlet.revision_state WHERE agent_id = %s ORDER BY n"
        return {row["n"]: row["state"] for row in await self.rows(query, self.agent.id)}

    async def outcome(self, number: int) -> str | None:
        """What became of a feedback."""
        async with self.database.api() as conn:
            return (await feedback.outcome(conn, number))["outcome"]

    async def verdicts(self, revision: int) -> dict[int, str]:
        """Takes the draft's trials as far as they go: the verdict for each run that a case was made of."""
        async with self.database.api() as conn:
            waiting = await trials.pending(conn, self.agent, revision)
        while waiting:
            await self.advance(waiting[0])
            async with self.database.api() as conn:
                waiting = await trials.pending(conn, self.agent, revision)
        async with self.database.api() as conn:
            report = await trials.report(conn, self.agent, revision)
        return {row["case_run"]: row["verdict"] for row in report["trials"]}

    async def decide(self, revision: int, verdict: str) -> None:
        """The owner's word on a revision."""
        async with self.database.api() as conn:
            self.agent = await agents.get(conn, self.name)
            words = {"adopt": adoption.adopt, "discard": adoption.discard, "rollback": adoption.roll_back}
            await words[verdict](conn, self.agent, revision)
            self.agent = await agents.get(conn, self.name)

    async def playbook(self, revision: int) -> playbooks.Playbook:
        """What a revision holds."""
        async with self.database.api() as conn:
            return await revisions.load(conn, self.agent, revision)

    async def briefing_hash(self, raw: bytes) -> str:
        """The hash of the briefing that a run on this input would get now."""
        playbook = await self.playbook(self.agent.current)
        task = tasks.read(raw)
        facts = tasks.facts(task, playbook.manifest)
        return work.compiled(playbook, task, facts, playbook.manifest.model).hash

    async def jobs(self, run: int) -> int:
        """Jobs of the run in the queue, in whatever state."""
        query = "SELECT count(*) FROM queue.procrastinate_jobs WHERE lock = %s"
        return (await self.row(query, f"run:{run}"))["count"]


async def open_workshop(
    database: pool.Database, folder: Path, model: ScriptedModel, mail: MailServer, *, model_url: str = ""
) -> Workshop:
    """Imports the folder and sets everything up; `model_url` is for another model than the scripted one."""
    agent = await portable.load(database, folder)
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    lookup = {"OPENAI_BASE_URL": model_url or model.url, "OPENAI_API_KEY": "sk-test"}.get
    thinker = thinking.Thinker(database, models.Gateway(timeout=30), lookup, pause=pause)
    worker = await queue.register(database, "worker")
    engine = loop.Engine(database, thinker, submission.read(mail.url_with_sent), "test", worker, folder.parent / "home")
    return Workshop(database, agent, model, mail, engine, pauses)


async def close_workshop(workshop: Workshop) -> None:
    """Leaves nothing of the agent, and nothing sealed with a key that is gone with the test's folder."""
    for table in ("connection", "secret"):
        await workshop.change(f"DELETE FROM pocketlet.{table}")
    await workshop.engine.thinker.gateway.aclose()
    await queue.unregister(workshop.database, workshop.engine.worker)
    await portable.remove(workshop.database, workshop.name)
