"""The page at which owners log in: with a one-time code out of `pocketlet open`, or with a password."""

import asyncio
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from pocketlet import errors
from pocketlet.db import pool
from pocketlet.platform import owners
from pocketlet.surfaces.web import bodies, entry, guesses, pages

AT_ONCE = 2  # passwords that are checked at the same time: each takes 32 MB and a tenth of a second


def routes(known: entry.Entry) -> list[BaseRoute]:
    """Show, log in, log out."""
    made = _Login(known)
    return [
        Route("/login", made.show, methods=["GET"]),
        Route("/login", made.enter, methods=["POST"]),
        Route("/logout", made.leave, methods=["POST"]),
    ]


class _Login:
    def __init__(self, known: entry.Entry) -> None:
        self._known = known
        self._room = asyncio.Semaphore(AT_ONCE)
        self._guesses = guesses.Guesses()

    async def show(self, request: Request) -> Response:
        """The form. A code in the fragment of the address is put in by a script; it never reaches a log."""
        return _page(request, "")

    async def enter(self, request: Request) -> Response:
        """A cookie for whoever has proven themselves."""
        try:
            form = await bodies.form(request)
            if (wait := self._guesses.wait(form.get("name", "").strip())) and not form.get("code"):
                return _page(request, f"Too many were wrong. Try again in {wait // 60 + 1:.0f} minutes.", status=429)
            owner = await self._owner(form)
        except (errors.PocketletError, pool.DatabaseError) as error:
            return _page(request, pool.first_line(error), status=503)
        if owner is None:
            self._guesses.wrong(form.get("name", "").strip())
            said = "This code or password is not right, or the code was used before. `pocketlet open` makes a new one."
            return _page(request, said, status=403)
        async with self._known.database.api() as conn:
            browser, user = request.headers.get("user-agent", ""), self._known.user(request)
            secret = await owners.new_session(conn, owner, browser, user)
        answer = RedirectResponse(_inside(form.get("next", "")), 303)
        self._known.welcome(request, answer, secret)
        return answer

    async def _owner(self, form: dict[str, str]) -> owners.Owner | None:
        async with self._room, self._known.database.api() as conn:
            if form.get("code"):
                return await owners.use_code(conn, form["code"].strip())
            return await owners.check_password(conn, form.get("name", "").strip(), form.get("password", ""))

    async def leave(self, request: Request) -> Response:
        """Ends this browser's session."""
        async with self._known.database.api() as conn:
            await owners.end_session(conn, request.cookies.get(self._known.cookie(request), ""))
        answer = RedirectResponse("/login", 303)
        self._known.farewell(request, answer)
        return answer


def _page(request: Request, said: str, status: int = 200) -> Response:
    wanted = _inside(request.query_params.get("next", ""))
    return pages.Page("login.html", "Log in", status).of(request, said=said, wanted=wanted)


def _inside(wanted: str) -> str:
    """A path of ours; else the first page."""
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return "/"
    inside = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and not parts.netloc and not parts.scheme
    return wanted if inside and wanted.isprintable() else "/"
