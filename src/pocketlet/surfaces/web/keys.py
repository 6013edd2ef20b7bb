"""A POST is done once for each Idempotency-Key: a program that lost our answer asks again, and gets the same one.

Every answer is kept for 24 hours, refusals too. A deed may be several transactions, or a call to a service, so an error
can come after part of it was done, and nothing tells from here: whoever tries again as things have changed sends a new
key. Three things free a key: an answer that says when to come again (nothing was begun, and a program comes with the
same key), an error in a form (a person has read it), and a day.

Where nobody can say whether it was done, as this process was killed or Postgres went away in the middle, the key stays
without an answer. One process serves an installation, so a key that it isn't at work on is of such a request: it is
answered with "unknown-outcome" as soon as it is asked again, and never done a second time unless somebody has looked.
"""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from starlette.responses import Response

from pocketlet import errors
from pocketlet.db import queries
from pocketlet.surfaces.api import caller as callers
from pocketlet.surfaces.web import problems

Q = queries.load("answered")
LONGEST = 255  # characters of a key
KEPT = 200_000  # bytes of an answer
AGAIN = {"retry-after": "5"}
LOOK = "See whether it was done. If it was not, send it again"
DONE = problems.answer(409, "answered", "This was done, and its answer is too long to be given twice.")
#: What this process is at work on: the request, by owner and key.
_here: dict[tuple[int, str], bytes] = {}


@dataclass(frozen=True, slots=True)
class Sent:
    """The key that came with a request (None: none), whether there must be one, and the hash of what was asked.

    `by_hand`: it is a form's, and the person who sends it once more has read what became of it.
    """

    key: str | None
    needed: bool
    by_hand: bool = False
    request: bytes = b""

    def of(self, name: str, path: str, body: bytes) -> "Sent":
        """The same for this request."""
        asked = hashlib.sha256(b"\0".join((name.encode(), path.encode("utf-8", "surrogateescape"), body))).digest()
        return replace(self, request=asked)


async def once(caller: callers.Caller, sent: Sent, work: Callable[[], Awaitable[Response]]) -> Response:
    """What `work` answers, or has answered under this key.

    Raises errors.BadInput, errors.NoPostgres, and what `work` raises.
    """
    if sent.key is None:
        if sent.needed:
            hint = (
                "Send `Idempotency-Key` with a value of your own: asked again with the same one, it is not done twice."
            )
            raise errors.BadInput("This starts something, and needs an Idempotency-Key.", hint=hint)
        return await work()
    if not 0 < len(sent.key) <= LONGEST or not sent.key.isprintable() or not sent.key.isascii():
        raise errors.BadInput(f"An Idempotency-Key is printable ASCII, {LONGEST} characters at most.")
    mine = (caller.owner.id, sent.key)
    if mine in _here:
        return _busy() if _here[mine] == sent.request else _reused()
    _here[mine] = sent.request
    try:
        values = {"owner": caller.owner.id, "key": sent.key, "request": sent.request}
        return await _before(caller, sent, values) or await _now(caller, values, work)
    finally:
        del _here[mine]


async def _before(caller: callers.Caller, sent: Sent, values: dict[str, Any]) -> Response | None:
    """What became of the same request earlier; None, and the key is this one's, if there was none."""
    async with caller.database.api() as conn:
        if await (await conn.execute(Q["begin"], values)).fetchone():
            return None
        known = await (await conn.execute(Q["known"], values)).fetchone()
        if known is None:
            return _busy()
        if bytes(known["request"]) != sent.request:
            return _reused()
        if known["status"] is None and sent.by_hand:
            await conn.execute(Q["forget"], values)
    if known["status"] is None:
        return _unknown(sent)
    kind = problems.KIND if known["status"] >= 400 else "application/json"
    return Response(known["body"], known["status"], {"idempotent-replayed": "true"}, kind)


async def _now(caller: callers.Caller, values: dict[str, Any], work: Callable[[], Awaitable[Response]]) -> Response:
    try:
        answer = await work()
    except errors.PocketletError as error:
        if not isinstance(error, errors.NoPostgres):  # after that nobody knows what was committed
            await _forget(caller, values)
        raise
    if "retry-after" in answer.headers:
        await _forget(caller, values)
        return answer
    kept = answer if len(answer.body) <= KEPT else DONE
    async with caller.database.api() as conn:
        text = bytes(kept.body).decode()
        await conn.execute(Q["done"], values | {"status": kept.status_code, "body": text})
    return answer


async def _forget(caller: callers.Caller, values: dict[str, Any]) -> None:
    async with caller.database.api() as conn:
        await conn.execute(Q["forget"], values)


def _reused() -> Response:
    said = "This Idempotency-Key was used for something else."
    return problems.answer(422, "key-reused", said, hint="Give each request a key of its own.")


def _busy() -> Response:
    return problems.answer(409, "in-flight", "This is being done already.", AGAIN, hint="Look again in a few seconds.")


def _unknown(sent: Sent) -> Response:
    said = "This was begun before, and it is not known whether it was done."
    return problems.answer(409, "unknown-outcome", said, hint=f"{LOOK}{'' if sent.by_hand else ' with a new key'}.")
