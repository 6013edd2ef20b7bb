"""The crm story, played once through the commands."""

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import command_line

import pocketlet
from pocketlet.demo import data, mails

CRM = Path(pocketlet.__file__).parent / "demo" / "crm"
RULE = "Never promise a delivery date; offer 10 % if it is more than 7 days late."


@dataclass(frozen=True)
class Story:
    """The commands of the story, in their order, with --json."""

    cli: command_line.Cli
    place: Path
    imported: command_line.Result
    asked: command_line.Result
    approvals: command_line.Result
    approved: command_line.Result
    refused: command_line.Result
    taught: command_line.Result
    adopted: command_line.Result
    better: command_line.Result


@contextlib.contextmanager
def played(bare: command_line.Cli, place: Path) -> Iterator[Story]:
    """The story, against the stand-in and the sink, which stay for the block; its files are in `place`."""
    folder = place / "crm"
    shutil.copytree(CRM, folder, ignore=shutil.ignore_patterns("__pycache__", "*.py"))
    (folder / "agent.toml").write_text((folder / "agent.toml").read_text().replace('"crm"', '"clishop"', 1))
    letters = mails.story(data.write(folder, seed=1, today=date.today()))
    for name in ("known", "new", "second"):
        (place / f"{name}.eml").write_bytes(getattr(letters, name))
    sent = place / "sent"
    with (
        command_line.program("pocketlet.demo.standin") as standin,
        command_line.program("pocketlet.demo.sink", "--maildir", sent) as sink,
    ):
        cli = command_line.Cli({**bare.env, "OPENAI_BASE_URL": standin, "POCKETLET_SMTP_URL": f"{sink}?sent={sent}"})
        imported = cli("agent", "import", folder, "--json")
        asked = cli("run", "clishop", "--input", place / "known.eml", "--json")
        approvals = cli("approvals", "--json")
        approved = cli("approve", _question(asked), "--json")
        other = cli("run", "clishop", "--input", place / "new.eml", "--json")
        refused = cli("refuse", _question(other), "--because", "We are closed.", "--json")
        taught = cli("feedback", asked.json["run"], RULE, "--json")
        adopted = cli("adopt", "clishop", taught.json["revision"], "--json")
        better = cli("run", "clishop", "--input", place / "second.eml", "--json")
        yield Story(cli, place, imported, asked, approvals, approved, refused, taught, adopted, better)
        assert cli("agent", "remove", "clishop", "--yes", "--json").json == {"agent": "clishop", "removed": True}


def _question(result: command_line.Result) -> int:
    return result.json["approvals"][0]["approval"]
