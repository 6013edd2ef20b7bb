"""Ends sessions of apps and readers that run or idle for too long, and undoes what roles did to their own settings.

Session settings are no limit, as any role may change most of them: limits come from here, from outside the session.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from pocketlet import errors
from pocketlet.db import pool, queries
from pocketlet.platform import apps

Q = queries.load("watchdog")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds that a statement may run, and that a transaction may wait for its client."""

    reader_active: float = 6.0
    reader_idle: float = 5.0
    app_active: float = 65.0
    app_idle: float = 60.0


async def sweep(database: pool.Database, limits: Limits | None = None) -> list[dict[str, object]]:
    """One round. Returns what was done: `{"role", "pid", "was", "ended"}` for a session, `{"app", "roles"}` for drift.

    Raises errors.NoPostgres.
    """
    async with database.login("pd_watch") as conn:
        return await _round(database, conn, limits or Limits())


async def watch(database: pool.Database, every: float = 0.5) -> None:
    """A round every so many seconds, on one connection, until cancelled; reconnects when Postgres was away.

    The settings of all roles are compared again only where one was written: with thousands of roles it takes a second.
    """
    while True:
        try:
            async with database.login("pd_watch") as conn:
                seen = None
                while True:
                    written = await (await conn.execute(Q["written"])).fetchone()
                    await _round(database, conn, Limits(), drift_too=written != seen)
                    seen = written
                    await asyncio.sleep(every)
        except (errors.NoPostgres, pool.DatabaseError) as error:
            log.warning("A round of the watchdog failed: %s", pool.first_line(error))
        await asyncio.sleep(every)


async def _round(
    database: pool.Database, conn: pool.Conn, limits: Limits, *, drift_too: bool = True
) -> list[dict[str, object]]:
    done = await (await conn.execute(Q["end_sessions"], asdict(limits))).fetchall()
    for session in done:
        log.warning(
            "Ended session %s of %s, which was %s for too long.", session["pid"], session["role"], session["was"]
        )
    drifted = await (await conn.execute(Q["drifted"])).fetchall() if drift_too else []
    for drift in drifted:
        await _put_back(database, drift)
    return [*done, *drifted]


async def _put_back(database: pool.Database, drift: Mapping[str, str]) -> None:
    log.warning("Putting back the settings of %s, changed by the role itself.", ", ".join(drift["roles"]))
    names = apps.placeholders(database, drift["app"])
    async with database.admin() as conn:
        await conn.execute(queries.named(Q["forget_here"], **names))
        await apps.apply_settings(database, conn, drift["app"])
