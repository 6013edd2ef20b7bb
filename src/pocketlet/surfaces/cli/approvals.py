"""`pocketlet approvals`, `approve` and `refuse`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pocketlet import errors
from pocketlet.surfaces.cli import arguments, outcome, output, session

if TYPE_CHECKING:
    from pocketlet.db import pool


@click.command()
@output.as_json
def approvals(*, as_json: bool) -> None:
    """Show what waits for your answer, word for word."""
    from pocketlet.agents import report

    waiting = session.api(report.questions)
    if as_json:
        output.document({"approvals": waiting})
        return
    for question in waiting:
        outcome.ask(question)
        output.line()
    if not waiting:
        output.line("Nothing waits for you.")


@click.command()
@arguments.approval
@click.option("--edit", "edited", metavar="FILE|-", help="Send the text of this file in the place of the mail's.")
@click.option(
    "--always", metavar="N", type=click.IntRange(1, 1000), help="Allow this tool there N times a day unasked."
)
@click.option("--days", metavar="DAYS", type=click.IntRange(1, 366), help="How long --always holds (30).")
@output.as_json
def approve(approval: int, *, edited: str | None, always: int | None, days: int | None, as_json: bool) -> None:
    """Allow what an approval asks for, and wait for what comes of it."""
    if edited and always:
        raise errors.BadInput("An edited text is sent once: it goes with no --always.")
    if days and not always:
        raise errors.BadInput("--days says how long --always holds: it needs --always N.")
    text = None if edited is None else _text(edited)
    outcome.tell(session.call(_approve, approval, text, always, days or 30), as_json=as_json)


def _text(source: str) -> str:
    with click.open_file(source, encoding="utf-8") as file:
        try:
            return file.read()
        except UnicodeDecodeError:
            raise errors.BadInput(f"{Path(source).name} is not UTF-8 text.") from None


async def _approve(
    database: "pool.Database", number: int, text: str | None, always: int | None, days: int
) -> dict[str, Any]:
    from pocketlet.agents import approving

    if always:
        async with database.api() as conn:
            rule = await approving.allow(conn, number, per_day=always, days=days)
        review = f"{rule['review_on']}: then you are asked again. `pocketlet rule remove {rule['rule']}` ends it"
        output.note(f"Rule {rule['rule']}: {rule['tool']} to {rule['to']}, {always} a day, until {review}")
    if text is not None:
        outcome.draw(text)
    async with database.api() as conn:
        act = approving.decide(conn, number, yes=True) if text is None else approving.edit(conn, number, text)
        decided = await act
    return await outcome.attended(database, decided.run)


@click.command()
@arguments.approval
@click.option("--because", default="", metavar="TEXT", help="Why; the agent reads it.")
@click.option("--teach", is_flag=True, help="Make a lesson of it: what you say with --because is feedback, too.")
@output.as_json
def refuse(approval: int, *, because: str, teach: bool, as_json: bool) -> None:
    """Refuse what an approval asks for, and wait for what comes of it."""
    if teach and not because.strip():
        raise errors.BadInput("--teach needs --because TEXT: what should be different?")
    outcome.tell(session.call(_refuse, approval, because, teach=teach), as_json=as_json)


async def _refuse(database: "pool.Database", number: int, because: str, *, teach: bool) -> dict[str, Any]:
    from pocketlet.agents import approving
    from pocketlet.learning import feedback
    from pocketlet.surfaces.cli import attending

    async with database.api() as conn:
        decided = await approving.decide(conn, number, yes=False, because=because)
    told = await outcome.attended(database, decided.run)
    if not teach:
        return told
    async with database.api() as conn:
        said = feedback.Said("change", because, about={"step": decided.seq})
        given, _ = await feedback.give(conn, decided.run, said)
    output.note(f"Feedback {given}: the manager makes a lesson of it")
    async with attending.Attendant(database) as attendant:
        await attendant.settled(given)
    async with database.api() as conn:
        output.note(f"Feedback {given}: {(await feedback.outcome(conn, given))['outcome']}")
    return told
