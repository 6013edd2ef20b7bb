"""`pocketlet backtest`: past mails answered anew, with nothing sent, beside what was really answered."""

import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pocketlet import errors
from pocketlet.surfaces.cli import arguments, output, session

if TYPE_CHECKING:
    from pocketlet.agents import agent as agents
    from pocketlet.db import pool
    from pocketlet.learning import backtest as backtests
    from pocketlet.surfaces.cli import attending

AT_ONCE = 4
COLUMN = 56  # characters of the draft, and of the answer beside it
LIMIT = 20
STOPS = (errors.OverBudget.exit_code, errors.Unreachable.exit_code)  # the next run would fail in the same way


@click.command()
@click.argument("agent")
@click.option(
    "--mailbox",
    "mailboxes",
    type=click.Path(path_type=Path),
    required=True,
    multiple=True,
    metavar="FILE",
    help="An mbox file or a Maildir; more than once for inbox and Sent.",
)
@click.option("--since", metavar="DATE", help="Only mails from this day on (YYYY-MM-DD, UTC).")
@click.option("--limit", type=arguments.NUMBER, default=LIMIT, metavar="N", help="At most the N newest (default 20).")
@click.option("--me", metavar="ADDRESS", help="Whose answers count; default: the agent's own address.")
@click.option("--learn", metavar="N,N|all", help="Make these real answers feedback.")
@output.as_json
def backtest(agent: str, *, mailboxes: tuple[Path, ...], as_json: bool, **options: Any) -> None:
    """Compare what an agent would have answered with what was answered.

    Each past mail that has a real answer is worked on with nothing sent and nothing remembered, at the usual cost. A
    second time, runs that there are for this revision are shown again and cost nothing.
    """
    options |= {"since": _day(options["since"]), "chosen": _chosen(options.pop("learn"))}
    found = session.call(_backtest, agent, mailboxes, options)
    if as_json:
        output.document(found)
    else:
        _tell(found)
    if found["exit_code"]:
        click.get_current_context().exit(found["exit_code"])


def _day(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise errors.BadInput(f"{text!r} is no day.", hint="Write it as 2026-11-03.") from error


def _chosen(text: str | None) -> list[int] | None:
    """The numbers of --learn; an empty list means all, None means none."""
    if text is None or text.strip() == "all":
        return None if text is None else []
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdecimal() and len(part) < 10 for part in parts):
        raise errors.BadInput(f"--learn {text!r} names no pairs.", hint="Write --learn 2,5 or --learn all.")
    return [int(part) for part in parts]


async def _backtest(
    database: "pool.Database", name: str, mailboxes: Sequence[Path], options: dict[str, Any]
) -> dict[str, Any]:
    from pocketlet.agents import agent as agents
    from pocketlet.agents import revisions
    from pocketlet.learning import backtest as backtests
    from pocketlet.surfaces.cli import attending

    async with database.api() as conn:
        agent = await agents.get(conn, name)
        manifest = (await revisions.load(conn, agent, agent.current)).manifest
    me = backtests.address(manifest, options["me"])
    found = backtests.read(mailboxes, me, since=options["since"], limit=options["limit"])
    backtests.check(found, options["chosen"] or ())
    output.note(f"{len(found.pairs)} of {found.answered} answered mails; answers are those of {me}")
    async with attending.Attendant(database) as attendant:
        rows = await _work(database, agent, found.pairs, attendant)
        await _learn(database, agent, rows, options["chosen"], attendant)
    counts = {name: getattr(found, name) for name in ("answered", "unanswered", "unreadable", "doubtful")}
    return {"agent": agent.name, "revision": agent.current, "me": me, **counts, **_summary(agent, rows, found)}


