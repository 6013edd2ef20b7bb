"""What the owner should know of: one open notice a problem, with a count, until the problem is over or dismissed."""

from dataclasses import asdict, dataclass
from typing import Any

from pocketlet import errors
from pocketlet.db import pool, queries

Q = queries.load("notices")


@dataclass(frozen=True, slots=True)
class Notice:
    """`problem` names what is wrong, and not this occurrence of it; `title` is one sentence for a person, `hint` what
    to do next. `count`: how many there are now, where that is known; else each report counts one more.
    """

    problem: str
    title: str
    hint: str = ""
    agent: int | None = None
    run: int | None = None
    count: int | None = None


async def report(conn: pool.Conn, notice: Notice) -> int:
    """Opens a notice, or counts it once more if the problem is open already; its number."""
    row = await (await conn.execute(Q["report"], asdict(notice))).fetchone()
    return row["id"] if row else 0


async def resolve(conn: pool.Conn, problem: str, how: str) -> bool:
    """The problem is over; whether there was a notice of it."""
    return await (await conn.execute(Q["resolve"], {"problem": problem, "how": how})).fetchone() is not None


async def resolve_stale(conn: pool.Conn, kind: str, seconds: float, how: str) -> None:
    """Problems whose keys begin with `kind` and that nobody has reported for so long are over."""
    await conn.execute(Q["resolve_stale"], {"kind": kind, "seconds": seconds, "how": how})


def of_run(run: int, what: str) -> str:
    """The key of a notice that is over when this run ends; `what`: stalled, quarantined."""
    return f"run:{run}:{what}"


async def dismiss(conn: pool.Conn, number: int) -> None:
    """The owner has seen it. Raises errors.NotFound."""
    if await (await conn.execute(Q["dismiss"], {"id": number})).fetchone() is None:
        raise errors.NotFound(f"There is no open notice {number}.", hint="`pocketlet inbox` lists them.")


async def reopen(conn: pool.Conn, number: int) -> None:
    """The owner dismissed it by mistake. Raises errors.Conflict if it was not dismissed, or has come up anew."""
    if await (await conn.execute(Q["reopen"], {"id": number})).fetchone() is None:
        raise errors.Conflict(
            f"Notice {number} was not dismissed, or is open again.", hint="`pocketlet inbox` lists them."
        )


async def standing(conn: pool.Conn) -> list[dict[str, Any]]:
    """Open notices, the newest first."""
    return list(await (await conn.execute(Q["standing"])).fetchall())
