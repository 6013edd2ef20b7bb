"""OAuth2 tokens: client credentials, and authorization code with PKCE (RFC 6749, 7636, 8252), all through the wire.

What a token server says goes nowhere but into the vault: an error is told by its code, and only by a known one.
"""

import base64
import hashlib
import hmac
import json
import secrets as randomness
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import cast
from urllib.parse import parse_qs, parse_qsl, quote_plus, urlencode, urlsplit

from pocketlet import clock, errors
from pocketlet.platform.gateways import addresses, wire

#: A token is renewed so long before its end, or for the last tenth of its life if that is shorter.
EARLY = timedelta(seconds=60)
LONGEST_TOKEN = 16_000
MOST_BYTES = 200_000
SECONDS = 30.0
#: RFC 6749 sections 4.1.2.1 and 5.2.
CODES = {
    "access_denied", "invalid_client", "invalid_grant", "invalid_request", "invalid_scope", "server_error",
    "temporarily_unavailable", "unauthorized_client", "unsupported_grant_type", "unsupported_response_type",
}  # fmt: skip
STYLES = ("basic", "body")


@dataclass(frozen=True, slots=True)
class Client:
    """Us, as a service knows us. `secret` is the name of the client secret in the vault; "" for a public client.

    `style`: whether the secret goes into a Basic header or into the body.
    """

    token_url: str
    client_id: str
    secret: str = ""
    authorize_url: str = ""
    scopes: tuple[str, ...] = ()
    style: str = "basic"


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a token server gave. `expires_at` is None if it did not say."""

    access: str = field(repr=False)
    refresh: str = field(default="", repr=False)
    expires_at: datetime | None = None

    def sealed_form(self) -> str:
        """As the vault keeps them."""
        return json.dumps({"access": self.access, "refresh": self.refresh})


@dataclass(frozen=True, slots=True)
class Pending:
    """An authorization that the owner was sent to. `verifier` and `state` are ours until the service comes back."""

    verifier: str = field(repr=False)
    state: str = field(repr=False)
    redirect_uri: str
    until: datetime

    def sealed_form(self) -> str:
        """As the vault keeps it."""
        return json.dumps(
            {"verifier": self.verifier, "state": self.state, "redirect_uri": self.redirect_uri,
             "until": self.until.isoformat()}
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the connection's name (for what is said of a failure), the client, its secret, the pinned addresses."""

    connection: str
    client: Client
    secret: str = field(default="", repr=False)
    pinned: tuple[str, ...] = ()


def check(client: Client, pinned: Sequence[str], *, code: bool) -> None:
    """Raises errors.BadInput unless a token can be asked for with this."""
    if not client.client_id or not all(" " <= character <= "~" for character in client.client_id):
        raise errors.BadInput("OAuth2 needs a client id.", hint="--client-id ID")
    if not all(scope and all("!" <= character <= "~" for character in scope) for scope in client.scopes):
        raise errors.BadInput("A scope is one word of plain ASCII.")
    if client.style not in STYLES:
        raise errors.BadInput(f"The client's style is {' or '.join(STYLES)}.")
    if not code and not client.secret:
        raise errors.BadInput("OAuth2 client credentials need a client secret.")
    for url in (client.token_url, client.authorize_url) if code else (client.token_url,):
        found = addresses.host_of(url, inner=bool(pinned))
        if found.scheme != "https" and not pinned:
            raise errors.BadInput("The URLs of OAuth2 must be https.")


def origin(url: addresses.Url) -> str:
    """`scheme://host[:port]` of a URL."""
    usual = 443 if url.scheme == "https" else 80
    host = f"[{url.host}]" if ":" in url.host else url.host
    return f"{url.scheme}://{host}" + ("" if url.port == usual else f":{url.port}")


def due(expires_at: datetime | None, renewed_at: datetime | None) -> bool:
    """Whether a token is to be renewed now."""
    if expires_at is None:
        return False
    early = EARLY if renewed_at is None else min(EARLY, max((expires_at - renewed_at) / 10, timedelta(0)))
    return clock.now() >= expires_at - early


def opened(text: str) -> Tokens:
    """The tokens in what `sealed_form` gave, without the time of their end, which is in the row."""
    found = cast(dict[str, str], json.loads(text))
    return Tokens(found["access"], found["refresh"])


def pending(text: str) -> Pending:
    """The authorization in what `sealed_form` gave."""
    found = cast(dict[str, str], json.loads(text))
    until = datetime.fromisoformat(found["until"])
    return Pending(found["verifier"], found["state"], found["redirect_uri"], until)


def begin(client: Client, redirect_uri: str) -> tuple[str, Pending]:
    """The URL to send the owner to, and what is to be kept until the service comes back (15 minutes)."""
    verifier, state = randomness.token_urlsafe(64), randomness.token_urlsafe(32)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    query = {
        "response_type": "code",
        "client_id": client.client_id,
        "redirect_uri": redirect_uri,
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    } | ({"scope": " ".join(client.scopes)} if client.scopes else {})
    joint = "&" if "?" in client.authorize_url else "?"
    url = f"{client.authorize_url}{joint}{urlencode(query)}"
    return url, Pending(verifier, state, redirect_uri, clock.now() + timedelta(minutes=15))


