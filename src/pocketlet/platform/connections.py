"""Connections: which services outside an agent may use, and how. Rows of the owner; what no row allows is denied."""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from typing import Any

from pocketlet import clock, errors
from pocketlet.db import pool, queries
from pocketlet.platform import egress, oauth, templates, tokens, vault
from pocketlet.platform.gateways import wire

Q = queries.load("connections")
NAME = re.compile(r"[a-z][a-z0-9_-]{0,30}")
TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
#: What a break after the send means, as in the effect ledger.
EFFECTS = ("read", "idempotent", "keyed", "checkable", "unsafe")
#: How much it matters, as in the policy: `read` goes with `read`.
HARMS = ("read", "external", "irreversible", "money")
STATIC = ("bearer", "header", "basic", "query")
AUTHS = ("none", *STATIC, "oauth2-client", "oauth2-code")
KEY_HEADER = "Idempotency-Key"
REVIEW = timedelta(days=30)
#: What the names of the secrets that we name ourselves end with.
OWN_SECRETS = ("CLIENT_SECRET", "KEY", "KEY_1", "KEY_2", "KEY_3", "KEY_4", "LOGIN", "PENDING", "TOKEN", "TOKENS")
MOST_OPERATIONS = 1000
LONGEST_NOTES = 8000


@dataclass(frozen=True, slots=True)
class Place:
    """Where a secret goes: `kind` bearer, basic (the secret is `user:password`), header or query, the latter two with
    the `name` of the header or parameter; `prefix` stands before the value in a header.
    """

    kind: str
    secret: str
    name: str = ""
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Auth:
    """How the service knows us: `places` of secrets, or an OAuth2 client. `kind` is one of AUTHS."""

    kind: str = "none"
    places: tuple[Place, ...] = ()
    client: oauth.Client | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path template that is allowed.

    `effect`: one of EFFECTS; `harm`: one of HARMS; `key_header`: where the key of a keyed one goes; `open`: free text
    may stand in its query and path; `query`: the parameters that the service documents, if it does.
    """

    method: str
    path: str
    effect: str = "read"
    harm: str = "read"
    key_header: str = ""
    open: bool = False
    query: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """`GET /orders/{id}`."""
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Draft:
    """A connection that is still to be made. `secrets` go to the vault, `remarks` to the owner; neither to the row."""

    name: str
    base_url: str
    auth: Auth = field(default_factory=Auth)
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    allow: tuple[Operation, ...] = ()
    deny: tuple[Operation, ...] = ()
    pinned: tuple[str, ...] = ()
    max_bytes: int = 1_000_000
    seconds: float = 30.0
    per_day: int | None = None
    notes: str = ""
    kind: str = "http"
    settings: Mapping[str, object] | None = None
    secrets: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Connection:
    """A row. `headers` are sent with every request; `per_day` calls are made at most (None: no cap)."""

    id: int
    name: str
    kind: str
    base_url: str
    auth: Auth
    headers: Mapping[str, str]
    allow: tuple[Operation, ...]
    deny: tuple[Operation, ...]
    pinned: tuple[str, ...]
    max_bytes: int
    seconds: float
    per_day: int | None
    notes: str
    settings: Mapping[str, object] | None
    review_on: date
    off: bool


def prefix(name: str) -> str:
    """What the names of a connection's own secrets begin with."""
    return f"CONNECTION_{name.upper().replace('-', '_')}_"


def operation(text: str, effect: str = "", *, harm: str = "", key_header: str = "", is_open: bool = False) -> Operation:
    """`GET /orders/{id}` with its class: `read` for GET and HEAD, else `unsafe`, unless it is said.

    Raises errors.BadInput.
    """
    method, _, path = text.strip().partition(" ")
    effect = effect or ("read" if method in ("GET", "HEAD") else "unsafe")
    harm = harm or ("read" if effect == "read" else "irreversible")
    key_header = key_header or (KEY_HEADER if effect == "keyed" else "")
    made = Operation(method, path.strip(), effect, harm, key_header, is_open)
    check_operation(made)
    return made


def check_operation(made: Operation) -> None:
    """Raises errors.BadInput unless the operation can be allowed."""
    if made.method not in METHODS:
        raise errors.BadInput(
            f"{made.line!r} is no operation.", hint=f"Write it as 'GET /orders/{{id}}': {', '.join(METHODS)}."
        )
    templates.read(made.path)
    if made.effect not in EFFECTS:
        raise errors.BadInput(f"{made.effect!r} is no class of effect.", hint=f"There are: {', '.join(EFFECTS)}.")
    if made.harm not in HARMS or (made.harm == "read") is not (made.effect == "read"):
        raise errors.BadInput(
            f"The harm {made.harm!r} does not go with the class {made.effect!r}.",
            hint=f"There are {', '.join(HARMS[1:])}; `read` goes with `read`.",
        )
    if bool(made.key_header) is not (made.effect == "keyed"):
        raise errors.BadInput("A key header goes with the class `keyed`, and only with it.")
    if made.key_header:
        check_header(made.key_header)


