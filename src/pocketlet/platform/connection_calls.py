"""Calls that the owner makes to see whether a connection works: reads that are allowed; what they say is not kept."""

from pathlib import Path
from typing import Any

from pocketlet import errors
from pocketlet.db import pool
from pocketlet.platform import audit, connections, vault
from pocketlet.platform.gateways import wire

MOST = 3  # calls of a test


async def tried(database: pool.Database, home: Path, name: str, path: str = "") -> list[dict[str, Any]]:
    """Up to three of the allowed GETs without parameters in their path, or the one given: `call`, `status`, `bytes`,
    `truncated` and `type` of each. `home`: where the key of the vault is.

    Raises errors.NotFound, errors.Refused, errors.Unreachable, errors.EgressRefused.
    """
    async with database.api() as conn:
        found = await connections.get(conn, name)
    paths = [path] if path else [one.path for one in found.allow if one.method == "GET" and "{" not in one.path]
    allowed = [one for one in paths if connections.matching(found, "GET", one) is not None][:MOST]
    if not allowed:
        raise errors.Refused(
            f"GET {path} is not allowed." if path else "No GET without a parameter in its path is allowed.",
            hint=f"`pocketlet connect test {name} --path /PATH`, for a path that `connect show {name}` allows.",
        )
    rows = [await _one(database, home, found, one) for one in allowed]
    async with database.api() as conn:
        await audit.write(conn, audit.Entry("owner", "connection.test", name, details={"calls": rows}))
    return rows


async def _one(database: pool.Database, home: Path, found: connections.Connection, path: str) -> dict[str, Any]:
    reply, used = await _sent(database, home, found, path)
    if reply.status == 401:
        async with database.api() as conn:
            again = await connections.rejected(conn, vault.key(home), found, used)
        if again:
            reply, _ = await _sent(database, home, found, path)
    kind = reply.headers.get("content-type", "").partition(";")[0][:60]
    return {
        "call": f"GET {path}",
        "status": reply.status,
        "bytes": len(reply.body),
        "truncated": reply.truncated,
        "type": kind,
    }


async def _sent(
    database: pool.Database, home: Path, found: connections.Connection, path: str
) -> tuple[wire.Reply, list[wire.Secret]]:
    async with database.api() as conn:
        await connections.take(conn, found)
        secrets, scrub = await connections.credentials(conn, vault.key(home), found, None)
    request = wire.Request("GET", path, headers=dict(found.headers))
    return await wire.send(connections.target(found), request, secrets, scrub), secrets
