"""The owner's OAuth2 authorization of a connection: begun, kept sealed while the browser is away, and finished."""

from pocketlet import errors
from pocketlet.db import pool
from pocketlet.platform import audit, connection_changes, connections, oauth, tokens, vault


async def begin(conn: pool.Conn, sealing_key: bytes, name: str, redirect_uri: str) -> str:
    """The URL that the owner has to open. What has to be known when the browser comes back is sealed in the vault.

    Raises errors.NotFound, errors.Refused (the connection does not use an authorization code).
    """
    found = await connections.get(conn, name)
    client = found.auth.client
    if client is None or found.auth.kind != "oauth2-code":
        raise errors.Refused(
            f"{name} needs no authorization.",
            hint=f"`pocketlet connect test {name}` tells whether its credentials work.",
        )
    url, waiting = oauth.begin(client, redirect_uri)
    await vault.put(conn, sealing_key, _pending(name), waiting.sealed_form())
    return url


async def finish(conn: pool.Conn, sealing_key: bytes, name: str, answer: str) -> None:
    """Trades the code in `answer` (the redirect's URL, its target, or the code alone) for tokens, which are sealed.

    Raises errors.NotFound, errors.Refused (nothing was begun, the service said no), errors.Unreachable.
    """
    found = await connections.get(conn, name)
    secrets = await vault.opened(conn, sealing_key)
    kept = secrets.get(_pending(name))
    if kept is None:
        raise errors.Refused("No authorization was begun.", hint=f"`pocketlet connect authorize {name}` begins one.")
    waiting = oauth.pending(kept)
    code = oauth.code_of(answer, waiting)
    holder = connections.holder(found, _client_secret(found, secrets))
    fresh = await oauth.exchange(holder.caller, waiting, code)
    await tokens.put(conn, sealing_key, holder, fresh)
    await vault.remove(conn, _pending(name))
    await audit.write(conn, audit.Entry("owner", "connection.authorize", name))


def _client_secret(found: connections.Connection, secrets: dict[str, str]) -> str:
    for name in connection_changes.secrets_of(found.auth):
        if name not in secrets:
            raise errors.Refused(f"There is no secret {name} yet.", hint=f"`pocketlet secret set {name}`")
        return secrets[name]
    return ""


def _pending(name: str) -> str:
    return f"{connections.prefix(name)}PENDING"
