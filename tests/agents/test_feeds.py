"""Feeds: each entry is a slot once, whatever the server does, and what it sends is text and no more."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import workshop as workshops
from answering import Answering, Reply, answering
from looked import bodies, look, slots_of, told, trigger_of

from pocketlet import errors
from pocketlet.agents import portable
from pocketlet.agents import task as tasks
from pocketlet.agents.waking import beginning, feeds, looking
from pocketlet.platform.gateways import syndication

Opener = Callable[..., Awaitable[workshops.Workshop]]
QUARTER = timedelta(seconds=901)
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom"><title>News</title>
<entry><id>urn:1</id><title>Tea &amp; more</title><link href="/tea"/><updated>2026-11-22T09:00:00Z</updated>
<summary type="html">
&lt;p&gt;Green &lt;b&gt;tea&lt;/b&gt;&lt;script&gt;x()&lt;/script&gt;&lt;/p&gt;</summary></entry></feed>"""
RDF = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/">
<channel rdf:about="https://n.example"><title>N</title></channel>
<item rdf:about="https://n.example/1"><title>One</title><link>https://n.example/1</link></item></rdf:RDF>"""


def rss(*items: str) -> bytes:
    """A feed of these titles; `title|guid|link` where there is more to say."""
    told: list[str] = []
    for item in items:
        title, guid, link = [*item.split("|"), "", ""][:3]
        told.append(f"<item><title>{title}</title>")
        told[-1] += f"<guid>{guid}</guid>" * bool(guid) + f"<link>{link}</link>" * bool(link) + "</item>"
    text = f'<?xml version="1.0"?><rss version="2.0"><channel><title>News</title>{"".join(told)}</channel></rss>'
    return text.encode()


@pytest.fixture
async def server() -> AsyncGenerator[Answering]:
    async with answering() as found:
        found.says(rss())
        yield found


def entry(server: Answering, more: str = "", path: str = "/feed.xml") -> str:
    """The trigger's lines in agent.toml."""
    return f'[triggers.news]\nfeed = "{server.url}{path}"\npin = "127.0.0.1"\ntask = "Sum it up."\n{more}'


async def titles(shop: workshops.Workshop) -> list[str]:
    return [body["title"] for body in await bodies(shop)]


async def test_only_what_is_new_starts_a_run_and_each_entry_once(
    open_shop: Opener, server: Answering, turned: Any
) -> None:
    shop = await open_shop(entry(server))
    server.says(rss("Old|1"))
    assert await look(shop) == 1
    assert await look(shop) == 0
    server.says(rss("New|2", "Old, changed|1"))
    await turned.turn(QUARTER)
    assert await look(shop) == 1
    await turned.turn(QUARTER)
    await look(shop)
    assert await titles(shop) == ["New"]
    [slot] = await slots_of(shop)
    async with shop.database.api() as conn:
        run = await beginning.at_once(conn, slot["id"])
    row = await shop.row("SELECT input, label FROM pocketlet.run WHERE id = %s", run)
    assert (row["label"], row["input"]["order"], row["input"]["subject"]) == ("outside", "Sum it up.", "New")
    assert "<outside>" in tasks.render(tasks.from_record(row["input"]), {})


async def test_from_the_start_if_it_says_so_and_without_ids_by_link_or_content(
    open_shop: Opener, server: Answering, turned: Any
) -> None:
    shop = await open_shop(entry(server, "from_start = true"))
    server.says(rss("A||https://n.example/a", "B", "C|c"))
    await look(shop)
    server.says(rss("A, changed||https://n.example/a", "B, changed", "C, changed|c"))
    await turned.turn(QUARTER)
    await look(shop)
    assert await titles(shop) == ["A", "B", "C", "B, changed"]


async def test_a_feed_that_did_not_change_is_not_sent_again(open_shop: Opener, server: Answering, turned: Any) -> None:
    def answer(target: str, headers: Mapping[str, str]) -> Reply:
        since = headers.get("if-none-match"), headers.get("if-modified-since")
        if since == ('"v1"', "Sun, 22 Nov 2026 09:00:00 GMT"):
            return Reply(status=304)
        return Reply(rss("A|1"), 200, {"ETag": '"v1"', "Last-Modified": "Sun, 22 Nov 2026 09:00:00 GMT"})

    shop = await open_shop(entry(server, "from_start = true"))
    server.answer = answer
    for _ in range(3):
        assert await look(shop) == 1
        await turned.turn(QUARTER)
    assert [headers.get("if-none-match") for _, headers in server.asked] == [None, '"v1"', '"v1"']
    assert (await titles(shop), await told(shop)) == (["A"], [])


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (ATOM, ["urn:1", "Tea & more", "https://n.example/tea", "Green tea", "2026-11-22T09:00:00Z"]),
        (RDF, ["https://n.example/1", "One", "https://n.example/1", "", ""]),
        (ATOM.replace("&amp;", "&").replace("</feed>", ""), None),
    ],
)
def test_the_usual_formats_are_read_also_if_they_are_broken(raw: str, expected: list[str] | None) -> None:
    [found] = syndication.read(raw.encode(), {}, "https://n.example/feed")
    if expected:
        assert [found.id, found.title, found.link, found.summary, found.published] == expected


