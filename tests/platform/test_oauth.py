"""OAuth2: tokens by secret and by the owner's word, renewed by one at a time, and never said to anybody."""

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import outside_service
from pocketlet import clock, errors
from pocketlet.db import pool
from pocketlet.platform import authorization, connection_changes, connections, oauth, vault
from pocketlet.platform.gateways import redirection, wire

_numbers = itertools.count(1)
PINNED = ("127.0.0.1",)
READ = (connections.Operation("GET", "/orders/{id}"),)


@pytest.fixture
def service() -> Iterator[outside_service.Service]:
    with outside_service.Service().serving() as running:
        yield running


@pytest.fixture
def key(tmp_path: Path) -> bytes:
    return vault.key(tmp_path / "home")


class Turned:
    """A clock that is put on by hand."""

    def __init__(self) -> None:
        self.at = clock.now()

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def turned(monkeypatch: pytest.MonkeyPatch) -> Turned:
    found = Turned()
    monkeypatch.setattr(clock, "now", found)
    return found


class Shop:
    """A connection to the service, and its calls."""

    def __init__(self, db: pool.Database, key: bytes, connection: connections.Connection) -> None:
        self.db, self.key, self.connection = db, key, connection

    async def credentials(self) -> list[wire.Secret]:
        async with self.db.api() as conn:
            return (await connections.credentials(conn, self.key, self.connection, None))[0]

    async def token(self) -> str:
        return (await self.credentials())[0].value

    async def rejected(self, used: list[wire.Secret]) -> bool:
        async with self.db.api() as conn:
            return await connections.rejected(conn, self.key, self.connection, used)

    async def status(self) -> int:
        request = wire.Request("GET", "/orders/7")
        return (await wire.send(connections.target(self.connection), request, await self.credentials())).status

    async def begin(self) -> str:
        async with self.db.api() as conn:
            return await authorization.begin(conn, self.key, self.connection.name, "http://127.0.0.1:1/callback")

    async def finish(self, answer: str) -> None:
        async with self.db.api() as conn:
            await authorization.finish(conn, self.key, self.connection.name, answer)


async def opened(db: pool.Database, key: bytes, service: outside_service.Service, kind: str, style: str) -> Shop:
    name = f"shop-{next(_numbers)}"
    secret = f"{connections.prefix(name)}CLIENT_SECRET"
    client = oauth.Client(
        f"{service.url}/token", outside_service.CLIENT_ID, secret, f"{service.url}/authorize?x=1", ("orders",), style
    )
    draft = connections.Draft(
        name,
        f"{service.url}/v1",
        connections.Auth(kind, (), client),
        allow=READ,
        pinned=PINNED,
        secrets={secret: outside_service.CLIENT_SECRET},
    )
    async with db.api() as conn:
        return Shop(db, key, await connection_changes.add(conn, key, draft))


@pytest.fixture
async def by_secret(db: pool.Database, key: bytes, service: outside_service.Service) -> AsyncGenerator[Shop]:
    shop = await opened(db, key, service, "oauth2-client", "basic")
    yield shop
    await close(shop)


@pytest.fixture
async def by_code(db: pool.Database, key: bytes, service: outside_service.Service) -> AsyncGenerator[Shop]:
    shop = await opened(db, key, service, "oauth2-code", "body")
    yield shop
    await close(shop)


async def close(shop: Shop) -> None:
    async with shop.db.api() as conn:
        await connection_changes.remove(conn, shop.connection.name)
        own = connections.prefix(shop.connection.name)
        assert not [name for name in await vault.names(conn) if name.startswith(own)]


async def test_a_token_by_secret_is_kept_until_its_end(
    by_secret: Shop, service: outside_service.Service, turned: Turned
) -> None:
    assert await by_secret.status() == 200
    assert await by_secret.status() == 200
    first = await by_secret.token()
    assert service.forms == [{"grant_type": "client_credentials", "scope": "orders"}]
    turned.at += timedelta(seconds=3600 - 61)
    assert await by_secret.token() == first
    turned.at += timedelta(seconds=2)
    assert await by_secret.token() != first
    assert len(service.forms) == 2


