"""What the egress wire sends, what it lets back in, and what it says when a connection breaks."""

import asyncio
import base64
import datetime
import gzip
import json
import logging
import ssl
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from loopback import Server, authorization, chunked, reply, serving

from pocketlet import errors
from pocketlet.platform.gateways import scrubbing, wire

TOKEN = "tok_4eC39HqLyjWDarjtT1zdp7dc/+q"
BEARER = wire.Secret(TOKEN, header="Authorization", prefix="Bearer ")
GET = wire.Request("GET", "/items")
#: Longer than any of these tests takes; where the wire itself has to give up it gets `SOON`.
SOON = 0.05

ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda text: text,
    "base64": base64.b64encode,
    "base64 of a part": lambda text: base64.b64encode(text[1:]),
    "base64url": base64.urlsafe_b64encode,
    "base64 in lines": base64.encodebytes,
    "percent": lambda text: quote(text, safe="").encode(),
    "every byte percent": lambda text: b"".join(b"%%%02x" % byte for byte in text),
    "hex": lambda text: text.hex().encode(),
    "HEX": lambda text: text.hex().upper().encode(),
    "json": lambda text: json.dumps(text.decode()).replace("/", "\\/").encode(),
    "json escapes": lambda text: b"".join(b"\\u%04x" % byte for byte in text),
    "html": lambda text: b"".join(b"&#%d;" % byte for byte in text),
    "lower case": bytes.lower,
}
COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "identity": lambda body: body,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as served:
        yield served


def assert_clean(answered: wire.Reply) -> None:
    """No form of the token is anywhere in a reply."""
    text = repr(answered).encode() + answered.body + "".join(map(str, answered.headers.items())).encode()
    for form in scrubbing.forms(TOKEN) | {TOKEN[:12].encode(), TOKEN[8:].encode()}:
        assert form.lower() not in text.lower()


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("size", [1, 7, 100_000])
async def test_an_echo_brings_no_secret_back(server: Server, encoding: str, compression: str, size: int) -> None:
    def echo(head: bytes, _: bytes) -> list[bytes]:
        reflected = ENCODINGS[encoding](authorization(head))
        body = COMPRESSIONS[compression](b"<before>" + reflected + b"<after>")
        one_line = reflected.replace(b"\n", b"")
        headers = (b"content-encoding: " + compression.encode(), b"x-echo: " + one_line, b"set-cookie: a=" + one_line)
        return chunked(body, size, *headers)

    server.answer = echo
    answered = await wire.send(server.target(), GET, [BEARER])
    assert authorization(server.heads[0]) == f"Bearer {TOKEN}".encode()
    assert_clean(answered)
    assert scrubbing.MASK in answered.body
    assert b"[secret]" in answered.headers["x-echo"].encode()
    assert answered.body.startswith(b"<before>")
    assert answered.body.endswith(b"<after>")
    assert not answered.truncated
    assert "set-cookie" not in answered.headers


async def test_names_of_headers_redirects_and_errors_are_scrubbed_too(server: Server) -> None:
    name = "tok_4eC39HqLyjWDarjtT1zdp7dc"
    server.answer = lambda head, body: [
        reply(b"", 302, f"x-{name}: 1".encode(), f"location: /login?token={name}".encode())
    ]
    answered = await wire.send(server.target(), GET, [wire.Secret(name, query="token")])
    assert f"GET /items?token={name} HTTP/1.1".encode() in server.heads[0]
    assert answered.headers["x-[secret]"] == "1"
    assert answered.location == "/login?token=[secret]"


async def test_a_composite_is_scrubbed_with_its_parts(server: Server) -> None:
    basic = base64.b64encode(b"user:hunter2hunter2").decode()
    server.answer = lambda head, body: [reply(b"you are " + base64.b64decode(authorization(head).split()[1]))]
    secret = wire.Secret(basic, header="authorization", prefix="Basic ")
    answered = await wire.send(server.target(), GET, [secret], ["hunter2hunter2"])
    assert answered.body == b"you are user:[secret]"


