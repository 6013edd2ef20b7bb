"""Who asks: a program with a token, a browser with a cookie, or the one owner of a machine that nobody else reaches."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from pocketlet import settings
from pocketlet.db import pool
from pocketlet.platform import neighbours, owners
from pocketlet.surfaces.api import caller as callers

PLAIN, SEALED = "pocketlet-", "__Host-pocketlet"
#: A proxy stands before us, and whoever is behind it is not on this machine.
FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via")


class Entry:
    """Knows callers by what their requests show."""

    def __init__(self, database: pool.Database, config: settings.Settings) -> None:
        self.database = database
        self.config = config

    def cookie(self, request: Request) -> str:
        """Its name: where the way is TLS, one that no other host can set; else with our port, as browsers know none."""
        return SEALED if self._sealed else plain(request)

    @property
    def _sealed(self) -> bool:
        return (self.config.url or "").startswith("https:")

    async def caller(self, request: Request) -> callers.Caller | None:
        """Who asks; None if nobody is known by what was shown. Raises errors.NoPostgres."""
        kind, _, secret = request.headers.get("authorization", "").partition(" ")
        async with self.database.api() as conn:
            if kind:
                token = await owners.of_token(conn, secret.strip()) if kind.lower() == "bearer" else None
                return token and callers.Caller(self.database, self.config, token.owner, token.scopes)
            cookie = request.cookies.get(self.cookie(request), "")
            owner = await owners.of_session(conn, cookie, self.user(request)) if cookie else None
            if owner is None and not self.exposed(request.headers) and _near(request):
                owner = owners.alone(await owners.everyone(conn))
        return owner and callers.Caller(self.database, self.config, owner)

    def exposed(self, headers: Mapping[str, str]) -> bool:
        """Whether others than this machine's own users may have sent the request: then everybody logs in."""
        return self.config.url is not None or any(name in headers for name in FORWARDED)

    def user(self, request: Request) -> int | None:
        """The user of this machine whose browser asks; None: not known, or from behind a proxy. A session is of one:
        a cookie goes to every port of a host, so others who serve pages here may have read it.
        """
        return None if self.exposed(request.headers) else neighbours.user(*_ends(request))

    def welcome(self, request: Request, answer: Response, secret: str) -> None:
        """The cookie of a new session."""
        name, age = self.cookie(request), owners.SESSION_DAYS * 24 * 3600
        answer.set_cookie(name, secret, max_age=age, path="/", secure=self._sealed, httponly=True, samesite="strict")

    def farewell(self, request: Request, answer: Response) -> None:
        """No cookie any more."""
        name = self.cookie(request)
        answer.delete_cookie(name, path="/", secure=self._sealed, httponly=True, samesite="strict")


def plain(request: Request) -> str:
    """The name of the cookie where there is no TLS: two installations on one machine leave each other's alone."""
    return f"{PLAIN}{_ends(request)[1][1]}"


def _near(request: Request) -> bool:
    """Whether a process of our own user asks: other users of the machine, and proxies, log in."""
    return neighbours.same_user(*_ends(request))


def _ends(request: Request) -> tuple[tuple[str, int], tuple[str, int]]:
    """Address and port of whoever asks, and ours; nobody's, where the listener does not say."""
    peer, ours = request.client, request.scope.get("server")
    return (peer.host, peer.port) if peer else ("", 0), tuple(ours) if ours else ("", 0)
