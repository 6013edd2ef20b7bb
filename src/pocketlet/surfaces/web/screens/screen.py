"""What all screens share: who looks, the frame around the page, and where a form leads."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from pocketlet import errors
from pocketlet.db import pool
from pocketlet.surfaces.api import agents
from pocketlet.surfaces.api import caller as callers
from pocketlet.surfaces.web import bodies, entry, pages, problems

SAID = "pocketlet-said"  # a cookie with what a form did, for the next page alone
#: The sections of an agent, as the rail lists them: the last part of the address, the word, the icon.
SECTIONS = (
    ("chat", "Manager", "chat"),
    ("runs", "Runs", "runs"),
    ("playbook", "Playbook", "book"),
    ("memory", "Memory", "memory"),
    ("skills", "Skills", "skill"),
    ("connections", "Connections", "plug"),
    ("triggers", "Triggers", "bolt"),
)


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a screen: the request, and who looks."""

    request: Request
    caller: callers.Caller

    @property
    def path(self) -> Mapping[str, Any]:
        """What stands in the address."""
        return self.request.path_params

    def asked(self, name: str, default: str = "") -> str:
        """A value of the query, without NUL."""
        return self.request.query_params.get(name, default).replace("\x00", "")

    @property
    def from_here(self) -> bool:
        """Whether no page of another site opened it: that page can, unasked, and has shown it to nobody."""
        return self.request.headers.get("sec-fetch-site", "none") in ("none", "same-origin")

    async def form(self) -> dict[str, str]:
        """The fields of a form. Raises errors.BadInput."""
        return await bodies.form(self.request)


Handler = Callable[[Look], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Screen:
    """A route of a screen. Everybody who asks is known before `handler` is called."""

    method: str
    path: str
    handler: Handler

    def route(self, known: entry.Entry) -> Route:
        """Where the application serves it."""
        return Route(self.path, _Served(known, self.handler), methods=[self.method])


class _Served:
    """Asks who looks, and turns our own errors into pages."""

    def __init__(self, known: entry.Entry, handler: Handler) -> None:
        self._known = known
        self._handler = handler

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        answer = await self._answer(request)
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        try:
            caller = await self._known.caller(request)
            if caller is None or len(caller.scopes) < 4:  # a token is for programs, and pages may do everything
                return RedirectResponse(f"/login?next={quote(request.url.path)}", 303)
        except (errors.PocketletError, pool.DatabaseError) as error:
            return pages.said(request, "Not now", pool.first_line(error), "Try again in a moment.", status=503)
        try:
            return await self._handler(Look(request, caller))
        except errors.PocketletError as error:
            return await failed(Look(request, caller), error)


async def failed(look: Look, error: errors.PocketletError) -> Response:
    """What happened and what to do next, in the frame."""
    title = {404: "There is nothing here", 409: "Not any more", 403: "Not allowed"}.get(
        problems.status(error), "Not done"
    )
    values = {"said_wrong": str(error), "hint": error.hint}
    return await page(look, View("failed.html", title, status=problems.status(error)), **values)


@dataclass(frozen=True, slots=True)
class View:
    """A template of `templates/screens`, its title, and where in the rail it stands: `section` of `agent`."""

    template: str
    title: str
    section: str = ""
    agent: str = ""
    status: int = 200


async def page(look: Look, view: View, **values: object) -> Response:
    """The page in its frame, with what waits for the owner in rail, title and icon. Raises errors.NoPostgres."""
    mine = await agents.rail(look.caller)
    known = {
        "agents": mine,
        "agent": view.agent or (mine[0].name if mine else ""),
        "section": view.section,
        "sections": SECTIONS,
        "waiting": sum(one.waits for one in mine),
        "owner": look.caller.owner,
        "logged_in": any(name in look.request.cookies for name in (entry.plain(look.request), entry.SEALED)),
        "path": look.request.url.path,
        "said": unquote(look.request.cookies.get(SAID, ""))[:300],
    }
    answer = pages.Page(f"screens/{view.template}", view.title, view.status).of(look.request, **known, **values)
    if SAID in look.request.cookies:
        answer.delete_cookie(SAID, path="/", httponly=True, samesite="strict")
    return answer


def part(look: Look, template: str, **values: object) -> Response:
    """A part of a page, without the frame."""
    return pages.Page(f"screens/{template}", "").of(look.request, **values)


def to(address: str, said: str = "") -> Response:
    """After a form: the page that shows what came of it; `said` stands above it once."""
    answer = RedirectResponse(address, 303)
    if said:
        answer.set_cookie(SAID, quote(said[:300]), max_age=30, path="/", httponly=True, samesite="strict")
    return answer
