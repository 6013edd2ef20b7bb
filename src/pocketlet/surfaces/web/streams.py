"""Streams of events: how one looks on the wire, how many may be open at once, and where each of them ends."""

import json
import logging
from collections import Counter
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from pocketlet import errors
from pocketlet.db import pool
from pocketlet.surfaces.api import caller as callers
from pocketlet.surfaces.api import endpoint
from pocketlet.surfaces.web import problems

log = logging.getLogger(__name__)
MOST = 32  # that one owner may have open
MOST_OF_ALL = 96  # in this process: the listener takes 128 connections, and pages want some of them
LATER = {"retry-after": "10"}
HEADLESS = problems.answer(405, "method", "A stream is asked for by GET.")


def line(event: endpoint.Event) -> str:
    """An event of an endpoint. A sign of life is a comment: no reader is told of it."""
    if not event.kind:
        return ":\n\n"
    return message(event.kind, json.dumps(event.data, default=str), event.id)


def message(kind: str, data: str, number: str = "") -> str:
    """One message. Line ends of `data` are kept; in `kind` and `number` (the id) there is none, as each ends a field.

    `kind` may be empty, as pages' own are.
    """
    head = (f"id: {_bare(number)}\n" if number else "") + (f"event: {_bare(kind)}\n" if kind else "")
    body = "".join(f"data: {one}\n" for one in data.splitlines() or [""])
    return f"{head}{body}\n"


def _bare(text: str) -> str:
    return text.translate({ord(sign): None for sign in "\r\n\0"})


class Open:
    """The streams of this process that somebody follows now, by owner."""

    def __init__(self) -> None:
        self.of: Counter[int] = Counter()

    def refusal(self, owner: int) -> Response | None:
        """What is answered where there would be one too many."""
        if self.of[owner] >= MOST:
            said, hint = f"You follow {MOST} things already.", "Close some of their pages or streams."
            return problems.answer(429, "too-many", said, LATER, hint=hint)
        if self.of.total() >= MOST_OF_ALL:
            return problems.answer(503, "later", "Too many streams are open.", LATER, hint="Ask for it without one.")
        return None


class Stream(StreamingResponse):
    """The messages, to the caller who asked, until they end, the reader is gone, or the listener stops.

    Where nothing more can be told, as Postgres is gone or the thing was removed, it ends: whoever follows asks again.
    """

    def __init__(self, request: Request, caller: callers.Caller, messages: AsyncIterator[str]) -> None:
        super().__init__(_to_the_end(messages), media_type="text/event-stream")
        self._open: Open = request.state.streams
        self._owner = caller.owner.id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if refusal := HEADLESS if scope["method"] == "HEAD" else self._open.refusal(self._owner):
            await refusal(scope, receive, send)
            return
        self._open.of[self._owner] += 1
        scope["state"]["endless"] = True  # the listener does not wait for it
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._open.of[self._owner] -= 1


async def _to_the_end(messages: AsyncIterator[str]) -> AsyncIterator[str]:
    try:
        async for text in messages:
            yield text
    except (errors.PocketletError, pool.DatabaseError) as error:
        log.warning("a stream was cut off: %s", pool.first_line(error))
