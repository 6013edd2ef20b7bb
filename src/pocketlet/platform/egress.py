"""The one switch for all that agents do outside: while it is cut, no mail, no call of a service and no tool leaves.

Models are still asked, what comes in still comes in, and the owner is still told: cut off is what agents do to others.
"""

from datetime import datetime

from pocketlet import clock, errors
from pocketlet.db import pool, queries
from pocketlet.platform import audit

Q = queries.load("egress")
SAID = "The owner has cut off all that agents do outside."
HINT = "Nothing was sent. The page of connections lets it through again."


async def since(conn: pool.Conn) -> datetime | None:
    """Since when it is cut; None: it is not."""
    row = await (await conn.execute(Q["since"])).fetchone()
    return datetime.fromisoformat(row["value"]) if row else None


async def check(conn: pool.Conn) -> None:
    """Raises errors.Refused while it is cut."""
    if await since(conn) is not None:
        raise errors.Refused(SAID, hint=HINT)


async def cut(conn: pool.Conn) -> None:
    """From the next act on nothing leaves. Does nothing if it is cut already."""
    if (await conn.execute(Q["cut"], {"at": clock.now().isoformat(timespec="seconds")})).rowcount:
        await audit.write(conn, audit.Entry("owner", "egress.cut", "all"))


async def restore(conn: pool.Conn) -> None:
    """Lets it through again. What was refused meanwhile stays refused."""
    if (await conn.execute(Q["restore"])).rowcount:
        await audit.write(conn, audit.Entry("owner", "egress.restore", "all"))
