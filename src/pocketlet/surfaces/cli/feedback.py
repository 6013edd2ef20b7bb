"""`pocketlet feedback`: the owner's word, the manager's draft, and the trials of that draft."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pocketlet import errors
from pocketlet.surfaces.cli import arguments, output, session

if TYPE_CHECKING:
    from pocketlet.agents import agent as agents
    from pocketlet.db import pool

MEANING = {
    "fixed": "was wrong, is right with the draft",
    "same": "as right as before",
    "worse": "was right, is wrong with the draft",
    "still-wrong": "wrong before and with the draft",
    "unchanged": "not touched by the draft, so not run",
    "unknown": "the trial itself failed",
    "pending": "not finished",
}


@click.command()
@arguments.run
@click.argument("text", required=False, default="")
@click.option(
    "--verdict", type=click.Choice(["right", "change", "wrong"]), help="Default: change with TEXT, else right."
)
@click.option("--edited", type=click.Path(path_type=Path), metavar="FILE", help="The mail as you would have sent it.")
@output.as_json
def feedback(run: int, text: str, *, verdict: str | None, edited: Path | None, as_json: bool) -> None:
    """Say what you think of a run, and see what changes by it.

    The manager drafts a revision out of it, and the draft is tried on past runs, with nothing sent. Nothing changes
    until you adopt the draft.
    """
    draft = _edited(edited) if edited is not None else None
    verdict = verdict or ("change" if text.strip() or draft is not None else "right")
    found = session.call(_feedback, run, verdict, text, draft)
    if as_json:
        output.document(found)
    else:
        _tell(found)
    if found["state"] in ("failed", "stopped"):
        click.get_current_context().exit(found["exit_code"] or 1)


def _edited(path: Path) -> str:
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


async def _feedback(database: "pool.Database", run: int, verdict: str, text: str, edited: str | None) -> dict[str, Any]:
    from pocketlet.agents import agent as agents
    from pocketlet.agents import feedback as feedbacks
    from pocketlet.agents import runs, trials
    from pocketlet.surfaces.cli import attending

    async with database.api() as conn:
        number, manager = await feedbacks.give(conn, run, verdict, text, edited)
        agent = await agents.by_id(conn, (await runs.load(conn, run)).agent_id)
    if manager is not None:
        output.note(f"Feedback {number}: the manager takes it up in run {manager}")
        async with attending.Attendant(database) as attendant:
            await attendant.rest(manager)
            async with database.api() as conn:
                draft = await feedbacks.draft_of(conn, manager)
                tried = await trials.pending(conn, agent, draft) if draft else []
            if tried:
                output.note(f"Revision {draft} is drafted; trying it on past runs: {len(tried)}")
            await attendant.rest(*tried)
    return await _document(database, agent, number, manager)


async def _document(
    database: "pool.Database", agent: "agents.Agent", number: int, manager: int | None
) -> dict[str, Any]:
    from pocketlet.agents import feedback as feedbacks
    from pocketlet.agents import report, revisions, trials

    async with database.api() as conn:
        given = await feedbacks.outcome(conn, number)
        found: dict[str, Any] = {"feedback": number, "run": given["run"], "agent": agent.name}
        found |= {name: given[name] for name in ("verdict", "comment", "outcome")}
        found |= {"manager_run": manager, "state": "done", "error": None, "hint": None, "exit_code": None}
        found |= {"revision": None, "parent": None, "diff": "", "trials": [], "counts": {}, "cost_usd": 0, "next": []}
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
    names = (f"r{curation['revision']}", f"r{draft}")
    found |= {"revision": draft, "parent": curation["revision"], "diff": revisions.diff(old, new, names)}
    found |= {"trials": tried["trials"], "counts": tried["counts"]}
    found["cost_usd"] = curation["cost_usd"] + tried["cost_usd"]
    found["next"] = [f"pocketlet {verb} {agent.name} {draft}" for verb in ("adopt", "discard")]
    return found


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
        for failed in trial["evidence"].get("failed_after", []):
            output.line(f"    does not hold: {failed}")
    output.line(f"Cost: {output.money(found['cost_usd'])}")
    output.line()
    output.line(" or ".join(f"`{command}`" for command in found["next"]))