def code_of(answer: str, waiting: Pending) -> str:
    """The code in a redirect (the whole URL, its target, or the code alone, where PKCE has to do).

    Raises errors.Refused if the service said no, or the answer belongs to another authorization.
    """
    if clock.now() > waiting.until:
        raise errors.Refused("This authorization was begun too long ago.", hint="Begin it again.")
    if "?" not in answer:
        return answer.strip()
    found = parse_qs(urlsplit(answer.strip()).query)
    if not hmac.compare_digest(_only(found, "state").encode(), waiting.state.encode()):
        raise errors.Refused("This answer belongs to another authorization.", hint="Begin it again.")
    if "error" in found:
        raise errors.Refused(f"The service did not authorize it: {_code(_only(found, 'error'))}.")
    return _only(found, "code")


def _only(found: Mapping[str, list[str]], name: str) -> str:
    values = found.get(name, [])
    if len(values) != 1:
        raise errors.Refused("This is not what a service sends back.", hint="Begin the authorization again.")
    return values[0]


async def exchange(caller: Caller, waiting: Pending, code: str) -> Tokens:
    """Tokens for the code of an authorization. Raises as `_ask` does."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": waiting.redirect_uri,
        "code_verifier": waiting.verifier,
    }
    return await _ask(caller, form, scrub=(code, waiting.verifier))


async def by_secret(caller: Caller) -> Tokens:
    """A token by the client's own secret. Raises as `_ask` does."""
    form = {"grant_type": "client_credentials"}
    if caller.client.scopes:
        form["scope"] = " ".join(caller.client.scopes)
    return await _ask(caller, form)


async def refreshed(caller: Caller, refresh: str) -> Tokens:
    """New tokens for a refresh token; that one stays good if the server gives no other. Raises as `_ask` does."""
    found = await _ask(caller, {"grant_type": "refresh_token", "refresh_token": refresh})
    return found if found.refresh else Tokens(found.access, refresh, found.expires_at)


async def _ask(caller: Caller, form: Mapping[str, str], scrub: Sequence[str] = ()) -> Tokens:
    """Raises errors.Refused (the server said no for good), errors.Unreachable (it may say yes later)."""
    client = caller.client
    url = addresses.host_of(client.token_url, inner=bool(caller.pinned))
    path, _, query = url.target.partition("?")
    body, placed = {**form}, list[wire.Secret]()
    if caller.secret and client.style == "basic":
        both = f"{quote_plus(client.client_id)}:{quote_plus(caller.secret)}"
        value = base64.b64encode(both.encode()).decode()
        placed.append(wire.Secret(value=value, header="Authorization", prefix="Basic "))
    else:
        body |= {"client_id": client.client_id} | ({"client_secret": caller.secret} if caller.secret else {})
    request = wire.Request(
        method="POST",
        path=path,
        query=tuple(parse_qsl(query, keep_blank_values=True)),
        headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
        body=urlencode(body).encode(),
    )
    at = clock.now()
    hidden = [value for value in (caller.secret, *scrub) if value]
    target = wire.Target(origin(url), caller.pinned, MOST_BYTES, SECONDS)
    return read(caller, await wire.send(target, request, placed, hidden), at)


def read(caller: Caller, reply: wire.Reply, at: datetime) -> Tokens:
    """The tokens in an answer to a request that was made `at` that time. Raises errors.Refused, errors.Unreachable."""
    if reply.status in (408, 425, 429) or reply.status >= 500:
        raise errors.ServiceUnreachable(
            f"The token server of {caller.connection} is not able to answer now ({reply.status}).",
            hint="Try again later.",
        )
    found = _object(reply)
    if reply.status != 200 or "error" in found:
        raise _denied(caller, reply.status, _code(found.get("error")))
    access, refresh = found.get("access_token"), found.get("refresh_token") or ""
    kind = found.get("token_type")
    if not _sendable(access) or (refresh and not _sendable(refresh)):
        raise _unusable(caller, "it gave no token that can be sent")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise _unusable(caller, "its tokens are not of the type Bearer")
    life = _seconds(found.get("expires_in"))
    expires_at = None if life is None else at + timedelta(seconds=life)
    return Tokens(cast(str, access), cast(str, refresh), expires_at)


def _object(reply: wire.Reply) -> dict[str, object]:
    try:
        found: object = json.loads(reply.body)
    except (ValueError, RecursionError):
        return {}
    return cast(dict[str, object], found) if isinstance(found, dict) else {}


def _sendable(value: object) -> bool:
    short = isinstance(value, str) and 0 < len(value) <= LONGEST_TOKEN
    return short and all("!" <= character <= "~" for character in cast(str, value))


def _seconds(value: object) -> int | None:
    """`expires_in`, which some servers write as a text; a nonsensical one counts as not given."""
    text = str(value)
    return min(int(text), 10**9) if text.isascii() and text.isdigit() and len(text) < 12 else None


def _code(said: object) -> str:
    return said if isinstance(said, str) and said in CODES else "an error that OAuth2 does not know"


def _unusable(caller: Caller, why: str) -> errors.Refused:
    return errors.Refused(
        f"The answer of the token server of {caller.connection} can't be used: {why}.",
        hint=f"`pocketlet connect show {caller.connection}`: check its token URL.",
    )


def _denied(caller: Caller, status: int, code: str) -> errors.Refused:
    name, client = caller.connection, caller.client
    if code == "invalid_grant":
        hint = f"`pocketlet connect authorize {name}` asks for a new authorization."
    elif code in ("invalid_client", "unauthorized_client") and client.secret:
        hint = f"Check the client id (`pocketlet connect show {name}`), and `pocketlet secret set {client.secret}`."
    else:
        hint = f"`pocketlet connect show {name}`: check the token URL, the client id and the scopes."
    return errors.Refused(f"The token server of {name} gives no token: {code} ({status}).", hint=hint)
