"""What owners change about connections: new ones out of a document or by hand, switches, operations, grants."""

from dataclasses import replace
from typing import Annotated, Any, Literal

import pydantic

from pocketlet.platform import connection_calls, connection_changes, connection_login, egress, openapi, vault
from pocketlet.platform import connections as stored
from pocketlet.platform.gateways import addresses
from pocketlet.surfaces.api import caller as callers
from pocketlet.surfaces.api import connections, endpoint

LONGEST = 1_500_000  # characters of a document
Short = Annotated[str, pydantic.Field(max_length=300)]
Long = Annotated[str, pydantic.Field(max_length=2_000)]
Kind = Literal["", "none", "bearer", "basic", "header", "query", "oauth2-client"]


class Wanted(endpoint.Model):
    """A connection as you want it. `document`: an OpenAPI 3 document (JSON or YAML): its reads are allowed, and `allow`
    besides, each as `POST /orders`; `only`: of its paths, those that begin so. Without one, `base_url` and `allow` say
    it all. `auth`: how to log in; empty: as the document says. `header`, `prefix`, `query`: where a key goes. `pinned`:
    addresses of a server of your own. A secret's value is set by its name, later.
    """

    name: Short
    base_url: Long = ""
    document: Annotated[str, pydantic.Field(max_length=LONGEST)] = ""
    allow: list[Long] = pydantic.Field([], max_length=stored.MOST_OPERATIONS)
    only: Long = ""
    auth: Kind = ""
    header: Short = ""
    prefix: Short = ""
    query: Short = ""
    token_url: Long = ""
    client_id: Long = ""
    scopes: list[Short] = pydantic.Field([], max_length=50)
    pinned: list[Short] = pydantic.Field([], max_length=20)
    per_day: Annotated[int, pydantic.Field(ge=0, lt=2**31)] | None = None
    notes: Annotated[str, pydantic.Field(max_length=stored.LONGEST_NOTES)] = ""


class Draft(endpoint.Model):
    """What would be made. `remarks`: what you should know of it. `deny`: known operations that are not allowed."""

    name: str
    base_url: str
    login: connections.Login
    allow: list[connections.Operation]
    deny: list[str]
    pinned: list[str]
    remarks: list[str]


class Egress(endpoint.Model):
    """Whether all that agents do outside is cut off: mail, calls of services, tools of MCP servers."""

    cut: bool


class Switch(endpoint.Model):
    """`off`: every call over it is refused from now on."""

    off: bool


class Allowed(endpoint.Model):
    """An operation such as `GET /orders/{id}`. Without `effect`: read for GET, else unsafe; without `harm`:
    irreversible, unless it only reads.
    """

    operation: Annotated[str, pydantic.Field(max_length=2_000)]
    effect: connections.Effect | None = None
    harm: connections.Harm | None = None
    key_header: Annotated[str, pydantic.Field(max_length=100)] = ""
    open: bool = False


class OperationLine(endpoint.Model):
    """An operation, as `GET /orders/{id}`."""

    operation: Annotated[str, pydantic.Field(max_length=2_000)]


class Path(endpoint.Model):
    """What is asked for; empty: up to three of the allowed GETs without parameters."""

    path: Annotated[str, pydantic.Field(max_length=2_000)] = ""


class Call(endpoint.Model):
    """A call of a test. Nothing of what the service said is kept."""

    call: str
    status: int
    bytes: int
    truncated: bool
    type: str


class Tested(endpoint.Model):
    """`ok`: one of the calls worked."""

    ok: bool
    calls: list[Call]


async def draft(caller: callers.Caller, body: Wanted) -> Draft:
    """Shows what a connection would be, without making it. The document is read, never followed."""
    caller.must_keep()
    made = _draft(body)
    async with caller.database.api() as conn:
        known = set(await vault.names(conn))
    return Draft(
        name=made.name,
        base_url=made.base_url,
        login=connections.login(caller, made.auth, known),
        allow=[connections.operation(one) for one in made.allow],
        deny=[one.line for one in made.deny],
        pinned=list(made.pinned),
        remarks=list(made.remarks),
    )


async def add(caller: callers.Caller, body: Wanted) -> connections.Connection:
    """Makes a connection. No agent may use it before you say so."""
    caller.must_keep()
    made = _draft(body)
    async with caller.database.api() as conn:
        await connection_changes.add(conn, vault.key(caller.config.home), made)
    return await connections.show(caller, made.name)


async def try_out(caller: callers.Caller, connection: str, body: Path) -> Tested:
    """Tries a connection with up to three of its allowed reads, and says what the service answered, without its
    content.
    """
    caller.must_keep()
    rows = await connection_calls.tried(caller.database, caller.config.home, connection, body.path.strip())
    return Tested(ok=any(row["status"] < 400 for row in rows), calls=[Call(**row) for row in rows])


async def switch(caller: callers.Caller, connection: str, body: Switch) -> connections.Connection:
    """Switches one connection off, or lets it be used again."""
    caller.must_keep()
    async with caller.database.api() as conn:
        await connection_changes.switch(conn, connection, off=body.off)
    return await connections.show(caller, connection)


