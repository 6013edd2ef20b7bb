"""`pocketlet trial`: a revision on past runs, by hand."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from pocketlet.surfaces.cli import arguments, output, session

if TYPE_CHECKING:
    from pocketlet.agents import agent as agents
    from pocketlet.db import pool
    from pocketlet.learning import trials

WAVE = 4  # replays at a time: as many as a worker takes, and no more are begun than that when Ctrl-C comes
MEANING = {"pass": "all that it must show holds", "fail": "something does not hold", "unknown": "can't be told"}


@click.command()
@click.argument("agent")
@click.argument("revision", type=arguments.REVISION)
@click.option("--audit", is_flag=True, help="Only the audit share: the cases that never hold a change up.")
@click.option("--case", type=arguments.NUMBER, metavar="N", help="Only this case.")
@output.as_json
def trial(agent: str, revision: int, *, audit: bool, case: int | None, as_json: bool) -> None:
    """Replay past runs on a revision, with nothing sent and nothing decided.

    REVISION may be a draft, the current one or an earlier one, which is judged by what counts today.
    """
    found = session.call(_trial, agent, revision, audit=audit, case=case)
    if as_json:
        output.document(found)
    else:
        _tell(found)
    leave(found["trials"])


async def _trial(
    database: "pool.Database", name: str, revision: int, *, audit: bool, case: int | None
) -> dict[str, Any]:
    from pocketlet.agents import agent as agents
    from pocketlet.learning import trials

    async with database.api() as conn:
        agent = await agents.get(conn, name)
        wanted = await trials.by_hand(conn, agent, revision, audit=audit, case=case)
    output.note(f"Replays of revision {revision}: {len(wanted)}, with nothing sent")
    started = await replay(database, agent, wanted)
    async with database.api() as conn:
        rows = [row for row in await trials.of_draft(conn, agent, wanted[0].draft) if row["run"] in started]
    told = [_told(row) for row in rows]
    counts = {verdict: sum(row["verdict"] == verdict for row in told) for verdict in MEANING}
    cost = sum(row["cost_usd"] for row in told)
    about = {"agent": name, "revision": revision, "purpose": wanted[0].purpose}
    return about | {"trials": told, "counts": counts, "cost_usd": cost}


def _told(row: dict[str, Any]) -> dict[str, Any]:
    from pocketlet.learning import compare

    failed, unknown = compare.outcome(row)
    verdict = row["verdict"] if row["verdict"] in ("pass", "fail") else "unknown"
    kept = {name: row[name] for name in ("case", "case_run", "subject", "run", "model", "cost_usd")}
    return kept | {"verdict": verdict, "failed": failed, "unknown": unknown}


async def replay(database: "pool.Database", agent: "agents.Agent", wanted: "Sequence[trials.Trial]") -> list[int]:
    """Carries trials out, a few at a time, and waits for them; their runs."""
    from pocketlet.learning import trials
    from pocketlet.surfaces.cli import attending

    started: list[int] = []
    async with attending.Attendant(database) as attendant:
        for first in range(0, len(wanted), WAVE):
            async with database.api() as conn:
                wave = [await trials.start(conn, agent, one) for one in wanted[first : first + WAVE]]
            started += wave
            await attendant.rest(*wave)
    return started


def leave(told: Sequence[dict[str, Any]]) -> None:
    """Exits with 1 if not a single replay could be judged: then the table tells nothing."""
    if all(row["verdict"] == "unknown" for row in told):
        click.get_current_context().exit(1)


def _tell(found: dict[str, Any]) -> None:
    for row in found["trials"]:
        verdict = row["verdict"]
        output.line(f"{named(row)}: {verdict} - {MEANING[verdict]} (run {row['run']})")
        reasons(row["failed"], row["unknown"])
    output.line(f"{output.pairs(found['counts'])}. Cost: {output.money(found['cost_usd'])}")


def named(row: dict[str, Any]) -> str:
    """A case, as a person knows it."""
    return f"Case {row['case']}, of run {row['case_run']}" + (f" ({row['subject']})" if row["subject"] else "")


def reasons(failed: Sequence[str], unknown: Sequence[str], where: str = "") -> None:
    """Why it is no pass."""
    for sentence in failed:
        output.line(f"  does not hold{where}: {sentence}")
    for sentence in unknown:
        output.line(f"  not known{where}: {sentence}")