async def test_a_secret_cut_off_by_the_cap_leaves_no_part_of_it(server: Server) -> None:
    server.answer = lambda head, body: [reply(b"." * 990 + authorization(head) + b"." * 10_000)]
    for cap in range(995, 1_030):
        answered = await wire.send(server.target(max_bytes=cap), GET, [BEARER])
        assert answered.truncated
        assert len(answered.body) <= cap
        assert answered.body.removeprefix(b"." * 990).rstrip(b".") in b"Bearer [secret]"


async def test_a_body_at_the_cap_is_whole_and_one_byte_more_is_not(server: Server) -> None:
    for length, truncated in ((1_000, False), (1_001, True), (50_000, True)):
        for compress in (bytes, gzip.compress, zlib.compress):
            name = {bytes: b"identity", gzip.compress: b"gzip", zlib.compress: b"deflate"}[compress]
            body = compress(b"x" * length)
            server.answer = lambda head, _, body=body, name=name: [reply(body, 200, b"content-encoding: " + name)]  # type: ignore[misc]
            answered = await wire.send(server.target(max_bytes=1_000), GET)
            assert (len(answered.body), answered.truncated) == (min(length, 1_000), truncated)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_bomb_is_stopped_while_it_unpacks(server: Server, encoding: str) -> None:
    bomb = COMPRESSIONS[encoding](bytes(50_000_000))
    server.answer = lambda head, body: [reply(bomb, 200, b"content-encoding: " + encoding.encode())]
    answered = await wire.send(server.target(max_bytes=20_000_000), GET)
    assert answered.truncated
    assert len(answered.body) <= 65_536 + 200 * len(bomb)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("br", b"\x0b\x02\x80" + TOKEN.encode()),
        ("zstd", TOKEN.encode()),
        ("gzip, gzip", gzip.compress(gzip.compress(TOKEN.encode(), mtime=0), mtime=0)),  # else the name tells the time
        ("gzip", b"no gzip at all"),
        ("gzip", gzip.compress(b"x" * 9_000 + TOKEN.encode(), mtime=0)[:-20]),
        ("deflate", zlib.compress(b"x" * 9_000 + TOKEN.encode())[:-5]),
    ],
)
async def test_what_cannot_be_read_is_dropped(server: Server, encoding: str, body: bytes) -> None:
    server.answer = lambda head, _: [reply(body, 200, b"content-encoding: " + encoding.encode())]
    answered = await wire.send(server.target(), GET, [BEARER])
    assert answered.truncated
    assert not answered.body.strip(b"x")
    assert b"accept-encoding: gzip, deflate\r\n" in server.heads[0].lower()


async def test_bare_deflate_and_gzip_of_two_parts_are_read(server: Server) -> None:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    bare = packer.compress(b"abc" * 99) + packer.flush()
    server.answer = lambda head, _: chunked(bare, 1, b"content-encoding: deflate")
    assert (await wire.send(server.target(), GET)).body == b"abc" * 99
    server.answer = lambda head, _: chunked(gzip.compress(b"a") + gzip.compress(b"b"), 1, b"content-encoding: gzip")
    answered = await wire.send(server.target(), GET)
    assert (answered.body, answered.truncated) == (b"ab", False)


