"""`pocketlet inbox`: what waits for you and what is wrong, and what to do about it."""

from typing import TYPE_CHECKING, Any

import click

from pocketlet.surfaces.cli import arguments, output, session

if TYPE_CHECKING:
    from pocketlet.db import pool


@click.group(invoke_without_command=True)
@output.as_json
@click.pass_context
def inbox(context: click.Context, *, as_json: bool) -> None:
    """Show what waits for you and what is wrong, with what to do next."""
    if context.invoked_subcommand is not None:
        return
    found = session.api(_inbox)
    if as_json:
        output.document(found)
        return
    _tell(found)


def _tell(found: dict[str, Any]) -> None:
    for row in found["approvals"]:
        output.line(f"Approval {row['approval']}: {row['agent']} asks for {row['tool']} to {_in_one_line(row['to'])}")
        output.line(f"  until {output.when(row['expires_at'])}, then it is no; `pocketlet approvals` shows all of it")
        output.line(f"  Next: `pocketlet approve {row['approval']}`, or `pocketlet refuse {row['approval']}`")
    for row in found["replies"]:
        output.line(f"Reply {row['reply']} on {row['channel']}, about run {row['run']}: {_in_one_line(row['words'])}")
        output.line("  It may be anybody's, for nothing proves that you wrote it.")
        output.line(f"  Next: `pocketlet inbox confirm {row['reply']}`, or `pocketlet inbox ignore {row['reply']}`")
    for row in found["notices"]:
        whose = f"{row['agent']}: " if row["agent"] else ""
        times = f" ({row['count']} times since {output.when(row['first_at'])})" if row["count"] > 1 else ""
        output.line(f"Notice {row['notice']}: {whose}{_in_one_line(row['title'])}{times}")
        output.line(f"  Next: {row['hint'] or _next(row)}")
    if not any(found.values()):
        output.line("Nothing waits for you, and nothing is known to be wrong.")


def _next(row: dict[str, Any]) -> str:
    return f"`pocketlet show {row['run']}`" if row["run"] else f"`pocketlet inbox dismiss {row['notice']}`"


def _in_one_line(text: str) -> str:
    return " ".join(text.split())[:300]


@inbox.command()
@click.argument("notice", type=arguments.NUMBER)
@output.as_json
def dismiss(notice: int, *, as_json: bool) -> None:
    """You have seen a notice: it is told no more, unless the problem comes up again."""
    from pocketlet.platform import notices

    session.api(notices.dismiss, notice)
    output.say({"notice": notice, "dismissed": True}, f"Notice {notice} is dismissed.", as_json=as_json)


@inbox.command()
@click.argument("reply", type=arguments.NUMBER)
@output.as_json
def confirm(reply: int, *, as_json: bool) -> None:
    """A reply that may be anybody's is yours: it becomes feedback on its run."""
    from pocketlet.learning import replies

    given = session.api(replies.confirm, reply)
    output.say({"reply": reply, "feedback": given}, f"It is feedback {given} now.", as_json=as_json)


@inbox.command()
@click.argument("reply", type=arguments.NUMBER)
@output.as_json
def ignore(reply: int, *, as_json: bool) -> None:
    """A reply is not yours: nothing comes of it."""
    from pocketlet.learning import replies

    session.api(replies.ignore, reply)
    output.say({"reply": reply, "ignored": True}, f"Reply {reply} is ignored.", as_json=as_json)


async def _inbox(conn: "pool.Conn") -> dict[str, Any]:
    from pocketlet.agents import report
    from pocketlet.learning import replies
    from pocketlet.platform import notices

    names = ("approval", "agent", "run", "tool", "to", "why", "class", "created_at", "expires_at")
    return {
        "approvals": [{name: row[name] for name in names} for row in await report.questions(conn)],
        "replies": await replies.unproven(conn),
        "notices": await notices.standing(conn),
    }