def bomb() -> bytes:
    """A document whose one entity is ten to the tenth words."""
    declared = "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(10))
    return f'<!DOCTYPE l [<!ENTITY a "lol">{declared}]>'.encode() + rss("&k;|1")


@pytest.mark.parametrize("raw", [b"/etc/hostname", b"http://127.0.0.1/", b"<html><body>Hello", b"", b"\x00\xff" * 50])
def test_what_is_no_feed_is_neither_opened_nor_fetched(raw: bytes) -> None:
    with pytest.raises(errors.BadInput):
        syndication.read(raw, {}, "https://n.example/feed")


def test_entities_do_not_grow_and_files_are_not_read() -> None:
    [found] = syndication.read(bomb(), {}, "https://n.example/feed")
    assert len(found.title) <= syndication.LONGEST_LINE
    foreign = b'<!DOCTYPE l [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + rss("&x;|1")
    assert "root" not in str(syndication.read(foreign, {}, "https://n.example/feed"))


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [(rss("A|1") + b" " * 10_000_000, 200, "larger than 4 MB"), (b"<html>", 200, "no feed"), (b"", 503, "HTTP 503"),
     (rss(*(f"T|{n}" for n in range(syndication.MOST + 1))), 200, "2000 are read")],
)  # fmt: skip
async def test_what_can_not_be_read_is_one_notice_and_starts_nothing(
    open_shop: Opener, server: Answering, body: bytes, status: int, why: str
) -> None:
    shop = await open_shop(entry(server, "from_start = true"))
    server.says(body, status)
    await look(shop)
    assert await slots_of(shop) == []
    [notice] = await told(shop)
    assert why in notice["title"]


