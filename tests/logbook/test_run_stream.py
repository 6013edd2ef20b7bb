"""Following a run: each committed step once and in order, whatever breaks in between."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
import serving
from desks import Desk
from handmade import Handmade, hire

from pocketlet import settings
from pocketlet.agents import agent as agents
from pocketlet.learning import chat as talks
from pocketlet.platform import database, owners, server
from pocketlet.platform.gateways import listener
from pocketlet.surfaces.api import caller as callers
from pocketlet.surfaces.api import chat, endpoint, following, run
from pocketlet.surfaces.web import app as web
from pocketlet.surfaces.web import streams


@pytest.fixture(scope="module")
async def writer(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> agents.Agent:
    """An agent whose runs nobody else looks at."""
    return await hire(desk.database, tmp_path_factory.mktemp("writer"), "streamed")


class Reader:
    """A client of a stream, that comes back with the id of the last message it got."""

    def __init__(self, desk: Desk, path: str, session: str = "") -> None:
        self.path = path
        self.session = session
        self.fields = {"authorization": f"Bearer {desk.tokens['owner']}"} if path.startswith("/v1/") else {}
        self.seen: list[int] = []
        self.last = ""
        self.ended = False

    async def read(self, port: int, until: int) -> None:
        """Until that step is there; with 0, until the stream says that nothing more comes."""
        fields = self.fields | ({"last-event-id": self.last} if self.last else {})
        fields |= {"cookie": f"pocketlet-{port}={self.session}"} if self.session else {}
        async with (
            httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
            client.stream("GET", self.path, headers=fields) as answer,
        ):
            assert answer.status_code == 200
            async for message in _messages(answer.aiter_lines()):
                self.take(message)
                if until and self.seen and self.seen[-1] >= until:
                    return

    def take(self, message: dict[str, str]) -> None:
        """What a program reads, and what a page puts in."""
        self.last = message.get("id", self.last)
        self.ended |= message.get("event") == "end"
        if message.get("event") == "steps":
            self.seen += [one["seq"] for one in json.loads(message["data"])["items"]]
        elif "event" not in message:
            self.seen += [int(one) for one in re.findall(r'<li class="step [^"]*" id="step-(\d+)"', message["data"])]


async def _messages(lines: AsyncIterator[str]) -> AsyncIterator[dict[str, str]]:
    message: dict[str, str] = {}
    async for line in lines:
        if not line and message:
            yield message
            message = {}
        elif line:
            name, _, value = line.partition(": ")
            message[name] = f"{message[name]}\n{value}" if name in message else value


@pytest.mark.parametrize("path", ["/v1/runs/{0}/events", "/runs/{0}/live?after=0"])
async def test_a_stream_over_a_server_that_is_killed_gives_each_step_once(
    desk: Desk, writer: agents.Agent, path: str
) -> None:
    made = Handmade(desk.database, writer)
    if path.startswith("/runs/"):
        async with desk.database.api() as conn:
            secret = await owners.new_session(conn, await owners.by_name(conn, "owner"), "test")
    else:
        secret = ""
    reader = Reader(desk, path.format(await made.begin()), secret)
    port = 0
    for _ in range(2):
        async with serving.running(desk.config.home, port) as port:
            await made.steps(4)
            reading = asyncio.create_task(reader.read(port, made.seq + 4))
            await made.steps(4)
            await reading
        await made.steps(3)  # committed while nobody listens
    async with serving.running(desk.config.home, port) as port:
        await made.rest()
        await reader.read(port, 0)
    assert reader.seen == list(range(1, made.seq + 1))
    assert reader.ended


async def test_a_restart_of_postgres_is_waited_for(own_home: Path, tmp_path: Path) -> None:
    config = settings.read({"POCKETLET_HOME": str(own_home)})
    async with database.opened(config, fast=True) as opened:
        agent = await hire(opened, tmp_path / "agent", "restarted")
        made = Handmade(opened, agent)
        async with opened.api() as conn:
            owner = await owners.by_name(conn, "owner")
        number = await made.begin()
        seen: list[int] = []
        await made.steps(3)
        stream = run.events(callers.Caller(opened, config, owner), number)
        await _take(stream, seen, 3)
        await asyncio.to_thread(server.stop, own_home)
        lease = await asyncio.to_thread(server.acquire, own_home, fast=True)
        try:
            async with database.opened(config) as again:  # as a worker that has been started since
                made.database = again
                await made.steps(4)
                await made.rest()
                await _take(stream, seen, 0)
        finally:
            await asyncio.to_thread(lease.release)
    assert seen == [1, 2, 3, 4, 5, 6, 7]


async def _take(stream: AsyncIterator[endpoint.Event], seen: list[int], until: int) -> None:
    """Until that step, or the end."""
    async for event in stream:
        if event.kind == "steps":
            seen += [one["seq"] for one in event.data["items"]]
        if event.kind == "end" or (until and seen and seen[-1] >= until):
            return


async def test_a_stream_tells_how_it_stands_without_summing_up_again(desk: Desk, writer: agents.Agent) -> None:
    made = Handmade(desk.database, writer)
    number = await made.begin()
    await made.steps(6)
    heads: list[dict[str, Any]] = []
    async with desk.database.api() as conn:
        owner = await owners.by_name(conn, "owner")
    stream = run.events(callers.Caller(desk.database, desk.config, owner), number)
    async for event in stream:
        if event.kind == "head":
            heads.append(dict(event.data))
            if len(heads) == 1:
                await made.steps(2)
                await made.rest()
    assert [heads[0]["steps"], heads[-1]["steps"]] == [6, 8]
    assert (heads[0]["standing"], heads[-1]["standing"]) == ("At work", "Done")
    assert heads[-1]["seconds"] == pytest.approx(4 * 0.25 + 4 * 0.01)
    stands = await run.standing(callers.Caller(desk.database, desk.config, owner), number)
    assert stands.seconds == pytest.approx(heads[-1]["seconds"])


async def test_many_steps_at_once_are_few_messages(desk: Desk, writer: agents.Agent) -> None:
    made = Handmade(desk.database, writer)
    number = await made.begin()
    await made.steps(following.MOST + 20)
    await made.rest()
    async with desk.database.api() as conn:
        owner = await owners.by_name(conn, "owner")
    stream = run.events(callers.Caller(desk.database, desk.config, owner), number)
    told = [(event.id, len(event.data["items"])) async for event in stream if event.kind == "steps"]
    assert told == [(str(following.MOST), following.MOST), (str(following.MOST + 20), 20)]


async def test_a_stream_of_a_foreign_run_is_a_refusal(desk: Desk) -> None:
    number = desk.run_of("attack")
    async with desk.client("second") as client:
        answer = await client.get(f"/v1/runs/{number}/events")
        nobody = await client.get("/v1/runs/999999/events")
    assert (answer.status_code, nobody.status_code) == (404, 404)
    assert answer.json()["detail"] == nobody.json()["detail"].replace("999999", str(number))


async def test_where_to_go_on_is_a_number(desk: Desk) -> None:
    async with desk.client() as client:
        answer = await client.get(f"/v1/runs/{desk.run_of('attack')}/events", headers={"last-event-id": "yesterday"})
    assert answer.status_code == 422


@pytest.mark.parametrize("known", ["7\r\nevent: end", "7\n\ndata: evil", "7 8", "١", "," * 201])
async def test_what_a_page_says_it_has_is_numbers(desk: Desk, known: str) -> None:
    """It becomes part of an id: a line end in there would be a field of the sender's own."""
    number = desk.run_of("attack")
    async with await desk.browser() as browser:
        plain = await browser.get(f"/runs/{number}/live", params={"after": 0})
        told = await browser.get(f"/runs/{number}/live", params={"after": 0, "waits": known})
        good = await browser.get(f"/runs/{number}/live", params={"after": 0, "waits": "7,8"})
    assert told.text == plain.text
    assert re.search(r"^id: \d+:7,8$", good.text, re.MULTILINE)