async def _work(
    database: "pool.Database",
    agent: "agents.Agent",
    pairs: Sequence["backtests.Pair"],
    attendant: "attending.Attendant",
) -> list[dict[str, Any]]:
    """The pairs with what became of them; a few at a time, so that an interruption leaves little behind."""
    from pocketlet.learning import backtest as backtests

    rows: list[dict[str, Any]] = []
    for first in range(0, len(pairs), AT_ONCE):
        batch = pairs[first : first + AT_ONCE]
        async with database.api() as conn:
            numbers = [await backtests.start(conn, agent, pair) for pair in batch]
        await attendant.rest(*numbers)
        async with database.api() as conn:
            told = [await backtests.compared(conn, number, pair) for number, pair in zip(numbers, batch, strict=True)]
        rows += told
        if any(row["exit_code"] in STOPS for row in told):
            break
    return [{"pair": number, **row} for number, row in enumerate(rows, 1)]


async def _learn(
    database: "pool.Database",
    agent: "agents.Agent",
    rows: Sequence[dict[str, Any]],
    chosen: list[int] | None,
    attendant: "attending.Attendant",
) -> None:
    """Makes the chosen answers feedback in one pass, and waits for what becomes of each."""
    from pocketlet.learning import backtest as backtests
    from pocketlet.learning import feedback as feedbacks

    if chosen is None:
        return
    async with database.api() as conn:
        wanted = await backtests.learn_all(conn, agent, rows, chosen)
    for row in wanted:
        await attendant.settled(row["feedback"])
        async with database.api() as conn:
            row["outcome"] = (await feedbacks.outcome(conn, row["feedback"]))["outcome"]


def _summary(agent: "agents.Agent", rows: list[dict[str, Any]], found: "backtests.Mailbox") -> dict[str, Any]:
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["verdict"]] = counts.get(row["verdict"], 0) + 1
    drafted = [row["similarity"] for row in rows if row["verdict"] in ("same", "differs")]
    failed = [row["exit_code"] or 1 for row in rows if row["verdict"] == "failed"]
    return {
        "pairs": rows,
        "not_run": len(found.pairs) - len(rows),
        "counts": counts,
        "similarity": round(sum(drafted) / len(drafted), 2) if drafted else None,
        "cost_usd": sum((row["cost_usd"] for row in rows), Decimal(0)),
        "exit_code": failed[-1] if failed else 0,
        "next": [f"pocketlet revisions {agent.name}"] if any(row["feedback"] for row in rows) else [],
    }


def _tell(found: dict[str, Any]) -> None:
    for row in found["pairs"]:
        output.line(f"{row['pair']}. {row['subject']} (from {row['from']}, {output.when(row['at'])}, run {row['run']})")
        output.line(f"   {row['verdict']}, {row['similarity']:.0%} of the words shared")
        if row["error"]:
            output.line(f"   {row['error']}")
        for left, right in _beside(row["draft"] or f"[no mail] {row['result'] or ''}", row["answer"]):
            output.line(f"   {left:<{COLUMN}} | {right}".rstrip())
        if row["feedback"]:
            output.line(f"   feedback {row['feedback']}: {row['outcome'] or 'waits'}")
        output.line()
    shared = "" if found["similarity"] is None else f"; {found['similarity']:.0%} of the words shared on average"
    output.line(f"{output.pairs(found['counts'])}{shared}; {output.money(found['cost_usd'])}. Nothing was sent.")
    if found["not_run"]:
        output.note(f"{found['not_run']} mails were not tried. Next: the same command goes on with them.")
    elif not found["next"] and found["counts"].get("differs"):
        output.note("Next: the same command with --learn N,N, or --learn all, makes real answers feedback.")


def _beside(draft: str, answer: str) -> list[tuple[str, str]]:
    """The draft and the real answer as two columns."""
    left, right = _wrapped(f"DRAFT\n{draft}"), _wrapped(f"ANSWER\n{answer}")
    return [(one, other) for one, other in zip_longest(left, right, fillvalue="")]


def _wrapped(text: str) -> list[str]:
    return [piece for line in text.splitlines() for piece in textwrap.wrap(line, COLUMN) or [""]]
