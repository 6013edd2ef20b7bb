"""The owner's word, over the API and by the forms: bound to what was shown, once, and nobody else's."""

import hashlib
import itertools
import re
from pathlib import Path

import asking
import httpx2
import pytest
from asking import CUSTOMER
from desks import Desk

from pocketlet.agents import agent as agents

_keys = itertools.count(1)


def key() -> dict[str, str]:
    """A fresh Idempotency-Key."""
    return {"idempotency-key": f"approvals-{next(_keys)}"}


@pytest.fixture(scope="module")
async def asker(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> agents.Agent:
    return await asking.hire(desk.database, tmp_path_factory.mktemp("asker"), "asker")


async def question(mine: httpx2.AsyncClient, number: int) -> dict:
    answer = await mine.get(f"/v1/approvals/{number}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def rows(desk: Desk, query: str, *values: object) -> list[dict]:
    async with desk.database.api() as conn:
        return list(await (await conn.execute(query.encode(), values)).fetchall())


async def test_a_question_shows_the_exact_bytes(desk: Desk, asker: agents.Agent) -> None:
    number = await asking.ask(desk.database, asker, "Hi Maya,\n\nfri\u200bday \u202eit is.\n")
    async with desk.client() as mine:
        found = await question(mine, number)
        listed = (await mine.get("/v1/approvals", params={"agent": "asker"})).json()["items"]
    [row] = await rows(
        desk,
        "SELECT e.message FROM pocketlet.effect e JOIN pocketlet.approval a ON a.effect_id = e.id WHERE a.id = %s",
        number,
    )
    assert (found["sender"], found["to"], found["subject"]) == ("shop@shop.example", CUSTOMER, "Re: order 8841")
    assert found["body"] == "Hi Maya,\n\nfri\u200bday \u202eit is.\n"
    assert (found["attachments"], found["unseen"]) == ([], ["U+200B", "U+202E"])
    assert "Message-ID" in found["headers"]
    assert (found["effect_class"], found["label"], found["rule"]) == ("unsafe", "outside", "send-mail-asks")
    assert found["offer"]["to"] == CUSTOMER
    assert hashlib.sha256(bytes(row["message"])).hexdigest() != found["request_hash"]  # the destination is in it, too
    assert found in listed


async def test_a_request_names_its_headers_and_no_values(desk: Desk, asker: agents.Agent) -> None:
    number = await asking.ask_to_call(desk.database, asker)
    async with desk.client() as mine, await desk.browser() as browser:
        found = await question(mine, number)
        page = (await browser.get(f"/approvals/{number}")).text
    assert found["url"] == "POST https://api.shop.example/orders/7?notify=yes"
    assert found["request"]["body"] == '{"status":"sent"}'
    assert "POST https://api.shop.example/orders/7?notify=yes" in page
    assert "{&#34;status&#34;:&#34;sent&#34;}" in page
    assert "Edit first" not in page


async def test_a_yes_counts_once(desk: Desk, asker: agents.Agent) -> None:
    number = await asking.ask(desk.database, asker)
    sent = key()
    async with desk.client() as mine:
        body = {"request_hash": (await question(mine, number))["request_hash"]}
        first = await mine.post(f"/v1/approvals/{number}/approve", json=body, headers=sent)
        again = await mine.post(f"/v1/approvals/{number}/approve", json=body, headers=sent)
        twice = await mine.post(f"/v1/approvals/{number}/approve", json=body, headers=key())
        bare = await mine.post(f"/v1/approvals/{number}/approve", json=body)
        found = await question(mine, number)
    assert first.status_code == 200, first.text
    assert (again.status_code, again.json()) == (200, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    assert (twice.status_code, bare.status_code) == (409, 422)
    assert (found["state"], found["offer"]) == ("approved", None)
    states = await rows(desk, "SELECT state FROM pocketlet.effect WHERE run_id = %s", found["run"])
    assert [row["state"] for row in states] == ["approved"]


@pytest.mark.parametrize("word", ["approve", "edit", "refuse", "allow"])
async def test_bytes_that_changed_since_are_not_answered(desk: Desk, asker: agents.Agent, word: str) -> None:
    number = await asking.ask(desk.database, asker)
    more = {"edit": {"body": "Mine."}, "allow": {"per_day": 1}}.get(word, {})
    async with desk.client() as mine:
        shown = (await question(mine, number))["request_hash"]
        other = await mine.post(f"/v1/approvals/{number}/{word}", json={"request_hash": "0" * 64} | more, headers=key())
        async with desk.database.api() as conn:
            change = b"""UPDATE pocketlet.effect e SET message = message || ' '::bytea
                          FROM pocketlet.approval a WHERE a.effect_id = e.id AND a.id = %s"""
            await conn.execute(change, (number,))
        changed = await mine.post(f"/v1/approvals/{number}/{word}", json={"request_hash": shown} | more, headers=key())
        found = await question(mine, number)
    assert (other.status_code, changed.status_code) == (409, 409), changed.text
    assert "not what you were shown" in changed.json()["detail"]
    assert found["state"] == "waiting"


async def test_what_has_expired_is_no(desk: Desk, asker: agents.Agent) -> None:
    number = await asking.ask(desk.database, asker)
    async with desk.client() as mine:
        shown = (await question(mine, number))["request_hash"]
        async with desk.database.api() as conn:
            late = b"UPDATE pocketlet.approval SET expires_at = pocketlet.now() WHERE id = %s"
            await conn.execute(late, (number,))
        answer = await mine.post(f"/v1/approvals/{number}/approve", json={"request_hash": shown}, headers=key())
        listed = (await mine.get("/v1/approvals")).json()["items"]
        found = await question(mine, number)
    assert (answer.status_code, found["state"]) == (409, "expired")
    assert "expired" in answer.json()["detail"]
    assert number not in [one["approval"] for one in listed]


async def test_an_edit_makes_bytes_of_its_own_and_teaches(desk: Desk, asker: agents.Agent) -> None:
    number = await asking.ask(desk.database, asker)
    async with desk.client() as mine:
        before = await question(mine, number)
        body = {"request_hash": before["request_hash"], "body": "It leaves to\u200bmorrow.\r\n", "teach": True}
        empty = await mine.post(f"/v1/approvals/{number}/edit", json=body | {"body": " "}, headers=key())
        assert (empty.status_code, empty.json()["hint"]) == (422, "Nothing was sent.")
        answer = await mine.post(f"/v1/approvals/{number}/edit", json=body, headers=key())
        after = await question(mine, number)
        listed = (await mine.get("/v1/approvals", params={"answered": "true", "run": before["run"]})).json()["items"]
    assert answer.status_code == 200, answer.text
    assert "U+200B" in answer.json()["said"]
    query = "SELECT state, message, request_hash FROM pocketlet.effect WHERE run_id = %s ORDER BY id"
    old, new = await rows(desk, query, before["run"])
    assert (old["state"], new["state"], after["state"]) == ("replaced", "approved", "edited")
    assert new["request_hash"] != before["request_hash"]
    assert b"It leaves to=E2=80=8Bmorrow." in bytes(new["message"])
    assert [one["approval"] for one in listed] == [number]
    [said] = await rows(desk, "SELECT verdict, edited FROM pocketlet.feedback WHERE id = %s", answer.json()["feedback"])
    assert (said["verdict"], said["edited"]) == ("change", body["body"])


async def test_a_refusal_may_teach(desk: Desk, asker: agents.Agent) -> None:
    number = await asking.ask(desk.database, asker)
    async with desk.client() as mine:
        shown = await question(mine, number)
        silent = {"request_hash": shown["request_hash"], "teach": True}
        nothing = await mine.post(f"/v1/approvals/{number}/refuse", json=silent, headers=key())
        body = silent | {"because": "Never promise a date."}
        answer = await mine.post(f"/v1/approvals/{number}/refuse", json=body, headers=key())
        found = await question(mine, number)
    assert (nothing.status_code, answer.status_code) == (422, 200), answer.text
    assert (found["state"], found["because"]) == ("refused", "Never promise a date.")
    [said] = await rows(desk, "SELECT comment, run_id FROM pocketlet.feedback WHERE id = %s", answer.json()["feedback"])
    assert said == {"comment": "Never promise a date.", "run_id": shown["run"]}


async def test_a_kind_is_allowed_narrowly_and_taken_back(desk: Desk, asker: agents.Agent) -> None:
    number = await asking.ask(desk.database, asker)
    async with desk.client() as mine, desk.client("second") as theirs:
        shown = await question(mine, number)
        body = {"request_hash": shown["request_hash"], "per_day": 2, "approve": True}
        answer = await mine.post(f"/v1/approvals/{number}/allow", json=body, headers=key())
        assert answer.status_code == 200, answer.text
        rule = answer.json()["rule"]
        [found] = (await mine.get("/v1/rules", params={"agent": "asker"})).json()["items"]
        assert (found["tool"], found["destination"], found["per_day"]) == ("send_mail", CUSTOMER, 2)
        assert found["review_on"] == shown["offer"]["review_on"]
        assert (await theirs.get("/v1/rules")).json()["items"] == []
        assert (await theirs.delete(f"/v1/rules/{rule}")).status_code == 404
        assert (await mine.delete(f"/v1/rules/{rule}")).status_code == 200
        assert (await mine.delete(f"/v1/rules/{rule}")).status_code == 404


async def test_questions_of_one_rule_are_answered_together(desk: Desk, asker: agents.Agent) -> None:
    numbers = [await asking.ask(desk.database, asker, f"Letter {n}.\n") for n in (1, 2)]
    other = await asking.ask_to_call(desk.database, asker)
    async with desk.client() as mine:
        shown = [await question(mine, number) for number in (*numbers, other)]
        known = [{name: one[name] for name in ("approval", "request_hash")} for one in shown]
        mixed = await mine.post("/v1/approvals/together", json={"questions": known, "yes": True}, headers=key())
        wrong = [known[0], known[1] | {"request_hash": "0" * 64}]
        stale = await mine.post("/v1/approvals/together", json={"questions": wrong, "yes": True}, headers=key())
        states = [(await question(mine, number))["state"] for number in numbers]
        assert (mixed.status_code, stale.status_code, states) == (422, 409, ["waiting", "waiting"])
        done = await mine.post("/v1/approvals/together", json={"questions": known[:2], "yes": True}, headers=key())
        assert done.status_code == 200, done.text
        assert [(await question(mine, number))["state"] for number in numbers] == ["approved", "approved"]


async def test_nobody_elses_question_can_be_seen_or_answered(desk: Desk, asker: agents.Agent) -> None:
    number = await asking.ask(desk.database, asker)
    async with desk.client() as mine, desk.client("second") as theirs, await desk.browser("second") as browser:
        shown = (await question(mine, number))["request_hash"]
        there = [await theirs.get(f"/v1/approvals/{one}") for one in (number, 999_999)]
        assert [one.status_code for one in there] == [404, 404]
        assert there[0].json()["detail"].replace(str(number), "N") == there[1].json()["detail"].replace("999999", "N")
        bodies = {"approve": {}, "edit": {"body": "Mine."}, "refuse": {}, "allow": {"per_day": 1}}
        for word, body in bodies.items():
            path, sent = f"/v1/approvals/{number}/{word}", {"request_hash": shown} | body
            assert (await theirs.post(path, json=sent, headers=key())).status_code == 404
        one = {"questions": [{"approval": number, "request_hash": shown}], "yes": True}
        assert (await theirs.post("/v1/approvals/together", json=one, headers=key())).status_code == 404
        assert (await theirs.get("/v1/approvals")).json()["items"] == []
        assert (await theirs.get("/v1/approvals", params={"agent": "asker"})).status_code == 404
        assert (await browser.get(f"/approvals/{number}")).status_code == 404
        assert (await browser.post(f"/approvals/{number}/approve", data={"hash": shown})).status_code == 404
        assert "Nothing waits for you." in (await browser.get("/approvals")).text
        assert (await question(mine, number))["state"] == "waiting"


async def test_the_forms_of_a_letter(desk: Desk, asker: agents.Agent) -> None:
    body = "Hi <b>Maya</b> & \u200bco,\n\nit left.\n"
    numbers = [await asking.ask(desk.database, asker, body) for _ in range(4)]
    async with await desk.browser() as browser:
        page = (await browser.get("/approvals", params={"open": str(numbers[0])})).text
        assert "Hi &lt;b&gt;Maya&lt;/b&gt; &amp; ⟨U+200B⟩co," in page
        assert page.count('class="primary"') == 1
        assert "no answer is a no" in page
        shown = re.findall(r'name="hash" value="([0-9a-f]{64})"', (await browser.get(f"/approvals/{numbers[0]}")).text)
        sent = await browser.post(f"/approvals/{numbers[0]}/approve", data={"hash": shown[0]})
        assert (sent.status_code, sent.headers["location"]) == (303, "/approvals")
        assert "You approved it" in (await browser.get("/approvals")).text
        twice = await browser.post(f"/approvals/{numbers[0]}/approve", data={"hash": shown[0]})
        assert (twice.status_code, "You approved it" in (await browser.get("/approvals")).text) == (303, True)
        late = await browser.post(f"/approvals/{numbers[0]}/refuse", data={"hash": shown[0]})
        assert (late.status_code, "was approved already" in late.text) == (409, True)
        refused = {"hash": await shown_hash(browser, numbers[1]), "because": "Too short.", "back": "run"}
        away = await browser.post(f"/approvals/{numbers[1]}/refuse", data=refused)
        assert re.fullmatch(r"/runs/\d+", away.headers["location"])
        taught = {"hash": await shown_hash(browser, numbers[3]), "because": "Too long.", "teach": "yes", "back": "run"}
        learns = await browser.post(f"/approvals/{numbers[3]}/refuse", data=taught)
        assert re.fullmatch(r"/feedback/\d+", learns.headers["location"])
        assert "Too long." in (await browser.get(learns.headers["location"])).text
        edited = {"hash": await shown_hash(browser, numbers[2]), "body": "Mine.\r\n"}
        assert (await browser.post(f"/approvals/{numbers[2]}/edit", data=edited)).status_code == 303
        assert "You said" not in (await browser.get(f"/approvals/{numbers[2]}")).text


async def shown_hash(browser: httpx2.AsyncClient, number: int) -> str:
    page = (await browser.get(f"/approvals/{number}")).text
    return re.findall(r'name="hash" value="([0-9a-f]{64})"', page)[0]


async def test_a_bulk_is_read_first(desk: Desk, tmp_path: Path) -> None:
    bulky = await asking.hire(desk.database, tmp_path, "bulky")
    numbers = [await asking.ask(desk.database, bulky, f"Bulk {n}.\n") for n in (1, 2)]
    async with await desk.browser() as browser:
        page = (await browser.get(f"/approvals/{numbers[0]}/together")).text
        assert all(f"Bulk {n}." in page for n in (1, 2))
        shown = dict(re.findall(r'name="(hash-\d+)" value="([0-9a-f]{64})"', page))
        done = await browser.post("/approvals/together", data=shown | {"word": "refuse", "because": "Not now."})
        assert done.status_code == 303
        assert (await browser.get(f"/approvals/{numbers[1]}/together")).status_code == 409
        for path in ("/approvals/x", "/approvals/99999999999999999999", "/approvals/1/burn", "/approvals/0/together"):
            assert (await browser.get(path)).status_code in (404, 405)


async def test_a_rule_is_made_and_ended_by_forms(desk: Desk, asker: agents.Agent) -> None:
    number = await asking.ask(desk.database, asker)
    async with await desk.browser() as browser:
        sent = {"hash": await shown_hash(browser, number), "per_day": "many"}
        assert (await browser.post(f"/approvals/{number}/allow", data=sent)).status_code == 422
        assert (await browser.post(f"/approvals/{number}/allow", data=sent | {"per_day": "2"})).status_code == 303
        page = (await browser.get("/approvals")).text
        [rule] = re.findall(r"/rules/(\d+)/remove", page)
        assert "unasked, 2 a day" in page
        assert (await browser.post(f"/rules/{rule}/remove", data={})).status_code == 303
        assert f"/rules/{rule}/remove" not in (await browser.get("/approvals")).text
