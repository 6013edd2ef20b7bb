"""`pocketlet blame`."""

from typing import TYPE_CHECKING, Any

import click

from pocketlet.surfaces.cli import output, session

if TYPE_CHECKING:
    from pocketlet.db import pool

COLUMNS = ("where", "revision", "author", "feedback", "of run", "created", "cost", "text")
SHOWN = 70  # characters of a text


@click.command()
@click.argument("agent")
@output.as_json
def blame(agent: str, *, as_json: bool) -> None:
    """Show where each line of an agent's playbook comes from, and what it cost.

    The cost is that of the revision that brought the line: the manager's run and the replays that proved it.
    """
    lines = session.api(_blame, agent)
    if as_json:
        output.document({"agent": agent, "lines": lines})
        return
    output.table(COLUMNS, [_listed(line) for line in lines])
    said = {line["feedback"]: line for line in lines if line["feedback"]}
    for number, line in sorted(said.items()):
        output.line()
        of_run = f" on run {line['run']}" if line["run"] else ""
        output.line(f"Feedback {number}{of_run} ({line['verdict']}): {line['comment']}")


def _listed(line: dict[str, Any]) -> list[object]:
    numbers = str(line["first"]) if line["first"] == line["last"] else f"{line['first']}-{line['last']}"
    first = next((text for text in line["text"].splitlines() if text.strip(" -#")), "")
    shown = [line[name] for name in ("revision", "author", "feedback", "run")]
    where = f"{line['file']}:{numbers}"
    return [where, *shown, output.when(line["created_at"]), output.money(line["cost_usd"]), first[:SHOWN]]


async def _blame(conn: "pool.Conn", name: str) -> list[dict[str, Any]]:
    from pocketlet.agents import agent as agents
    from pocketlet.learning import blame as blames

    return await blames.document(conn, await agents.get(conn, name))
