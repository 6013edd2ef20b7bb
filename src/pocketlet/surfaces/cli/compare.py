"""`pocketlet compare`: another model on the same work."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from pocketlet import settings
from pocketlet.surfaces.cli import output, session, trial

if TYPE_CHECKING:
    from pocketlet.db import pool


@click.command()
@click.argument("agent")
@click.option("--model", required=True, metavar="PROVIDER:NAME", help="The model to try.")
@click.option(
    "--cases",
    "most",
    type=click.IntRange(1, 10_000),
    default=20,
    show_default=True,
    help="At most so many, the newest.",
)
@output.as_json
def compare(agent: str, *, model: str, most: int, as_json: bool) -> None:
    """Replay past runs on another model: is it as right, and what does a task cost?

    Nothing is sent and nothing changes. What it will cost is said first.
    """
    found = session.call(_compare, agent, model, most)
    if as_json:
        output.document(found)
    else:
        _tell(found)
    trial.leave([row["after"] for row in found["cases"]])


async def _compare(database: "pool.Database", name: str, model: str, most: int) -> dict[str, Any]:
    from pocketlet.agents import agent as agents
    from pocketlet.agents import duties
    from pocketlet.learning import compare as comparing

    config = settings.read()
    lookup = await duties.variables(database, config)
    async with database.api() as conn:
        agent = await agents.get(conn, name)
        made = await comparing.plan(conn, agent, model, most=most, lookup=lookup, override=config.model)
    forecast = output.money(sum(made.forecast.values()))
    output.note(f"Replays on {made.model}: {len(made.cases)}, about {forecast} (price: {made.price.version})")
    started = await trial.replay(database, agent, made.trials)
    async with database.api() as conn:
        found = await comparing.report(conn, agent, made, started)
    rows = [row | {side: asdict(row[side]) for side in ("before", "after")} for row in found["cases"]]
    about = {"agent": name, "revision": made.revision, "current": made.current, "model": made.model}
    return about | {"price": made.price.version} | found | {"cases": rows}


def _tell(found: dict[str, Any]) -> None:
    for row in found["cases"]:
        before, after = row["before"], row["after"]
        output.line(f"{trial.named(row)}: {row['verdict']}")
        source = "its recorded run" if before["source"] == "recorded" else "a replay"
        output.line(f"  {found['current']}: {before['verdict']}, {output.money(before['cost_usd'])} ({source})")
        trial.reasons(before["failed"], before["unknown"], " there")
        output.line(f"  {found['model']}: {after['verdict']}, {output.money(after['cost_usd'])} (run {after['run']})")
        trial.reasons(after["failed"], after["unknown"], " there")
    output.line()
    output.line(output.pairs(found["counts"]))
    for side, model in (("before", found["current"]), ("after", found["model"])):
        per_task = found["per_task_usd"][side]
        if per_task is not None:
            output.line(f"A task costs {output.money(per_task)} on {model}.")
    output.line(f"The comparison cost {output.money(found['cost_usd'])}.")
    output.note("One replay of a model says little: let several cases agree. To change it: `model` in agent.toml.")