async def test_a_body_without_end_ends_at_the_cap(server: Server) -> None:
    server.hangs = True
    server.answer = lambda head, _: chunked(b"x" * 300_000, 10_000)[:-1]
    answered = await wire.send(server.target(max_bytes=100_000), GET)
    assert (len(answered.body), answered.truncated) == (100_000, True)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\na: " + b"b" * 90_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na: " + b"b" * 900_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 40_000,
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcde",
        b"HTTP/1.1 200 OK\r\na: b\x00c\r\n\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nabc",
    ],
)
async def test_a_reply_that_is_none_leaves_it_uncertain(server: Server, head: bytes) -> None:
    server.answer = lambda *_: [head]
    with pytest.raises(errors.ServiceUncertain) as caught:
        await wire.send(server.target(), GET, [BEARER])
    assert TOKEN not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("partial", [[], [b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nabc"]])
async def test_a_slow_reply_leaves_it_uncertain(server: Server, partial: list[bytes]) -> None:
    server.hangs = True
    server.answer = lambda *_: partial
    with pytest.raises(errors.ServiceUncertain, match="did not answer within"):
        await wire.send(server.target(seconds=0.5), GET)


async def test_a_connection_that_breaks_is_told_from_a_reply_that_is_none(server: Server) -> None:
    for head, said in ((b"", "the connection broke"), (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "not what a server")):
        server.answer = lambda *_, head=head: [head]  # type: ignore[misc]
        with pytest.raises(errors.ServiceUncertain, match=said):
            await wire.send(server.target(), GET)


async def test_what_surely_was_not_sent_says_so(server: Server) -> None:
    async def unknown(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    async def forever(host: str, port: int) -> list[str]:
        await server.closing.wait()
        return []

    async def nowhere(host: str, port: int) -> list[str]:
        return []

    public = wire.Target("https://api.example.com", seconds=SOON)
    for resolver in (unknown, forever, nowhere):
        await surely_not_sent(public, resolver=resolver)
    async with serving() as gone:
        target = gone.target()
    await surely_not_sent(target)
    assert server.accepts == 0


async def surely_not_sent(target: wire.Target, **rest: object) -> None:
    with pytest.raises(errors.ServiceUnreachable) as caught:
        await wire.send(target, GET, [BEARER], **rest)  # type: ignore[arg-type]
    assert type(caught.value) is errors.ServiceUnreachable
    assert TOKEN not in str(caught.value)


async def test_a_broken_handshake_is_surely_not_sent(server: Server) -> None:
    server.reads = False
    await surely_not_sent(wire.Target(f"https://127.0.0.1:{server.port}", ("127.0.0.1",)))
    server.hangs = True
    await surely_not_sent(wire.Target(f"https://127.0.0.1:{server.port}", ("127.0.0.1",), seconds=SOON))
    assert server.accepts == 2


async def test_tls_is_for_the_name_not_the_address(tmp_path: Path) -> None:
    serving_tls, trusting = certificate(tmp_path, "api.example.com")
    asked: list[str | None] = []
    serving_tls.sni_callback = lambda _, name, __: asked.append(name)

    async def names(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    async with serving(serving_tls) as server:
        pinned = ("127.0.0.1",)
        target = wire.Target(f"https://api.example.com:{server.port}/v1", pinned)
        answered = await wire.send(target, GET, [BEARER], resolver=names, tls=trusting)
        assert (answered.status, asked) == (200, ["api.example.com"])
        assert server.heads[0].startswith(b"GET /v1/items HTTP/1.1\r\n")
        assert f"host: api.example.com:{server.port}\r\n".encode() in server.heads[0].lower()
        other = wire.Target(f"https://other.example.com:{server.port}", pinned)
        for refused, tls in ((other, trusting), (target, None)):
            await surely_not_sent(refused, resolver=names, tls=tls)
        assert len(server.heads) == 1


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's side and a client's side of a certificate that nobody else trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    kept = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / "server.pem"
    file.write_bytes(kept + made.public_bytes(serialization.Encoding.PEM))
    side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    side.load_cert_chain(file)
    return side, ssl.create_default_context(cafile=file)


async def test_no_proxy_of_the_environment_is_used(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving() as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
            monkeypatch.setenv(name.upper(), f"http://127.0.0.1:{proxy.port}")
        assert (await wire.send(server.target(), GET)).status == 200
        assert (server.accepts, proxy.accepts) == (1, 0)


async def test_no_cookie_is_kept(server: Server) -> None:
    server.answer = lambda *_: [reply(b"", 200, b"set-cookie: a=b", b"x-a: 1", b"x-a: 2")]
    answered = await wire.send(server.target(), GET)
    assert answered.headers == {"x-a": "1, 2"}
    await wire.send(server.target(), GET)
    assert b"cookie" not in server.heads[1].lower()


async def test_a_request_goes_out_as_it_was_given(server: Server) -> None:
    request = wire.Request(
        "POST",
        "/a%2Fb/c",
        (("q", "a b&c=\n/?é"), ("q", "+")),
        {"Content-Type": "text/plain", "User-Agent": "me"},
        b"x" * 9,
    )
    await wire.send(server.target("/v1/"), request, [wire.Secret("k=1 &", query="key")])
    line, *headers = server.heads[0].decode().lower().split("\r\n")
    assert line == "post /v1/a%2fb/c?q=a%20b%26c%3d%0a%2f%3f%c3%a9&q=%2b&key=k%3d1%20%26 http/1.1"
    assert {"content-type: text/plain", "user-agent: me", "content-length: 9", "connection: close"} <= set(headers)
    assert server.bodies == [b"x" * 9]
    await wire.send(server.target("/mcp"), wire.Request("POST", ""))
    assert server.heads[1].startswith(b"POST /mcp HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("request_", "secrets"),
    [
        (wire.Request("CONNECT", "/"), []),
        (wire.Request("get", "/"), []),
        (wire.Request("GET / HTTP/1.1\r\nx: y", "/"), []),
        *((wire.Request("GET", path), []) for path in (
            "items", "//evil.com", "/../x", "/%2e%2e/x", "/a b", "/a\r\nx: y", "/é", "/a?b=c", "/a#b", "/\\evil.com",
            "/%00", "/%0d%0a", "https://evil.com/", "@evil.com/", "/%", "*",
        )),
        *((wire.Request("GET", "/", (), {name: value}), []) for name, value in (
            ("Host", "evil.com"), ("X-A", "a\r\nHost: evil.com"), ("X-A", "a\nb"), ("X-A", "a\x00"), ("X-A", "é"),
            ("X-A\r\nX-B", "a"), ("X A", "a"), ("", "a"), ("X-A:", "a"), ("Content-Length", "5"), ("Connection", "x"),
            ("Transfer-Encoding", "chunked"), ("Authorization", "Bearer mine"), ("Cookie", "a=b"), ("Upgrade", "h2c"),
            ("Proxy-Authorization", "x"), ("Expect", "100-continue"), ("X-A", " a"),
        )),
        (wire.Request("GET", "/", (), {"X-A": "a", "x-a": "b"}), []),
        (wire.Request("GET", "/", (), {"X-Key": "a"}), [wire.Secret(TOKEN, header="x-key")]),
        (wire.Request("GET", "/", (("a", "\x00"),)), []),
        (wire.Request("GET", "/", (("a", "\ud800"),)), []),
        (wire.Request("GET", "/", (("a", "b" * 9_000),)), []),
        (GET, [wire.Secret(TOKEN + "\r\nHost: evil.com", header="X-Key")]),
        (GET, [wire.Secret(TOKEN + "é", header="X-Key")]),
        (GET, [wire.Secret(TOKEN, header="Host")]),
        (GET, [wire.Secret(TOKEN)]),
        (GET, [wire.Secret(TOKEN, header="X-Key", query="key")]),
        (GET, [wire.Secret("", header="X-Key")]),
        (GET, [BEARER, BEARER]),
    ],
)  # fmt: skip
async def test_what_smuggles_is_refused(server: Server, request_: wire.Request, secrets: list[wire.Secret]) -> None:
    with pytest.raises(errors.EgressRefused) as caught:
        await wire.send(server.target(), request_, secrets)
    assert server.accepts == 0
    assert TOKEN not in str(caught.value)


async def test_a_secret_is_in_no_log_and_no_repr(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("httpcore2", "httpcore2.http11", "httpcore2.connection"):
        caplog.set_level(logging.DEBUG, name)
    server.answer = lambda head, _: [reply(b"", 200, b"x-echo: " + authorization(head))]
    answered = await wire.send(server.target(), GET, [BEARER])
    assert TOKEN not in caplog.text + repr(BEARER) + repr(answered)


async def test_a_run_that_is_stopped_stops_its_request(server: Server) -> None:
    server.hangs = True
    server.answer = lambda *_: []
    task = asyncio.create_task(wire.send(server.target(), GET))
    await server.asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
