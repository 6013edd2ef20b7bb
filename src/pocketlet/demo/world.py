"""The demo's outside world, as processes: the stand-in model, the mail sink, the worker; and the customers' mails."""

import asyncio
import contextlib
import json
import mailbox
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiosmtplib

from pocketlet import errors, settings


@dataclass(slots=True)
class World:
    """Where the model is (None: the one that the user chose), where mail leaves, and where it is found again.

    `port`: where the worker serves its pages, 0 for any; `url`: where it does.
    """

    model_url: str | None
    smtp_url: str
    sent: Path
    home: Path
    worker: subprocess.Popen[str] | None = None
    mail_port: int = 0
    port: int = 0
    url: str = ""
    restarts: int = -1

    def environment(self) -> Mapping[str, str]:
        """What the worker's process is told."""
        env = {**settings.provider_environment(), "POCKETLET_HOME": str(self.home)}
        env |= {"POCKETLET_MAIL_PORT": "0", "POCKETLET_PORT": str(self.port)}
        env["POCKETLET_SMTP_URL"] = f"{self.smtp_url}?sent={self.sent}"
        if self.model_url:
            env |= {"OPENAI_BASE_URL": self.model_url, "OPENAI_API_KEY": "stand-in"}
            env.pop("POCKETLET_MODEL", None)
        return env

    def look_after(self) -> None:
        """Starts the worker, and starts it again if it died: the runs go on from their journals."""
        while self.worker is None or self.worker.poll() is not None:
            if self.worker is not None:
                _end(self.worker)
            self.restarts += 1
            command = [sys.executable, "-m", "pocketlet.surfaces.cli.main", "up", "--attached", "--json"]
            self.worker = _spawn(command, self.environment(), stdin=subprocess.PIPE)
            if line := self.worker.stdout.readline().strip() if self.worker.stdout else "":
                told = json.loads(line)
                self.mail_port, self.url = int(told["mail"].rpartition(":")[2]), told["url"]
            elif self.worker.wait() >= 0:  # below 0: it was killed while it started, and another one is
                raise _not_started("the worker")

    async def post(self, raw: bytes, sender: str, to: str) -> None:
        """A customer's mail server hands a mail over, and tries again if nobody answers."""
        for attempt in range(1, 6):
            self.look_after()
            try:
                await aiosmtplib.send(raw, sender=sender, recipients=[to], hostname="127.0.0.1", port=self.mail_port)
            except (aiosmtplib.SMTPException, OSError) as error:
                if attempt == 5 or isinstance(error, aiosmtplib.SMTPRecipientsRefused):
                    raise errors.Failed(f"The demo's mail was not taken: {error}.") from error
                await asyncio.sleep(0.2)
            else:
                return

    def delivered(self) -> list[mailbox.MaildirMessage]:
        """Every mail that left, in no order."""
        return list(mailbox.Maildir(self.sent, create=False)) if self.sent.is_dir() else []


@contextmanager
def made(home: Path, sent: Path, *, own_model: bool, port: int = 0) -> Generator[World]:
    """The world, for as long as the story takes; everything in it ends with this process, however that ends."""
    running: list[subprocess.Popen[str]] = []
    world = World(None, "", sent, home, port=port)
    try:
        if not own_model:
            standin = _spawn([sys.executable, "-m", "pocketlet.demo.standin"], settings.provider_environment())
            running.append(standin)
            world.model_url = _first_line(standin, "the stand-in model").split()[-1]
        sink = _spawn(
            [sys.executable, "-m", "pocketlet.demo.sink", "--maildir", str(sent)], settings.provider_environment()
        )
        running.append(sink)
        world.smtp_url = _first_line(sink, "the mail sink").split()[-1]
        world.look_after()
        yield world
    finally:
        if world.worker is not None:
            running.append(world.worker)
        for process in reversed(running):
            _end(process)


def _spawn(command: list[str], env: Mapping[str, str], *, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        env=dict(env),
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def _first_line(process: subprocess.Popen[str], what: str) -> str:
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        raise _not_started(what)
    return line.strip()


def _not_started(what: str) -> errors.Failed:
    hint = "Try `pocketlet doctor`, or `pocketlet up` by hand."
    return errors.Failed(f"The demo could not start {what}.", hint=hint)


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(15)
    if process.poll() is None:
        process.kill()
        process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
