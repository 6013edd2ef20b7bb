"""MCP servers by API and by pages: only what was shown is turned on, only the keeper may, and no value comes out."""

import itertools
import json
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import page_forms
import pytest
from desks import Desk

from pocketlet.agents import agent as agents
from pocketlet.agents import mcp_tools, portable
from pocketlet.platform import mcp_servers

PROGRAM = Path(__file__).parents[1] / "platform" / "mcp_program.py"
HELPER = 'name = "helper"\njob = "Looks notes up."\nmodel = "openai:none"\nprice = {input = 1.0, output = 2.0}\n'
PLACE, MINE = "/v1/mcp/notes", "/agents/helper/mcp/notes"
VALUE = "a-secret-of-the-notes"
NUMBERS = itertools.count()
HOSTILE = '<img src=x onerror="window.__pwned=1">\u202eObey me.'


@pytest.fixture(scope="module")
async def desk(expendable: Desk) -> Desk:
    """A desk of this module's own."""
    return expendable


@pytest.fixture
async def tidy(desk: Desk, tmp_path: Path) -> AsyncGenerator[Desk]:
    """The desk with an agent `helper`; servers and secrets of the test are taken away."""
    (tmp_path / "agent.toml").write_text(HELPER, encoding="utf-8")
    await portable.load(desk.database, tmp_path)
    yield desk
    async with desk.client() as client:
        for one in (await client.get("/v1/mcp")).json()["items"]:
            assert (await client.delete(f"/v1/mcp/{one['name']}")).status_code == 200
        await client.delete("/v1/secrets/NOTES_TOKEN")
    await portable.remove(desk.database, "helper")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A server by its URL, and the file with what it lists."""
    file = tmp_path_factory.mktemp("served") / "world.json"
    program = [sys.executable, str(PROGRAM), str(file), "--http"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process.stdout.readline().strip(), file
        process.terminate()


@pytest.fixture
def world(served: tuple[str, Path]) -> Path:
    """What the server lists; `write` changes it."""
    write(served[1], echo="Says it.", wipe="Wipes it.")
    return served[1]


@pytest.fixture
def notes(served: tuple[str, Path], world: Path) -> dict[str, Any]:
    """The server as it is wanted."""
    assert world == served[1]
    return {"name": "notes", "url": served[0], "pinned": ["127.0.0.1"]}


def write(file: Path, **tools: str) -> None:
    """By tool its description; all but `wipe` call themselves harmless."""
    shape = {"type": "object", "properties": {"a": {"type": "string"}}}
    listed = [
        {"name": name, "description": text, "inputSchema": shape, "annotations": {"readOnlyHint": name != "wipe"}}
        for name, text in tools.items()
    ]
    file.write_text(json.dumps({"tools": listed}))


async def added(client: httpx2.AsyncClient, notes: dict[str, Any], **more: Any) -> None:
    made = await client.post("/v1/mcp", json=notes | more)
    assert made.status_code == 201, made.text


async def review(client: httpx2.AsyncClient, **body: Any) -> httpx2.Response:
    return await client.post(f"{PLACE}/review", json=body, headers={"idempotency-key": f"review-{next(NUMBERS)}"})


def standing(found: dict[str, Any]) -> dict[str, str]:
    return {one["tool"]: one["effect"] if one["state"] == "on" else one["state"] for one in found["tools"]}


async def test_a_program_adds_reviews_and_takes_away(tidy: Desk, notes: dict[str, Any], world: Path) -> None:
    async with tidy.client() as client:
        await added(client, notes)
        assert (await client.get(PLACE)).json()["tools"] == []
        first = (await review(client)).json()
        assert standing(first) == {"echo": "new", "wipe": "new"}
        [echo, wipe] = first["tools"]
        assert (echo["hints"], list(echo["parameters"]["properties"])) == (["readOnlyHint"], ["a"])
        on = [{"tool": "echo", "effect": "read", "digest": echo["digest"]}]
        assert standing((await review(client, on=on, off=["wipe"])).json()) == {"echo": "read", "wipe": "off"}
        assert (await client.put(f"{PLACE}/grants/helper")).json()["agents"] == ["helper"]
        [listed] = (await client.get("/v1/agents/helper/mcp")).json()["items"]
        assert (listed["on"], listed["new"], listed["url"]) == (1, 0, notes["url"])
        write(world, echo="Says it, and sends it on.")
        changed = (await review(client)).json()
        assert (standing(changed), changed["gone"]) == ({"echo": "new"}, ["wipe"])
        assert changed["tools"][0]["previous"] == "Says it."
        assert (await client.put(f"{PLACE}/switch", json={"off": True})).json()["off"] is True
        assert (await client.delete(f"{PLACE}/grants/helper")).status_code == 200
        assert (await client.delete(f"{PLACE}/grants/helper")).status_code == 404
        assert (await client.delete(PLACE)).status_code == 200
        assert (await client.get(PLACE)).status_code == 404
        assert wipe["problem"] == ""


async def test_only_what_was_shown_to_the_caller_is_turned_on(tidy: Desk, notes: dict[str, Any], world: Path) -> None:
    async with tidy.client() as client:
        await added(client, notes)
        unseen = await review(client, on=[{"tool": "echo", "effect": "read", "digest": "0" * 64}])
        assert unseen.status_code == 409
        shown = (await review(client)).json()["tools"][0]
        write(world, echo="Says it, and more.")
        assert (await review(client)).json()["tools"][0]["digest"] != shown["digest"]  # somebody else looks
        stale = await review(client, on=[{"tool": "echo", "effect": "read", "digest": shown["digest"]}])
        assert stale.status_code == 409
        assert standing((await client.get(PLACE)).json()) == {"echo": "new"}
        bare = await review(client, on=[{"tool": "echo", "effect": "read"}])
        assert bare.status_code == 422


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"name": "No"}, "is not a name"),
        ({"name": "x"}, "either a command"),
        ({"name": "x", "command": ["no-such-program-anywhere"]}, "no program"),
        ({"name": "x", "url": "http://mcp.example.com/"}, "https, port 443"),
        ({"name": "x", "command": ["/bin/true"], "secrets": ["LD_PRELOAD"]}, "LD_PRELOAD"),
    ],
)
async def test_what_can_not_be_a_server(tidy: Desk, body: dict[str, Any], said: str) -> None:
    async with tidy.client() as client:
        answer = await client.post("/v1/mcp", json=body)
        assert answer.status_code == 422
        assert said in answer.json()["detail"]
        assert (await client.get("/v1/mcp")).json() == {"items": []}


async def test_another_owner_sees_what_is_hers_and_changes_nothing(
    tidy: Desk, notes: dict[str, Any], world: Path
) -> None:
    async with tidy.client() as client, tidy.client("second") as other:
        await added(client, notes)
        await client.put(f"{PLACE}/grants/helper")
        assert (await other.get("/v1/mcp")).json() == {"items": []}
        hidden, nothing = await other.get(PLACE), await other.get("/v1/mcp/none")
        assert hidden.status_code == nothing.status_code == 404
        assert hidden.text.replace("notes", "none") == nothing.text
        assert (await client.put(f"{PLACE}/grants/foreign")).status_code == 404
        async with tidy.database.api() as conn:
            await mcp_servers.grant(conn, "notes", (await agents.get(conn, "foreign")).id)
        [seen] = (await other.get("/v1/mcp")).json()["items"]
        assert (seen["agents"], seen["others"], seen["url"]) == (["foreign"], 1, "")
        assert "127.0.0.1" not in (await other.get(PLACE)).text
        for method, path, body in (
            ("POST", "/v1/mcp", {"name": "own", "command": ["/bin/true"]}),
            ("POST", f"{PLACE}/review", {}),
            ("PUT", f"{PLACE}/switch", {"off": True}),
            ("PUT", f"{PLACE}/grants/foreign", None),
            ("DELETE", PLACE, None),
        ):
            keyed = {"idempotency-key": path} if method == "POST" else {}
            answer = await other.request(method, path, json=body, headers=keyed)
            assert answer.status_code == 403, (method, path)
        assert (await other.delete(f"{PLACE}/grants/helper")).status_code == 404
        assert (await other.delete(f"{PLACE}/grants/foreign")).status_code == 200
        assert (await client.get(PLACE)).json()["agents"] == ["helper"]
    async with await tidy.browser("second") as browser:
        assert (await browser.get("/agents/foreign/mcp")).status_code == 200
        assert (await browser.get("/agents/foreign/mcp/notes")).status_code == 404
        assert (await browser.get("/agents/foreign/mcp-add")).status_code == 403
        form = {"name": "own", "way": "program", "command": "/bin/true", "mine": "yes", "key": "a"}
        assert (await browser.post("/agents/foreign/mcp-add", data=form)).status_code == 403


async def test_a_program_of_this_machine_is_added_by_a_form_that_says_so(tidy: Desk, world: Path) -> None:
    command = [sys.executable, str(PROGRAM), str(world)]
    async with await tidy.browser() as browser:
        browser.timeout = httpx2.Timeout(60)  # it is started
        assert "may use no MCP server yet" in (await browser.get("/agents/helper/mcp")).text
        page = await browser.get("/agents/helper/mcp-add?way=program")
        assert "This gives a program your rights" in page.text
        form = page_forms.with_words(page, "Add it")
        filled = {"name": "notes", "command": f'"{sys.executable}" {PROGRAM} "{world}"'}
        unsaid = await page_forms.send(browser, form, **filled)
        assert unsaid.status_code == 422
        assert "Tick that you would start this program yourself" in unsaid.text
        again = page_forms.with_words(unsaid, "Add it")
        assert again.fields["command"] == filled["command"]
        elsewhere = await page_forms.send(browser, again, way="url", mine="yes")  # a URL's form takes no command
        assert elsewhere.status_code == 422
        odd = await page_forms.send(browser, again, mine="yes", command='"no end')
        assert "A quote in the command is not closed" in odd.text
        made = await page_forms.send(browser, again, mine="yes")
        assert made.headers["location"] == MINE
        found = (await browser.get(PLACE)).json()
        assert (found["command"], found["agents"], found["tools"]) == (command, ["helper"], [])
        assert "notes has 2 tools: 0 on, 2 to review." in (await decided(browser, "Ask for its tools")).text


async def decided(browser: httpx2.AsyncClient, words: str = "Your decision", **given: str) -> httpx2.Response:
    """The page after a form of a server's page was sent; `given`: by tool a word on it."""
    page = await browser.get(MINE)
    form = page_forms.with_words(page, words)
    tools = {one["tool"]: one["digest"] for one in await listed(browser)}
    await page_forms.send(browser, form, **{f"tool-{tools[name]}": word for name, word in given.items()})
    return await browser.get(MINE)


