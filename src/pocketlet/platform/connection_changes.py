"""What the owner changes about connections: each change is one audit row, in the same transaction."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from pocketlet import clock, errors
from pocketlet.db import pool, queries
from pocketlet.platform import audit, connections, oauth, templates, vault
from pocketlet.platform.gateways import addresses

Q = queries.load("connections")


def checked(draft: connections.Draft) -> connections.Draft:
    """The draft with its base URL and the names of its headers in one form.

    Raises errors.BadInput unless it can become a row.
    """
    if not connections.NAME.fullmatch(draft.name):
        raise errors.BadInput(
            f"{draft.name!r} is not a name: use a small letter, then small letters, digits, - and _, at most 31."
        )
    if len(draft.notes) > connections.LONGEST_NOTES:
        raise errors.BadInput(f"The notes are longer than {connections.LONGEST_NOTES} characters.")
    for name, value in draft.headers.items():
        connections.check_header(name, value)
    for value in draft.secrets.values():
        vault.check(value)
    _check_operations(draft)
    _check_auth(draft)
    headers = {name.lower(): value for name, value in draft.headers.items()}
    if len(headers) < len(draft.headers):
        raise errors.BadInput("A header is named twice.")
    return replace(draft, base_url=_base_url(draft), headers=headers)


def _base_url(draft: connections.Draft) -> str:
    addresses.check_pins(draft.pinned)
    url = addresses.host_of(draft.base_url, inner=bool(draft.pinned))
    if "?" in url.target:
        raise errors.BadInput("A base URL has no query.", hint="Query parameters are given with each request.")
    if not draft.pinned and (url.scheme != "https" or url.port not in (443, 80)):
        raise errors.BadInput(
            f"A service outside is asked by https on its usual port, not by {url.scheme} on port {url.port}.",
            hint="A server of your own may have another port, or plain http, if its address is pinned: "
            "--pin 192.168.1.5",
        )
    return oauth.origin(url) + url.target.rstrip("/")


def _check_operations(draft: connections.Draft) -> None:
    every = [*draft.allow, *draft.deny]
    for one in every:
        connections.check_operation(one)
    if len(every) > connections.MOST_OPERATIONS:
        raise errors.BadInput(
            f"These are {len(every)} operations; {connections.MOST_OPERATIONS} is the most.",
            hint="Allow fewer: --only /PATH takes a part of an OpenAPI document.",
        )
    if len({one.line for one in every}) < len(every):
        raise errors.BadInput("An operation is named twice.")


def _check_auth(draft: connections.Draft) -> None:
    auth = draft.auth
    if auth.kind not in connections.AUTHS or (auth.kind in connections.STATIC) is not bool(auth.places):
        raise errors.BadInput(f"{auth.kind!r} needs a secret.", hint="--secret NAME names it.")
    if auth.kind.startswith("oauth2"):
        if auth.client is None:
            raise errors.BadInput("OAuth2 needs a token URL and a client id.")
        oauth.check(auth.client, draft.pinned, code=auth.kind == "oauth2-code")
    for name in (*secrets_of(auth), *draft.secrets):
        if not vault.NAME.fullmatch(name):
            raise errors.BadInput("A secret's name is made of letters, digits and _.")
    _check_places(draft)


def _check_places(draft: connections.Draft) -> None:
    places = draft.auth.places
    for place in places:
        _check_place(place)
    where = [(place.kind == "query", (place.name or "Authorization").lower()) for place in places]
    if len(set(where)) < len(where) or any((False, name.lower()) in where for name in draft.headers):
        raise errors.BadInput("Two values would go to the same place of a request.")


def _check_place(place: connections.Place) -> None:
    named = place.kind in ("header", "query")
    if place.kind not in connections.STATIC or named is not bool(place.name):
        raise errors.BadInput(f"A secret of the kind {place.kind!r} has no such place.")
    if place.kind == "query" and (len(place.name) > 100 or not place.name.isascii() or not place.name.isprintable()):
        raise errors.BadInput("The name of the query parameter can't be sent.")
    if place.kind == "header":
        if not connections.TOKEN.fullmatch(place.name):
            raise errors.BadInput(f"The header {place.name!r} can't be set.")
        if place.name.lower() != "authorization":
            connections.check_header(place.name, place.prefix)


async def add(conn: pool.Conn, sealing_key: bytes, draft: connections.Draft) -> connections.Connection:
    """Makes the connection and seals its secrets. Raises errors.BadInput, errors.Conflict (the name is taken)."""
    draft = checked(draft)
    document = connections.document(draft)
    names = ("name", "kind", "base_url", "pinned", "max_bytes", "seconds", "per_day", "notes")
    row = {name: document[name] for name in names} | {"pinned": list(draft.pinned)}
    row |= {name: pool.jsonb(document[name]) for name in ("auth", "headers", "allow", "deny")}
    row["settings"] = None if draft.settings is None else pool.jsonb(dict(draft.settings))
    row["review_on"] = (clock.now() + connections.REVIEW).date()
    if await (await conn.execute(Q["add"], row)).fetchone() is None:
        raise errors.Conflict(
            f"There is a connection {draft.name!r} already, or one that differs in - and _ only.",
            hint=f"`pocketlet connect remove {draft.name}` removes it.",
        )
    for name, value in draft.secrets.items():
        await vault.put(conn, sealing_key, name, value)
    made = await connections.get(conn, draft.name)
    await _note(conn, "add", made, row=document)
    return made


async def allow(conn: pool.Conn, name: str, wanted: connections.Operation) -> connections.Connection:
    """Allows one operation more, or the same one in another way. Raises errors.BadInput, errors.NotFound."""
    connections.check_operation(wanted)
    found = await _locked(conn, name)
    kept = [one for one in found.allow if one.line != wanted.line]
    barred = [one for one in found.deny if one.line != wanted.line]
    if len(kept) + len(barred) >= connections.MOST_OPERATIONS:
        raise errors.BadInput(f"{connections.MOST_OPERATIONS} operations is the most.")
    await _set_lists(conn, found, [*kept, wanted], barred)
    await _note(conn, "allow", found, operation=asdict(wanted))
    return await connections.get(conn, name)


async def disallow(conn: pool.Conn, name: str, line: str) -> connections.Connection:
    """Takes an operation (`POST /orders`) back; a wider template does not let it through. Raises errors.NotFound."""
    found = await _locked(conn, name)
    gone = [one for one in found.allow if one.line == line]
    if not gone:
        raise errors.NotFound(f"{name} does not allow {line!r}.", hint=f"`pocketlet connect show {name}`")
    kept = [one for one in found.allow if one.line != line]
    await _set_lists(conn, found, kept, [*found.deny, *shadowed(kept, gone)])
    await _note(conn, "disallow", found, operation=asdict(gone[0]))
    return await connections.get(conn, name)


def shadowed(allowed: list[connections.Operation], others: list[connections.Operation]) -> list[connections.Operation]:
    """Those of `others` that a wider template of `allowed` would let through: they have to be denied by name."""
    return [
        replace(other, open=False, query=())
        for other in others
        if any(one.method == other.method and templates.overlap(one.path, other.path) for one in allowed)
    ]


async def switch(conn: pool.Conn, name: str, *, off: bool) -> None:
    """The cut-off switch: every call is refused from now on, or no longer. Raises errors.NotFound."""
    found = await connections.get(conn, name)
    await conn.execute(Q["switch"], {"name": name, "off": off})
    await _note(conn, "off" if off else "on", found)


async def note(conn: pool.Conn, connection: connections.Connection, text: str) -> None:
    """Keeps the text as what is known of the service's ways. Raises errors.BadInput if it is too long."""
    if len(text) > connections.LONGEST_NOTES:
        raise errors.BadInput(f"The notes are longer than {connections.LONGEST_NOTES} characters.")
    await conn.execute(Q["note"], {"id": connection.id, "notes": text})
    await _note(conn, "note", connection, notes=text)


