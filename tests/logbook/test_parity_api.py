"""What only commands could do: cases, replays, another model, past mail, the audit trail, grants, removing an agent."""

import itertools
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import asking
import httpx2
import page_forms
import pytest
import reading_ground as ground
from desks import Desk

from pocketlet.agents import agent as agents
from pocketlet.agents import loop, worker
from pocketlet.demo import story
from pocketlet.learning import kinds
from pocketlet.platform import audit, owners

_keys = itertools.count(1)


@pytest.fixture(scope="module")
async def desk(expendable: Desk, standin_url: str) -> AsyncGenerator[Desk]:
    """A desk of this module's own with the lesson of the story in force, on which models answer, but only `at_work`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_BASE_URL", standin_url)
        patch.setenv("OPENAI_API_KEY", "stand-in")
        async with expendable.client() as client:
            forward = await client.post("/v1/agents/crm/rollback", json={"revision": 2}, headers=key())
        assert forward.json()["current"] == 2
        yield expendable


def at_work(desk: Desk) -> AbstractAsyncContextManager[loop.Engine]:
    return worker.serving(desk.database, desk.config, "command", kinds.KINDS)


def key() -> dict[str, str]:
    return {"idempotency-key": f"parity-{next(_keys)}"}


async def ended(client: httpx2.AsyncClient, *runs: int) -> None:
    for run in runs:
        async with client.stream("GET", f"/v1/runs/{run}/events", timeout=60) as answer:
            async for _ in answer.aiter_lines():
                pass


async def cases(client: httpx2.AsyncClient, agent: str = "crm") -> list[dict[str, Any]]:
    return (await client.get(f"/v1/agents/{agent}/cases")).json()["items"]


async def corrected(desk: Desk, client: httpx2.AsyncClient) -> dict[str, Any]:
    [found] = [one for one in await cases(client) if one["run"] == desk.run_of("known-customer")]
    return found


async def test_cases_say_what_they_must_show_and_come_in_parts(desk: Desk) -> None:
    async with desk.client() as client:
        one, listed = await corrected(desk, client), await cases(client)
        first = (await client.get("/v1/agents/crm/cases?limit=1")).json()
        second = (await client.get(f"/v1/agents/crm/cases?limit=1&cursor={first['next']}")).json()
    assert (one["subject"], one["scope"]["intent"], one["needed"]) == ("Where is my parcel?", "late_order", 3)
    assert any("10 %" in sentence for sentence in one["assertions"])
    assert [first["items"][0], second["items"][0]] == listed[:2]


async def test_a_case_is_pinned_by_program_and_page(desk: Desk) -> None:
    async with desk.client() as client, await desk.browser() as browser, await desk.browser("second") as second:
        case = (await corrected(desk, client))["case"]
        place = f"/v1/agents/crm/cases/{case}/pin"
        assert "is tried on it" in (await client.put(place, json={"pinned": True})).json()["said"]
        assert (await corrected(desk, client))["pinned"]
        assert (await client.put("/v1/agents/crm/cases/999999/pin", json={"pinned": True})).status_code == 404
        assert '"/agents/crm/cases"' in (await browser.get("/agents/crm/playbook")).text
        page = await browser.get("/agents/crm/cases")
        assert "10 %" in page.text
        sent = await page_forms.send(browser, page_forms.with_words(page, "Unpin it"))
        assert (sent.status_code, sent.headers["location"]) == (303, f"/agents/crm/cases#case-{case}")
        assert not (await corrected(desk, client))["pinned"]
        assert "no cases yet" in (await second.get("/agents/foreign/cases")).text


async def test_past_runs_are_replayed_on_a_revision_and_nothing_is_decided(desk: Desk) -> None:
    async with desk.client() as client:
        case, before = (await corrected(desk, client))["case"], (await client.get("/v1/agents/crm/revisions")).json()
        runs: list[int] = []
        for revision in (1, 2):
            place = f"/v1/agents/crm/revisions/{revision}/trials"
            begun = await client.post(place, json={"case": case}, headers=key())
            assert (begun.status_code, begun.json()["look"], begun.json()["purpose"]) == (202, place, "compare")
            runs += begun.json()["runs"]
        first, second = runs
        [newest, *_] = (await client.get(place)).json()["items"]
        assert (newest["run"], newest["verdict"], newest["failed"]) == (second, "pending", [])
        async with at_work(desk):
            await ended(client, *runs)
        on_second = (await client.get(place)).json()["items"][0]
        on_first = (await client.get("/v1/agents/crm/revisions/1/trials?limit=1")).json()
        assert (on_second["run"], on_second["verdict"], on_second["case_run"]) == (
            second,
            "pass",
            desk.run_of("known-customer"),
        )
        [row] = on_first["items"]
        assert (row["run"], row["verdict"]) == (first, "fail")
        assert any("10 %" in sentence for sentence in row["failed"])
        assert Decimal(row["cost"]) > 0
        older = (await client.get(f"/v1/agents/crm/revisions/1/trials?cursor={on_first['next']}")).json()["items"]
        assert all(one["run"] < first for one in older)
        assert (await client.get("/v1/agents/crm/revisions")).json() == before


async def test_there_is_nothing_to_replay(desk: Desk) -> None:
    async with desk.client() as client:
        share = [one["case"] for one in await cases(client) if one["audit"] and one["state"] != "retired"]
        audits = await client.post("/v1/agents/crm/revisions/1/trials", json={"audit": True}, headers=key())
        assert (audits.status_code, len(audits.json().get("runs", []))) == (202 if share else 404, len(share))
        for place, body in (("crm/revisions/999", {}), ("crm/revisions/1", {"case": 999999})):
            answer = await client.post(f"/v1/agents/{place}/trials", json=body, headers=key())
            assert answer.status_code == 404, answer.text
        assert (await client.post("/v1/agents/crm/revisions/1/trials", json={})).status_code == 422  # no key
    async with desk.client("second") as second:
        none = await second.post("/v1/agents/foreign/revisions/1/trials", json={}, headers=key())
    assert (none.status_code, none.json()["detail"]) == (404, "foreign has no case.")


async def test_the_storys_comparison_is_read_from_its_rows(desk: Desk) -> None:
    [told] = [one for one in desk.told["steps"] if one["id"] == "rollback"]
    async with desk.client() as client:
        asked = {"model": story.OTHER_MODEL, "revision": 2}
        found = (await client.get("/v1/agents/crm/comparison", params=asked)).json()
        none = (await client.get("/v1/agents/crm/comparison", params={"model": "openai:never"})).json()
    assert found["counts"] == told["facts"]["compared"]
    assert (found["pending"], len(found["cases"])) == ([], sum(found["counts"].values()))
    assert found["cost_usd"] == "0"  # a stand-in on loopback
    assert (none["cases"], none["per_task_usd"]) == ([], {"before": None, "after": None})


async def test_another_model_is_quoted_tried_and_compared(desk: Desk) -> None:
    model = {"model": "openai:standin/gullible=1", "cases": 1}
    async with desk.client() as client:
        quote = (await client.get("/v1/agents/crm/comparison/quote", params=model)).json()
        assert (quote["listed"], quote["cases"], quote["current"]) == ("agent.toml", 1, model["model"])
        assert Decimal(quote["forecast_usd"]) > 0
        unpriced = await client.get("/v1/agents/crm/comparison/quote", params={"model": "nobody:none"})
        assert unpriced.status_code == 422
        begun = await client.post("/v1/agents/crm/comparison", json=model, headers=key())
        assert (begun.status_code, begun.json()["forecast_usd"]) == (202, quote["forecast_usd"])
        look, [run] = begun.json()["look"], begun.json()["runs"]
        waits = (await client.get(look)).json()
        assert (waits["pending"], waits["cases"]) == ([run], [])
        async with at_work(desk):
            await ended(client, run)
        found = (await client.get(look)).json()
    [row] = found["cases"]
    assert (row["after"]["run"], found["pending"], found["revision"]) == (run, [], quote["revision"])
    assert row["before"]["run"] < run
    assert sum(found["counts"].values()) == 1
    assert Decimal(found["cost_usd"]) == Decimal(row["after"]["cost_usd"]) > 0


def mail(sender: str, to: str, name: str, text: str, **more: str) -> str:
    message = EmailMessage()
    message["From"], message["To"], message["Message-ID"] = sender, to, f"<{name}@x.example>"
    message["Subject"], message["Date"] = f"About {name}", "Mon, 02 Nov 2026 10:00:00 +0000"
    for one, value in more.items():
        message[one.replace("_", "-")] = value
    message.set_content(text)
    return message.as_string()


async def test_past_mail_is_answered_anew_and_real_answers_teach(desk: Desk) -> None:
    ann, shop = "ann@customer.example", "shop@crm.example"
    mails = [
        mail(ann, shop, "ask1", "Do you have the kettle in stock, and how much is it?"),
        mail(shop, ann, "re1", "It is 20 EUR.", In_Reply_To="<ask1@x.example>"),
        mail(ann, shop, "ask2", "Never answered."),
    ]
    place = "/v1/agents/crm/backtest"
    async with desk.client() as client:
        body: dict[str, object] = {"mails": mails}
        new = (await client.post(f"{place}/results", json=body)).json()
        assert (new["me"], new["answered"], new["unanswered"]) == (shop, 1, 1)
        assert [(one["verdict"], one["run"]) for one in new["pairs"]] == [("new", None)]
        begun = await client.post(place, json=body, headers=key())
        [pair] = begun.json()["pairs"]
        assert (begun.status_code, pair["verdict"], pair["answer"].strip()) == (202, "pending", "It is 20 EUR.")
        async with at_work(desk):
            await ended(client, pair["run"])
        [done] = (await client.post(f"{place}/results", json=body)).json()["pairs"]
        assert (done["run"], done["verdict"] in ("differs", "none")) == (pair["run"], True)
        again = (await client.post(place, json=body, headers=key())).json()
        assert again["pairs"] == [done]
        effects = (await client.get(f"/v1/runs/{pair['run']}")).json()["acts"]
        assert {one["state"] for one in effects} <= {"captured"}
        beyond = await client.post(f"{place}/learn", json=body | {"pairs": [2]}, headers=key())
        assert (beyond.status_code, "no pair 2" in beyond.json()["detail"]) == (422, True)
        learned = (await client.post(f"{place}/learn", json=body | {"pairs": [1]}, headers=key())).json()
        given = (await client.get(f"/v1/feedback/{learned['pairs'][0]['feedback']}")).json()["given"]
        assert (given["source"], given["run"], given["edited"].strip()) == ("backtest", pair["run"], "It is 20 EUR.")
        late = await client.post(f"{place}/results", json=body | {"since": "2026-11-03"})
        assert (late.status_code, "can be used" in late.json()["detail"]) == (422, True)


async def test_the_audit_trail_is_read_and_proved_by_its_keeper(desk: Desk) -> None:
    async with desk.client() as client, desk.client("second") as second:
        first = (await client.get("/v1/audit?limit=2")).json()
        after = (await client.get(f"/v1/audit?limit=2&cursor={first['next']}")).json()
        assert first["items"][1]["row"] == after["items"][0]["row"] + 1
        run = desk.run_of("attack")
        blocked = (await client.get(f"/v1/audit?agent=crm&run={run}")).json()["items"]
        assert blocked
        assert {(one["agent"], one["run"]) for one in blocked} == {("crm", run)}
        chain = (await client.post("/v1/audit/verify", json={})).json()
        assert (chain["ok"], chain["rows"], chain["broken"]) == (True, chain["head"]["row"], None)
        anchor = f"{chain['head']['row']} {chain['head']['hash']}"
        assert (await client.post("/v1/audit/verify", json={"anchors": [anchor]})).json()["ok"]
        other = {"anchors": [f"1 {'0' * 64}"]}
        broken = (await client.post("/v1/audit/verify", json=other)).json()
        assert (broken["ok"], broken["broken"]) == (False, 1)
        assert (await client.post("/v1/audit/verify", json={"anchors": ["x"]})).status_code == 422
        assert (await second.get("/v1/audit")).status_code == 403
        assert (await second.post("/v1/audit/verify", json={})).status_code == 403


async def test_a_secret_is_granted_and_taken_back(desk: Desk) -> None:
    place = "/v1/secrets/PARITY_TOKEN"
    async with desk.client() as client:
        assert (await client.put(f"{place}/grants/crm")).status_code == 404
        await client.put(place, json={"value": "a-value-of-some-length"})
        assert (await client.put(f"{place}/grants/crm")).json()["said"] == "Connections of crm may use PARITY_TOKEN."
        theirs, nobodys = [await client.put(f"{place}/grants/{name}") for name in ("foreign", "nobody")]
        [secret] = [one for one in (await client.get("/v1/secrets")).json()["items"] if one["name"] == "PARITY_TOKEN"]
        assert (secret["agents"], secret["others"]) == (["crm"], 0)
        assert (await client.delete(f"{place}/grants/crm")).status_code == 200
        assert (await client.delete(f"{place}/grants/crm")).status_code == 404
    assert (theirs.status_code, theirs.text.replace("foreign", "nobody")) == (404, nobodys.text)
    async with desk.database.api() as conn:
        rows = await audit.listing(conn, limit=2)
    assert [one["action"] for one in rows] == ["secret.revoke", "secret.grant"]


SCHEMAS = b"SELECT nspname FROM pg_namespace WHERE nspname LIKE %s"
LEFT = b"SELECT sum(cost) AS usd FROM pocketlet.ledger WHERE agent = %s"


async def test_an_agent_is_removed_by_its_name(desk: Desk, tmp_path: Path) -> None:
    agent = await asking.hire(desk.database, tmp_path, "leaver")
    async with desk.database.api() as conn:
        run = await ground.worked(conn, agent, "Hello", "waiting")
        await ground.spent(conn, agent, run, "0.25")
        owner = await owners.by_name(conn, "owner")
        _, weak = await owners.new_token(conn, owner, "weak", frozenset({"read", "run", "approve"}), None)
    place = "/v1/agents/leaver/removal"
    async with desk.client() as client:
        found = (await client.get(place)).json()
        assert (found["runs"], found["under_way"], found["revisions"], found["spent"]) == (1, 1, 1, "0.25")
        body = {"name": "leaver"}
        scoped = await client.post(place, json=body, headers={"authorization": f"Bearer {weak}"})
        assert scoped.status_code == 403
        for wrong in ({"name": "Leaver"}, {"name": ""}, {}):
            assert (await client.post(place, json=wrong)).status_code == 422
        assert (await client.get(place)).json() == found
        done = await client.post(place, json=body)
        assert (done.status_code, "What it cost stays" in done.json()["said"]) == (200, True)
        assert [(await client.get(path)).status_code for path in (place, f"/v1/runs/{run}")] == [404, 404]
        assert (await client.post(place, json=body)).status_code == 404
    async with desk.database.setup() as conn:
        assert await (await conn.execute(SCHEMAS, ("leaver%",))).fetchall() == []
        [left] = await (await conn.execute(LEFT, ("leaver",))).fetchall()
    assert left["usd"] == Decimal("0.25")


async def test_an_agent_is_removed_by_a_page_that_says_what_goes(desk: Desk, tmp_path: Path) -> None:
    await asking.hire(desk.database, tmp_path, "goner")
    async with await desk.browser() as browser:
        assert '"/agents/goner/removal"' in (await browser.get("/agents/goner/playbook")).text
        page = await browser.get("/agents/goner/removal")
        assert "nothing takes it back" in page.text
        assert "pocketlet agent export goner" in page.text
        form = page_forms.with_words(page, "for good")
        wrong = await page_forms.send(browser, form, name="goner2")
        assert (wrong.status_code, "Nothing was removed." in wrong.text) == (422, True)
        form = page_forms.with_words(wrong, "for good")
        sent, twice = [await page_forms.send(browser, form, name=" goner ") for _ in range(2)]
        assert [(one.status_code, one.headers.get("location")) for one in (sent, twice)] == [(303, "/")] * 2
        assert "goner is removed" in (await browser.get("/")).text
        assert (await browser.get("/agents/goner/removal")).status_code == 404
    async with desk.database.api() as conn:
        assert "goner" not in [one.name for one in await agents.everyone(conn)]
