"""Working processes to kill: `up` with its listeners, and `worker`: the product's `serve`, forked from a warm one."""

import asyncio
import contextlib
import logging
import multiprocessing
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

STARTING = 60.0  # seconds
PRELOAD = [
    "pocketlet.surfaces.serve",
    "pocketlet.platform.gateways.clients",
    "pocketlet.platform.gateways.failures",
    "pocketlet.platform.gateways.wire_format",
    "pydantic_ai.models.anthropic",
    "pydantic_ai.models.openai",
    "pydantic_ai.providers.anthropic",
    "pydantic_ai.providers.openai",
]


def live(role: str, environment: Mapping[str, str], log: Path, ready: Connection) -> None:
    """What such a process does, from beginning to end."""
    from pocketlet import settings
    from pocketlet.surfaces import serve

    os.environ.update(environment)
    logging.basicConfig(filename=log, format="%(asctime)s %(process)d %(levelname)s %(message)s")
    logging.getLogger("procrastinate").setLevel(logging.CRITICAL)
    asyncio.run(serve.serve(settings.read(), role, lambda _: ready.send("here")))


@dataclass
class Herd:
    """Starts them. `environment`: what each is given."""

    environment: Mapping[str, str]
    log: Path
    context: ForkServerContext = field(default_factory=lambda: _warm())

    async def start(self, role: str, crash_at: str = "") -> "Creature":
        """A process that works, or died on the way there."""
        here, there = self.context.Pipe()
        environment = {**self.environment, "CRASH_AT": crash_at}
        process = self.context.Process(target=live, args=(role, environment, self.log, there), daemon=True)
        process.start()
        there.close()
        await asyncio.to_thread(here.poll, STARTING)  # true at its end, too
        here.close()
        return Creature(process, role)


def _warm() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    return context


@dataclass
class Creature:
    """One of them."""

    process: ForkServerProcess
    role: str

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid or 0

    @property
    def alive(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.is_alive()

    def signal(self, number: int) -> None:
        """SIGKILL, SIGSTOP, SIGCONT, SIGTERM."""
        strike(self.pid, number)

    async def gone(self, patience: float) -> bool:
        """Whether it ends by itself in so many seconds."""
        await asyncio.to_thread(self.process.join, patience)
        return not self.alive

    async def kill(self) -> None:
        """Ends it at once."""
        self.signal(signal.SIGKILL)
        await asyncio.to_thread(self.process.join)


def strike(pid: int | None, number: int) -> None:
    """Sends a signal to a process of ours, if it is still there."""
    if pid:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
