"""Connections: which services outside your agents may use, how, and who used which when."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Literal

from pocketlet import clock, errors
from pocketlet.agents import revisions
from pocketlet.db import pool, queries
from pocketlet.platform import connection_changes, egress, secret_needs, vault
from pocketlet.platform import connections as stored
from pocketlet.surfaces.api import caller as callers
from pocketlet.surfaces.api import endpoint, paging

Q = queries.load("connections_page")
Effect = Literal["read", "idempotent", "keyed", "checkable", "unsafe"]
Harm = Literal["read", "external", "irreversible", "money"]
Health = Literal["off", "cut", "lacks", "review", "blocked", "asked", "failing", "fine", "unused"]
#: What each means, for people.
HEALTH: Mapping[Health, str] = {
    "off": "It is switched off: every call is refused.",
    "cut": "All that agents do outside is cut off.",
    "lacks": "A secret is missing: calls are refused.",
    "review": "A review is due: what changes something asks you first.",
    "blocked": "The last call was blocked by policy: nothing was sent.",
    "asked": "The last call waited for your word.",
    "failing": "The last call failed.",
    "fine": "The last call worked.",
    "unused": "No run has used it yet.",
}


class Operation(endpoint.Model):
    """One method on one path that is allowed. `effect`: what doing it twice means. `harm`: how much it matters.
    `key_header`: where the key of a keyed one goes. `open`: free text may stand in its path and query.
    """

    method: str
    path: str
    effect: Effect
    harm: Harm
    key_header: str
    open: bool

    @property
    def line(self) -> str:
        """`GET /orders/{id}`."""
        return f"{self.method} {self.path}"


class Login(endpoint.Model):
    """How the service knows us. `secrets`: the names of those it needs, and whether each is set; never a value. Only
    who keeps the installation is told their names.
    """

    kind: str
    places: list[str]
    token_url: str
    client_id: str
    scopes: list[str]
    secrets: dict[str, bool]


class Use(endpoint.Model):
    """A call that an agent wanted to make. `verdict`: allow, ask or deny, by `rule`. `status`: what the service
    answered; null: nothing, or it is not known. `effect`: how the deed stands, if it was one.
    """

    id: int
    at: datetime
    agent: str
    run: int
    seq: int
    call: str
    verdict: str
    rule: str
    status: int | None
    effect: str | None
    error: bool


class Connection(endpoint.Model):
    """A service that agents may use. `agents`: yours; `others`: how many of other owners. `today`: calls of this day
    (UTC). `health`: off, cut, lacks, review, blocked, asked, failing, fine or unused; `said`: the same as a sentence.
    Only who keeps the installation is told what stands in `headers`, and what it is `pinned` to.
    """

    name: str
    kind: str
    base_url: str
    off: bool
    allow: list[Operation]
    deny: list[str]
    login: Login
    headers: dict[str, str]
    pinned: list[str]
    max_bytes: int
    seconds: float
    per_day: int | None
    today: int
    notes: str
    review_on: date
    agents: list[str]
    others: int
    last: Use | None
    health: Health
    said: str
    barred: list[str]


class Connections(endpoint.Model):
    """All that the caller may see. `cut`: since when all that agents do outside is cut off; null: it is not.
    `has_tool`: whether the agent that was asked for has the tool that calls services; null: none was.
    """

    items: list[Connection]
    cut: datetime | None
    has_tool: bool | None = None


async def listing(caller: callers.Caller) -> Connections:
    """Lists the connections that your agents may use; whoever keeps the installation sees them all."""
    async with caller.database.api() as conn:
        cut = await egress.since(conn)
        found = [one for one, _ in await stored.everything(conn)]
        items = [await _shown(conn, caller, one, cut) for one in found if await _visible(conn, caller, one)]
    return Connections(items=items, cut=cut)


async def of_agent(caller: callers.Caller, agent: str) -> Connections:
    """Lists the connections that one of your agents may use."""
    async with caller.database.api() as conn:
        found = await callers.agent(conn, caller, agent)
        cut = await egress.since(conn)
        granted = [one for one, names in await stored.everything(conn) if found.name in names]
        items = [await _shown(conn, caller, one, cut, found.id) for one in granted]
        has_tool = "http" in (await revisions.load(conn, found, found.current)).manifest.tools
    return Connections(items=items, cut=cut, has_tool=has_tool)


async def show(caller: callers.Caller, connection: str) -> Connection:
    """Shows one connection, with what it allows, how it logs in, and who may use it."""
    async with caller.database.api() as conn:
        return await _shown(conn, caller, await found(conn, caller, connection), await egress.since(conn))


async def uses(
    caller: callers.Caller, connection: str, *, limit: paging.Limit = 50, cursor: paging.Cursor = ""
) -> endpoint.Page[Use]:
    """Lists the calls that your agents made or wanted to make over a connection, the newest first."""
    below = paging.after(cursor)
    async with caller.database.api() as conn:
        one = await found(conn, caller, connection)
        rows = await _uses(conn, caller, one, limit=limit + 1, below=below)
    kept, following = paging.cut(rows, limit, "id")
    return endpoint.Page[Use](items=[Use(**row) for row in kept], next=following)


async def found(conn: pool.Conn, caller: callers.Caller, name: str) -> stored.Connection:
    """A connection that the caller may see. Raises errors.NotFound, in the same words for one that is not there."""
    for one, _ in await stored.everything(conn):
        if one.name == name and await _visible(conn, caller, one):
            return one
    raise errors.NotFound(f"There is no connection {name!r}.", hint="Look at the list of your connections.")


async def _visible(conn: pool.Conn, caller: callers.Caller, one: stored.Connection) -> bool:
    if caller.owner.keeper:
        return True
    return await (await conn.execute(Q["mine"], {"id": one.id, "owner": caller.owner.id})).fetchone() is not None


async def _uses(
    conn: pool.Conn, caller: callers.Caller, one: stored.Connection, *, limit: int, **where: int | None
) -> list[dict[str, Any]]:
    values = {"name": one.name, "owner": caller.owner.id, "limit": limit, "below": None, "agent": None} | where
    return await (await conn.execute(Q["uses"], values)).fetchall()


async def _shown(
    conn: pool.Conn, caller: callers.Caller, one: stored.Connection, cut: datetime | None, agent: int | None = None
) -> Connection:
    grants = await (await conn.execute(Q["grants"], {"id": one.id, "owner": caller.owner.id})).fetchone() or {}
    today = await (await conn.execute(Q["today"], {"id": one.id})).fetchone()
    last = [Use(**row) for row in await _uses(conn, caller, one, limit=1, agent=agent)]
    login = await _login(conn, caller, one.auth)
    lacks = await secret_needs.lacks(conn, kind="connection", name=one.name)
    barred = sorted({lack.agent for lack in lacks} & set(grants["agents"]))
    review_on: date = min(one.review_on, grants["review_on"] or one.review_on)
    health = _health(one, last, cut=cut is not None, lacks=bool(barred) or _missing(login), review_on=review_on)
    same = ("name", "kind", "base_url", "off", "max_bytes", "seconds", "per_day", "notes")
    return Connection(
        **{name: getattr(one, name) for name in same},
        allow=[operation(item) for item in one.allow],
        deny=[item.line for item in one.deny],
        login=login,
        headers={name: value if caller.owner.keeper else "" for name, value in one.headers.items()},
        pinned=list(one.pinned) if caller.owner.keeper else [],
        today=today["calls"] if today else 0,
        review_on=review_on,
        agents=grants["agents"],
        others=grants["others"],
        last=last[0] if last else None,
        health=health,
        said=HEALTH[health],
        barred=barred,
    )


def _missing(login: Login) -> bool:
    return not all(login.secrets.values())


def _health(one: stored.Connection, last: list[Use], *, cut: bool, lacks: bool, review_on: date) -> Health:
    if one.off or cut:
        return "off" if one.off else "cut"
    if lacks:
        return "lacks"
    if review_on <= clock.now().date():
        return "review"
    return _lately(last[0]) if last else "unused"


def _lately(use: Use) -> Health:
    """What came of the last call."""
    if use.verdict == "deny":
        return "blocked"
    if use.effect in ("planned", "refused"):
        return "asked"
    return "failing" if use.error or (use.status or 0) >= 400 or use.effect in ("failed", "unknown") else "fine"


def operation(one: stored.Operation) -> Operation:
    """As it is answered."""
    names = ("method", "path", "effect", "harm", "key_header", "open")
    values: dict[str, Any] = {name: getattr(one, name) for name in names}
    return Operation(**values)


def login(caller: callers.Caller, auth: stored.Auth, known: set[str]) -> Login:
    """How a connection logs in, with the names of its secrets for whoever keeps the installation."""
    client = auth.client
    return Login(
        kind=auth.kind,
        places=[_place(one) for one in auth.places],
        token_url=client.token_url if client else "",
        client_id=client.client_id if client else "",
        scopes=list(client.scopes) if client else [],
        secrets={name: name in known for name in connection_changes.secrets_of(auth)} if caller.owner.keeper else {},
    )


def _place(one: stored.Place) -> str:
    where = {"header": f"header {one.name}", "query": f"query parameter {one.name}"}
    return where.get(one.kind, f"header Authorization, {one.kind.capitalize()}")


async def _login(conn: pool.Conn, caller: callers.Caller, auth: stored.Auth) -> Login:
    return login(caller, auth, set(await vault.names(conn)))


ENDPOINTS = (
    endpoint.Endpoint("GET", "/connections", "read", listing),
    endpoint.Endpoint("GET", "/agents/{agent}/connections", "read", of_agent),
    endpoint.Endpoint("GET", "/connections/{connection}", "read", show),
    endpoint.Endpoint("GET", "/connections/{connection}/uses", "read", uses),
)