async def test_a_token_without_an_end_is_kept(
    by_secret: Shop, service: outside_service.Service, turned: Turned
) -> None:
    service.life = None
    first = await by_secret.token()
    turned.at += timedelta(days=1000)
    assert await by_secret.token() == first


async def test_a_short_token_is_not_renewed_at_each_call(
    by_secret: Shop, service: outside_service.Service, turned: Turned
) -> None:
    service.life = 30
    first = await by_secret.token()
    turned.at += timedelta(seconds=20)
    assert await by_secret.token() == first


async def test_many_at_once_renew_once(by_secret: Shop, service: outside_service.Service) -> None:
    found = await asyncio.gather(*(by_secret.token() for _ in range(6)))
    assert len(set(found)) == 1
    assert len(service.forms) == 1


async def test_a_token_server_that_is_down_leaves_the_old_token_until_its_end(
    by_secret: Shop, service: outside_service.Service, turned: Turned
) -> None:
    first = await by_secret.token()
    service.fails = 503
    turned.at += timedelta(seconds=3600 - 30)
    assert await by_secret.token() == first
    turned.at += timedelta(seconds=31)
    with pytest.raises(errors.ServiceUnreachable, match="503"):
        await by_secret.token()


async def test_a_401_renews_once(by_secret: Shop, service: outside_service.Service) -> None:
    used = await by_secret.credentials()
    service.access.clear()
    assert await by_secret.rejected(used)
    again = await by_secret.credentials()
    assert again[0].value != used[0].value
    assert await by_secret.rejected(used), "an old token was used: there is a newer one already"
    assert not await by_secret.rejected(again), "the second 401 is final"
    assert (await by_secret.credentials())[0].value == again[0].value


async def test_a_wrong_client_secret_names_the_secret(by_secret: Shop, db: pool.Database, key: bytes) -> None:
    name = f"{connections.prefix(by_secret.connection.name)}CLIENT_SECRET"
    async with db.api() as conn:
        await vault.put(conn, key, name, "wrong-5511")
    with pytest.raises(errors.Refused, match="invalid_client") as caught:
        await by_secret.token()
    assert f"pocketlet secret set {name}" in caught.value.hint
    assert "wrong-5511" not in str(caught.value) + caught.value.hint


async def test_the_owner_authorizes_and_the_token_is_refreshed(
    by_code: Shop, service: outside_service.Service, turned: Turned
) -> None:
    with pytest.raises(errors.Refused, match="not authorized yet") as caught:
        await by_code.token()
    assert f"connect authorize {by_code.connection.name}" in caught.value.hint
    url = await by_code.begin()
    assert "?x=1&response_type=code" in url
    await by_code.finish(service.authorize(url))
    assert await by_code.status() == 200
    first = service.refresh.copy()
    turned.at += timedelta(hours=2)
    assert await by_code.status() == 200
    assert service.refresh.isdisjoint(first), "the refresh token was exchanged"
    service.rotates = False
    turned.at += timedelta(hours=2)
    assert await by_code.status() == 200
    turned.at += timedelta(hours=2)
    assert await by_code.status() == 200, "the same refresh token serves twice"


async def test_a_revoked_refresh_token_says_what_to_do(
    by_code: Shop, service: outside_service.Service, turned: Turned
) -> None:
    await by_code.finish(service.authorize(await by_code.begin()))
    kept = next(iter(service.refresh))
    service.refresh.clear()
    turned.at += timedelta(hours=2)
    with pytest.raises(errors.Refused, match="invalid_grant") as caught:
        await by_code.token()
    assert caught.value.hint == f"`pocketlet connect authorize {by_code.connection.name}` asks for a new authorization."
    assert kept not in str(caught.value) + repr(caught.value)
    await by_code.finish(service.authorize(await by_code.begin()))
    assert await by_code.status() == 200


