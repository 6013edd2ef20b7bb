"""`pocketlet feedback`: the owner's word in every form, the manager's draft, and the trials of that draft."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pocketlet import errors
from pocketlet.surfaces.cli import arguments, output, session
from pocketlet.surfaces.cli import run as command

if TYPE_CHECKING:
    from pocketlet.db import pool
    from pocketlet.learning import feedback as feedbacks

MEANING = {
    "fixed": "was wrong, is right with the draft",
    "same": "as right as before",
    "worse": "was right, is wrong with the draft",
    "still-wrong": "wrong before and with the draft",
    "unchanged": "not touched by the draft, so not run",
    "unknown": "the trial itself failed",
    "pending": "not finished",
}


FILE = click.Path(path_type=Path)


@dataclass(frozen=True, slots=True)
class Given:
    """The options: how the owner says it."""

    verdict: str | None
    edited: Path | None
    step: int | None
    memory: str | None
    forget: bool
    undo: bool
    sent: Path | None
    reply: Path | None

    @property
    def mail(self) -> Path | None:
        """The mail that says it, and which run it is about."""
        return self.sent if self.sent is not None else self.reply


@click.command()
@click.argument("words", nargs=-1, metavar="[RUN] [TEXT]")
@click.option(
    "--verdict", type=click.Choice(["right", "change", "wrong"]), help="Default: change with TEXT, else right."
)
@click.option("--edited", type=FILE, metavar="FILE", help="The mail (or the memory) as you would have written it.")
@click.option("--step", type=arguments.REVISION, metavar="N", help="The step that TEXT is about.")
@click.option("--memory", metavar="AGENT:ID", help="TEXT corrects this memory of the agent; no RUN.")
@click.option("--forget", is_flag=True, help="With --memory: nothing of it is right.")
@click.option("--undo", is_flag=True, help="With --memory: take that correction back.")
@click.option("--sent", type=FILE, metavar="FILE", help="A mail of your Sent folder: what really went out; no RUN.")
@click.option("--reply", type=FILE, metavar="FILE", help="Your reply to a notice, as a mail; no RUN.")
@output.as_json
def feedback(words: tuple[str, ...], *, as_json: bool, **options: Any) -> None:
    """Say what you think of a run, and see what changes by it.

    The manager drafts a revision out of it, and the draft is tried on past runs, with nothing sent. It counts once it
    has proved itself there, or once you adopt it (`learning.adopt` in agent.toml); `pocketlet rollback` takes it back.
    A wrong memory is corrected at once, and no revision is drafted.
    """
    given = Given(**options)
    run, text = _which(given, words)
    edited = _text(given.edited) if given.edited is not None else None
    if given.memory is not None:
        _tell_memory(session.api(_correct, given, text, edited), as_json=as_json)
        return
    found = session.call(_feedback, given, run, text, edited)
    if as_json:
        output.document(found)
    else:
        _tell(found)
    if found["state"] in ("failed", "stopped"):
        click.get_current_context().exit(found["exit_code"] or 1)


def _which(given: Given, words: tuple[str, ...]) -> tuple[int, str]:
    """The run (0: the mail or the memory says it) and the text. Raises click.UsageError."""
    _check_options(given)
    most = 1 if given.memory is not None else 2 if given.mail is None else 0
    if len(words) > most:
        raise click.UsageError(f"Got unexpected extra argument ({words[most]})")
    if most < 2:
        return 0, "".join(words)
    if not words:
        raise click.UsageError("Missing argument 'RUN'.")
    return arguments.NUMBER(words[0], click.Argument(["run"]), click.get_current_context()), "".join(words[1:])


def _check_options(given: Given) -> None:
    kinds = {"--memory": given.memory, "--sent": given.sent, "--reply": given.reply}
    named = [name for name, value in kinds.items() if value is not None]
    if len(named) > 1:
        raise click.UsageError(f"{named[0]} and {named[1]} exclude each other.")
    of_run = {"--verdict": given.verdict, "--step": given.step}
    if named and (found := [name for name, value in of_run.items() if value is not None]):
        raise click.UsageError(f"{found[0]} needs a RUN, not {named[0]}.")
    if given.edited is not None and given.mail is not None:
        raise click.UsageError(f"{named[0]} and --edited exclude each other.")
    if (given.forget or given.undo) and (given.memory is None or given.edited or (given.forget and given.undo)):
        raise click.UsageError("--forget or --undo stands with --memory alone.")


def _text(path: Path) -> str:
    try:
        text = path.read_bytes().decode("utf-8-sig").replace("\x00", "")
    except OSError as error:
        raise errors.BadInput(f"{path} can't be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise errors.BadInput(f"{path} is not UTF-8 text (byte {error.start}).") from error
    if not text.strip():
        raise errors.BadInput(
            f"{path} is empty.", hint="Write the mail as you would have sent it, or leave out --edited."
        )
    return text


async def _said(
    conn: "pool.Conn", given: Given, run: int, text: str, edited: str | None
) -> "tuple[int, feedbacks.Said]":
    """Which run it is about, and what is said: of others' words, nothing is left."""
    from pocketlet.learning import feedback as feedbacks
    from pocketlet.learning import thread

    if given.sent is not None:
        word = await thread.sent(conn, command.content(str(given.sent)))
        verdict, changed = ("right", None) if word.same else ("change", word.text)
        return word.run, feedbacks.Said(verdict, "", changed, {"mail": word.message_id}, "sent")
    if given.reply is not None:
        word = await thread.reply(conn, None, command.content(str(given.reply)))
        return word.run, feedbacks.Said("change", word.text, None, {"mail": word.message_id}, "reply")
    own = await thread.edited(conn, run, edited) if edited is not None else None
    if text and not text.strip():
        raise errors.BadInput(
            "The TEXT is blank.", hint="Say what should change; without a TEXT the run is called right."
        )
    verdict = given.verdict or ("change" if text or own else "right")
    return run, feedbacks.Said(verdict, text, own, {"step": given.step} if given.step is not None else {})