def check_header(name: str, value: str = "") -> None:
    """Raises errors.BadInput unless a row may set this header. The value is never quoted."""
    if not TOKEN.fullmatch(name) or name.lower() in wire.OWN_HEADERS:
        raise errors.BadInput(f"The header {name!r} can't be set.")
    if not all(" " <= character <= "~" for character in value) or len(value) > 1000:
        raise errors.BadInput(f"The value of the header {name!r} can't be sent.")


def read(row: Mapping[str, Any]) -> Connection:
    """A connection from its row."""
    values: dict[str, Any] = {name: row[name] for name in Connection.__dataclass_fields__}
    for name in ("allow", "deny"):
        values[name] = tuple(_operation(found) for found in row[name])
    values["auth"] = _auth(row["auth"])
    values["pinned"] = tuple(row["pinned"])
    return Connection(**values)


def _operation(found: Mapping[str, Any]) -> Operation:
    values: dict[str, Any] = {**found, "query": tuple(found.get("query", ()))}
    return Operation(**values)


def _auth(found: Mapping[str, Any]) -> Auth:
    places = tuple(Place(**place) for place in found.get("places", ()))
    if not found.get("client"):
        return Auth(found["kind"], places)
    client: dict[str, Any] = dict(found["client"])
    client["scopes"] = tuple(client["scopes"])
    return Auth(found["kind"], places, oauth.Client(**client))


async def get(conn: pool.Conn, name: str) -> Connection:
    """Raises errors.NotFound."""
    row = await (await conn.execute(Q["get"], {"name": name})).fetchone()
    if row is None:
        raise errors.NotFound(f"There is no connection {name!r}.", hint="`pocketlet connect list` names them.")
    return read(row)


async def everything(conn: pool.Conn) -> list[tuple[Connection, list[str]]]:
    """All connections by name, with the names of the agents that may use them."""
    rows = await (await conn.execute(Q["list"])).fetchall()
    return [(read(row), row["agents"]) for row in rows]


async def of_agent(conn: pool.Conn, agent_id: int) -> list[Connection]:
    """What the agent may use now: granted, and not switched off."""
    rows = await (await conn.execute(Q["of_agent"], {"agent": agent_id})).fetchall()
    return [read(row) for row in rows]


async def overdue(conn: pool.Conn, connection: Connection, agent_id: int) -> str:
    """A sentence for the owner if the connection or the agent's grant of it is past its review date; else nothing."""
    row = await (await conn.execute(Q["overdue"], {"id": connection.id, "agent": agent_id})).fetchone()
    if row is None:
        return ""
    name = connection.name
    return f"A review of the connection {name} is due since {row['since']}: `pocketlet connect renew {name}` renews it."


def target(connection: Connection) -> wire.Target:
    """Where the wire may go for this connection."""
    return wire.Target(connection.base_url, connection.pinned, connection.max_bytes, connection.seconds)


def matching(connection: Connection, method: str, path: str) -> Operation | None:
    """The operation that allows `method` on `path` (percent-encoded, below the base URL), or None: denied.

    Of several templates that stand for the path the narrowest counts, and one that is known and not allowed wins.
    """
    fits = [one for one in connection.allow if one.method == method and templates.values(one.path, path) is not None]
    if not fits:
        return None
    best = max(fits, key=lambda one: templates.rank(one.path))
    barred = [one for one in connection.deny if one.method == method and templates.covers(one.path, path)]
    rank = templates.rank(best.path)
    return None if any(templates.rank(one.path) >= rank for one in barred) else best


def values(allowed: Operation, path: str) -> dict[str, str]:
    """The parameters of a path that `allowed` stands for, decoded, by name; {} for a path that it does not."""
    return templates.values(allowed.path, path) or {}


async def take(conn: pool.Conn, connection: Connection) -> None:
    """Counts one call of today (UTC), before it is made. Raises errors.Refused if the day's cap is reached."""
    row = await (await conn.execute(Q["take"], {"id": connection.id, "day": clock.now().date()})).fetchone()
    if row is None:
        raise errors.Refused(
            f"{connection.name} may be called {connection.per_day} times a day, and was.",
            hint="The count begins again at 0:00 UTC.",
        )


