"""The list of runs: filters, parts, what was read, saved filters, and two runs side by side."""

import html

import pydantic
import pytest
import reading_ground as ground
from desks import Desk

from pocketlet.agents import agent as agents
from pocketlet.surfaces.api import caller as callers
from pocketlet.surfaces.api import endpoint, runs

HOSTILE = "<script>alert(1)</script> 100% _sure_"


@pytest.fixture(scope="module")
async def rita(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """An owner with an agent, and its runs by a word."""
    agent = await ground.moved_in(desk, "rita", tmp_path_factory.mktemp("rita"))
    async with desk.database.api() as conn:
        found = {
            "cheap": await ground.worked(conn, agent, "Where is it?", result="Sent it."),
            "dear": await ground.worked(conn, agent, HOSTILE, result="Thought long."),
            "failed": await ground.worked(conn, agent, "Broken", "failed", error="The model can't be reached."),
            "waits": await ground.worked(conn, agent, "May I?", "waiting"),
            "talk": await ground.worked(conn, agent, "Hello", kind="chat"),
        }
        await ground.spent(conn, agent, found["cheap"], "0.001")
        await ground.spent(conn, agent, found["dear"], "0.2")
        await ground.asked(conn, agent, found["waits"])
        await conn.execute(
            b"INSERT INTO pocketlet.feedback (agent_id, run_id, verdict) VALUES (%(agent)s, %(run)s, 'wrong'), "
            b"(%(agent)s, %(run)s, 'right')",
            {"agent": agent.id, "run": found["cheap"]},
        )
    return found


async def asked(desk: Desk, owner: str, **query: object) -> list[int]:
    async with desk.client(owner) as client:
        answer = await client.get("/v1/runs", params={name: str(value) for name, value in query.items()})
        assert answer.status_code == 200, answer.text
        return [one["run"] for one in answer.json()["items"]]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({}, ["waits", "failed", "dear", "cheap"]),
        ({"agent": "rita", "kind": "all"}, ["talk", "waits", "failed", "dear", "cheap"]),
        ({"kind": "chat"}, ["talk"]),
        ({"state": "failed"}, ["failed"]),
        ({"state": "waiting"}, ["waits"]),
        ({"verdict": "right"}, ["cheap"]),
        ({"verdict": "wrong"}, []),
        ({"verdict": "none"}, ["waits", "failed", "dear"]),
        ({"min_cost": "0.1"}, ["dear"]),
        ({"trigger": "by hand"}, ["waits", "failed", "dear", "cheap"]),
        ({"trigger": "morning"}, []),
        ({"errored": "true"}, ["failed"]),
        ({"text": "BROKEN"}, ["failed"]),
        ({"text": "can't be reached"}, ["failed"]),
        ({"text": "%"}, ["dear"]),
        ({"text": "_"}, ["dear"]),
        ({"text": "ann@example.org", "min_cost": "0.0001"}, ["dear", "cheap"]),
    ],
)
async def test_filters(desk: Desk, rita: dict[str, int], query: dict[str, str], words: list[str]) -> None:
    assert await asked(desk, "rita", **query) == [rita[word] for word in words]


async def test_what_a_row_says(desk: Desk, rita: dict[str, int]) -> None:
    async with desk.client("rita") as hers:
        rows = {one["run"]: one for one in (await hers.get("/v1/runs")).json()["items"]}
    cheap, waits, failed = (rows[rita[word]] for word in ("cheap", "waits", "failed"))
    assert (cheap["title"], cheap["verdict"], cheap["said"], cheap["trigger"]) == (
        "Where is it?",
        "right",
        "Sent it.",
        "",
    )
    assert (cheap["cost"], cheap["tokens"]) == ("0.001", 1100)
    assert waits["asks"]
    assert failed["said"] == "The model can't be reached."


async def test_the_story_is_found_by_what_started_it_and_by_what_went_wrong(desk: Desk) -> None:
    attack = desk.run_of("attack")
    assert attack in await asked(desk, "owner", errored=True, trigger="mail")
    assert attack in await asked(desk, "owner", text="collector@evil.example")
    async with desk.client() as mine:
        found = (await mine.get("/v1/runs", params={"kind": "all", "limit": 200})).json()["items"]
    titles = {one["kind"]: one["title"] for one in found}
    assert titles["manager"].startswith("Learning from your word on run ")
    assert titles["trial"].startswith("Run ")


