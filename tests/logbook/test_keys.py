"""An Idempotency-Key is one deed, for programs and for forms: after an error, and after a kill in the middle of it."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
import serving
from handmade import hire
from starlette.responses import Response

from pocketlet import errors, settings
from pocketlet.agents import portable
from pocketlet.db import pool
from pocketlet.platform import owners
from pocketlet.platform.gateways import listener
from pocketlet.surfaces.api import caller as callers
from pocketlet.surfaces.web import app as web
from pocketlet.surfaces.web import keys

_numbers = itertools.count(1)
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


@dataclass
class Service:
    """A service outside. It answers, breaks off, or keeps silent until it is let go on, as the test says."""

    how: str = "answers"
    port: int = 0
    requests: int = 0
    came: asyncio.Event = field(default_factory=asyncio.Event)
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            self.requests += 1
            self.came.set()
            if self.how == "is silent":
                await self.goes_on.wait()
            if self.how != "breaks off":
                writer.write(OK)
                await writer.drain()
        writer.close()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncGenerator[None]:
        server = await asyncio.start_server(self.take, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            self.goes_on.set()


@dataclass
class Shop:
    """An installation whose owner has the connection `shop` to the service, and an agent of hers may use it."""

    database: pool.Database
    config: settings.Settings
    port: int
    service: Service
    caller: callers.Caller
    token: str
    session: str

    def program(self, port: int = 0) -> httpx2.AsyncClient:
        """Of the owner's, asking our listener or the one on `port`."""
        url = f"http://127.0.0.1:{port or self.port}"
        return httpx2.AsyncClient(base_url=url, headers={"authorization": f"Bearer {self.token}"}, timeout=60)

    async def test(self, key: str, port: int = 0, path: str = "") -> httpx2.Response:
        """Tries the connection, by the API."""
        async with self.program(port) as program:
            given = {"headers": {"idempotency-key": key}, "json": {"path": path}}
            return await program.post("/v1/connections/shop/test", **given)

    async def press(self, key: str, port: int = 0) -> httpx2.Response:
        """The same, by the button of a page that was shown once."""
        url = f"http://127.0.0.1:{port or self.port}"
        fields = {"origin": url, "sec-fetch-site": "same-origin"}
        cookies = {f"pocketlet-{port or self.port}": self.session}
        async with httpx2.AsyncClient(base_url=url, headers=fields, cookies=cookies, timeout=60) as browser:
            return await browser.post("/agents/keyed/connections/shop/test", data={"key": key})


@pytest.fixture
async def service() -> AsyncGenerator[Service]:
    made = Service()
    async with made.listening():
        yield made


@pytest.fixture
async def shop(db: pool.Database, config: settings.Settings, service: Service, tmp_path: Path) -> AsyncGenerator[Shop]:
    await hire(db, tmp_path / "agent", "keyed")
    async with db.api() as conn:
        owner = (await owners.everyone(conn))[0]
        name = f"keys {next(_numbers)}"
        number, token = await owners.new_token(conn, owner, name, frozenset(owners.SCOPES), None)
        session = await owners.new_session(conn, owner, "test")
    async with listener.listening(0, lambda port: web.made(db, config, port)) as port:
        made = Shop(db, config, port, service, callers.Caller(db, config, owner), token, session)
        wanted = {"name": "shop", "base_url": f"http://127.0.0.1:{service.port}", "pinned": ["127.0.0.1"]}
        async with made.program() as program:
            asked = await program.post("/v1/connections", json=wanted | {"allow": ["GET /orders"], "auth": "none"})
            assert asked.status_code == 201, asked.text
            assert (await program.put("/v1/connections/shop/grants/keyed")).status_code == 200
            yield made
            assert (await program.delete("/v1/connections/shop")).status_code == 200
    async with db.api() as conn:
        await owners.revoke_token(conn, owner, number)
    await portable.remove(db, "keyed")


def key() -> str:
    """Another one for each deed."""
    return f"keys-{next(_numbers)}"


async def test_an_error_after_the_deed_is_an_answer_and_nothing_is_done_twice(shop: Shop) -> None:
    shop.service.how, sent = "breaks off", key()
    first = await shop.test(sent)
    assert (first.status_code, first.json()["code"]) == (503, "serviceuncertain")
    assert "retry-after" not in first.headers
    shop.service.how = "answers"
    again = await shop.test(sent)
    assert (again.status_code, again.json()) == (503, first.json())
    assert (again.headers["content-type"], again.headers["idempotent-replayed"]) == ("application/problem+json", "true")
    assert shop.service.requests == 1
    assert (await shop.test(key())).status_code == 200


