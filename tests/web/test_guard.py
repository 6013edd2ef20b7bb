"""Whom requests are addressed to and who sent them, before any route; and what every answer says to a browser."""

import hook_ground
import pytest
import raw_client

from pocketlet import errors, settings
from pocketlet.db import pool
from pocketlet.platform.gateways import listener
from pocketlet.surfaces.web import app as web
from pocketlet.surfaces.web import guard

HOSTS = [
    "evil.example",
    "evil.example:{port}",
    "127.0.0.1",
    "127.0.0.1:1",
    "127.0.0.1:{port}:{port}",
    "127.0.0.1:{port}.evil.example",
    "evil.example#127.0.0.1:{port}",
    "evil.example/127.0.0.1:{port}",
    "user@127.0.0.1:{port}",
    "127.0.0.1:{port}@evil.example",
    "localhost.evil.example:{port}",
    "localhost.:{port}",
    "0.0.0.0:{port}",
    "127.1:{port}",
    "2130706433:{port}",
    "[::]:{port}",
    "[::ffff:127.0.0.1]:{port}",
    "127.0.0.1:{port}?/health",
    "127.0.0.1:0{port}",
    "127.0.0.1:{port}, evil.example",
    "",
]
ROUTES = [
    ("GET", "/health"),
    ("POST", "/hooks/a/b"),
    ("GET", "/decide/1.x"),
    ("POST", "/decide/1.x"),
    ("GET", "/"),
    ("GET", "/nothing"),
    ("OPTIONS", "/health"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_a_request_that_is_addressed_to_others_reaches_no_route(port: int, method: str, path: str) -> None:
    for host in HOSTS:
        reply = await raw_client.ask(port, method, path, [("Host", host.format(port=port))])
        assert reply.status == 400, host
        assert b"addressed" in reply.body or reply.problem == "host", host


async def test_no_host_two_hosts_and_other_ways_to_name_one(port: int) -> None:
    own = f"127.0.0.1:{port}"
    raw = [
        "GET /health HTTP/1.0\r\n\r\n",
        "GET /health HTTP/1.1\r\n\r\n",
        f"GET /health HTTP/1.1\r\nHost: {own}\r\nHost: {own}\r\n\r\n",
        f"GET http://{own}/health HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        f"GET /health HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: {own}\r\n\r\n",
    ]
    for request in raw:
        async with raw_client.connected(port) as line:
            assert (await line.send(request.encode())).status == 400, request


async def test_loopback_by_any_of_its_names_is_served(port: int) -> None:
    for name in ("127.0.0.1", "localhost", "[::1]", "LOCALHOST"):
        assert (await raw_client.ask(port, "GET", "/nothing", [("Host", f"{name}:{port}")])).status == 404


def test_hosts_of_the_owners_address() -> None:
    loopback = {"127.0.0.1:8484", "localhost:8484", "[::1]:8484"}
    assert guard.hosts(8484, None) == loopback
    assert guard.hosts(8484, "https://agents.example.com") - loopback == {
        "agents.example.com",
        "agents.example.com:443",
    }
    assert guard.hosts(8484, "https://agents.example.com:8443") - loopback == {"agents.example.com:8443"}
    assert guard.hosts(80, None) >= {"127.0.0.1", "localhost:80"}


async def test_a_proxy_hands_on_the_owners_address(db: pool.Database, home) -> None:
    config = settings.read({"POCKETLET_HOME": str(home), "POCKETLET_URL": "https://agents.example.com/"})
    async with listener.listening(0, lambda port: web.made(db, config, port)) as port:
        seen = [("Host", "agents.example.com")]
        assert (await raw_client.ask(port, "GET", "/nothing", seen)).status == 404
        foreign = [*seen, ("Origin", "https://evil.example")]
        assert (await raw_client.ask(port, "POST", "/decide/1.x", foreign)).problem == "origin"
        own = [*seen, ("Origin", "https://agents.example.com")]
        assert (await raw_client.ask(port, "POST", "/decide/1.x", own)).body.startswith(b"<!doctype html>")


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [("Origin", "https://evil.example")],
        [("Origin", "null")],
        [("Origin", "http://127.0.0.1:1")],
        [("Origin", "https://127.0.0.1:{port}")],
        [("Origin", "http://evil.example:{port}")],
        [("Sec-Fetch-Site", "cross-site")],
        [("Sec-Fetch-Site", "same-site")],
        [("Sec-Fetch-Site", "none")],
        [("Origin", "http://127.0.0.1:{port}"), ("Sec-Fetch-Site", "cross-site")],
        [("Origin", "http://127.0.0.1:{port}"), ("Sec-Fetch-Site", "same-site")],
        [("Origin", "https://evil.example"), ("Sec-Fetch-Site", "same-origin")],
        [("Origin", "http://127.0.0.1:{port}"), ("Origin", "https://evil.example")],
        [("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")],
    ],
)
async def test_a_form_of_another_page_decides_nothing(port: int, fields: list[tuple[str, str]]) -> None:
    given = [(name, value.format(port=port)) for name, value in fields]
    reply = await raw_client.ask(port, "POST", "/decide/1.x", given, b"word=approve")
    assert (reply.status, reply.problem) == (403, "origin")


