"""A machine on which the crm story was told and `pocketlet up` runs, with a stand-in for the model and a mail sink."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = [sys.executable, "-m", "pocketlet.surfaces.cli.main"]
PATIENCE = 110  # seconds that a command may take


@dataclass(frozen=True)
class House:
    """`url`: where its pages are. `told`: what `pocketlet demo crm --json` printed."""

    home: Path
    url: str
    told: dict[str, Any]
    environment: dict[str, str]
    log: Path

    def said(self) -> str:
        """What the server last wrote to its log."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-3000:]

    def run_of(self, step: str) -> int:
        """The run of a step of the story: known-customer, new-customer, feedback, policy-followed, attack, rollback."""
        return next(one["run"] for one in self.told["steps"] if one["id"] == step)

    def command(self, *arguments: object, stdin: str = "") -> Any:
        """What a `pocketlet` command prints with --json. It may leave something that waits for the owner."""
        done = _done([*PROGRAM, *map(str, arguments), "--json"], self.environment, stdin)
        assert done.returncode in (0, 3), (done.returncode, done.stdout, done.stderr)
        return json.loads(done.stdout)


@contextmanager
def lived_in() -> Iterator[House]:
    """One whose processes end with the block."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("POCKETLET_", "OPENAI_"))}
    with tempfile.TemporaryDirectory(prefix="pocketlet-") as folder, ExitStack() as running:
        Path(folder).chmod(0o755)
        home = Path(folder) / "home"
        env = own | {"POCKETLET_HOME": str(home), "POCKETLET_MAIL_PORT": "0", "POCKETLET_PORT": "0"}
        story = _done([*PROGRAM, "demo", "crm", "--json"], env)
        assert story.returncode == 0, story.stderr
        running.callback(_done, [*PROGRAM, "down"], env)
        model = running.enter_context(_running([sys.executable, "-m", "pocketlet.demo.standin"], env)).split()[-1]
        sent = ["--maildir", str(Path(folder) / "sent")]
        post = running.enter_context(_running([sys.executable, "-m", "pocketlet.demo.sink", *sent], env)).split()[-1]
        env |= {"OPENAI_BASE_URL": model, "OPENAI_API_KEY": "stand-in", "POCKETLET_SMTP_URL": f"{post}?sent={sent[1]}"}
        log = Path(folder) / "up.log"
        up = json.loads(running.enter_context(_running([*PROGRAM, "up", "--no-open", "--json"], env, log)))
        yield House(home, up["url"], json.loads(story.stdout), env, log)


def _done(command: list[str], env: dict[str, str], stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=env, input=stdin, capture_output=True, text=True, timeout=PATIENCE, check=False)


@contextmanager
def _running(command: list[str], env: dict[str, str], log: Path = Path(os.devnull)) -> Iterator[str]:
    """A process, by the first line that it prints; what it says to its log goes to `log`."""
    with (
        log.open("w", encoding="utf-8") as said,
        subprocess.Popen(
            command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said, text=True
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, f"{command[2]} did not start"
            yield line
        finally:
            process.terminate()
            process.wait(30)
