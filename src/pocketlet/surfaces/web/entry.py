"""Who asks: a program with a token, a browser with a cookie, or the one owner of a machine that nobody else reaches."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from pocketlet import settings
from pocketlet.db import pool
from pocketlet.platform import neighbours, owners
from pocketlet.surfaces.api import caller as callers

PLAIN, SEALED = "pocketlet", "__Host-pocketlet"
#: A proxy stands before us, and whoever is behind it is not on this machine.
FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via")


class Entry:
    """Knows callers by what their requests show."""

    def __init__(self, database: pool.Database, config: settings.Settings) -> None:
        self.database = database
        self.config = config

    @property
    def cookie(self) -> str:
        """Its name: where the way is TLS, one that no other host can set."""
        return SEALED if (self.config.url or "").startswith("https:") else PLAIN

    async def caller(self, request: Request) -> callers.Caller | None:
        """Who asks; None if nobody is known by what was shown. Raises errors.NoPostgres."""
        kind, _, secret = request.headers.get("authorization", "").partition(" ")
        async with self.database.api() as conn:
            if kind:
                token = await owners.of_token(conn, secret.strip()) if kind.lower() == "bearer" else None
                return token and callers.Caller(self.database, self.config, token.owner, token.scopes)
            cookie = request.cookies.get(self.cookie, "")
            owner = await owners.of_session(conn, cookie) if cookie else None
            if owner is None and not self.exposed(request.headers) and _near(request):
                owner = owners.alone(await owners.everyone(conn))
        return owner and callers.Caller(self.database, self.config, owner)

    def exposed(self, headers: Mapping[str, str]) -> bool:
        """Whether others than this machine's own users may have sent the request: then everybody logs in."""
        return self.config.url is not None or any(name in headers for name in FORWARDED)

    def welcome(self, answer: Response, secret: str) -> None:
        """The cookie of a new session."""
        secure = self.cookie == SEALED
        age = owners.SESSION_DAYS * 24 * 3600
        answer.set_cookie(self.cookie, secret, max_age=age, path="/", secure=secure, httponly=True, samesite="strict")

    def farewell(self, answer: Response) -> None:
        """No cookie any more."""
        secure = self.cookie == SEALED
        answer.delete_cookie(self.cookie, path="/", secure=secure, httponly=True, samesite="strict")


def _near(request: Request) -> bool:
    """Whether a process of our own user asks: other users of the machine, and proxies, log in."""
    peer, ours = request.client, request.scope.get("server")
    return peer is not None and ours is not None and neighbours.same_user((peer.host, peer.port), tuple(ours))
