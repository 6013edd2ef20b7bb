"""Before schedules fall due: do the services that their runs may need still let us in? One notice a login that is dead.

The runs start all the same: they may not need it.
"""

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from pocketlet import clock, errors
from pocketlet.db import pool, queries
from pocketlet.platform import connections, notices, vault
from pocketlet.platform.gateways import submission

Q = queries.load("health")
SOON = 300.0  # seconds before a schedule falls due
EVERY = 60.0  # seconds between two looks at what falls due
AGAIN = 900.0  # seconds until the same thing is looked at again
log = logging.getLogger(__name__)
#: The mail server as it is set now.
Server = Callable[[], Awaitable[submission.Submission | None]]


class Probe:
    """A duty of the worker (`probe`), which remembers what it has looked at. `home`: where the sealing key lies."""

    def __init__(self, home: Path, server: Server) -> None:
        self._home = home
        self._server = server
        self._looked: dict[str, float] = {}

    async def probe(self, database: pool.Database) -> None:
        """Renews what falls due and reports what does not let us in. Raises errors.NoPostgres."""
        async with database.api() as conn:
            rows = await (await conn.execute(Q["due_soon"], {"seconds": SOON})).fetchall()
            any_due = await (await conn.execute(Q["any_due_soon"], {"seconds": SOON})).fetchone()
            await conn.execute(Q["over"])
        for row in rows:
            if self._due(f"connection:{row['name']}"):
                await self._connection(database, row["name"], row["agent_id"])
        if any_due is not None and self._due("mail-server"):
            await self._mail_server(database)

    def _due(self, what: str) -> bool:
        now = clock.monotonic()
        if now - self._looked.get(what, -AGAIN) < AGAIN:
            return False
        self._looked[what] = now
        return True

    async def _connection(self, database: pool.Database, name: str, agent: int) -> None:
        try:
            async with database.api() as conn:
                await connections.credentials(conn, vault.key(self._home), await connections.get(conn, name), agent)
        except errors.NotFound:
            return
        except errors.Refused as error:
            await _report(database, f"connection:{name}", f"Reconnect {name}: {error}", error.hint)
        except errors.Unreachable as error:
            log.warning("whether %s lets us in could not be seen: %s", name, error)
        else:
            await _resolve(database, f"connection:{name}")

    async def _mail_server(self, database: pool.Database) -> None:
        server = await self._server()
        if server is None:
            await _resolve(database, "mail-server", "there is no mail server any more")
            return
        try:
            await server.greet()
        except errors.NoMailServer as error:
            await _report(
                database, "mail-server", f"Reconnect the mail server: {error}", error.hint.replace(" RUN", "")
            )
        else:
            await _resolve(database, "mail-server")


async def _report(database: pool.Database, problem: str, said: str, hint: str) -> None:
    async with database.api() as conn:
        await notices.report(conn, notices.Notice(problem, said, hint, count=1))


async def _resolve(database: pool.Database, problem: str, how: str = "it lets us in again") -> None:
    async with database.api() as conn:
        await notices.resolve(conn, problem, how)
