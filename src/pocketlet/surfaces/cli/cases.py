"""`pocketlet cases`."""

from typing import TYPE_CHECKING, Any

import click

from pocketlet import errors
from pocketlet.surfaces.cli import arguments, output, session

if TYPE_CHECKING:
    from pocketlet.db import pool


@click.command()
@click.argument("agent")
@click.option("--pin", type=arguments.NUMBER, metavar="N", help="Try case N on every change that touches it.")
@click.option("--unpin", type=arguments.NUMBER, metavar="N", help="Take that back.")
@output.as_json
def cases(agent: str, *, pin: int | None, unpin: int | None, as_json: bool) -> None:
    """List the past runs that changes are tried on, and what each must show.

    Each run that you give feedback on becomes a case. After three passes in a row it is stable: from then on a change
    that breaks it is held up.
    """
    if pin and unpin:
        raise errors.BadInput("Give --pin or --unpin, not both.")
    from pocketlet.learning import cases as all_cases

    found = session.api(_cases, agent, pin or unpin, pinned=pin is not None)
    if as_json:
        output.document({"agent": agent, "cases": found})
        return
    for case in found:
        _tell(case, all_cases.PASSES)
    if pin:
        output.note(f"Case {pin} is pinned: every change that touches it is tried on it, and none breaks it unasked.")
    elif unpin:
        output.note(f"Case {unpin} is no longer pinned.")
    elif not found:
        output.line(f"{agent} has no cases yet.")
        output.note("Next: say what you think of a run: `pocketlet feedback RUN`. It becomes a case.")


async def _cases(conn: "pool.Conn", name: str, case: int | None, *, pinned: bool) -> list[dict[str, Any]]:
    from pocketlet.agents import agent as agents
    from pocketlet.learning import cases as all_cases

    agent = await agents.get(conn, name)
    if case:
        await all_cases.pin(conn, agent, case, pinned=pinned)
    return await all_cases.listing(conn, agent)


def _tell(case: dict[str, Any], needed: int) -> None:
    subject = f" ({case['subject']})" if case["subject"] else ""
    passed = f", {case['passes']} of {needed} passes" if case["state"] == "candidate" else ""
    output.line(f"Case {case['case']}, of run {case['run']}{subject}: {case['state']}{passed}")
    marks = {
        "accepted": "you called its run right",
        "pinned": "pinned",
        "audit": "audit share: never holds a change up",
    }
    told = {
        "scope": output.pairs(case["scope"]),
        "model": case["model"],
        "marks": "; ".join(text for mark, text in marks.items() if case[mark]),
        "reason": case["reason"],
    }
    for name, text in told.items():
        if text:
            output.line(f"  {name:<8} {text}")
    for sentence in case["assertions"]:
        output.line(f"  must     {sentence}")
    output.line()
