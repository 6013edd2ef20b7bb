"""The egress wire: the one place from which an HTTP request leaves the machine.

One request, one connection, HTTP/1.1. The host's addresses are looked up once, every one of them is checked, and the
connection goes to one that was checked, with the host's own name in TLS and in `Host`. No redirect is followed, no
cookie kept, no proxy of the environment used. What comes back is capped, decompressed and scrubbed of the secrets.
"""

import asyncio
import contextlib
import functools
import logging
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

import httpcore2

from pocketlet import crashing, errors
from pocketlet.platform.gateways import addresses, link, scrubbing, unpacking

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
REDIRECTS = frozenset({301, 302, 303, 307, 308})

#: A response's head: headers, and bytes of them.
MOST_HEADERS = 100
LONGEST_HEAD = 32_768

#: Bytes that may arrive beyond the body's cap: the head, chunk sizes, and what compression does not save.
OVERHEAD = 262_144

#: Addresses of one name that are tried, one after the other.
MOST_TRIED = 4

#: Bodies of this many bytes are scrubbed in a thread: searching one takes up to 0.2 s a megabyte.
LONG = 65_536

#: Set by the wire alone: framing, the connection, the host, and what belongs to a secret.
OWN_HEADERS = frozenset({
    "accept-encoding", "authorization", "connection", "content-length", "cookie", "expect", "forwarded", "host",
    "http2-settings", "keep-alive", "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding",
    "upgrade",
})  # fmt: skip
#: Those that a credential may be put into.
SECRET_HEADERS = frozenset({"authorization", "cookie"})
#: Dropped from what comes back: the connection's, cookies, and what no longer fits the body.
DROPPED = frozenset({
    "alt-svc", "connection", "content-encoding", "content-length", "keep-alive", "proxy-authenticate",
    "proxy-connection", "set-cookie", "set-cookie2", "te", "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]{0,8000}[\x21-\x7e])?|")

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Target:
    """Where a connection may go; made from a row of the owner.

    `base_url`: scheme://host[:port][/prefix]. `pinned`: addresses or networks of a local server; only with it may
    private addresses, other ports or plain http be used, and then only these addresses. `max_bytes`: of the
    decompressed body. `seconds`: for all of it, from the look-up to the last byte.
    """

    base_url: str
    pinned: tuple[str, ...] = ()
    max_bytes: int = 1_000_000
    seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent. `path`: absolute, below the base's prefix, percent-encoded; empty for the base
    itself. `query`: pairs, not encoded.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Secret:
    """A credential and where it is put: into a header (after `prefix`, such as "Bearer "), or the query."""

    value: str = field(repr=False)
    header: str = ""
    prefix: str = ""
    query: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, scrubbed. `headers`: names in lower case. `truncated`: the body is not all there, or could not
    be read (damaged, or in an encoding that was not asked for). `location`: of a redirect, which nobody followed.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool
    location: str


async def look_up(host: str, port: int) -> Sequence[str]:
    """The addresses of a host, from the system's resolver. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@crashing.io
async def send(
    target: Target,
    request: Request,
    secrets: Sequence[Secret] = (),
    scrub: Sequence[str] = (),
    *,
    resolver: Resolver = look_up,
    tls: ssl.SSLContext | None = None,
) -> Reply:
    """Send one request, and give back what was answered, whatever its status.

    `scrub`: more values to be scrubbed (a password inside of a Basic credential). `tls`: for a pinned server with a
    certificate of its own; by default the system's certificates.

    Raises errors.EgressRefused before anything is sent, errors.ServiceUnreachable if surely nothing of the request
    was sent, and its subclass errors.ServiceUncertain if some of it may have arrived.
    """
    url = _checked(target)
    prepared = _prepared(url, request, secrets)
    values = [*(secret.value for secret in secrets), *scrub]
    _silence()
    opened = link.Link(target.max_bytes + OVERHEAD, target.seconds)
    name = f"{url.scheme}://{url.host}:{url.port}"
    try:
        async with asyncio.timeout(target.seconds):
            opened.addresses = await _addresses(target, url, resolver)
            return await _exchange(opened, prepared, tls or _system_tls(), target.max_bytes, values)
    except TimeoutError:
        raise _failed(opened, f"{name} did not answer within {target.seconds:g} s.") from None
    except _BROKEN as error:
        # The cause is cut off: it may quote what was sent or came back.
        raise _failed(opened, f"{name}: {_said(opened, error)}") from None


def same_site(target: Target, location: str) -> bool:
    """Whether a redirect stays on the target's scheme, host and port: else its credentials must not go there."""
    if not location or not location.isascii() or not location.isprintable() or "\\" in location:
        return False
    try:
        base = addresses.host_of(target.base_url, inner=bool(target.pinned))
        if location.startswith("//"):
            location = f"{base.scheme}:{location}"
        elif not re.match(r"[^/?#]*:", location):
            return True
        return addresses.host_of(location.partition("#")[0], inner=bool(target.pinned)).site == base.site
    except errors.BadInput:
        return False


def _checked(target: Target) -> addresses.Url:
    """The target's base; raises errors.EgressRefused if nothing may be sent there, whatever its addresses are."""
    try:
        url = addresses.host_of(target.base_url, inner=bool(target.pinned))
        addresses.networks(target.pinned)
    except errors.BadInput as error:
        raise errors.EgressRefused(f"The connection's address can't be used: {error}") from None
    if "?" in url.target:
        raise errors.EgressRefused("The connection's address has a query.")
    if not target.pinned and (url.scheme != "https" or url.port not in (443, 80)):
        raise errors.EgressRefused(
            f"{url.host} is only called by https on port 443 or 80.",
            hint="Another port or plain http needs a connection whose addresses are pinned.",
        )
    return url


async def _addresses(target: Target, url: addresses.Url, resolver: Resolver) -> list[str]:
    """Where the host is: looked up once, and every address checked. Raises errors.EgressRefused."""
    literal = addresses.is_address(url.host)
    found = [url.host] if literal else list(await resolver(url.host, url.port))
    if not found:
        raise errors.ServiceUnreachable(f"{url.host} has no address.")
    for address in found:
        reason = addresses.unpinned(address, target.pinned) if target.pinned else addresses.forbidden(address)
        if reason is not None:
            raise errors.EgressRefused(f"Nothing is sent to {url.host}: it is at {address}, {reason}.")
    return found[:MOST_TRIED]


def _prepared(url: addresses.Url, request: Request, secrets: Sequence[Secret]) -> httpcore2.Request:
    """The request as it is sent; raises errors.EgressRefused for what could be read in more than one way."""
    if request.method not in METHODS:
        raise errors.EgressRefused(f"The method {request.method!r:.40} is not one of {', '.join(sorted(METHODS))}.")
    authority = f"[{url.host}]" if ":" in url.host else url.host
    if url.port != {"https": 443, "http": 80}[url.scheme]:
        authority = f"{authority}:{url.port}"
    headers = {"host": authority, "user-agent": "pocketlet", "accept": "*/*"}
    headers |= _headers(request.headers)
    for secret in secrets:
        _put(headers, secret)
    headers |= {"accept-encoding": ", ".join(unpacking.ENCODINGS), "connection": "close"}
    if request.body is not None or request.method in ("POST", "PUT", "PATCH"):
        headers["content-length"] = str(len(request.body or b""))
    return httpcore2.Request(
        request.method,
        httpcore2.URL(
            scheme=url.scheme.encode(),
            host=url.host.encode(),
            port=url.port,
            target=_target(url, request, secrets),
        ),
        headers=[(name.encode(), value.encode()) for name, value in headers.items()],
        content=request.body or b"",
    )


def _target(url: addresses.Url, request: Request, secrets: Sequence[Secret]) -> bytes:
    """Path and query as they are sent."""
    if request.path and (request.path[0] != "/" or "?" in request.path):
        raise errors.EgressRefused("A request's path begins with / and holds no query.")
    path = url.target.removesuffix("/") + request.path if request.path else url.target
    pairs = [*request.query, *((secret.query, secret.value) for secret in secrets if secret.query)]
    try:
        query = urlencode(pairs, quote_via=quote, safe="")
        addresses.checked_target(request.path)
        addresses.checked_target(f"{path}?{query}" if query else path)
    except errors.BadInput as error:
        raise errors.EgressRefused(str(error)) from None
    except UnicodeError:
        raise errors.EgressRefused("A request's query is not Unicode.") from None
    return (f"{path}?{query}" if query else path).encode()


def _headers(given: Mapping[str, str]) -> dict[str, str]:
    """The caller's headers in lower case; raises errors.EgressRefused."""
    headers = {name.lower(): value for name, value in given.items()}
    if len(headers) != len(given) or len(headers) > MOST_HEADERS:
        raise errors.EgressRefused("A request's headers are too many, or one is there twice.")
    for name, value in headers.items():
        if name in OWN_HEADERS or not _NAME.fullmatch(name):
            raise errors.EgressRefused(f"The header {name!r:.60} is not one that a request may set.")
        if not _VALUE.fullmatch(value):
            raise errors.EgressRefused(f"The header {name} holds characters that no header has.")
    return headers


def _put(headers: dict[str, str], secret: Secret) -> None:
    """Add a secret to the headers if it goes there; raises errors.EgressRefused, without the value."""
    name = secret.header.lower()
    if not secret.value or bool(name) == bool(secret.query):
        raise errors.EgressRefused("A credential is empty, or it is not said whether it is a header or a query.")
    if not name:
        return
    if name in headers or name in OWN_HEADERS - SECRET_HEADERS or not _NAME.fullmatch(name):
        raise errors.EgressRefused(f"The header {name!r:.60} can't hold a credential, or is there twice.")
    headers[name] = secret.prefix + secret.value
    if not _VALUE.fullmatch(headers[name]):
        raise errors.EgressRefused(
            f"The credential for {name} holds a line break, or another character that no header has.",
            hint="Nothing was sent. `pocketlet secret set NAME` seals it anew, in one line.",
        )


async def _exchange(
    opened: link.Link, request: httpcore2.Request, tls: ssl.SSLContext, max_bytes: int, values: Sequence[str]
) -> Reply:
    connection = httpcore2.AsyncHTTPConnection(request.url.origin, ssl_context=tls, network_backend=opened)
    async with contextlib.aclosing(opened):
        response = await connection.handle_async_request(request)
        headers = _received(response, values)
        body = unpacking.Body(_encoding(response), max_bytes + scrubbing.overlap(values))
        async with contextlib.aclosing(response.aiter_stream()) as chunks:
            async for chunk in chunks:
                if not body.feed(chunk):
                    break
    clean = await _clean(body, values)
    return Reply(
        status=response.status,
        headers=headers,
        body=clean[:max_bytes],
        truncated=not body.whole or len(clean) > max_bytes,
        location=headers.get("location", "") if response.status in REDIRECTS else "",
    )


def _received(response: httpcore2.Response, values: Sequence[str]) -> dict[str, str]:
    """The headers that came back, scrubbed."""
    size = sum(len(name) + len(value) for name, value in response.headers)
    if response.status == 101 or len(response.headers) > MOST_HEADERS or size > LONGEST_HEAD:
        raise httpcore2.RemoteProtocolError
    headers: dict[str, str] = {}
    for raw, value in response.headers:
        name = raw.decode("ascii").lower()
        if name not in DROPPED:
            name = scrubbing.scrubbed(name.encode(), values).decode()
            text = scrubbing.scrubbed(value, values).decode("latin-1")
            headers[name] = f"{headers[name]}, {text}" if name in headers else text
    return headers


def _encoding(response: httpcore2.Response) -> str:
    return ",".join(value.decode("latin-1") for name, value in response.headers if name.lower() == b"content-encoding")


async def _clean(body: unpacking.Body, values: Sequence[str]) -> bytes:
    """The body without secrets; of one that was cut off also without its end, where a part of one may stand."""
    data = body.data
    if len(data) < LONG:
        clean = scrubbing.scrubbed(data, values)
    else:
        clean = await asyncio.to_thread(scrubbing.scrubbed, data, values)
    return clean if body.whole else clean[: max(0, len(clean) - scrubbing.overlap(values))]


_BROKEN = (OSError, httpcore2.NetworkError, httpcore2.TimeoutException, httpcore2.ProtocolError)


def _failed(opened: link.Link, message: str) -> errors.ServiceUnreachable:
    return errors.ServiceUncertain(message) if opened.sent else errors.ServiceUnreachable(message)


def _said(opened: link.Link, error: BaseException) -> str:
    """Why there is no reply, in our own words."""
    if isinstance(error, socket.gaierror):
        return "its name is not known."
    cause = error.__cause__ or error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({cause.verify_message})."
    if isinstance(cause, ssl.SSLError) or (isinstance(error, httpcore2.ProtocolError) and not opened.ended):
        return "what it answers is not what a server of this kind may answer."
    return "the connection broke." if opened.sent else "there is no connection."


@functools.cache
def _system_tls() -> ssl.SSLContext:
    return httpcore2.default_ssl_context()


def _silence() -> None:
    """The library's debug lines hold the headers that come back, as they came."""
    for name in ("httpcore2.connection", "httpcore2.http11"):
        logging.getLogger(name).disabled = True