async def test_a_refusal_is_kept_for_its_request_alone(shop: Shop) -> None:
    sent = key()
    refused = await shop.test(sent, path="/returns")
    assert refused.status_code == 403
    async with shop.program() as program:
        await program.post("/v1/connections/shop/allow", json={"operation": "GET /returns"})
    assert (await shop.test(sent, path="/returns")).json() == refused.json()
    assert (await shop.test(sent, path="/orders")).json()["code"] == "key-reused"
    assert (await shop.test(key(), path="/returns")).status_code == 200
    assert shop.service.requests == 1


async def test_what_says_come_again_may_come_with_the_same_key(shop: Shop) -> None:
    away = Service()
    async with away.listening():
        pass
    wanted = {"name": "away", "base_url": f"http://127.0.0.1:{away.port}", "pinned": ["127.0.0.1"]}
    async with shop.program() as program:
        await program.post("/v1/connections", json=wanted | {"allow": ["GET /orders"], "auth": "none"})
        keyed = {"headers": {"idempotency-key": key()}, "json": {}}
        first = await program.post("/v1/connections/away/test", **keyed)
        assert (first.status_code, first.headers["retry-after"]) == (503, "10")
        async with away.listening():
            again = await program.post("/v1/connections/away/test", **keyed)
        assert (again.status_code, again.json()["ok"], away.requests) == (200, True, 1)
        await program.delete("/v1/connections/away")


async def test_what_is_under_way_is_answered_once_it_is_done(shop: Shop) -> None:
    shop.service.how, sent = "is silent", key()
    asking = asyncio.create_task(shop.test(sent))
    await shop.service.came.wait()
    busy = await shop.test(sent)
    assert (busy.status_code, busy.json()["code"], busy.headers["retry-after"]) == (409, "in-flight", "5")
    assert (await shop.test(sent, path="/orders")).json()["code"] == "key-reused"
    shop.service.goes_on.set()
    done = await asking
    again = await shop.test(sent)
    assert (done.status_code, again.status_code, again.json()) == (200, 200, done.json())
    assert shop.service.requests == 1


async def test_a_kill_in_the_middle_is_told_and_never_done_again_unasked(shop: Shop) -> None:
    shop.service.how, sent = "is silent", key()
    async with serving.running(shop.config.home) as doomed:
        asking = asyncio.create_task(shop.test(sent, doomed))
        await shop.service.came.wait()
    with pytest.raises(httpx2.HTTPError):
        await asking
    shop.service.how = "answers"
    for _ in range(2):
        told = await shop.test(sent)
        assert (told.status_code, told.json()["code"]) == (409, "unknown-outcome")
        assert "with a new key" in told.json()["hint"]
        assert "retry-after" not in told.headers
    assert shop.service.requests == 1
    assert (await shop.test(key())).status_code == 200


async def test_a_person_who_has_read_that_nobody_knows_may_press_again(shop: Shop) -> None:
    shop.service.how, sent = "is silent", key()
    async with serving.running(shop.config.home) as doomed:
        asking = asyncio.create_task(shop.press(sent, doomed))
        await shop.service.came.wait()
    with pytest.raises(httpx2.HTTPError):
        await asking
    shop.service.how = "answers"
    told = await shop.press(sent)
    assert told.status_code == 409
    assert "not known whether it was done" in told.text
    assert shop.service.requests == 1
    assert [(await shop.press(sent)).status_code for _ in range(2)] == [303, 303]
    assert shop.service.requests == 2


@dataclass
class Deed:
    """What an endpoint would do; counted."""

    ends: Response | Exception
    times: int = 0

    async def do(self) -> Response:
        self.times += 1
        if isinstance(self.ends, Exception):
            raise self.ends
        return self.ends


@pytest.mark.parametrize(
    ("ends", "by_hand", "code", "times"),
    [
        (errors.NoPostgres("It went away in the middle."), False, "unknown-outcome", 1),
        (RuntimeError("a mistake of ours"), False, "unknown-outcome", 1),
        (Response("x" * (keys.KEPT + 1)), False, "answered", 1),
        (errors.Conflict("Not now."), True, "", 2),
    ],
)
async def test_how_it_ended_says_what_the_key_is_good_for(
    shop: Shop, ends: Response | Exception, by_hand: bool, code: str, times: int
) -> None:
    sent, deed = keys.Sent(key(), needed=True, by_hand=by_hand).of("test", "/", b""), Deed(ends)
    with pytest.raises(type(ends)) if isinstance(ends, Exception) else contextlib.nullcontext():
        await keys.once(shop.caller, sent, deed.do)
    deed.ends = Response("{}")
    again: Any = await keys.once(shop.caller, sent, deed.do)
    assert f'"code":"{code}"' in bytes(again.body).decode() if code else bytes(again.body) == b"{}", again.body
    assert deed.times == times