def test_no_field_of_a_message_has_a_line_end() -> None:
    made = streams.message("step\r\ndata: x", "one\ntwo", "7\n\x00\rid: 8")
    assert made == "id: 7id: 8\nevent: stepdata: x\ndata: one\ndata: two\n\n"


async def test_an_owner_follows_so_much_and_no_more(
    desk: Desk, writer: agents.Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MOST", 2)
    made = Handmade(desk.database, writer)
    path = f"/v1/runs/{await made.begin()}/events"
    async with desk.client() as mine, AsyncExitStack() as opened:
        for _ in range(2):
            assert (await opened.enter_async_context(mine.stream("GET", path))).status_code == 200
        one_more = await mine.get(path)
        assert (one_more.status_code, one_more.json()["code"], one_more.headers["retry-after"]) == (
            429,
            "too-many",
            "10",
        )
        assert one_more.json()["hint"]
        async with desk.client("second") as theirs:
            assert (await theirs.get(path)).status_code == 404
        monkeypatch.setattr(streams, "MOST_OF_ALL", 2)
        monkeypatch.setattr(streams, "MOST", 3)
        assert (await mine.get(path)).status_code == 503
        await opened.aclose()
        await made.rest()
        while (told := await mine.get(path)).status_code != 200:  # the listener hears a moment later that they are gone
            assert told.status_code == 503
        assert "event: end" in told.text
        assert (await mine.head(path)).status_code == 405


async def test_a_stop_does_not_wait_for_those_who_follow(
    desk: Desk, writer: agents.Agent, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listener, "DRAIN", 3600)
    made = Handmade(desk.database, writer)
    path = f"/v1/runs/{await made.begin()}/events"
    async with desk.client() as mine, AsyncExitStack() as opened:
        async with listener.listening(0, lambda port: web.made(desk.database, desk.config, port)) as port:
            stream = mine.stream("GET", f"http://127.0.0.1:{port}{path}")
            answer = await opened.enter_async_context(stream)
            assert answer.status_code == 200
        with pytest.raises(httpx2.HTTPError):  # as at a kill: whoever follows comes again
            await answer.aread()
    assert not [one for one in caplog.records if one.levelname == "ERROR"]
    await made.rest()


async def test_a_turn_that_nobody_takes_is_not_followed_for_ever(
    desk: Desk, writer: agents.Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk.database.api() as conn:
        owner = await owners.by_name(conn, "owner")
        number = await talks.ask(conn, writer, "Say hello.")
    monkeypatch.setattr(following, "LONGEST", 0.0)
    stream = chat.events(callers.Caller(desk.database, desk.config, owner), writer.name, number)
    told = [streams.line(event) async for event in stream]
    assert told == [":\n\n"], "a sign of life, and no end: the turn has none yet"
    await chat.stop(callers.Caller(desk.database, desk.config, owner), writer.name, number)