async def test_who_kept_an_act_from_leaving_is_told_apart(desk: Desk) -> None:
    async with desk.client() as mine, await desk.browser() as browser:
        query = {"kind": "all", "agent": "crm", "limit": 200}
        found = {one["run"]: one for one in (await mine.get("/v1/runs", params=query)).json()["items"]}
        page = (await browser.get("/agents/crm/runs")).text
    attack, refused = found[desk.run_of("attack")], found[desk.run_of("rollback")]
    assert (attack["held"], refused["held"]) == ("policy", "you")
    assert attack["said"].startswith("crm wanted to send a mail to collector@evil.example, and policy refused.")
    assert refused["said"].startswith("You said no: crm did not send a mail to ")
    shown = next(one for one in found.values() if one["kind"] == "trial" and one["held"] == "shown")
    assert shown["said"].startswith("crm would have sent a mail to ")
    assert found[desk.run_of("known-customer")]["held"] == ""
    assert page.count('class="state state-blocked"') == 1
    assert "you said no</span>" in page


async def test_parts_of_the_list_are_all_of_it_once(desk: Desk) -> None:
    async with desk.client() as mine:
        found: list[int] = []
        query = {"kind": "all", "limit": "4", "agent": "crm"}
        while True:
            part = (await mine.get("/v1/runs", params=query)).json()
            found += [one["run"] for one in part["items"]]
            if part["next"] is None:
                break
            query["cursor"] = part["next"]
        whole = (await mine.get("/v1/runs", params={"kind": "all", "limit": "200", "agent": "crm"})).json()["items"]
        assert found == [one["run"] for one in whole]
        assert found == sorted(set(found), reverse=True)
        for wrong in ({"cursor": "x"}, {"limit": "0"}, {"kind": "x"}, {"min_cost": "-1"}, {"nonsense": "1"}):
            assert (await mine.get("/v1/runs", params=wrong)).status_code == 422


async def test_nobody_sees_runs_that_are_not_hers(desk: Desk, rita: dict[str, int]) -> None:
    assert await asked(desk, "second", kind="all") == []
    assert not set(rita.values()) & set(await asked(desk, "owner", kind="all", limit=200))
    run = rita["cheap"]
    async with desk.client("second") as theirs:
        for method, path in (
            ("GET", "/v1/runs?agent={}"),
            ("GET", "/v1/runs/compare?a={}&b={}"),
            ("POST", "/v1/runs/{}/seen"),
            ("POST", "/v1/runs/{}/unseen"),
            ("POST", "/v1/runs/seen?agent={}"),
        ):
            there, nowhere = ("rita", "nobody") if "agent" in path else (str(run), "987654321")
            other = await theirs.request(method, path.replace("{}", there))
            missing = await theirs.request(method, path.replace("{}", nowhere))
            assert (other.status_code, missing.status_code) == (404, 404)
            assert other.text == missing.text.replace(nowhere, there)


async def test_a_run_is_unread_until_it_is_opened_and_again_when_it_fails(desk: Desk, rita: dict[str, int]) -> None:
    async with desk.client("rita") as hers:
        unread = await asked(desk, "rita", unread=True)
        assert rita["failed"] in unread
        for run in unread:
            assert (await hers.post(f"/v1/runs/{run}/seen")).status_code == 200
        assert await asked(desk, "rita", unread=True) == []
        await hers.post(f"/v1/runs/{rita['cheap']}/unseen")
        async with desk.database.api() as conn:
            await conn.execute(b"UPDATE pocketlet.run SET ended_at = pocketlet.now() WHERE id = %s", (rita["failed"],))
        assert await asked(desk, "rita", unread=True) == [rita["failed"], rita["cheap"]]
        await hers.post("/v1/runs/seen?agent=rita")
        assert await asked(desk, "rita", unread=True) == []


async def test_filters_are_kept_by_name(desk: Desk, rita: dict[str, int]) -> None:
    async with desk.client("rita") as hers, desk.client("second") as theirs:
        kept = {"name": "Dear ones", "query": {"min_cost": "0.1", "kind": "all"}}
        assert (await hers.post("/v1/runs/filters", json=kept)).status_code == 200
        again = {"name": "Dear ones", "query": {"min_cost": "0.2"}}
        await hers.post("/v1/runs/filters", json=again)
        found = (await hers.get("/v1/runs/filters")).json()
        assert found["triggers"] == ["morning"]
        [saved] = found["saved"]
        assert (saved["name"], saved["query"]["min_cost"], saved["query"]["kind"]) == ("Dear ones", "0.2", "run")
        assert (await theirs.get("/v1/runs/filters")).json()["saved"] == []
        assert (await theirs.delete("/v1/runs/filters/Dear ones")).status_code == 404
        for wrong in ({"name": "", "query": {}}, {"name": "a/b", "query": {}}, {"name": "x", "query": {"limit": 5}}):
            assert (await hers.post("/v1/runs/filters", json=wrong)).status_code == 422
        for number in range(runs.SAVED - 1):
            await hers.post("/v1/runs/filters", json={"name": f"f{number}", "query": {}})
        full = await hers.post("/v1/runs/filters", json={"name": "one more", "query": {}})
        assert full.status_code == 409
        assert (await hers.post("/v1/runs/filters", json=kept)).status_code == 200
        for one in (await hers.get("/v1/runs/filters")).json()["saved"]:
            assert (await hers.delete(f"/v1/runs/filters/{one['name']}")).status_code == 200


