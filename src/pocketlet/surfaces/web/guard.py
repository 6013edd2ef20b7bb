"""What every request passes first and every answer last: whom it is addressed to, who sent it, and what it may load.

Whatever is not allowed here is refused, before a route is looked for.
"""

import secrets
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pocketlet.surfaces.web import problems, streams

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
SAFE = frozenset({"GET", "HEAD"})
METHODS = SAFE | {"POST"}
STANDARD = {"http": 80, "https": 443}
#: Programs post here, and prove themselves otherwise; a browser's page may post nowhere but to its own origin.
PROGRAMS = "/hooks/"
API, STATIC = "/v1/", "/static/"
AWAY, TOP = ("cross-site", "same-site"), ["document"]
VERBS = METHODS | {"PUT", "PATCH", "DELETE"}  # of the API
#: Proven in a browser: our scripts by their nonce, our own files, and no text becomes code on any other way.
POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self'; font-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types htmx hx-csp pocketlet"
)


def hosts(port: int, url: str | None) -> frozenset[str]:
    """The values of `Host` that mean us: loopback with our port, and the host of the owner's own address."""
    allowed = {f"{name}:{port}" for name in LOOPBACK}
    if port == STANDARD["http"]:
        allowed.update(LOOPBACK)
    if url:
        parts = urlsplit(url)
        name = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else str(parts.hostname)
        standard = STANDARD.get(parts.scheme, 0)
        allowed.add(f"{name}:{parts.port or standard}")
        if (parts.port or standard) == standard:
            allowed.add(name)
    return frozenset(allowed)


FOREIGN = problems.answer(403, "origin", "This form was not sent by a page of ours.")
DRAWN = problems.answer(403, "origin", "Another site asks for this.")


class Guard:
    """The outermost layer (ASGI). `port`: ours; `url`: where the owner reaches us, if not by loopback."""

    def __init__(self, inner: ASGIApp, port: int, url: str | None) -> None:
        self._inner = inner
        self._hosts = hosts(port, url)
        self._origins = _origins(port, url)
        self._streams = streams.Open()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request. In `scope["state"]`: `nonce`, by which its page's scripts are known, and `streams`."""
        if scope["type"] != "http":
            return
        nonce = secrets.token_urlsafe(16)
        scope["state"] = {**scope.get("state", {}), "nonce": nonce, "streams": self._streams}

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": _sealed(message, nonce, kept=scope["path"].startswith(STATIC))}
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self._inner)(scope, receive, sending)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        fields = _fields(scope)
        if len(fields.get("host", [])) != 1 or fields["host"][0].lower() not in self._hosts:
            return problems.answer(400, "host", "This address is not served here.")
        if "transfer-encoding" in fields and "content-length" in fields:
            return problems.answer(400, "framing", "The length of the body is told in two ways.")
        if scope["method"] not in (VERBS if scope["path"].startswith(API) else METHODS):
            return problems.answer(405, "method", "Only GET, HEAD and POST are served here.")
        if scope["method"] in SAFE:
            return DRAWN if _drawn(fields) or not self._known_or_none(fields) else None
        return None if self._meant(scope["path"], fields) else FOREIGN

    def _meant(self, path: str, fields: Mapping[str, list[str]]) -> bool:
        """Whether what may change something was sent by a page of ours, or by a program."""
        programs = path.startswith(API) and ("authorization" in fields or not fields.keys() & BROWSER)
        return path.startswith(PROGRAMS) or programs or self._own(fields)

    def _own(self, fields: Mapping[str, list[str]]) -> bool:
        """Whether a page of ours sent it; scripts can set neither field. Our pages tell nobody where a form comes from,
        so a browser writes `null` for the origin, and `same-origin` beside it.
        """
        origin, site = fields.get("origin", []), fields.get("sec-fetch-site", [])
        if site:
            return site == ["same-origin"] and (not origin or origin == ["null"] or self._known(origin))
        return self._known(origin)

    def _known_or_none(self, fields: Mapping[str, list[str]]) -> bool:
        """Whether no other page's origin stands there: by nothing else is a GET known that begins a WebSocket."""
        return "origin" not in fields or self._known(fields["origin"])

    def _known(self, origin: list[str]) -> bool:
        return len(origin) == 1 and origin[0] in self._origins


#: A browser sends one of these with whatever a page posts; no page can leave them out, or send a token across sites.
BROWSER = frozenset({"origin", "sec-fetch-site", "sec-fetch-mode", "cookie"})


def _drawn(fields: Mapping[str, list[str]]) -> bool:
    """Whether a page of another site wants to load this, and nobody follows a link: a frame is not followed."""
    away = fields.get("sec-fetch-site", ["none"])[0] in AWAY
    followed = fields.get("sec-fetch-mode") == ["navigate"] and fields.get("sec-fetch-dest", TOP) == TOP
    return away and not followed


def _origins(port: int, url: str | None) -> frozenset[str]:
    own = {f"http://{name}:{port}" for name in LOOPBACK}
    if port == STANDARD["http"]:
        own.update(f"http://{name}" for name in LOOPBACK)
    if url:
        own.update(f"{urlsplit(url).scheme}://{host}" for host in hosts(port, url) - hosts(port, None))
    return frozenset(own)


def _fields(scope: Scope) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        fields.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
    return fields


def _sealed(message: Message, nonce: str, *, kept: bool) -> list[tuple[bytes, bytes]]:
    """The answer's fields with ours in the place of its own. After a refusal the rest of a body is not waited for.

    `kept`: a file whose name changes with its content; browsers keep it.
    """
    ours = {
        "content-security-policy": POLICY.format(nonce=nonce),
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "cache-control": "public, max-age=31536000, immutable" if kept and message["status"] == 200 else "no-store",
    }
    if message["status"] >= 400:
        ours["connection"] = "close"
    names = {name.encode() for name in ours}
    kept_fields = [(name, value) for name, value in message.get("headers", []) if name.lower() not in names]
    return kept_fields + [(name.encode(), value.encode()) for name, value in ours.items()]