async def credentials(
    conn: pool.Conn, sealing_key: bytes, connection: Connection, agent_id: int | None
) -> tuple[list[wire.Secret], list[str]]:
    """What the wire adds to a request, and what else it scrubs out of the reply. An OAuth2 token is renewed if need be.

    Give it a transaction of its own and commit that before the request: a renewed token is lost with a rollback.
    `agent_id` None is the owner at the command line. Raises errors.Refused (switched off, no grant, no such secret, the
    authorization is no longer good) and errors.Unreachable (the token server).
    """
    await _check_usable(conn, connection, agent_id)
    auth = connection.auth
    named = [place.secret for place in auth.places]
    if auth.client is not None and auth.client.secret:
        named.append(auth.client.secret)
    found = await _opened(conn, sealing_key, agent_id, named)
    if auth.client is not None:
        access = await tokens.access(conn, sealing_key, holder(connection, found.get(auth.client.secret, "")))
        return [wire.Secret(value=access, header="Authorization", prefix="Bearer ")], list(found.values())
    placed = [_placed(place, found[place.secret]) for place in auth.places]
    logins = [_password(found[place.secret]) for place in auth.places if place.kind == "basic"]
    return placed, [*found.values(), *logins]


async def rejected(conn: pool.Conn, sealing_key: bytes, connection: Connection, used: Sequence[wire.Secret]) -> bool:
    """Whether another try is worth it after a 401 to a request with the credentials `used`: at most once in the life of
    an OAuth2 token, which the next `credentials` renews.
    """
    if connection.auth.client is None:
        return False
    return await tokens.rejected(conn, sealing_key, holder(connection, ""), [secret.value for secret in used])


def holder(connection: Connection, secret: str) -> tokens.Holder:
    """Who keeps the OAuth2 tokens of this connection. Raises errors.Refused if it has none."""
    client = connection.auth.client
    if client is None:
        raise errors.Refused(f"{connection.name} does not use OAuth2.")
    caller = oauth.Caller(connection.name, client, secret, connection.pinned)
    code = connection.auth.kind == "oauth2-code"
    return tokens.Holder(connection.id, f"{prefix(connection.name)}TOKENS", caller, code)


async def _check_usable(conn: pool.Conn, connection: Connection, agent_id: int | None) -> None:
    await egress.check(conn)
    row = await (await conn.execute(Q["usable"], {"id": connection.id, "agent": agent_id})).fetchone()
    name = connection.name
    if row is None:
        raise errors.Refused(f"The connection {name} was removed.")
    if not row["enabled"]:
        raise errors.Refused(f"The owner switched the connection {name} off.", hint=f"`pocketlet connect on {name}`")
    if agent_id is not None and not row["granted"]:
        raise errors.Refused(
            f"This agent may not use the connection {name}.", hint=f"`pocketlet connect grant {name} AGENT`"
        )


async def _opened(conn: pool.Conn, sealing_key: bytes, agent_id: int | None, names: Sequence[str]) -> dict[str, str]:
    if not names:
        return {}
    if agent_id is not None:
        try:
            return await vault.open_for(conn, sealing_key, agent_id, names)
        except errors.NotFound as error:
            raise errors.Refused(str(error), hint="`pocketlet secret set NAME` seals it.") from error
    everything = await vault.opened(conn, sealing_key)
    for name in names:
        if name not in everything:
            raise errors.Refused(f"There is no secret {name} yet.", hint=f"`pocketlet secret set {name}`")
    return {name: everything[name] for name in names}


def _placed(place: Place, value: str) -> wire.Secret:
    if place.kind == "query":
        return wire.Secret(value=value, query=place.name)
    if place.kind == "header":
        return wire.Secret(value=value, header=place.name, prefix=place.prefix)
    if place.kind == "basic":
        encoded = base64.b64encode(value.encode()).decode()
        return wire.Secret(value=encoded, header="Authorization", prefix="Basic ")
    return wire.Secret(value=value, header="Authorization", prefix="Bearer ")


def _password(login: str) -> str:
    """The secret half of `user:password`: the password, or the user of a service that wants no password."""
    user, _, password = login.partition(":")
    return password or user


def reserved(connection: Connection) -> frozenset[str]:
    """The query parameters that hold credentials: a request that names one of these itself has to be refused, else it
    would choose the account.
    """
    return frozenset(place.name for place in connection.auth.places if place.kind == "query")


def document(connection: Connection | Draft) -> dict[str, Any]:
    """What there is to know of a connection, for JSON: secrets by name."""
    found = asdict(connection)
    for hidden in ("secrets", "remarks"):
        found.pop(hidden, None)
    return found
