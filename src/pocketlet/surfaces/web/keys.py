"""A POST is done once for each Idempotency-Key: a program that lost our answer asks again, and gets the same one."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.responses import Response

from pocketlet import errors
from pocketlet.db import queries
from pocketlet.surfaces.api import caller as callers
from pocketlet.surfaces.web import problems

Q = queries.load("answered")
LONGEST = 255  # characters of a key
KEPT = 200_000  # bytes of an answer
AGAIN = {"retry-after": "5"}


@dataclass(frozen=True, slots=True)
class Sent:
    """The key that came with a request (None: none), whether there must be one, and the hash of what was asked."""

    key: str | None
    needed: bool
    request: bytes = b""

    def of(self, name: str, path: str, body: bytes) -> "Sent":
        """The same for this request."""
        asked = hashlib.sha256(b"\0".join((name.encode(), path.encode("utf-8", "surrogateescape"), body))).digest()
        return Sent(self.key, self.needed, asked)


async def once(caller: callers.Caller, sent: Sent, work: Callable[[], Awaitable[Response]]) -> Response:
    """What `work` answers, or has answered under this key. What failed may be tried again.

    Raises errors.BadInput, errors.Conflict, and what `work` raises.
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
    values = {"owner": caller.owner.id, "key": sent.key, "request": sent.request}
    async with caller.database.api() as conn:
        mine = await (await conn.execute(Q["begin"], values)).fetchone()
        known = None if mine else await (await conn.execute(Q["known"], values)).fetchone()
    if known is not None:
        return _known(known["status"], known["body"], same=bytes(known["request"]) == sent.request)
    try:
        answer = await work()
    except errors.PocketletError:
        async with caller.database.api() as conn:
            await conn.execute(Q["forget"], values)
        raise
    async with caller.database.api() as conn:
        if len(answer.body) > KEPT:
            await conn.execute(Q["forget"], values)
        else:
            text = bytes(answer.body).decode()
            await conn.execute(Q["done"], values | {"status": answer.status_code, "body": text})
    return answer


def _known(status: int | None, body: str | None, *, same: bool) -> Response:
    if not same:
        said = "This Idempotency-Key was used for something else."
        return problems.answer(422, "key-reused", said, hint="Give each request a key of its own.")
    if status is None:
        said = "The request with this Idempotency-Key is still being done."
        return problems.answer(409, "in-flight", said, AGAIN, hint="Ask again in a few seconds.")
    return Response(body, status_code=status, media_type="application/json", headers={"idempotent-replayed": "true"})