async def _feedback(database: "pool.Database", given: Given, run: int, text: str, edited: str | None) -> dict[str, Any]:
    from pocketlet.agents import agent as agents
    from pocketlet.agents import runs
    from pocketlet.learning import feedback as feedbacks
    from pocketlet.surfaces.cli import attending

    async with database.api() as conn:
        run, said = await _said(conn, given, run, text, edited)
        number, manager = await feedbacks.give(conn, run, said)
        agent = await agents.by_id(conn, (await runs.load(conn, run)).agent_id)
        waits = await feedbacks.under_way(conn, number)
    if manager is not None:
        output.note(f"Feedback {number}: the manager takes it up in run {manager}")
    elif waits:
        output.note(f"Feedback {number}: the manager is at work on an earlier one (run {waits[0]}), then takes this up")
    async with attending.Attendant(database) as attendant:
        await attendant.settled(number)
    async with database.api() as conn:
        return await _document(conn, agent.id, number)


async def _correct(conn: "pool.Conn", given: Given, text: str, edited: str | None) -> dict[str, Any]:
    from pocketlet.learning import corrections

    agent, row = await corrections.row_of(conn, given.memory or "")
    if given.undo:
        done = await corrections.undo(conn, agent, row, text)
    elif given.forget:
        done = await corrections.forget(conn, agent, row, text)
    else:
        done = await corrections.correct(conn, agent, row, text, edited)
    undo = [] if given.undo else [f"pocketlet feedback --memory {agent.name}:{done.undo} --undo"]
    found: dict[str, Any] = {"feedback": done.feedback, "agent": agent.name, "memory": done.row, "new": done.new}
    return found | {"outcome": done.outcome, "next": undo}


def _tell_memory(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        output.document(found)
        return
    output.line(f"Feedback {found['feedback']}: {found['outcome']}")
    for command_line in found["next"]:
        output.note(f"`{command_line}` takes it back.")


async def _document(conn: "pool.Conn", agent_id: int, number: int) -> dict[str, Any]:
    from pocketlet.agents import agent as agents
    from pocketlet.agents import report, revisions
    from pocketlet.learning import feedback as feedbacks
    from pocketlet.learning import trials

    agent = await agents.by_id(conn, agent_id)
    given = await feedbacks.outcome(conn, number)
    manager = given["curation_run"]
    found: dict[str, Any] = {"feedback": number, "run": given["run"], "agent": agent.name}
    found |= {name: given[name] for name in ("verdict", "comment", "outcome")}
    found |= {"manager_run": manager, "state": "done", "error": None, "hint": None, "exit_code": None}
    found |= {"revision": None, "parent": None, "decision": None, "evidence": {}, "current": agent.current}
    found |= {"diff": "", "trials": [], "counts": {}, "replays": 0, "findings": [], "cost_usd": 0, "next": []}
    if manager is None:
        return found
    curation = await report.run(conn, manager)
    found |= {name: curation[name] for name in ("state", "error", "hint", "exit_code", "cost_usd")}
    draft = await feedbacks.draft_of(conn, manager)
    if draft is None:
        return found
    old = await revisions.load(conn, agent, curation["revision"])
    new = await revisions.load(conn, agent, draft)
    tried = await trials.report(conn, agent, draft)
    row = await revisions.one(conn, agent, draft)
    names = (f"r{curation['revision']}", f"r{draft}")
    found |= {"revision": draft, "parent": curation["revision"], "diff": revisions.diff(old, new, names)}
    found |= {name: tried[name] for name in ("trials", "counts", "replays", "findings")}
    found |= {"decision": row["state"], "evidence": row["evidence"] or {}}
    found["cost_usd"] = curation["cost_usd"] + tried["cost_usd"]
    found["next"] = _next(agent.name, draft, row["state"])
    return found


def _next(name: str, draft: int, state: object) -> list[str]:
    if state in ("draft", "asked"):
        return [f"pocketlet {verb} {name} {draft}" for verb in ("adopt", "discard")]
    return [f"pocketlet rollback {name}"] if state == "current" else []


def _tell(found: dict[str, Any]) -> None:
    if found["error"]:
        output.failure("", found["error"], found["hint"] or f"`pocketlet show {found['manager_run']}`.", as_json=False)
        return
    output.line(f"Feedback {found['feedback']} on run {found['run']}: {found['outcome']}")
    if found["revision"] is None:
        return
    output.line()
    output.line(found["diff"])
    output.line()
    output.line(f"Trials: {output.pairs(found['counts']) or 'none'}")
    for trial in found["trials"]:
        subject = f" ({trial['subject']})" if trial["subject"] else ""
        verdict = trial["verdict"]
        output.line(f"  run {trial['case_run']}{subject}: {verdict} - {MEANING[verdict]}")
        for failed in trial["evidence"]["failed"]:
            output.line(f"    does not hold: {failed}")
    output.line(f"Cost: {output.money(found['cost_usd'])}")
    output.line()
    if found["next"]:
        output.line(" or ".join(f"`{command}`" for command in found["next"]))
