"""The page of a signed link: it shows what would be sent, and takes one answer. Looking at it decides nothing."""

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from datetime import UTC
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from pocketlet import errors
from pocketlet.agents import links
from pocketlet.db import pool
from pocketlet.surfaces.web import bodies, pages

LONGEST = 20_000  # bytes of a form
REASON = 2_000  # characters of a reason


class Decisions:
    """GET shows the question of a link, POST answers it. `home`: where the installation's key is."""

    def __init__(self, database: pool.Database, home: Path) -> None:
        self._database = database
        self._home = home
        self._key = secrets.token_bytes(32)  # forms are good for as long as this process lives

    async def show(self, request: Request) -> Response:
        """The exact bytes, and a form."""
        token = request.path_params["token"]
        try:
            async with self._database.api() as conn:
                question = await links.view(conn, links.key(self._home), token)
        except (errors.Refused, errors.Conflict) as error:
            return _refused(request, error)
        shown = pages.Page("question.html", "May this be sent?")
        values = {"question": question, "facts": _facts(question), "body": _body(question)}
        return shown.of(request, **values, action=links.url("", token), form=self._form(token).decode())

    async def decide(self, request: Request) -> Response:
        """The owner's word, once, by a form of the page that was shown."""
        token = request.path_params["token"]
        form = await _read(request)
        if not hmac.compare_digest(self._form(token), form.get("form", "").encode()):
            hint = "Open the link again, and answer there."
            return pages.said(
                request, "Nothing was decided", "This form is not one of ours any more.", hint, status=403
            )
        word, because = form.get("word"), form.get("because", "").strip()[:REASON]
        if word not in ("approve", "refuse") or (word == "approve" and form.get("read") != "yes"):
            hint = "Go back, read it to the end, and say so."
            return pages.said(request, "Nothing was decided", "The answer is not complete.", hint, status=400)
        try:
            async with self._database.api() as conn:
                await links.use(conn, links.key(self._home), token, yes=word == "approve", because=because)
        except (errors.Refused, errors.Conflict) as error:
            return _refused(request, error)
        if word == "approve":
            return pages.said(
                request, "Approved", "It leaves as soon as a worker takes it up. You can close this page."
            )
        return pages.said(request, "Refused", "Nothing is sent. The agent was told. You can close this page.")

    def _form(self, token: str) -> bytes:
        """What a form of the page of this link, and of no other, says."""
        return hmac.new(self._key, token.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest().encode()


async def _read(request: Request) -> dict[str, str]:
    """The fields of a form; none, if it is none that can be read."""
    try:
        return await bodies.form(request, LONGEST)
    except errors.BadInput:
        return {}


def _refused(request: Request, error: errors.PocketletError) -> Response:
    status = 409 if isinstance(error, errors.Conflict) else 404
    return pages.said(request, "This link does not work", str(error), error.hint, status=status)


def _facts(question: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Where it goes, what it is, and until when an answer counts."""
    named = [("From", "from"), ("To", "to"), ("Subject", "subject"), ("Request", "url")]
    facts = [(label, str(question[name])) for label, name in named if question.get(name)]
    facts += [("Tool", str(question["tool"])), ("Class", str(question["class"]))]
    facts.append(("Answer by", f"{question['expires_at'].astimezone(UTC):%Y-%m-%d %H:%M} UTC; then the answer is no"))
    return [*facts, ("SHA-256", str(question["request_hash"]))]


def _body(question: Mapping[str, Any]) -> str:
    """What would be sent, read back from its bytes."""
    if question["kind"] == "mail":
        return str(question["body"])
    return json.dumps(question["request"], ensure_ascii=False, indent=1, sort_keys=True)
