"""What a trigger asks of the agent's rows, without a model: whether there is work, and whether the work was done."""

from collections.abc import Mapping

from pocketlet import errors
from pocketlet.agents.waking import slots
from pocketlet.db import pool, reader
from pocketlet.platform import apps, notices

#: What Postgres prints for what counts as no.
NO = {"", "f", "false", "0", "no", "off"}


async def holds(database: pool.Database, agent: str, statement: str, values: Mapping[str, object]) -> bool:
    """Whether the first value of the first row is true, or a number that is not 0; no row is a no.

    It runs in the reader gate, on the login of the agent's runs. `values` fill %(run)s and the like, where the
    statement has such a place. Raises errors.GateRefusal, errors.NoPostgres.
    """
    params = values if "%(" in statement else None
    rows = await reader.query(database, apps.reader(agent), statement, params=params)
    value = rows.rows[0][0] if rows.rows else None
    return value is not None and value.strip().lower() not in NO and value.strip("0.-+") != ""


async def failing(
    database: pool.Database, agent: str, statements: tuple[str, ...], values: Mapping[str, object]
) -> str:
    """The first check that does not hold, in words; empty if all do."""
    for statement in statements:
        try:
            if not await holds(database, agent, statement, values):
                return f"its check did not hold: {statement}"
        except errors.GateRefusal as error:
            return f"its check could not be made: {error}"
    return ""


def problem(trigger: int, what: str) -> str:
    """The key of a notice about a trigger; `what`: failed, late, condition, source."""
    return f"trigger:{trigger}:{what}"


async def resolved(conn: pool.Conn, trigger: int, how: str) -> None:
    """A trigger has done its work: what failed is over, unless it is an event for which no later one stands."""
    values = {"trigger": trigger, "problem": problem(trigger, "failed")}
    if await (await conn.execute(slots.Q["not_made_good"], values)).fetchone() is None:
        await notices.resolve(conn, problem(trigger, "failed"), how)


async def report(conn: pool.Conn, trigger: int, what: str, said: str, *, agent: int, run: int | None = None) -> None:
    """Tells the owner of a trouble with a trigger, once however often it happens."""
    hint = f"`pocketlet show {run}` tells how it went." if run else "`pocketlet slot list` shows what it had to do."
    await notices.report(conn, notices.Notice(problem(trigger, what), said, hint, agent, run))