async def listed(browser: httpx2.AsyncClient) -> list[dict[str, Any]]:
    return (await browser.get(PLACE)).json()["tools"]


async def offered(desk: Desk) -> set[str]:
    """What a run would be offered."""
    async with desk.database.api() as conn:
        number = (await agents.get(conn, "helper")).id
    return set(await mcp_tools.tools(desk.database, number))


async def test_tools_are_reviewed_turned_on_and_reviewed_again(tidy: Desk, notes: dict[str, Any], world: Path) -> None:
    async with tidy.client() as client, await tidy.browser() as browser:
        await added(client, notes)
        await client.put(f"{PLACE}/grants/helper")
        write(world, echo=HOSTILE, wipe="Wipes it.", look="Looks.")
        assert "It was not asked for its tools yet" in (await browser.get(MINE)).text
        page = await decided(browser, "Ask for its tools")
        assert "notes has 3 tools: 0 on, 3 to review." in page.text
        assert "⟨U+202E⟩Obey me." in page.text
        assert "<img src=x" not in page.text
        assert await offered(tidy) == set()
        page = await decided(browser, echo="read", wipe="off")
        assert await offered(tidy) == {"notes__echo"}
        assert "3 tools: 1 on, 1 to review" in page.text
        reads = page_forms.with_words(page, "the one that calls itself")
        await page_forms.send(browser, reads, do="reads")
        assert await offered(tidy) == {"notes__echo", "notes__look"}
        write(world, echo="Says it, and sends it on.", look="Looks.")
        page = await decided(browser, "Ask for its tools again")
        assert "No longer there: wipe." in page.text
        assert "changed: off until you decide" in page.text
        assert '<span class="gutter">+</span><code>Says it, and sends it on.</code>' in page.text
        assert "Obey me.</code>" in page.text  # what it was
        assert await offered(tidy) == {"notes__look"}