async def standing(caller: callers.Caller) -> Egress:
    """Shows whether all that agents do outside is cut off."""
    async with caller.database.api() as conn:
        return Egress(cut=await egress.since(conn) is not None)


async def cut(caller: callers.Caller, body: Egress) -> Egress:
    """Cuts off all that agents do outside, or lets it through again. What was refused meanwhile stays refused."""
    caller.must_keep()
    async with caller.database.api() as conn:
        await (egress.cut if body.cut else egress.restore)(conn)
    return body


async def renew(caller: callers.Caller, connection: str) -> connections.Connection:
    """Renews a connection that you have looked at: it and its grants hold for 30 days more."""
    caller.must_keep()
    async with caller.database.api() as conn:
        await connection_changes.renew(conn, connection)
    return await connections.show(caller, connection)


async def allow(caller: callers.Caller, connection: str, body: Allowed) -> connections.Connection:
    """Allows one operation more over a connection, or the same one in another way."""
    caller.must_keep()
    line = " ".join(body.operation.split())
    wanted = stored.operation(
        line, body.effect or "", harm=body.harm or "", key_header=body.key_header.strip(), is_open=body.open
    )
    async with caller.database.api() as conn:
        await connection_changes.allow(conn, connection, wanted)
    return await connections.show(caller, connection)


async def disallow(caller: callers.Caller, connection: str, body: OperationLine) -> connections.Connection:
    """Takes an allowed operation of a connection back."""
    caller.must_keep()
    async with caller.database.api() as conn:
        await connection_changes.disallow(conn, connection, " ".join(body.operation.split()))
    return await connections.show(caller, connection)


async def grant(caller: callers.Caller, connection: str, agent: str) -> connections.Connection:
    """Lets one of your agents use a connection, with the secrets that it needs."""
    caller.must_keep()
    async with caller.database.api() as conn:
        await callers.agent(conn, caller, agent)
        await connection_changes.grant(conn, connection, agent)
    return await connections.show(caller, connection)


async def revoke(caller: callers.Caller, connection: str, agent: str) -> endpoint.Done:
    """Takes a connection back from one of your agents, from its next call on."""
    async with caller.database.api() as conn:
        await callers.agent(conn, caller, agent)
        await connections.found(conn, caller, connection)
        await connection_changes.revoke(conn, connection, agent)
    return endpoint.Done(said=f"{agent} may not use {connection} any more.")


async def remove(caller: callers.Caller, connection: str) -> endpoint.Done:
    """Removes a connection, its grants, and the secrets that were made for it."""
    caller.must_keep()
    async with caller.database.api() as conn:
        await connection_changes.remove(conn, connection)
    return endpoint.Done(said=f"{connection} is removed, with its grants and its own secrets.")


def _draft(body: Wanted) -> stored.Draft:
    """Raises errors.BadInput."""
    allow = tuple(stored.operation(" ".join(text.split())) for text in body.allow if text.strip())
    pinned = tuple(text.strip() for text in body.pinned if text.strip())
    addresses.check_pins(pinned)
    values: dict[str, Any] = {"notes": body.notes, "per_day": body.per_day}
    if body.document.strip():
        wanted = openapi.Wanted(
            body.name.strip(),
            base_url=body.base_url.strip(),
            allow=allow,
            only=body.only.strip(),
            client_id=body.client_id.strip(),
            scopes=tuple(body.scopes),
            pinned=pinned,
        )
        proposed = openapi.draft(body.document.encode(), wanted)
    else:
        proposed = stored.Draft(body.name.strip(), body.base_url.strip(), allow=allow, pinned=pinned)
    if body.auth:
        options = {
            name: getattr(body, name).strip()
            for name in ("auth", "header", "prefix", "query", "token_url", "client_id")
        }
        values["auth"] = connection_login.auth(proposed.name, {**BARE, **options, "scope": body.scopes}, proposed.auth)
    return connection_changes.checked(replace(proposed, **values))


#: What the form does not ask: the secret gets its usual name.
BARE = {"secret": "", "authorize_url": "", "client_auth": "basic", "public": False}
ENDPOINTS = (
    endpoint.Endpoint("POST", "/connections/draft", "admin", draft),
    endpoint.Endpoint("POST", "/connections", "admin", add, status=201),
    endpoint.Endpoint("DELETE", "/connections/{connection}", "admin", remove),
    endpoint.Endpoint("POST", "/connections/{connection}/test", "admin", try_out, keyed=True),
    endpoint.Endpoint("PUT", "/connections/{connection}/switch", "admin", switch),
    endpoint.Endpoint("POST", "/connections/{connection}/renew", "admin", renew),
    endpoint.Endpoint("POST", "/connections/{connection}/allow", "admin", allow),
    endpoint.Endpoint("POST", "/connections/{connection}/disallow", "admin", disallow),
    endpoint.Endpoint("PUT", "/connections/{connection}/grants/{agent}", "admin", grant),
    endpoint.Endpoint("DELETE", "/connections/{connection}/grants/{agent}", "admin", revoke),
    endpoint.Endpoint("GET", "/egress", "read", standing),
    endpoint.Endpoint("PUT", "/egress", "admin", cut),
)
