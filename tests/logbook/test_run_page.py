"""The page of a run and what it is made of, on the crm demo's runs and on some written by hand."""

import uuid
from collections.abc import AsyncGenerator
from decimal import Decimal
from typing import Any

import httpx2
import pytest
from desks import Desk
from handmade import Handmade, hire

from pocketlet.agents import agent as agents
from pocketlet.platform import connection_changes, connections, vault

HOSTILE = (
    b"From: mallory@evil.example\r\nTo: shop@crm.example\r\nSubject: <b>Hi</b>\r\nMessage-ID: <x@evil.example>\r\n\r\n"
    b"<img src=x onerror=alert(1)><script>alert(2)</script>"
    b'<button hx-get="/pwn" hx-trigger="load">x</button> [click](javascript:alert(3)) <hx-partial hx-target="#main">'
)

MAIL = (
    b"From: Ann <ann@customer.example>\r\nTo: shop@crm.example\r\nSubject: Late\r\nMessage-ID: <l@customer.example>\r\n"
    b"\r\nWhere is my parcel?"
)


@pytest.fixture(scope="module")
async def writer(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> agents.Agent:
    """An agent whose runs nobody else looks at."""
    return await hire(desk.database, tmp_path_factory.mktemp("writer"), "written")


@pytest.fixture(scope="module")
async def provider(desk: Desk) -> AsyncGenerator[str]:
    """A model whose price is known and whose key is sealed; nobody asks it."""
    async with desk.database.api() as conn:
        await vault.put(conn, vault.key(desk.config.home), "ANTHROPIC_API_KEY", "none")
    yield "anthropic:claude-sonnet-4-5"
    async with desk.database.api() as conn:
        await vault.remove(conn, "ANTHROPIC_API_KEY")


async def asked(desk: Desk, path: str, owner: str = "owner") -> Any:
    """What the API says."""
    async with desk.client(owner) as client:
        answer = await client.get(f"/v1{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def keyed() -> dict[str, str]:
    """A key that was never used."""
    return {"idempotency-key": uuid.uuid4().hex}


async def test_a_run_says_how_it_stands_and_where_the_money_went(desk: Desk) -> None:
    told = await asked(desk, f"/runs/{desk.run_of('known-customer')}")
    assert (told["title"], told["totals"]["standing"]) == ("Where is my parcel?", "Done")
    assert told["task"]["origin"] == told["label"] == "outside"
    assert told["totals"]["steps"] == 10
    assert Decimal(told["totals"]["cap_usd"]) == Decimal("0.5")
    dear = [Decimal(one["cost"]) for one in told["dearest"]]
    assert dear == sorted(dear, reverse=True)
    assert sum(dear) == Decimal(told["totals"]["cost"])  # it made no more than five calls
    assert {"customers", "reply-to-customer"} <= {one["name"] for one in told["touched"]}
    assert sum(one["share"] for one in told["context"]) == pytest.approx(1, abs=0.001)
    assert [one["state"] for one in told["acts"]] == ["succeeded"]


async def test_the_lessons_that_a_run_was_told_lead_to_the_word_they_come_from(desk: Desk) -> None:
    told = await asked(desk, f"/runs/{desk.run_of('policy-followed')}")
    [lesson] = told["lessons"]
    assert lesson["taught_on"] == desk.run_of("known-customer")
    assert lesson["when"] == {"intent": "late_order"}


async def test_steps_are_a_story(desk: Desk) -> None:
    steps = (await asked(desk, f"/runs/{desk.run_of('known-customer')}/steps"))["items"]
    assert [one["said"] for one in steps[:4]] == [
        "Decided to read the skill reply-to-customer",
        "Read the skill reply-to-customer",
        "Decided to look at messages and customers",
        "Looked at customers and messages",
    ]
    look = steps[3]
    assert [(block["form"], block["origin"]) for block in look["blocks"]] == [("sql", "model"), ("table", "own")]
    assert (look["note"], len(look["blocks"][1]["rows"])) == ("5 rows", 5)
    sent = next(one for one in steps if one["tool"] == "send_mail")
    assert (sent["state"], sent["note"], sent["blocks"][0]["form"]) == ("done", "you said yes", "mail")
    assert all(Decimal(one["cost"]) > 0 for one in steps if one["kind"] == "model")
    assert all(Decimal(one["cost"]) == 0 for one in steps if one["kind"] == "tool")


async def test_a_blocked_act_names_the_rule_and_says_that_nothing_was_sent(desk: Desk) -> None:
    number = desk.run_of("attack")
    steps = (await asked(desk, f"/runs/{number}/steps"))["items"]
    [blocked] = [one for one in steps if one["state"] == "blocked"]
    assert (blocked["said"], blocked["rule"]) == ("Blocked by policy", "unbound-destination")
    assert blocked["blocks"][0]["text"].startswith("send_mail → collector@evil.example: ")
    assert blocked["blocks"][0]["text"].endswith("Nothing was sent.")
    assert {block["origin"] for block in blocked["blocks"]} == {"blocked"}
    async with await desk.browser() as browser:
        page = (await browser.get(f"/runs/{number}")).text
    assert "Blocked by policy" in page
    assert "unbound-destination" in page
    assert 'class="block from-blocked"' in page


async def test_the_owners_no_is_no_failure(desk: Desk) -> None:
    number = desk.run_of("rollback")
    told = await asked(desk, f"/runs/{number}")
    assert (told["totals"]["standing"], told["totals"]["held"]) == ("Ended: you said no", "refused")
    assert told["kept_back"].startswith("You said no: crm did not send a mail to ")
    steps = (await asked(desk, f"/runs/{number}/steps"))["items"]
    [act] = [one for one in steps if one["state"] == "refused"]
    assert act["said"].startswith("You said no: it did not send a mail to ")
    assert steps[-1]["act"] == "halt"
    async with await desk.browser() as browser:
        page = (await browser.get(f"/runs/{number}")).text
    assert "is-failed" not in page
    assert "is-blocked" not in page
    assert page.count(told["kept_back"]) == 1


async def test_learning_leads_from_what_was_said_to_the_change(desk: Desk) -> None:
    everything = (await asked(desk, "/runs?kind=manager&agent=crm"))["items"]
    number = min(one["run"] for one in everything)
    told = await asked(desk, f"/runs/{number}")
    async with await desk.browser() as browser:
        page = (await browser.get(f"/runs/{number}")).text
    assert f'href="/feedback/{told["feedback"]}"' in page
    assert f'href="/agents/crm/playbook/{told["drafted"]}"' in page
    assert f'href="/agents/crm/playbook/{told["revision"]}"' in page


async def test_a_replay_says_what_it_would_have_sent(desk: Desk) -> None:
    number = max(one["run"] for one in (await asked(desk, "/runs?kind=trial&agent=crm&state=done"))["items"])
    async with await desk.browser() as browser:
        page = (await browser.get(f"/runs/{number}")).text
    assert "crm would have sent a mail to " in page
    assert 'class="result"' not in page


async def test_steps_come_in_parts(desk: Desk) -> None:
    path = f"/runs/{desk.run_of('known-customer')}/steps"
    first = await asked(desk, f"{path}?limit=4")
    then = await asked(desk, f"{path}?limit=4&after={first['later']}")
    last = await asked(desk, f"{path}?limit=4&before=11")
    before = await asked(desk, f"{path}?limit=4&before={last['earlier']}")

    def numbers(part: Any) -> list[int]:
        return [one["seq"] for one in part["items"]]

    assert (numbers(first), numbers(then)) == ([1, 2, 3, 4], [5, 6, 7, 8])
    assert (numbers(before), numbers(last)) == ([3, 4, 5, 6], [7, 8, 9, 10])
    assert (first["earlier"], last["later"]) == (None, None)
    assert numbers(await asked(desk, f"{path}?after=10")) == []


async def test_the_page_shows_the_last_steps_and_those_that_are_asked_for(desk: Desk, writer: agents.Agent) -> None:
    made = Handmade(desk.database, writer)
    number = await made.begin()
    await made.steps(160)
    await made.rest()
    async with await desk.browser() as browser:
        last = (await browser.get(f"/runs/{number}")).text
        one = (await browser.get(f"/runs/{number}?step=3")).text
        more = (await browser.get(f"/runs/{number}/steps?before=11")).text
    assert 'id="step-160"' in last
    assert 'id="step-11"' in last
    assert 'id="step-10"' not in last
    assert f'href="/runs/{number}?before=11#steps"' in last  # a link that works without a script
    assert 'id="step-3"' in one
    assert 'id="step-160"' not in one
    assert [more.count(f'id="step-{seq}"') for seq in (1, 10, 11)] == [1, 1, 0]
    assert "<html" not in more


async def test_a_run_that_goes_on_is_followed_and_one_that_ended_is_not(desk: Desk, writer: agents.Agent) -> None:
    made = Handmade(desk.database, writer)
    number = await made.begin()
    await made.steps(2)
    async with await desk.browser() as browser:
        goes_on = (await browser.get(f"/runs/{number}")).text
        await made.rest()
        ended = (await browser.get(f"/runs/{number}")).text
    assert f'hx-sse:connect="/runs/{number}/live?after=2&amp;waits="' in goes_on
    assert "Stop this run" in goes_on
    assert 'hx-trigger="waits from:#stream" hx-select="#more" hx-select-oob="#touched,#about"' in goes_on
    assert 'href="#feedback"' in goes_on
    assert "hx-sse:connect" not in ended
    assert "Do it again" in ended


async def test_a_run_that_waits_shows_its_letter(desk: Desk, writer: agents.Agent) -> None:
    made = Handmade(desk.database, writer)
    number = await made.begin(MAIL)
    await made.steps(1)
    approval = await made.ask("ann@customer.example", "Re: Late", "Dear Ann, it comes tomorrow.")
    told = (await asked(desk, f"/runs/{number}"))["totals"]
    assert (told["standing"], told["waits"]) == ("Waiting for you", [approval])
    async with await desk.browser() as browser:
        page = (await browser.get(f"/runs/{number}")).text
        letters = (await browser.get(f"/runs/{number}/letters")).text
        for text in (page, letters):
            assert text.count("Dear Ann, it comes tomorrow.") >= 1
            assert f'action="/approvals/{approval}/approve"' in text
        assert page.count('class="primary"') == 1
        assert f"live?after=1&amp;waits={approval}" in page
        anew = await _until_stopped(browser, number, "/live?after=0&waits=", {})
    assert anew == ["waits", "waits", "end"]  # the letter comes, and goes when the run is stopped


async def test_a_letter_that_the_page_has_is_not_put_there_again(desk: Desk, writer: agents.Agent) -> None:
    made = Handmade(desk.database, writer)
    number = await made.begin(MAIL)
    approval = await made.ask("ann@customer.example", "Re: Late", "Dear Ann, it comes tomorrow.")
    async with await desk.browser() as browser:  # the owner may be editing it
        told = await _until_stopped(browser, number, "/live?after=0", {"last-event-id": f"0:{approval}"})
    assert told == ["waits", "end"]


async def _until_stopped(browser: httpx2.AsyncClient, number: int, path: str, fields: dict[str, str]) -> list[str]:
    """The named messages of a stream; the run is stopped once the stream has told how it stands."""
    named: list[str] = []
    async with browser.stream("GET", f"/runs/{number}{path}", headers=fields) as answer:
        async for line in answer.aiter_lines():
            if 'data-say="Waiting for you"' in line:
                await browser.post(f"/runs/{number}/stop", data={})
            if line.startswith("event: "):
                named.append(line.removeprefix("event: "))
    return named


async def test_hostile_text_is_text(desk: Desk, writer: agents.Agent) -> None:
    made = Handmade(desk.database, writer)
    number = await made.begin(HOSTILE)
    text = "<img src=y onerror=alert(4)> [a](javascript:alert(5)) <hx-partial hx-target='#main'>x</hx-partial>"
    await made.think(text)
    await made.use("sql", f"name\n{text}\n(1 row)", {"rows": 1, "capped": "", "from": "outside"}, query=text)
    await made.rest(result=text)
    async with await desk.browser() as browser:
        page = (await browser.get(f"/runs/{number}")).text.lower()
    assert not [bad for bad in ("<img", "<script>", "<button hx", "<hx-partial", 'href="javascript') if bad in page]
    assert "&lt;img" in page
    assert 'class="stripe from-outside"' in page  # rows from outside are marked as that


async def test_a_call_shows_connection_and_secret_by_name_and_no_value(desk: Desk, writer: agents.Agent) -> None:
    key, value = "WRITTEN_TOKEN", "s3cret-value-nobody-sees"
    auth = connections.Auth("bearer", (connections.Place("bearer", key),))
    draft = connections.Draft("carrier", "https://api.example.com", auth, allow=(connections.operation("GET /x"),))
    async with desk.database.api() as conn:
        sealing_key = vault.key(desk.config.home)
        await vault.put(conn, sealing_key, key, value)
        await connection_changes.add(conn, sealing_key, draft)
        await connection_changes.grant(conn, "carrier", writer.name)
    made = Handmade(desk.database, writer)
    number = await made.begin()
    await made.think(tool="http", connection="carrier", method="GET", path="/x")
    answer = "HTTP 200\ncontent-type: application/json\n\n{}"
    await made.use("http", answer, {"from": "outside"}, connection="carrier", method="GET", path="/x")
    await made.rest()
    call = (await asked(desk, f"/runs/{number}/steps"))["items"][1]
    assert (call["said"], call["note"]) == ("Asked carrier", "HTTP 200")
    assert (call["connection"], call["secrets"]) == ("carrier", [key])
    assert call["blocks"][0]["text"] == "GET https://api.example.com/x"
    assert [block["origin"] for block in call["blocks"]] == ["model", "outside"]
    async with await desk.browser() as browser, desk.client() as client:
        found = [(await browser.get(f"/runs/{number}")).text, (await client.get(f"/v1/runs/{number}")).text]
        found.append((await client.get(f"/v1/runs/{number}/steps")).text)
    assert key in found[0]
    assert not [text for text in found if value in text]


async def test_a_turn_of_the_talk_is_stopped_and_tried_again(desk: Desk, writer: agents.Agent) -> None:
    """Without a worker: the turn waits, is stopped at once, and waits again."""
    async with desk.client() as client:
        said = {"message": "Hello."}
        asked = await client.post(f"/v1/agents/{writer.name}/chat", json=said, headers={"idempotency-key": "hello"})
        place = f"/v1/agents/{writer.name}/chat/{asked.json()['run']}"
        assert (await client.post(f"{place}/stop")).json()["state"] == "stopped"
        again = await client.post(f"{place}/retry", headers={"idempotency-key": "again"})
        assert again.json()["state"] == "queued"
        assert (await client.post(f"{place}/stop")).json()["state"] == "stopped"


async def test_a_run_is_started_stopped_gone_on_with_and_done_again(desk: Desk, writer: agents.Agent) -> None:
    async with desk.client() as client:
        key = keyed()
        body = {"input": "Say hello", "outside": True, "dry": False}
        made = await client.post(f"/v1/agents/{writer.name}/runs", json=body, headers=key)
        again = await client.post(f"/v1/agents/{writer.name}/runs", json=body, headers=key)
        run = made.json()["run"]
        assert (made.status_code, again.json()["run"]) == (201, run)
        assert (await client.post(f"/v1/agents/{writer.name}/runs", json=body)).status_code == 422  # no key
        assert (await client.get(f"/v1/runs/{run}")).json()["task"]["origin"] == "outside"
        assert (await client.post(f"/v1/runs/{run}/stop")).json()["state"] == "stopped"
        assert (await client.post(f"/v1/runs/{run}/stop")).status_code == 409
        assert (await client.post(f"/v1/runs/{run}/retry", headers=keyed())).json()["state"] == "queued"
        await client.post(f"/v1/runs/{run}/stop")
        other = (await client.post(f"/v1/runs/{run}/rerun", json={"dry": True}, headers=keyed())).json()["run"]
        told = (await client.get(f"/v1/runs/{other}")).json()
        assert (other > run, told["dry"], told["task"]["text"]) == (True, True, "Say hello")
        await client.post(f"/v1/runs/{other}/stop")


async def test_another_model_is_tried_with_its_price_first(desk: Desk, provider: str) -> None:
    run = desk.run_of("known-customer")
    async with desk.client() as client:
        quote = (await client.get(f"/v1/runs/{run}/quote?model={provider}")).json()
        assert Decimal(quote["forecast_usd"]) > Decimal(quote["cost"]) > 0
        assert (await client.get(f"/v1/runs/{run}/quote?model=none")).status_code == 422
        made = await client.post(f"/v1/runs/{run}/replay", json={"model": provider}, headers=keyed())
        number = made.json()["run"]
        told = (await client.get(f"/v1/runs/{number}")).json()
        assert (told["kind"], told["replays"]["run"], told["model"]) == ("trial", run, provider)
        await client.post(f"/v1/runs/{number}/stop")


async def test_forms_do_the_same_and_act_once(desk: Desk, writer: agents.Agent, provider: str) -> None:
    made = Handmade(desk.database, writer)
    number = await made.begin()
    await made.rest()
    async with await desk.browser() as browser:
        form = {"key": uuid.uuid4().hex, "dry": "yes"}
        first = await browser.post(f"/runs/{number}/rerun", data=form)
        second = await browser.post(f"/runs/{number}/rerun", data=form)
        assert (first.status_code, second.headers["location"]) == (303, first.headers["location"])
        lead = first.headers["location"]
        assert "nothing is sent" in (await browser.get(lead)).text
        stopped = await browser.post(f"{lead}/stop", data={})
        assert stopped.headers["location"] == lead
        assert "The run is stopped." in (await browser.get(lead)).text
        quoted = await browser.get(f"/runs/{desk.run_of('attack')}/replay?model={provider}")
        assert "Try it for about" in quoted.text


async def test_an_opened_run_is_read(desk: Desk) -> None:
    number = desk.run_of("new-customer")
    async with await desk.browser() as browser:
        await browser.get(f"/runs/{number}")
    [found] = [one for one in (await asked(desk, "/runs?limit=200"))["items"] if one["run"] == number]
    assert found["unread"] is False


PATHS = ("", "/standing", "/steps", "/events", "/quote?model=anthropic:claude-sonnet-4-5")
ACTS = (
    ("/stop", None),
    ("/retry", None),
    ("/rerun", {"dry": True}),
    ("/replay", {"model": "anthropic:claude-sonnet-4-5"}),
)
PAGES = ("", "/steps", "/letters", "/live", "/replay?model=anthropic:claude-sonnet-4-5")


async def test_another_owners_run_is_the_same_as_none(desk: Desk) -> None:
    number, none = desk.run_of("attack"), 999_999

    def same(mine: httpx2.Response, nobody: httpx2.Response) -> bool:
        plain = nobody.text.replace(str(none), str(number))
        return mine.status_code == nobody.status_code == 404 and mine.text == plain

    async with desk.client("second") as client:
        for path in PATHS:
            assert same(await client.get(f"/v1/runs/{number}{path}"), await client.get(f"/v1/runs/{none}{path}")), path
        for path, body in ACTS:
            answers = [await client.post(f"/v1/runs/{one}{path}", json=body, headers=keyed()) for one in (number, none)]
            assert same(*answers), path
        body = {"input": "x"}
        answer = await client.post("/v1/agents/crm/runs", json=body, headers=keyed())
        assert answer.status_code == 404
    async with await desk.browser("second") as browser:
        assert [(await browser.get(f"/runs/{number}{path}")).status_code for path in PAGES] == [404] * len(PAGES)
        assert [(await browser.get(f"/runs/{one}")).status_code for one in ("x", "1x", "٣")] == [404] * 3