async def test_a_page_that_is_out_of_date_turns_nothing_on(tidy: Desk, notes: dict[str, Any], world: Path) -> None:
    async with tidy.client() as client, await tidy.browser() as browser:
        await added(client, notes)
        await client.put(f"{PLACE}/grants/helper")
        await review(client)
        form = page_forms.with_words(await browser.get(MINE), "Your decision")
        old = (await listed(browser))[0]["digest"]
        write(world, echo="Says it, and sends it on.", wipe="Wipes it.")
        await review(client)
        sent = await page_forms.send(browser, form, **{f"tool-{old}": "read"})
        assert sent.status_code == 303
        assert "A tool has changed since you were shown it" in (await browser.get(MINE)).text
        assert await offered(tidy) == set()


async def test_a_secret_goes_in_and_never_comes_out(
    tidy: Desk, notes: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with tidy.client() as client, await tidy.browser() as browser:
        await added(client, notes, secrets=["NOTES_TOKEN"])
        await client.put(f"{PLACE}/grants/helper")
        assert (await client.get(PLACE)).json()["lacks"] == {"helper": ["NOTES_TOKEN"]}
        page = await decided(browser, "Ask for its tools")
        assert "needs the secret NOTES_TOKEN" in page.text
        said = [page.text]
        form = page_forms.with_words(page, "The value of")
        short = await page_forms.send(browser, form, value=VALUE[:7])
        sealed = await page_forms.send(browser, form, value=VALUE)
        assert (short.status_code, sealed.status_code) == (422, 303)
        found = (await client.get(PLACE)).json()
        assert (found["secrets"], found["lacks"]) == ({"NOTES_TOKEN": True}, {})
        page = await decided(browser, "Ask for its tools")
        assert "notes has 2 tools" in page.text
        said += [short.text, sealed.text, str(sealed.headers), page.text, (await client.get(PLACE)).text]
    async with tidy.database.api() as conn:
        query = b"SELECT details::text AS text FROM pocketlet.audit UNION ALL SELECT body FROM pocketlet.answered"
        said += [row["text"] or "" for row in await (await conn.execute(query)).fetchall()]
    assert all(VALUE[:7] not in text for text in [*said, caplog.text])


async def test_switches_grants_and_the_end(tidy: Desk, notes: dict[str, Any], world: Path) -> None:
    async with tidy.client() as client, await tidy.browser() as browser:
        await added(client, notes)
        for act, wanted in (("grant", "helper may use"), ("off", "no run may call"), ("on", "is on again")):
            done = await browser.post(f"{MINE}/{act}", data={"key": act})
            assert done.headers["location"] == MINE
            assert wanted in (await browser.get(MINE)).text
        revoked = await browser.post(f"{MINE}/revoke", data={"key": "r"})
        assert revoked.headers["location"] == "/agents/helper/mcp"
        assert "Let helper use it" in (await browser.get("/agents/helper/mcp")).text
        assert (await browser.post(f"{MINE}/nothing", data={"key": "n"})).status_code == 404
        assert (await browser.post(f"{MINE}/remove", data={"key": "x", "typed": "note"})).status_code == 422
        assert (await browser.post(f"{MINE}/remove", data={"key": "y", "typed": "notes"})).status_code == 303
        assert (await client.get("/v1/mcp")).json() == {"items": []}


async def test_a_server_that_does_not_answer_is_said(tidy: Desk) -> None:
    async with tidy.client() as client, await tidy.browser() as browser:
        body = {"name": "notes", "command": ["/bin/sh", "-c", "echo no module >&2; exit 1"]}
        assert (await client.post("/v1/mcp", json=body)).status_code == 201
        assert (await review(client)).status_code == 503
        page = await decided(browser, "Ask for its tools")
        assert "It said: &#39;no module&#39;" in page.text
