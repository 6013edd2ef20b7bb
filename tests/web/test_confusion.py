"""Bodies and header fields that confuse parsers: what is signed is kept as it came, whatever it calls itself."""

import gzip

import hook_ground
import pytest
import raw_client

ODD = [
    [("Content-Type", "application/json")],
    [("Content-Type", "multipart/form-data; boundary=x")],
    [("Content-Type", 'multipart/form-data; boundary="../../etc/passwd"')],
    [("Content-Type", "application/x-www-form-urlencoded")],
    [("Content-Type", "text/plain; charset=utf-7")],
    [("Content-Type", "text/xml; charset=\xff\xfe")],
    [("Content-Type", "application/json"), ("Content-Type", "text/html")],
    [("Content-Type", "")],
    [("Content-Type", ";;;=,/")],
    [("Content-Type", "x" * 5000)],
    [("Content-Encoding", "gzip")],
    [("Content-Encoding", "gzip, deflate, br, identity, none")],
    [("Content-Disposition", 'attachment; filename="../../../key"')],
    [("X-Original-URL", "/health"), ("X-Rewrite-URL", "/health"), ("X-HTTP-Method-Override", "DELETE")],
    [("Content-Transfer-Encoding", "base64"), ("Content-Range", "bytes 0-1/2")],
    [("Label", "owner"), ("X-Label", "owner"), ("Sender", "owner"), ("Cookie", "a=b"), ("Authorization", "Basic x")],
]
BODIES = [
    b"",
    b"\x00\x00",
    b'{"a": "\\u0000"}',
    b'{"a": 1, "a": 2, "label": "owner", "files": [{"path": "/etc/passwd"}]}',
    b"--x\r\nContent-Disposition: form-data; name=f; filename=../../key\r\n\r\nx\r\n--x--\r\n",
    b"\xff\xfe\x00{\x00}",
    gzip.compress(b"x" * 100_000, mtime=0),
    b"[" * 10_000,
    b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>",
]


def raw(ground: hook_ground.Ground, fields: list[tuple[str, str]], rest: bytes) -> bytes:
    """A request with this framing and body."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    head = f"POST {ground.path} HTTP/1.1\r\nHost: 127.0.0.1:{ground.port}\r\n{lines}"
    return head.encode("latin-1") + rest


async def signed(ground: hook_ground.Ground, identity: str, body: bytes) -> list[tuple[str, str]]:
    """Fields for a body of any bytes, by our own signer: the reference library signs texts."""
    from pocketlet.platform import signatures

    made = signatures.sign([signatures.key(ground.secret)], identity, await ground.now(), body)
    return list(made.items())


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: f"{odd[0][0]}: {odd[0][1][:30]}")
async def test_no_header_field_changes_what_is_kept(ground: hook_ground.Ground, odd: list[tuple[str, str]]) -> None:
    for number, body in enumerate(BODIES):
        fields = [*await signed(ground, f"msg_{number}", body), *odd]
        reply = await raw_client.ask(ground.port, "POST", ground.path, fields, body)
        assert reply.status == 202, (odd, body[:50])
    slots = await ground.slots()
    assert [bytes(slot["body"]) for slot in slots] == BODIES
    assert {slot["about"]["label"] for slot in slots} == {"outside"}
    names = {name for slot in slots for name, _ in slot["about"]["headers"]}
    assert names <= {"content-type", "content-encoding", "content-language", "user-agent", "webhook-id"}
    runs = await ground.rows("SELECT label, input FROM pocketlet.run WHERE agent_id = %s")
    assert [run["label"] for run in runs] == ["outside"] * len(BODIES)


async def test_chunks_are_put_together_and_tricks_with_them_refused(ground: hook_ground.Ground) -> None:
    fields = await signed(ground, "msg_1", b"hello world")
    chunked = b"Transfer-Encoding: chunked\r\n\r\n"
    whole = b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: x\r\n\r\n"
    async with raw_client.connected(ground.port) as line:
        assert (await line.send(raw(ground, fields, chunked + whole))).status == 202
    tricks = [
        b"Content-Length: 11\r\n" + chunked + whole,
        chunked + b"Content-Length: 11\r\n" + whole,
        b"Content-Length: 11\r\nContent-Length: 12\r\n\r\nhello world",
        b"Content-Length: 11, 12\r\n\r\nhello world",
        b"Content-Length: +11\r\n\r\nhello world",
        b"Content-Length: 0x0b\r\n\r\nhello world",
        b"Content-Length : 11\r\n\r\nhello world",
        b"Transfer-Encoding: gzip, chunked\r\n\r\n" + whole,
        b"Transfer-Encoding: identity\r\n\r\nhello world",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + whole,
        chunked + b"-5\r\nhello\r\n0\r\n\r\n",
        chunked + b"5_0\r\nhello\r\n0\r\n\r\n",
        chunked + b"5\r\nhelloX\r\n0\r\n\r\n",
        b"X: a\x00b\r\nContent-Length: 11\r\n\r\nhello world",
        b"X\x00: b\r\nContent-Length: 11\r\n\r\nhello world",
        b" folded: x\r\nContent-Length: 11\r\n\r\nhello world",
        b"X: " + b"y" * 1_000_000 + b"\r\nContent-Length: 11\r\n\r\nhello world",
    ]
    fresh = await signed(ground, "msg_2", b"hello world")
    for trick in tricks:
        async with raw_client.connected(ground.port) as line:
            reply = await line.send(raw(ground, fresh, trick))
            assert 400 <= reply.status < 502, trick
    assert len(await ground.slots()) == 1


async def test_what_follows_a_refused_request_on_its_connection_is_not_read(ground: hook_ground.Ground) -> None:
    hidden = raw(ground, await signed(ground, "msg_1", b""), b"Content-Length: 0\r\n\r\n")
    head = f"POST /hooks/a/b/c HTTP/1.1\r\nHost: 127.0.0.1:{ground.port}\r\nContent-Length: {len(hidden)}\r\n\r\n"
    async with raw_client.connected(ground.port) as line:
        assert (await line.send(head.encode() + hidden)).status == 404
        assert await line.reader.read() == b""
    assert await ground.slots() == []