async def test_answers_that_are_not_ours_are_refused(
    by_code: Shop, service: outside_service.Service, turned: Turned
) -> None:
    answer = service.authorize(await by_code.begin())
    with pytest.raises(errors.Refused, match="another authorization"):
        await by_code.finish(answer.replace("state=", "state=x"))
    with pytest.raises(errors.Refused, match="not what a service sends"):
        await by_code.finish(answer.replace("state=", "other="))
    denied = answer.partition("code=")[0] + "error=access_denied&" + answer.partition("&")[2]
    with pytest.raises(errors.Refused, match="access_denied"):
        await by_code.finish(denied)
    forged = service.authorize((await by_code.begin()).replace("code_challenge=", "code_challenge=x"))
    with pytest.raises(errors.Refused, match="invalid_grant"):
        await by_code.finish(forged)
    turned.at += timedelta(minutes=16)
    with pytest.raises(errors.Refused, match="too long ago"):
        await by_code.finish(answer)


async def test_an_authorization_is_finished_once(by_code: Shop, service: outside_service.Service) -> None:
    url = await by_code.begin()
    code = service.authorize(url).partition("code=")[2].partition("&")[0]
    await by_code.finish(code)
    with pytest.raises(errors.Refused, match="No authorization was begun"):
        await by_code.finish(code)


async def test_the_browser_comes_back_to_loopback() -> None:
    async with redirection.listening() as listener:
        parts = urlsplit(listener.redirect_uri)
        assert parts.hostname == "127.0.0.1"
        target = wire.Target(f"http://127.0.0.1:{parts.port}", PINNED)
        assert (await wire.send(target, wire.Request("GET", "/favicon.ico"))).status == 404
        reply = await wire.send(target, wire.Request("GET", "/callback", (("code", "a"), ("state", "b"))))
        assert reply.status == 200
        assert b"a" not in reply.body.partition(b"code=")[2]
        assert await listener.wait(5) == "/callback?code=a&state=b"
    async with redirection.listening() as listener:
        with pytest.raises(errors.Refused, match="No answer"):
            await listener.wait(0)


BAD = [
    (b"[]", "no token that can be sent"),
    (b"not json", "no token that can be sent"),
    (b'{"access_token": "a b", "token_type": "bearer"}', "no token that can be sent"),
    (b'{"access_token": "a\\r\\nX: y", "token_type": "bearer"}', "no token that can be sent"),
    (b'{"access_token": "a", "token_type": "mac"}', "Bearer"),
    (b'{"access_token": "a"}', "Bearer"),
    (b'{"access_token": 1, "token_type": "bearer"}', "no token that can be sent"),
    (b"[" * 100_000, "no token that can be sent"),
]


@pytest.mark.parametrize(("body", "why"), BAD)
def test_an_answer_that_is_no_token_is_refused(body: bytes, why: str) -> None:
    caller = oauth.Caller("shop", oauth.Client("https://shop.example.com/token", "us"))
    with pytest.raises(errors.Refused, match=why):
        oauth.read(caller, wire.Reply(200, {}, body, truncated=False, location=""), clock.now())


@pytest.mark.parametrize(
    ("said", "life"), [(3600, 3600), ("60", 60), ("soon", None), (None, None), (-5, None), (1.5, None), (True, None)]
)
def test_the_end_of_a_token(said: object, life: int | None) -> None:
    caller = oauth.Caller("shop", oauth.Client("https://shop.example.com/token", "us"))
    body = json.dumps({"access_token": "a", "token_type": "BEARER", "expires_in": said}).encode()
    at = clock.now()
    found = oauth.read(caller, wire.Reply(200, {}, body, truncated=False, location=""), at)
    assert found.expires_at == (None if life is None else at + timedelta(seconds=life))


def test_nothing_secret_is_shown() -> None:
    client = oauth.Client("https://shop.example.com/token", "us", "NAME")
    shown = [oauth.Tokens("at-1", "rt-1"), oauth.Caller("shop", client, "cs-1"), oauth.begin(client, "http://x")[1]]
    text = repr(shown)
    assert not any(value in text for value in ("at-1", "rt-1", "cs-1", "verifier", "state"))


@pytest.mark.parametrize(
    "url", ["http://shop.example.com/token", "https://127.0.0.1/x@y\\z", "ftp://a.example.com/", ""]
)
def test_a_token_is_asked_for_by_https_only(url: str) -> None:
    with pytest.raises(errors.BadInput):
        oauth.check(oauth.Client(url, "us", "NAME"), (), code=False)
