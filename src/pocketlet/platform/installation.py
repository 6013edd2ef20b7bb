"""What is true of this installation as a whole: its identity."""

import secrets

from pocketlet.db import pool, queries

Q = queries.load("installation")


async def identity(conn: pool.Conn) -> str:
    """A random name, made once; Message-IDs carry it, so that two installations never make the same one."""
    await conn.execute(Q["set_setting"], {"name": "instance", "value": secrets.token_hex(8)})
    row = await (await conn.execute(Q["setting"], {"name": "instance"})).fetchone()
    return row["value"] if row else ""