async def test_two_runs_side_by_side(desk: Desk) -> None:
    before, after = desk.run_of("known-customer"), desk.run_of("policy-followed")
    async with desk.client() as mine, await desk.browser() as browser:
        found = (await mine.get(f"/v1/runs/compare?a={before}&b={after}")).json()
        blocked = (await mine.get(f"/v1/runs/compare?a={before}&b={desk.run_of('attack')}")).json()
        page = await browser.get("/runs/compare", params={"run": [str(after), str(before)]})
        one = await browser.get("/runs/compare", params={"run": [str(after)]})
    assert (found["a"]["run"], found["b"]["run"], found["about"], found["cut"]) == (before, after, "mail", False)
    assert (found["a"]["revision"], found["b"]["revision"], found["a"]["letter"]) == (1, 2, "succeeded")
    lines = [(line["mark"], line["text"]) for line in found["diff"]]
    assert ("+", "As an apology we would like to offer you 10 % off this order.") in lines
    assert (" ", "Kind regards") in lines
    said = [pair["b"]["said"] for pair in blocked["steps"] if pair["b"] and pair["b"]["tool"] == "send_mail"]
    assert said == ["Blocked by policy"]
    assert all(pair["a"]["tool"] == pair["b"]["tool"] for pair in found["steps"] if pair["a"] and pair["b"])
    assert len(found["steps"]) >= found["a"]["steps"]
    assert page.status_code == 200
    assert f"<h1>Run {before} beside run {after}</h1>" in page.text
    assert f'href="/runs/{after}#step-1"' in page.text
    assert one.status_code == 422


async def test_steps_that_only_one_run_has_stand_alone(desk: Desk, rita: dict[str, int]) -> None:
    async with desk.client("rita") as hers:
        found = (await hers.get(f"/v1/runs/compare?a={rita['cheap']}&b={rita['waits']}")).json()
    assert (found["about"], found["steps"]) == ("result", [])
    assert found["diff"] == [{"mark": "-", "text": "Sent it."}]
    assert found["b"]["letter"] == "planned"


async def test_the_page_shows_words_of_others_as_words(desk: Desk, rita: dict[str, int]) -> None:
    async with await desk.browser("rita") as browser:
        page = (await browser.get("/agents/rita/runs?text=%3Cscript&min_cost=&state=")).text
        assert html.escape(HOSTILE, quote=False) in page
        assert "<script>alert" not in page
        assert f'href="/runs/{rita["dear"]}"' in page
        assert f'href="/runs/{rita["cheap"]}"' not in page
        assert 'value="&lt;script"' in page
        everything = (await browser.get("/runs")).text
        assert f'href="/runs/{rita["cheap"]}"' in everything
        assert "waiting for you" in everything
        nothing = (await browser.get("/runs?text=nowhere")).text
        assert "No run is like that." in nothing
        assert (await browser.get("/runs?state=nonsense")).status_code == 422
        assert (await browser.get("/agents/crm/runs")).status_code == 404


async def test_a_filter_is_kept_and_removed_on_the_page(desk: Desk, rita: dict[str, int]) -> None:
    async with await desk.browser("rita") as browser:
        form = {"name": "Only dear", "agent": "rita", "min_cost": "0.1"}
        kept = await browser.post("/runs/filters", data=form)
        assert kept.headers["location"] == "/agents/rita/runs?min_cost=0.1"
        page = (await browser.get(kept.headers["location"])).text
        assert "Only dear" in page
        assert f'href="/runs/{rita["dear"]}"' in page
        assert (await browser.post("/runs/filters", data={"name": "a/b"})).status_code == 422
        gone = await browser.post("/runs/filters/remove", data={"name": "Only dear", "agent": "rita"})
        assert gone.headers["location"] == "/agents/rita/runs"
        read = await browser.post("/runs/read", data={"agent": ""})
        assert read.headers["location"] == "/runs"
        assert (await browser.post("/runs/read", data={"agent": "crm"})).status_code == 404


def test_what_is_asked_for_stands_in_one_place() -> None:
    class Asked(endpoint.Model):
        limit: int = 1

    async def mixed(caller: callers.Caller, *, asked: Asked, other: int = 1) -> endpoint.Done:
        raise NotImplementedError

    with pytest.raises(TypeError):
        endpoint.Endpoint("GET", "/x", "read", mixed)
    with pytest.raises(pydantic.ValidationError):
        runs.Asked.model_validate({"limit": 1000})


async def test_an_agent_that_never_worked_says_so(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> None:
    agent: agents.Agent = await ground.moved_in(desk, "runless", tmp_path_factory.mktemp("runless"))
    async with await desk.browser(agent.name) as browser:
        page = (await browser.get("/agents/runless/runs")).text
    assert "runless has not worked yet." in page
