"""One breaker over all model providers: after failures in a row nobody asks a model for a while, then one call tries.

A provider in trouble must not cost money: a queue of runs that each try again makes hundreds of calls a minute. Use it
in the ledger's transactions and before the ledger: `check` before `reserve`, `note` before `settle` or `note_failure`.
Both lock the breaker's row first and the budgets second, and calls under way are counted by their open reservations.
"""

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from pocketlet import clock, errors
from pocketlet.db import pool, queries
from pocketlet.platform import notices

Q = queries.load("breaker")
FAILURES = 5  # in a row, before it opens
PAUSES = (timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=10))  # the last one again and again
LONGEST_CALL = timedelta(minutes=2)  # a call under way for longer has lost its worker
DOUBT = timedelta(seconds=5)  # when the calls under way may be the failures that open it
MAX_WHY = 300  # characters
PROBLEM = "breaker"  # of the notice while it is open


@dataclass(frozen=True, slots=True)
class State:
    """`failures` in a row; `opened`: how often in a row (0: closed), `until` when; `why`: the last failure."""

    failures: int
    opened: int
    until: datetime | None
    probing: bool
    why: str


CLOSED = State(failures=0, opened=0, until=None, probing=False, why="")


async def state(conn: pool.Conn) -> State:
    """How it stands, for whoever shows it."""
    row = await (await conn.execute(Q["state"])).fetchone()
    return State(**row) if row else CLOSED


def counts(error: errors.PocketletError) -> bool:
    """Whether a failed call says that a provider is in trouble; a wrong key, or a wait that it named, does not."""
    if isinstance(error, errors.ModelBusy):
        return error.retry_after is None
    return isinstance(error, errors.ModelUnreachable | errors.ModelTimeout | errors.BadModelReply)


async def check(conn: pool.Conn) -> None:
    """Lets a call go ahead. Raises errors.ModelPaused, with the time of the next try."""
    if (await state(conn)).failures == 0:
        return
    found, now = await _hold(conn), clock.now()
    if found.until is None:
        if found.failures and found.failures + await _under_way(conn) >= FAILURES:
            raise _paused(found, now + DOUBT)
    elif now < found.until:
        raise _paused(found, found.until)
    else:
        await _move(conn, replace(found, until=now + LONGEST_CALL, probing=True))


async def _hold(conn: pool.Conn) -> State:
    row = await (await conn.execute(Q["hold"])).fetchone()
    return State(**row) if row else CLOSED


async def _under_way(conn: pool.Conn) -> int:
    row = await (await conn.execute(Q["under_way"], {"longest": LONGEST_CALL.total_seconds()})).fetchone()
    return row["calls"] if row else 0


def _paused(found: State, until: datetime) -> errors.ModelPaused:
    said = f"No model is asked until {until:%H:%M:%S} UTC: {found.failures} calls in a row failed, the last one: "
    return errors.ModelPaused(f"{said}{found.why}", until=until)


async def note(conn: pool.Conn, *, ok: bool, why: str = "") -> None:
    """What became of a call. `why`: the failure, in words without secrets; of failures, only those that `counts`."""
    if ok:
        if (await conn.execute(Q["close"])).rowcount:
            await notices.resolve(conn, PROBLEM, "a call worked")
        return
    found = await _hold(conn)
    new = replace(found, failures=found.failures + 1, probing=False, why=why[:MAX_WHY])
    # A call that was under way when it opened says nothing new: only the probe makes the pause longer.
    if found.probing or (not found.opened and new.failures >= FAILURES):
        pause = PAUSES[min(found.opened, len(PAUSES) - 1)]
        new = replace(new, opened=found.opened + 1, until=clock.now() + pause)
        title = f"Models don't answer: {new.failures} calls in a row failed, the last one: {new.why}"
        hint = "See that the provider answers. Runs go on by themselves."
        await notices.report(conn, notices.Notice(PROBLEM, title, hint, count=new.opened))
    await _move(conn, new)


async def _move(conn: pool.Conn, new: State) -> None:
    await conn.execute(Q["move"], asdict(new))