async def grant(conn: pool.Conn, name: str, agent: str) -> list[str]:
    """Lets an agent use the connection and the secrets that it needs; the names of those that are not set yet.

    Raises errors.NotFound.
    """
    found = await connections.get(conn, name)
    agent_id = await _agent(conn, agent)
    review_on = (clock.now() + connections.REVIEW).date()
    await conn.execute(Q["grant"], {"id": found.id, "agent": agent_id, "review_on": review_on})
    known = set(await vault.names(conn))
    missing = [secret for secret in secrets_of(found.auth) if secret not in known]
    for secret in secrets_of(found.auth):
        if secret in known:
            await vault.grant(conn, secret, agent_id)
    await _note(conn, "grant", found, agent_id, review_on=review_on.isoformat())
    return missing


async def renew(conn: pool.Conn, name: str) -> connections.Connection:
    """The owner has looked at it: it and its grants are to be reviewed in 30 days. Raises errors.NotFound."""
    found = await _locked(conn, name)
    review_on = (clock.now() + connections.REVIEW).date()
    await conn.execute(Q["renew"], {"id": found.id, "review_on": review_on})
    await _note(conn, "renew", found, review_on=review_on.isoformat())
    return await connections.get(conn, name)


async def revoke(conn: pool.Conn, name: str, agent: str) -> None:
    """Takes the grant back, with those of secrets that no other connection of the agent needs. Raises NotFound."""
    found = await connections.get(conn, name)
    agent_id = await _agent(conn, agent)
    if (await conn.execute(Q["revoke"], {"id": found.id, "agent": agent_id})).rowcount == 0:
        raise errors.NotFound(f"{agent} may not use {name} anyway.", hint=f"`pocketlet connect show {name}`")
    rows = await (await conn.execute(Q["others"], {"id": found.id, "agent": agent_id})).fetchall()
    needed = {secret for row in rows for secret in secrets_of(connections.read(row).auth)}
    granted = {row["name"] for row in await vault.listing(conn) if agent in row["agents"]}
    for secret in secrets_of(found.auth):
        if secret in granted and secret not in needed:
            await vault.revoke(conn, secret, agent_id)
    await _note(conn, "revoke", found, agent_id)


