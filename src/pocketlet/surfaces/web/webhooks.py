"""The receiver: `POST /hooks/AGENT/TRIGGER`, signed after Standard Webhooks. Bytes are kept before they are praised."""

import asyncio
import math
from collections import defaultdict, deque
from pathlib import Path

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from pocketlet import clock
from pocketlet.agents.waking import webhooks
from pocketlet.db import pool
from pocketlet.platform import vault
from pocketlet.surfaces.web import problems

MAX_BYTES = 1_000_000
PATIENCE = 10.0  # seconds that a body may take
AT_ONCE = 64  # deliveries that are looked at at the same time: so many bodies are in memory
MOST, PERIOD = 600, 60.0  # new events of one trigger in so many seconds
#: Why one was not taken, as a status. One answer for whatever is not proven: else names could be tried out.
STATUS = {"malformed": 400, "stale": 400, "unproven": 401, "too-many": 429}


class Rate:
    """At most `most` new events of a trigger in any `seconds`, counted in this process, the only one that receives."""

    def __init__(self, most: int = MOST, seconds: float = PERIOD) -> None:
        self._most = most
        self._seconds = seconds
        self._times: defaultdict[int, deque[float]] = defaultdict(deque)

    def wait(self, trigger: int) -> float:
        """Counts one event, if it is within the rate; else the seconds until one is."""
        times, now = self._times[trigger], clock.monotonic()
        while times and times[0] <= now - self._seconds:
            times.popleft()
        if len(times) < self._most:
            times.append(now)
            return 0.0
        return times[0] + self._seconds - now


class Receiver:
    """Takes deliveries in for every agent. `home`: where the key of the vault is."""

    def __init__(self, database: pool.Database, home: Path, rate: Rate) -> None:
        self._database = database
        self._home = home
        self._rate = rate
        self._room = asyncio.Semaphore(AT_ONCE)

    async def __call__(self, request: Request) -> Response:
        """202: kept, as a slot; 200: it was kept before. Raises errors.NoPostgres: then nothing was kept."""
        if _announced(request) > MAX_BYTES:
            return _too_large()
        async with self._room:
            try:
                async with asyncio.timeout(PATIENCE):
                    body = await _body(request)
            except TimeoutError:
                return problems.answer(408, "slow", f"The body did not come within {PATIENCE:.0f} seconds.")
            except ClientDisconnect:
                return Response(status_code=400)
            return _too_large() if body is None else await self._taken(request, body)

    async def _taken(self, request: Request, body: bytes) -> Response:
        fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
        agent, trigger = request.path_params["agent"], request.path_params["trigger"]
        delivery = webhooks.Delivery(agent, trigger, fields, body)
        async with self._database.api() as conn:
            answer = await webhooks.accept(conn, vault.key(self._home), delivery, self._rate.wait)
        if answer.slot is not None:
            return JSONResponse({"slot": answer.slot}, 202 if answer.what == "recorded" else 200)
        later = {"retry-after": str(math.ceil(answer.wait))} if answer.what == "too-many" else {}
        return problems.answer(STATUS[answer.what], answer.what, answer.said, later)


def _announced(request: Request) -> int:
    """What the sender says that the body has; h11 lets through nothing but digits, once."""
    return int(request.headers.get("content-length", 0))


async def _body(request: Request) -> bytes | None:
    """The body as it came; None as soon as it is too long, with the rest unread."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BYTES:
            return None
    return bytes(body)


def _too_large() -> Response:
    return problems.answer(413, "too-large", f"A delivery has {MAX_BYTES} bytes at most.")