async def test_reading_takes_so_long_at_most_and_a_304_to_nobody_says_nothing(
    open_shop: Opener, server: Answering, turned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = await open_shop(entry(server, "from_start = true"))
    monkeypatch.setattr(feeds, "READING", 0.0)
    server.says(rss("A|1"))
    await look(shop)
    assert "can't be read within" in (await told(shop))[0]["title"]
    monkeypatch.undo()
    server.says(b"", 304)
    await turned.turn(QUARTER)
    await look(shop)
    assert ((await trigger_of(shop))["failures"], await slots_of(shop)) == (2, [])


async def test_a_server_that_is_down_is_one_notice_until_it_is_back(
    open_shop: Opener, server: Answering, turned: Any
) -> None:
    shop = await open_shop(entry(server))
    server.says(rss("Old|1"))
    await look(shop)
    await server.stop()
    pauses: list[int] = []
    for _ in range(7):
        await turned.turn(timedelta(days=1))
        assert await look(shop) == 1
        row = await shop.row(
            "SELECT next_at - pocketlet.now() AS pause FROM pocketlet.trigger WHERE agent_id = %s", shop.agent.id
        )
        pauses.append(round(row["pause"].total_seconds(), -2))
    assert pauses == [900, 1800, 3600, 7200, 14400, 21600, 21600]
    [notice] = await told(shop)
    assert (notice["count"], (await trigger_of(shop))["paused"]) == (7, None)
    await server.start()
    server.says(rss("Old|1", "New|2"))
    await turned.turn(timedelta(days=1))
    await look(shop)
    assert (await told(shop), await titles(shop), (await trigger_of(shop))["failures"]) == ([], ["New"], 0)


async def test_redirects_are_followed_three_times_and_each_is_checked(open_shop: Opener, server: Answering) -> None:
    def answer(target: str, headers: Mapping[str, str]) -> Reply:
        step = int(target.rpartition("/")[2].partition("?")[0])
        if step:
            return Reply(status=302, headers={"Location": f"{step - 1}?a=%20b&c="})
        return Reply(rss("A|1"))

    server.answer = answer
    shop = await open_shop(entry(server, "from_start = true", "/3"))
    await look(shop)
    assert (await titles(shop), server.asked[-1][0]) == (["A"], "/0?a=%20b&c=")
    far = await open_shop(entry(server, "from_start = true", "/4"))
    await look(far)
    [notice] = await told(far)
    assert "more than 3 times" in notice["title"]


@pytest.mark.parametrize(
    "place",
    ["http://169.254.169.254/latest", "https://localhost/", "http://127.0.0.1:{other}/", "file:///etc/passwd",
     "//10.0.0.1/x", "https://user@n.example/"],
)  # fmt: skip
async def test_a_redirect_to_another_place_inside_is_not_followed(
    open_shop: Opener, server: Answering, place: str
) -> None:
    async with answering() as other:
        server.says(b"", 302, Location=place.format(other=other.port))
        shop = await open_shop(entry(server))
        await look(shop)
        assert (len(server.asked), other.asked) == (1, [])
        assert len(await told(shop)) == 1


@pytest.mark.parametrize(
    ("lines", "why"),
    [('feed = "http://n.example.com/feed"', "by https"),
     ('feed = "https://localhost/feed"', ""), ('feed = "news"', "URL"),
     ('feed = "ftp://n.example.com/"', "URL"), ('feed = "https://n.example.com/"\nevery = "1 s"', "at least"),
     ('feed = "https://n.example.com/"\nfrom_start = "yes"', "true or false"),
     ('feed = "http://10.0.0.1/"\npin = "0.0.0.0/0"', ""), ('feed = "https://n.example.com/"\npin = 5', "`pin`")],
)  # fmt: skip
async def test_an_entry_that_can_not_be_meant_is_not_imported(open_shop: Opener, lines: str, why: str) -> None:
    with pytest.raises(errors.BadAgent, match=f"trigger `news`: .*{why}"):
        await open_shop(f"[triggers.news]\n{lines}\n")


async def test_two_workers_that_look_at_once_record_once(open_shop: Opener, server: Answering, turned: Any) -> None:
    shop = await open_shop(entry(server, "from_start = true"))
    server.says(rss(*(f"T|{n}" for n in range(20))))
    assert sum(await asyncio.gather(*(look(shop) for _ in range(4)))) == 1
    assert len(await slots_of(shop)) == 20


@pytest.mark.parametrize(
    "meanwhile",
    ["lease_until = pocketlet.now()", "lease_until = NULL, cursor = '{}', spec = jsonb_set(spec, '{task}', '\"b\"')",
     "cursor = '{\"old\": []}'", "active = false"],
)  # fmt: skip
async def test_a_look_whose_trigger_is_not_its_own_any_more_records_nothing(
    open_shop: Opener, server: Answering, meanwhile: str
) -> None:
    shop = await open_shop(entry(server, "from_start = true"))

    async def answer(target: str, headers: Mapping[str, str]) -> Reply:
        await shop.change(f"UPDATE pocketlet.trigger SET {meanwhile} WHERE agent_id = %s", shop.agent.id)
        return Reply(rss("A|1"))

    server.answer = answer
    assert await look(shop) == 1
    assert (await slots_of(shop), await told(shop)) == ([], [])


async def test_slots_and_place_are_one_transaction(open_shop: Opener, server: Answering, turned: Any) -> None:
    shop = await open_shop(entry(server, "from_start = true"))
    server.says(rss("A|1", "B|2"))
    cut = """
      CREATE FUNCTION pocketlet.cut() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
      BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN new; END $$;
      CREATE TRIGGER cut BEFORE UPDATE OF cursor ON pocketlet.trigger FOR EACH ROW EXECUTE FUNCTION pocketlet.cut()"""
    async with shop.database.setup() as conn:
        await conn.execute(cut.encode())
    try:
        assert await look(shop) == 1
        assert await slots_of(shop) == []
    finally:
        async with shop.database.setup() as conn:
            await conn.execute(b"DROP FUNCTION pocketlet.cut() CASCADE")
    assert (await trigger_of(shop))["cursor"] == {}
    await turned.turn(timedelta(hours=1))
    await look(shop)
    assert (await titles(shop), await told(shop)) == (["A", "B"], [])


async def test_a_feed_that_is_made_anew_starts_no_thousand_runs(
    open_shop: Opener, server: Answering, turned: Any
) -> None:
    shop = await open_shop(entry(server))
    await look(shop)
    server.says(rss(*(f"T|{n}" for n in range(150))))
    await turned.turn(QUARTER)
    await look(shop)
    states = [(slot["state"], slot["reason"]) for slot in await slots_of(shop)]
    assert states == [("due", "")] * 100 + [("skipped", looking.TOO_MANY)] * 50


async def test_a_paused_one_is_not_looked_at(open_shop: Opener, server: Answering) -> None:
    shop = await open_shop(entry(server))
    await shop.change("UPDATE pocketlet.trigger SET paused = 'holiday' WHERE agent_id = %s", shop.agent.id)
    assert (await look(shop), server.asked) == (0, [])


async def test_another_address_begins_anew_and_other_words_do_not(
    open_shop: Opener, server: Answering, turned: Any, tmp_path: Path
) -> None:
    shop = await open_shop(entry(server))
    await look(shop)
    for number, (more, path) in enumerate([('overlap = "queue"\n', "/feed.xml"), ("", "/other.xml")]):
        folder = workshops.write_folder(tmp_path / str(number), shop.name, entry(server, more, path))
        await portable.renew(shop.database, folder)
        server.says(rss(f"New {number}|{number}"))
        await look(shop)
    assert await titles(shop) == ["New 0"]
