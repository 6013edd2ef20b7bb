"""Triggers over the API and by the forms: shown, paused, fired, tried, added, changed, taken out; nobody else's."""

import itertools
import re
import tomllib
from pathlib import Path

import asking
import pytest
from desks import Desk

from pocketlet.agents import agent as agents
from pocketlet.agents import revisions
from pocketlet.agents.triggers import stored
from pocketlet.agents.waking import slots
from pocketlet.platform import vault

_keys = itertools.count(1)
TRIGGERS = """
[triggers.morning]
schedule = "every weekday at 9:00"
zone = "Europe/Berlin"
task = "Write the report."
catch_up = "all"
catch_up_limit = 3
after = ["SELECT true"]

[triggers.orders]
webhook = "standard"
secret = "TRIGGERS_TEST_SECRET"
when = "SELECT true"

[triggers.news]
feed = "https://feeds.example.com/news.xml"
"""


def key() -> dict[str, str]:
    """A fresh Idempotency-Key."""
    return {"idempotency-key": f"triggers-{next(_keys)}"}


@pytest.fixture(scope="module")
async def roused(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> agents.Agent:
    return await asking.hire(desk.database, tmp_path_factory.mktemp("roused"), "roused", TRIGGERS)


@pytest.fixture
async def clerk(desk: Desk, tmp_path: Path) -> str:
    """An agent of one test, which may be changed."""
    return (await asking.hire(desk.database, tmp_path, f"clerk{next(_keys)}", TRIGGERS)).name


async def came(desk: Desk, agent: agents.Agent, name: str, body: bytes) -> int:
    """A slot of something that came."""
    async with desk.database.api() as conn:
        found = await stored.by_name(conn, agent.id, name)
        about = {"label": "outside", "headers": [["content-type", "text/plain"]]}
        return await slots.record(conn, found, slots.Event(f"came-{next(_keys)}", body, about)) or 0


async def toml(desk: Desk, name: str) -> tuple[int, dict]:
    """The current revision, and its triggers."""
    async with desk.database.api() as conn:
        agent = await agents.get(conn, name)
        playbook = await revisions.load(conn, agent, agent.current)
    return agent.current, tomllib.loads(playbook.manifest_text)["triggers"]


async def test_triggers_say_what_they_do(desk: Desk, roused: agents.Agent) -> None:
    async with desk.client() as mine:
        told = (await mine.get("/v1/agents/roused/triggers")).json()
    morning, news, orders = told["items"]
    assert (told["revision"], told["zone"]) == (1, "UTC")
    assert morning["words"] == "every weekday at 09:00 (Europe/Berlin)"
    assert len(morning["upcoming"]) == 5
    assert all(re.search(r", 09:00 CES?T$", one["local"]) for one in morning["upcoming"])
    assert morning["catch_up_words"].endswith("one after the other, 3 at most.")
    assert morning["overlap_words"] == "While its last run is under way, the next one waits."
    assert (orders["words"], orders["secrets"]) == (
        "a webhook to /hooks/roused/orders",
        [{"name": "TRIGGERS_TEST_SECRET", "ready": False}],
    )
    assert orders["address"].endswith("/hooks/roused/orders")
    assert (news["editable"], news["upcoming"], news["catch_up_words"]) == (False, [], "")


async def test_a_run_that_was_kept_from_acting_is_worded_as_runs_are(desk: Desk) -> None:
    said = "crm wanted to send a mail to collector@evil.example, and policy refused. Nothing was sent."
    run = desk.run_of("attack")
    async with desk.client() as mine, await desk.browser() as browser:
        told = (await mine.get("/v1/agents/crm/triggers")).json()["items"]
        [slot] = [one for one in (await mine.get("/v1/agents/crm/slots")).json()["items"] if one["run"] == run]
        page = (await browser.get("/agents/crm/triggers")).text
        alone = (await browser.get(f"/slots/{slot['slot']}")).text
        runs = (await browser.get("/agents/crm/runs")).text
    [health] = [one["today"] for one in told if one["name"] == "mail"]
    assert (health["failed"], health["held_back"]) == (1, 1)
    assert (slot["state"], slot["outcome"], slot["held"], slot["reason"]) == ("failed", "blocked", "policy", said)
    assert "1 kept from acting" in page
    for shown in (page, alone, runs):
        assert ('class="state state-blocked"' in shown, said in shown) == (True, True)
        assert "state-failed" not in shown


async def test_a_schedule_is_told_before_it_is_made(desk: Desk) -> None:
    async with desk.client() as mine:
        found = await mine.get("/v1/schedules", params={"schedule": "every day at 2:30", "zone": "Europe/Berlin"})
        wrong = await mine.get("/v1/schedules", params={"schedule": "now and then"})
        nowhere = await mine.get("/v1/schedules", params={"schedule": "every day at 9:00", "zone": "Berlin"})
    assert (found.json()["cron"], len(found.json()["upcoming"])) == ("30 2 * * *", 5)
    assert (wrong.status_code, nowhere.status_code) == (422, 422)
    assert "Europe/Berlin" in nowhere.json()["hint"]


async def test_pause_and_let_go_on(desk: Desk, clerk: str) -> None:
    at = f"/v1/agents/{clerk}/triggers"
    async with desk.client() as mine:
        assert (await mine.post(f"{at}/morning/pause", json={"because": "holidays"})).status_code == 200
        paused = (await mine.get(at)).json()["items"][0]
        fired = (await mine.post(f"{at}/morning/fire", json={}, headers=key())).json()
        assert (await mine.post(f"{at}/morning/resume")).status_code == 200
        going = (await mine.get(at)).json()["items"][0]
    assert (paused["paused"], paused["upcoming"]) == ("holidays", [])
    assert "once the trigger goes on" in fired["said"]
    assert (going["paused"], len(going["upcoming"]), going["open"]) == (None, 5, 1)


async def test_fire_is_once_a_key_and_a_test_fire_leaves_no_slot(desk: Desk, clerk: str) -> None:
    at, sent = f"/v1/agents/{clerk}/triggers/orders", key()
    async with desk.client() as mine:
        first = await mine.post(f"{at}/fire", json={"body": '{"order": 1}'}, headers=sent)
        again = await mine.post(f"{at}/fire", json={"body": '{"order": 1}'}, headers=sent)
        bare = await mine.post(f"{at}/fire", json={})
        tried = await mine.post(f"{at}/simulate", json={"body": '{"order": 2}'}, headers=key())
        found = (await mine.get(f"/v1/agents/{clerk}/slots")).json()["items"]
        run = (await mine.get(f"/v1/runs/{tried.json()['run']}")).json()
    assert (first.status_code, again.json(), bare.status_code) == (200, first.json(), 422)
    assert [one["slot"] for one in found] == [first.json()["slot"]]
    assert run["dry"] is True


async def test_what_came_is_shown_and_done_once_more(desk: Desk, roused: agents.Agent) -> None:
    link = f"http://x/decide/1.{'a' * 43}"  # of a question of ours: whoever reads it could answer
    number = await came(desk, roused, "orders", f"<b>hi</b> {link}".encode())
    async with desk.client() as mine, await desk.browser() as browser:
        shown = (await mine.get(f"/v1/slots/{number}")).json()
        again = await mine.post(f"/v1/slots/{number}/replay", headers=key())
        page = (await browser.get(f"/slots/{number}")).text
        done = (await mine.get(f"/v1/slots/{again.json()['slot']}")).json()
        one = await mine.get("/v1/agents/roused/slots", params={"trigger": "orders", "limit": 1})
        rest = await mine.get("/v1/agents/roused/slots", params={"trigger": "orders", "cursor": one.json()["next"]})
    assert shown["body"] == "<b>hi</b> http://x/decide/[removed]"
    assert shown["headers"] == [["content-type", "text/plain"]]
    assert "&lt;b&gt;hi&lt;/b&gt;" in page
    assert link not in page
    assert done["replays"] == number
    assert [row["slot"] for row in one.json()["items"]] == [again.json()["slot"]]
    assert number in [row["slot"] for row in rest.json()["items"]]


async def test_a_schedule_is_added_changed_and_taken_out(desk: Desk, clerk: str) -> None:
    at = f"/v1/agents/{clerk}/triggers"
    entry = {"revision": 1, "kind": "schedule", "schedule": "every day at 7:00", "task": "Water the plants."}
    async with desk.client() as mine:
        added = await mine.put(f"{at}/plants", json=entry)
        late = await mine.put(f"{at}/plants", json=entry)
        assert (added.status_code, added.json()["revision"], late.status_code) == (200, 2, 409)
        change = {
            "revision": 2,
            "kind": "schedule",
            "schedule": "every day at 8:00",
            "task": "Report.",
            "overlap": "queue",
        }
        assert (await mine.put(f"{at}/morning", json=change)).status_code == 200
        current, found = await toml(desk, clerk)
        assert found["morning"] == {
            "schedule": "every day at 8:00",
            "task": "Report.",
            "overlap": "queue",
            "catch_up_limit": 3,
            "after": ["SELECT true"],
        }
        assert (await mine.delete(f"{at}/plants", params={"revision": 2})).status_code == 409
        assert (await mine.delete(f"{at}/plants", params={"revision": current})).status_code == 200
        names = [one["name"] for one in (await mine.get(at)).json()["items"]]
    assert names == ["morning", "news", "orders"]


@pytest.mark.parametrize(
    ("name", "entry", "status"),
    [
        ("plants", {"kind": "schedule", "schedule": "now and then", "task": "x"}, 422),
        ("plants", {"kind": "schedule", "schedule": "every day at 7:00"}, 422),
        ("plants", {"kind": "webhook", "secret": "no name"}, 422),
        ("plants", {"kind": "webhook"}, 422),
        ("Plants", {"kind": "schedule", "schedule": "every day at 7:00", "task": "x"}, 422),
        ("news", {"kind": "schedule", "schedule": "every day at 7:00", "task": "x"}, 409),
        ("plants", {"kind": "mail"}, 422),
    ],
)
async def test_what_can_be_no_trigger_changes_nothing(
    desk: Desk, clerk: str, name: str, entry: dict, status: int
) -> None:
    async with desk.client() as mine:
        answer = await mine.put(f"/v1/agents/{clerk}/triggers/{name}", json=entry | {"revision": 1})
    assert answer.status_code == status, answer.text
    assert answer.json()["hint"]
    assert (await toml(desk, clerk))[0] == 1


async def test_a_webhooks_secret_goes_in_and_never_comes_out(desk: Desk, clerk: str) -> None:
    value = "whsec_" + "c2VjcmV0LW9mLXRoZS10ZXN0cw=="
    at = f"/agents/{clerk}/triggers"
    async with desk.client() as mine, await desk.browser() as browser:
        wrong = await mine.put(f"/v1{at}/orders/secret", json={"value": "whsec_not base64!"})
        other = await mine.put(f"/v1{at}/orders/secret", json={"value": value, "name": "OPENAI_API_KEY"})
        short = await mine.put(f"/v1{at}/orders/secret", json={"value": "abc"})
        sent = await browser.post(f"{at}/orders/secret", data={"value": value, "name": "TRIGGERS_TEST_SECRET"})
        told = await mine.get(f"/v1{at}")
        page = await browser.get(at)
    assert (wrong.status_code, other.status_code, short.status_code, sent.status_code) == (422, 422, 422, 303)
    assert "not base64" not in wrong.text
    assert told.json()["items"][2]["secrets"] == [{"name": "TRIGGERS_TEST_SECRET", "ready": True}]
    assert value not in told.text + page.text + sent.text
    async with desk.database.api() as conn:
        opened = await vault.opened(conn, vault.key(desk.config.home))
    assert opened["TRIGGERS_TEST_SECRET"] == value


async def test_nobody_elses_triggers_and_slots(desk: Desk, roused: agents.Agent) -> None:
    number = await came(desk, roused, "orders", b"hi")
    at = "/v1/agents/roused/triggers"
    entry = {"revision": 1, "kind": "schedule", "schedule": "every day at 7:00", "task": "x"}
    async with desk.client("second") as theirs, await desk.browser("second") as browser:
        for path in (at, "/v1/agents/roused/slots", f"/v1/slots/{number}", "/v1/slots/999999"):
            assert (await theirs.get(path)).status_code == 404, path
        for word, body in (("pause", {}), ("fire", {}), ("simulate", {})):
            assert (await theirs.post(f"{at}/morning/{word}", json=body, headers=key())).status_code == 404
        assert (await theirs.post(f"{at}/morning/resume")).status_code == 404
        assert (await theirs.post(f"/v1/slots/{number}/replay", headers=key())).status_code == 404
        assert (await theirs.put(f"{at}/plants", json=entry)).status_code == 404
        assert (await theirs.delete(f"{at}/morning")).status_code == 404
        assert (await theirs.put(f"{at}/orders/secret", json={"value": "x" * 20})).status_code in (403, 404)
        for path in ("/agents/roused/triggers", "/agents/roused/triggers/when", f"/slots/{number}"):
            assert (await browser.get(path)).status_code == 404, path
        for path in ("/agents/roused/triggers/morning/fire", f"/slots/{number}/replay"):
            assert (await browser.post(path, data={"key": "a"})).status_code == 404, path
    assert (await toml(desk, "roused"))[0] == 1


async def test_the_forms_of_the_page(desk: Desk, clerk: str) -> None:
    at = f"/agents/{clerk}/triggers"
    async with await desk.browser() as browser:
        page = (await browser.get(at)).text
        assert "every weekday at 09:00 (Europe/Berlin)" in page
        assert "No delivery is taken:" in page
        form = (await browser.get(at, params={"add": "schedule"})).text
        assert form.count('class="primary"') == 1
        looked = await browser.get(at, params={"add": "schedule", "schedule": "at noon", "zone": "UTC", "look": "yes"})
        assert "every day at 12:00" in looked.text
        part = await browser.get(f"{at}/when", params={"schedule": "every day", "zone": "UTC"})
        assert "does not say at what time" in part.text
        sent = {
            "revision": "1",
            "kind": "schedule",
            "name": "noon",
            "schedule": "now and then",
            "task": "<Eat>",
            "new": "yes",
        }
        wrong = await browser.post(at, data=sent)
        assert (wrong.status_code, "&lt;Eat&gt;" in wrong.text, "Not yet:" in wrong.text) == (422, True, True)
        assert (await browser.post(at, data=sent | {"schedule": "at noon"})).status_code == 303
        assert "noon is added" in (await browser.get(at)).text
        changed = (await browser.get(at, params={"edit": "noon"})).text
        assert 'value="at noon"' in changed
        assert (await browser.post(f"{at}/noon/pause", data={"because": ""})).status_code == 303
        assert "<strong>Paused:</strong> paused by the owner" in (await browser.get(at)).text
        assert (await browser.post(f"{at}/noon/resume", data={"x": ""})).status_code == 303
        twice = [await browser.post(f"{at}/noon/fire", data={"key": "one-page"}) for _ in (1, 2)]
        assert [one.status_code for one in twice] == [303, 303]
        tried = await browser.post(f"{at}/noon/simulate", data={"key": "one-page"})
        assert re.fullmatch(r"/runs/\d+", tried.headers["location"])
        assert (await browser.post(f"{at}/noon/remove", data={"revision": "2"})).status_code == 303
        for path in (f"{at}?edit=noon", f"{at}?edit=news", "/slots/x", "/slots/99999999999999999999"):
            assert (await browser.get(path)).status_code == 404, path
        assert (await browser.post(f"{at}/noon/burn", data={"x": ""})).status_code == 404
    async with desk.client() as mine:
        assert len((await mine.get(f"/v1/agents/{clerk}/slots")).json()["items"]) == 1  # of two clicks one
