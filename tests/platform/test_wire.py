"""Where the egress wire goes: to nothing inside, to nothing that was not checked, and nowhere else."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from loopback import Server, reply, serving

from pocketlet import errors
from pocketlet.platform.gateways import wire

BEARER = wire.Secret("tok_4eC39HqLyjWDarjtT1zdp7dc", header="Authorization", prefix="Bearer ")
GET = wire.Request("GET", "/items")
PUBLIC = "93.184.216.34"
SILENT = "8.8.4.4"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as served:
        yield served


@pytest.fixture
async def connects(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The addresses that this test connects to, on the loop itself; none of them leaves the machine.

    8.8.4.4 never answers.
    """
    found: list[object] = []
    loop = asyncio.get_running_loop()
    connect = loop.sock_connect

    async def watched(sock: object, address: tuple[str, int]) -> None:
        found.append(address[0])
        if address[0] == SILENT:
            await asyncio.Event().wait()
        if address[0] != "127.0.0.1":
            raise ConnectionRefusedError
        await connect(sock, address)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "sock_connect", watched)
    return found


class Names:
    """A resolver with one list of addresses for each look-up; the last one stays."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


#: A URL of a target, and what its name answers: each is refused before anything is connected to.
REFUSED: list[tuple[str, list[str]]] = [
    *(
        (url, [PUBLIC])
        for url in (
            "https://0xA9FEA9FE", "https://2852039166", "https://0251.0376.0251.0376", "https://169.254.43518",
            "https://0x7f.1", "https://127.1", "https://0", "https://017700000001", "https://①②⑦.⓪.⓪.①",
            "https://127.0.0.1", "https://169.254.169.254", "https://100.100.100.200", "https://168.63.129.16",
            "https://192.0.0.192", "https://10.0.0.1", "https://[::1]", "https://[::]", "https://[::ffff:127.0.0.1]",
            "https://[::169.254.169.254]", "https://[::ffff:0:169.254.169.254]", "https://[64:ff9b::a9fe:a9fe]",
            "https://[64:ff9b:1::a9fe:a9fe]", "https://[2002:a9fe:a9fe::]", "https://[2001:0:a9fe:a9fe::]",
            "https://[fec0::1]", "https://[fe80::1]", "https://[fe80::1%eth0]", "https://[fd00:ec2::254]",
            "https://[ff02::1]", "https://[2001:db8::1]", "https://[3fff::1]", "https://good@evil.com",
            "https://good.com\\@evil.com", "https://good.com#@evil.com", "https://ev\til.com", "https://ev\nil.com",
            "https://evil%00.com", "//evil.com", "http:///x", "https://evil.com.", "https://evil.com:0",
            "https://exаmple.com", "https://example。com", "https://localhost", "https://printer.local",
            "https://db.internal", "https://metadata.google.internal", "https://metadata.goog", "https://postgres",
            "http://example.com", "https://example.com:8443", "https://example.com:22", "https://example.com/?a=b",
            "https://example.com/a/../b", "https://example.com//b", "ftp://example.com", "file:///etc/passwd", "",
        )
    ),
    *(
        ("https://api.example.com", answer)
        for answer in (
            ["127.0.0.1"], ["::1"], ["169.254.169.254"], ["10.1.2.3"], ["100.64.0.1"], ["0.0.0.0"], ["fd00::1"],
            ["::ffff:169.254.169.254"], ["64:ff9b::a9fe:a9fe"], ["2002:7f00:1::"], ["fe80::1%eth0"], ["192.88.99.1"],
            [PUBLIC, "127.0.0.1"], ["127.0.0.1", PUBLIC], [PUBLIC, "::1"], [PUBLIC] * 9 + ["10.0.0.1"], ["not.an.ip"],
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize(("url", "answer"), REFUSED)
async def test_nothing_inside_is_ever_connected_to(
    server: Server, connects: list[object], url: str, answer: list[str]
) -> None:
    with pytest.raises(errors.EgressRefused):
        await wire.send(wire.Target(url), GET, [BEARER], resolver=Names(answer))
    assert connects == []
    assert server.accepts == 0


async def test_a_public_name_is_connected_to_at_the_address_that_was_checked(connects: list[object]) -> None:
    names = Names([PUBLIC, "8.8.8.8"], ["127.0.0.1"])
    with pytest.raises(errors.ServiceUnreachable):
        await wire.send(wire.Target("https://api.example.com"), GET, resolver=names)
    assert connects == [PUBLIC, "8.8.8.8"]
    assert names.asked == ["api.example.com"]


async def test_an_address_that_does_not_answer_leaves_time_for_the_next(server: Server, connects: list[object]) -> None:
    target = wire.Target(f"http://api.example.com:{server.port}", ("127.0.0.1", SILENT, PUBLIC), seconds=1.0)
    answered = await wire.send(target, GET, resolver=Names([PUBLIC, SILENT, "127.0.0.1"]))
    assert (answered.status, connects) == (200, [PUBLIC, SILENT, "127.0.0.1"])


async def test_the_systems_resolver_is_asked_once(monkeypatch: pytest.MonkeyPatch, connects: list[object]) -> None:
    asked: list[str] = []
    answers = [[(2, 1, 6, "", (PUBLIC, 443)), (2, 1, 6, "", (PUBLIC, 443))], [(2, 1, 6, "", ("127.0.0.1", 443))]]

    async def getaddrinfo(host: str, port: int, **_: object) -> object:
        asked.append(host)
        return answers.pop(0)

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    with pytest.raises(errors.ServiceUnreachable):
        await wire.send(wire.Target("https://api.example.com"), GET)
    assert (asked, connects) == (["api.example.com"], [PUBLIC])


async def test_a_name_that_moves_between_look_ups_reaches_the_first_answer_alone(server: Server) -> None:
    target = wire.Target(f"http://api.example.com:{server.port}", ("127.0.0.1",))
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    assert (await wire.send(target, GET, resolver=names)).status == 200
    with pytest.raises(errors.EgressRefused):
        await wire.send(target, GET, resolver=names)
    assert server.accepts == 1


async def test_a_pin_is_the_only_place_that_a_pinned_connection_reaches(server: Server) -> None:
    for answer in ([PUBLIC], ["127.0.0.2"], ["127.0.0.1", "127.0.0.2"], ["::1"]):
        with pytest.raises(errors.EgressRefused):
            await wire.send(wire.Target(f"http://nas.local:{server.port}", ("127.0.0.1",)), GET, resolver=Names(answer))
    with pytest.raises(errors.EgressRefused, match="can't be used"):
        await wire.send(wire.Target(f"http://nas.local:{server.port}", ("nas.local",)), GET)
    assert server.accepts == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "location", ["http://169.254.169.254/latest", "https://evil.com/", "//evil.com/", "file:///etc/passwd", "/items"]
)
async def test_a_redirect_is_handed_back_not_followed(server: Server, status: int, location: str) -> None:
    server.answer = lambda head, body: [reply(b"", status, b"location: " + location.encode())]
    answered = await wire.send(server.target(), GET, [BEARER])
    assert (answered.status, answered.location) == (status, location)
    assert server.accepts == 1
    assert wire.same_site(server.target(), location) is (location == "/items")


@pytest.mark.parametrize(
    ("location", "same"),
    [
        ("/b", True), ("b?c=https://evil.com", True), ("?page=2", True), ("https://api.example.com/b", True),
        ("https://API.example.com:443/b#part", True), ("//api.example.com/b", True), ("", False),
        ("http://api.example.com/b", False), ("https://api.example.com:80/b", False), ("https://evil.com/", False),
        ("https://api.example.com@evil.com/", False), ("https://api.example.com.evil.com/", False),
        ("//evil.com", False), ("/\\evil.com", False), ("\\\\evil.com", False), ("https:evil.com", False),
        ("javascript:alert(1)", False), (" https://evil.com", False), ("/b\r\nx: y", False), ("//", False),
    ],
)  # fmt: skip
def test_whether_a_redirect_stays(location: str, *, same: bool) -> None:
    assert wire.same_site(wire.Target("https://api.example.com/v1"), location) is same


async def test_a_redirect_to_itself_is_one_request(server: Server) -> None:
    server.answer = lambda head, body: [reply(b"", 302, b"location: /items")]
    assert (await wire.send(server.target(), GET)).location == "/items"
    assert server.accepts == 1
