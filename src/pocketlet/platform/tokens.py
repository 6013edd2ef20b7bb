"""OAuth2 tokens of connections: sealed in the vault, renewed by one at a time, doubted once."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pocketlet import clock, errors
from pocketlet.db import pool, queries
from pocketlet.platform import oauth, vault

Q = queries.load("connections")
#: The time of end of a token that the service did not take.
DOUBTED = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose tokens: the connection, the name that they have in the vault, and who asks for new ones.

    `code`: they come from the owner's authorization, and not from the client's secret alone.
    """

    connection_id: int
    name: str
    caller: oauth.Caller
    code: bool


async def access(conn: pool.Conn, sealing_key: bytes, holder: Holder) -> str:
    """A token that is good now; renewed under a lock on the connection's token row, held until the caller commits.

    Raises errors.Refused (the owner has to authorize) and errors.Unreachable (the token server).
    """
    row = await _locked(conn, holder)
    kept = await _kept(conn, sealing_key, holder)
    if kept is not None and not oauth.due(row["expires_at"], row["renewed_at"]):
        return kept.access
    try:
        fresh = await _renewed(holder, kept)
    except errors.Unreachable:
        # It is renewed a while before its end: until then the old one does.
        if kept is not None and row["expires_at"] > clock.now():
            return kept.access
        raise
    await _keep(conn, sealing_key, holder, fresh, doubted=row["doubted"] and row["expires_at"] == DOUBTED)
    return fresh.access


async def put(conn: pool.Conn, sealing_key: bytes, holder: Holder, fresh: oauth.Tokens) -> None:
    """Keeps the tokens of a new authorization."""
    await _locked(conn, holder)
    await _keep(conn, sealing_key, holder, fresh, doubted=False)


async def rejected(conn: pool.Conn, sealing_key: bytes, holder: Holder, used: Sequence[str]) -> bool:
    """Whether another try is worth it after a 401 to one of the tokens `used`."""
    row = await _locked(conn, holder)
    kept = await _kept(conn, sealing_key, holder)
    if kept is None:
        return False
    if not any(hmac.compare_digest(kept.access.encode(), value.encode()) for value in used):
        return True  # somebody has renewed it since
    if row["doubted"]:
        return False
    await conn.execute(Q["doubt"], {"id": holder.connection_id})
    return True


async def _locked(conn: pool.Conn, holder: Holder) -> dict[str, Any]:
    await conn.execute(Q["begin_token"], {"id": holder.connection_id})
    row = await (await conn.execute(Q["lock_token"], {"id": holder.connection_id})).fetchone()
    if row is None:
        raise errors.Refused(f"The connection {holder.caller.connection} was removed.")
    return row


async def _kept(conn: pool.Conn, sealing_key: bytes, holder: Holder) -> oauth.Tokens | None:
    text = (await vault.opened(conn, sealing_key)).get(holder.name)
    return None if text is None else oauth.opened(text)


async def _keep(conn: pool.Conn, sealing_key: bytes, holder: Holder, fresh: oauth.Tokens, *, doubted: bool) -> None:
    await vault.put(conn, sealing_key, holder.name, fresh.sealed_form(), actor="worker")
    values = {"id": holder.connection_id, "expires_at": fresh.expires_at, "doubted": doubted}
    await conn.execute(Q["renewed"], values)


async def _renewed(holder: Holder, kept: oauth.Tokens | None) -> oauth.Tokens:
    if not holder.code:
        return await oauth.by_secret(holder.caller)
    if kept is None or not kept.refresh:
        name = holder.caller.connection
        why = "is not authorized yet" if kept is None else "has to be authorized again: its token has ended"
        raise errors.Refused(f"The connection {name} {why}.", hint=f"`pocketlet connect authorize {name}`")
    return await oauth.refreshed(holder.caller, kept.refresh)
