"""`pocketlet audit list | verify | anchor`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pocketlet import errors
from pocketlet.surfaces.cli import arguments, output, session

if TYPE_CHECKING:
    from pocketlet.db import pool
    from pocketlet.platform import audit as trail

BROKEN = 8


@click.group()
def audit() -> None:
    """Show what was decided and what you changed, and prove that nobody edited it."""


@audit.command(name="list")
@click.option("--agent", help="Of this agent only, also if it is gone.")
@click.option("--run", type=arguments.NUMBER, help="Of this run only.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many.")
@output.as_json
def listing(*, agent: str | None, run: int | None, limit: int, as_json: bool) -> None:
    """List the rows of the audit trail, newest first."""
    rows = session.api(_listing, agent, run, limit)
    if as_json:
        output.document({"audit": rows})
        return
    columns = ("row", "at", "actor", "action", "subject", "agent", "run", "verdict", "rule")
    output.table(columns, [[output.when(row["at"]) if key == "at" else row[key] for key in columns] for row in rows])
    if not rows:
        output.note("There is none.")


@audit.command()
@click.option(
    "--anchor", "anchors", type=click.Path(path_type=Path), multiple=True, help="Hold the chain against this file."
)
@output.as_json
def verify(anchors: tuple[Path, ...], *, as_json: bool) -> None:
    """Compute the hash chain again, and name the first row that is not as it was written.

    Exits with 8 if there is one. Only an anchor that was kept elsewhere shows that the end was cut off or all was
    written anew.
    """
    found = session.api(_verified, [_text(path) for path in anchors])
    if as_json:
        head = {"row": found.head.id, "hash": found.head.hash.hex()}
        ok = found.broken is None
        output.document({"ok": ok, "rows": found.rows, "head": head, "broken": found.broken, "why": found.why})
    elif found.broken is None:
        output.line(f"All {found.rows} rows are as they were written. The last hash is {found.head.hash.hex()}.")
    else:
        output.line(f"Row {found.broken}: {found.why}.")
        output.line(f"The {found.rows} rows before it are as they were written.")
    if found.broken is not None:
        click.get_current_context().exit(BROKEN)


@audit.command()
@output.as_json
def anchor(*, as_json: bool) -> None:
    """Print the end of the chain: number, hash and time. Keep it where nobody who can write the database can.

    Exits with 1 if the chain is broken: then there is nothing to hold on to.
    """
    from pocketlet import clock

    found = session.api(_verified, list[str]())
    if found.broken is not None:
        raise errors.Failed(
            f"The audit trail is broken at row {found.broken}: {found.why}.",
            hint="`pocketlet audit verify --anchor FILE` holds it against an older anchor; restore a backup.",
        )
    row, digest, now = found.head.id, found.head.hash.hex(), clock.now()
    if as_json:
        output.document({"row": row, "hash": digest, "at": now})
    else:
        output.line(f"{row} {digest} {now.isoformat(timespec='seconds')}")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise errors.BadInput(f"{path} is not UTF-8 text.") from None


async def _verified(conn: "pool.Conn", anchors: list[str]) -> "trail.Verified":
    from pocketlet.platform import audit as trail

    return await trail.verify(conn, *(mark for text in anchors for mark in trail.read_anchors(text)))


async def _listing(conn: "pool.Conn", agent: str | None, run: int | None, limit: int) -> list[dict[str, Any]]:
    from pocketlet.platform import audit as trail

    rows = await trail.listing(conn, agent=agent, run_id=run, limit=limit)
    return [{"row": row.pop("id"), "run": row.pop("run_id"), "step": row.pop("step_seq")} | row for row in rows]
