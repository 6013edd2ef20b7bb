"""The web application: a few routes behind one guard. What is not listed here is not there."""

import asyncio
import logging
import traceback

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from pocketlet import errors, settings
from pocketlet.agents import links as addresses
from pocketlet.db import pool
from pocketlet.platform import queue
from pocketlet.surfaces.web import assets, entry, guard, links, login, pages, problems, screens, v1, webhooks

log = logging.getLogger(__name__)
#: Of these the health check wants to see one alive; a command's own worker is gone with the command.
LASTING = ("up", "worker", "demo")
PATIENCE = 3.0  # seconds that the health check gives Postgres


def made(
    database: pool.Database, config: settings.Settings, port: int, *, rate: webhooks.Rate | None = None
) -> ASGIApp:
    """The application that answers on `port`. `rate`: of new webhook events, if not the usual one."""

    async def health(_: Request) -> Response:
        return await _health(database)

    decisions, page = links.Decisions(database, config.home), addresses.url("", "{token}")
    known = entry.Entry(database, config)
    routes: list[BaseRoute] = [
        Route("/health", health, methods=["GET"]),
        Route(
            "/hooks/{agent}/{trigger}",
            webhooks.Receiver(database, config.home, rate or webhooks.Rate()).__call__,
            methods=["POST"],
        ),
        Route(page, decisions.show, methods=["GET"]),
        Route(page, decisions.decide, methods=["POST"]),
        Route("/static/{stamp}/{name:path}", assets.serve, methods=["GET"]),
        *login.routes(known),
        *v1.routes(known),
        *[screen.route(known) for screen in screens.SCREENS],
    ]
    handlers = {HTTPException: _unrouted, errors.PocketletError: _failed, pool.DatabaseError: _failed}
    # of a handler for `Exception`, Starlette would raise it again, and have it logged twice
    mistakes = Middleware(ExceptionMiddleware, handlers={Exception: _broken})
    app = Starlette(routes=routes, middleware=[mistakes], exception_handlers=handlers)
    app.router.redirect_slashes = False  # a redirect would be made of what the Host field says
    return guard.Guard(app, port, config.url)


async def _health(database: pool.Database) -> Response:
    """For a dead-man's ping: whether Postgres answers and a worker is alive; no more is told to whoever asks."""
    try:
        async with asyncio.timeout(PATIENCE), database.api() as conn:
            alive = [one for one in await queue.workers(conn) if one["role"] in LASTING]
    except (TimeoutError, errors.PocketletError, pool.DatabaseError):
        return JSONResponse({"postgres": False, "worker": False}, 503)
    return JSONResponse({"postgres": True, "worker": bool(alive)}, 200 if alive else 503)


async def _unrouted(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 404 and "text/html" in request.headers.get("accept", ""):  # a person followed an old link
        return pages.said(request, "There is nothing here", "No page has this address.", "Today's is at /.", status=404)
    if status == 405:
        return problems.answer(405, "method", "This is asked for in another way.")
    return problems.answer(status, "none", "There is nothing here.")


async def _failed(_: Request, error: Exception) -> Response:
    """Something of ours does not work: the sender comes again, and our log says what it is."""
    log.warning("a request was not served: %s", pool.first_line(error))
    return problems.answer(503, "later", "This can't be done now. Try again later.", {"retry-after": "10"})


async def _broken(request: Request, error: Exception) -> Response:
    """A mistake of ours. The log says where, and not what was asked, nor what the error says: both may be secret."""
    place = getattr(request.scope.get("route"), "path", "")
    log.error("500 at %s %s\n%s", request.method, place, _where(error))
    said, hint = "Something of ours does not work.", "The log of `pocketlet up` says where; please report it."
    if "text/html" in request.headers.get("accept", ""):
        return pages.said(request, "This does not work", said, hint, status=500)
    return problems.answer(500, "broken", said, hint=hint)


def _where(error: BaseException) -> str:
    """The calls that led to it, after those to what it came from."""
    before = error.__cause__ or error.__context__
    calls = "".join(traceback.format_tb(error.__traceback__))
    return f"{_where(before) if before else ''}{calls}{type(error).__module__}.{type(error).__qualname__}\n"
