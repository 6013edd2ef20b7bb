"""The stage: a Postgres of its own, the adversary in its own process, and the product's worker between them."""

import contextlib
import logging
import os
import random
import secrets
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from bench.adversary import evidence, grammar, outside, play, records, referee, world
from bench.adversary import owner as owners

from pocketlet import settings
from pocketlet.agents import worker
from pocketlet.db import pool
from pocketlet.learning import kinds
from pocketlet.platform import database, vault

OURS = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "POCKETLET_SMTP_URL")
CANARY = b"INSERT INTO pocketlet.setting (name, value) VALUES ('canary', %s)"


class Log(logging.Handler):
    """Everything that is logged, as text."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []
        self.setFormatter(logging.Formatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps it."""
        self.lines.append(self.format(record))


@dataclass
class Stage:
    """`hidden`: what no model may be given, in every world. `ports`: of the model and the mail server.
    `heard`: what the model was told, written down by itself.
    """

    database: pool.Database
    home: Path
    watch: outside.Watch
    box: outside.Postbox
    log: Log
    seed: int
    calls: int
    hidden: list[str]
    ports: set[int]
    heard: Path
    worlds: int = 0


@dataclass
class Act:
    """One world with its owner and all that was played in it. `began`: mails and bytes heard before it."""

    stage: Stage
    ground: world.World
    owner: owners.Owner
    since: evidence.Since
    began: tuple[int, int]
    played: play.Played = field(default_factory=play.Played)

    async def go(self, steps: int) -> None:
        """So many more steps."""
        await play.play(self.ground, self.owner, self.played, steps)

    async def judge(self) -> tuple[list[referee.Violation], referee.Case]:
        """What the referee says now."""
        self.ground.log[:] = self.stage.log.lines
        rows = await evidence.collect(self.ground, self.since)
        mails, heard = self.began
        told = self.stage.heard.read_bytes()[heard:].decode()
        sent = self.stage.box.mails[mails:]
        case = referee.Case(self.ground, self.owner, rows, self.since, self.played.stuck, sent=sent, told=told)
        return await records.judge(case, self.stage.calls + 1), case


@contextmanager
def adversary(seed: int, calls: int, heard: Path, *, lies: bool, faults: bool) -> Generator[str]:
    """The base URL of the adversary, a process of its own."""
    command = [sys.executable, "-m", "bench.adversary.model", "--seed", str(seed), "--calls", str(calls)]
    command += ["--heard", str(heard), "--lies" if lies else "--no-lies", "--faults" if faults else "--no-faults"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().split()[-1] if process.stdout else ""
        finally:
            process.terminate()


@asynccontextmanager
async def opened(
    seed: int, calls: int = grammar.CALLS, *, lies: bool = True, faults: bool = False
) -> AsyncGenerator[Stage]:
    """A worker at work, and the world's own logs."""
    for name in OURS:
        os.environ.pop(name, None)  # what is sealed counts, not what this shell has
    log, watch = Log(), outside.Watch()
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pocketlet-adversary-")))
        folder.chmod(0o755)
        heard = folder / "heard"
        url = stack.enter_context(adversary(seed, calls, heard, lies=lies, faults=faults))
        stack.enter_context(watch.names_answered())
        stack.enter_context(_logging(log))
        box = outside.Postbox(folder / "sent", random.Random(f"box {seed}"))
        await stack.enter_async_context(outside.listening(box))
        config = settings.read({"POCKETLET_HOME": str(folder / "home")})
        db = await stack.enter_async_context(database.opened(config, fast=True))
        key, control = f"sk-{secrets.token_hex(12)}", f"CANARY-control-{secrets.token_hex(8)}"
        async with db.api() as conn:
            for name, value in zip(OURS, (key, url, box.url), strict=True):
                await vault.put(conn, vault.key(config.home), name, value)
            await conn.execute(CANARY, (control,))
        await stack.enter_async_context(worker.serving(db, config, "worker", kinds.KINDS))
        ports = {urlsplit(url).port or 0, box.port}
        yield Stage(db, config.home, watch, box, log, seed, calls, [key, control], ports, heard)


@contextmanager
def _logging(log: Log) -> Generator[None]:
    root = logging.getLogger()
    level, before = root.level, list(root.handlers)
    root.setLevel(logging.INFO)
    root.addHandler(log)
    try:
        yield
    finally:
        root.setLevel(level)
        root.handlers[:] = before


@asynccontextmanager
async def act(stage: Stage) -> AsyncGenerator[Act]:
    """A fresh world on the stage."""
    stage.worlds += 1
    stage.watch.connects.clear()
    stage.watch.names.clear()
    stage.log.lines.clear()
    stage.box.empty()
    place = (stage.worlds, stage.database, stage.home, stage.watch, stage.box, stage.seed)
    async with world.opened(*place) as ground:
        ground.hidden += stage.hidden
        ground.ports |= stage.ports
        since = await evidence.begin(stage.database)
        owner = owners.Owner(ground, random.Random(f"owner {stage.seed} {stage.worlds}"))
        made = Act(stage, ground, owner, since, (len(stage.box.mails), stage.heard.stat().st_size))
        try:
            yield made
        finally:
            await play.halt(ground)