async def test_every_answer_forbids_what_a_browser_could_do_with_it(port: int, ground: hook_ground.Ground) -> None:
    replies = [await raw_client.ask(port, method, path) for method, path in ROUTES]
    replies += [await ground.deliver("msg_1"), await raw_client.ask(port, "GET", "/health", [("Host", "evil")])]
    for reply in replies:
        policy = reply.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'nonce-")
        assert not {"'unsafe-inline'", "'unsafe-eval'", "http:", "https:", "*"} & set(policy.replace(";", " ").split())
        assert "require-trusted-types-for 'script'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "form-action 'self'" in policy
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["referrer-policy"] == "no-referrer"
        assert reply.headers["cache-control"] == "no-store"
        assert not {"server", "location", "set-cookie", "access-control-allow-origin"} & reply.headers.keys()
    assert len({reply.headers["content-security-policy"] for reply in replies}) == len(replies)


async def test_what_is_not_there_is_not_there_in_any_spelling(port: int) -> None:
    for path in (
        "/health/",
        "//health",
        "/health/..",
        "/HEALTH",
        "/hooks/a",
        "/hooks/a/b/c",
        "/decide",
        "/%2e%2e/health",
    ):
        assert (await raw_client.ask(port, "GET", path)).status in (404, 405), path
    for method in ("PUT", "DELETE", "TRACE", "CONNECT", "OPTIONS", "PATCH", "get"):
        assert (await raw_client.ask(port, method, "/health")).status == 405, method
    upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Key", "x")]
    assert (await raw_client.ask(port, "GET", "/nothing", upgrade)).status == 404


async def test_a_taken_port_is_one_clear_error(port: int) -> None:
    with pytest.raises(errors.Conflict, match=f"Port {port} can't be used") as raised:
        async with listener.listening(port, lambda _: None):  # pyright: ignore[reportArgumentType]
            raise AssertionError("it listens twice")
    assert "POCKETLET_PORT" in raised.value.hint


@pytest.mark.parametrize(
    "url",
    [
        "agents.example.com",
        "http://agents.example.com",
        "https://",
        "https://user@agents.example.com",
        "https://agents.example.com/path",
        "https://agents.example.com?x",
        "https://agents.example.com:99999",
        "ftp://agents.example.com",
        "https://ägents.example.com",
        "https://[::1",
    ],
)
def test_an_address_that_is_none_of_ours_is_a_bad_setting(url: str) -> None:
    with pytest.raises(errors.BadSetting):
        settings.read({"POCKETLET_URL": url})


def test_settings_of_port_and_address() -> None:
    read = settings.read({"POCKETLET_URL": "https://agents.example.com/", "POCKETLET_PORT": "0"})
    assert (read.url, read.port) == ("https://agents.example.com", 0)
    assert (settings.read({}).url, settings.read({}).port) == (None, 8484)
    with pytest.raises(errors.BadSetting, match="POCKETLET_PORT"):
        settings.read({"POCKETLET_PORT": "http"})