async def remove(conn: pool.Conn, name: str) -> None:
    """Removes the connection, its grants and its own secrets. Raises errors.NotFound."""
    found = await _locked(conn, name)
    await conn.execute(Q["remove"], {"id": found.id})
    own = connections.prefix(name)
    for secret in await vault.names(conn):
        if secret.startswith(own) and secret.removeprefix(own) in connections.OWN_SECRETS:
            await vault.remove(conn, secret)
    await _note(conn, "remove", found)


async def agents_of(conn: pool.Conn, connection: connections.Connection) -> list[dict[str, Any]]:
    """`id`, `name`, `review_on` and `created_at` of each grant."""
    return await (await conn.execute(Q["agents"], {"id": connection.id})).fetchall()


def secrets_of(auth: connections.Auth) -> list[str]:
    """The names of the secrets that a request needs, but for OAuth2 tokens, which the platform keeps."""
    named = [place.secret for place in auth.places]
    return named + ([auth.client.secret] if auth.client is not None and auth.client.secret else [])


async def _locked(conn: pool.Conn, name: str) -> connections.Connection:
    row = await (await conn.execute(Q["lock"], {"name": name})).fetchone()
    return connections.read(row) if row else await connections.get(conn, name)


async def _set_lists(
    conn: pool.Conn,
    found: connections.Connection,
    allowed: list[connections.Operation],
    denied: list[connections.Operation],
) -> None:
    lists = {"allow": allowed, "deny": denied}
    values = {name: pool.jsonb([asdict(one) for one in operations]) for name, operations in lists.items()}
    await conn.execute(Q["set_lists"], {"id": found.id, **values})


async def _agent(conn: pool.Conn, name: str) -> int:
    row = await (await conn.execute(Q["agent"], {"name": name})).fetchone()
    if row is None:
        raise errors.NotFound(f"There is no agent {name!r}.", hint="`pocketlet agent list` names them.")
    return row["id"]


async def _note(
    conn: pool.Conn, verb: str, found: connections.Connection, agent_id: int | None = None, **details: object
) -> None:
    facts: Mapping[str, object] = details
    await audit.write(conn, audit.Entry("owner", f"connection.{verb}", found.name, agent_id, details=facts))
