"""Feedback by pages and by the API: words, the draft, its replays, the owner's yes, and going back."""

import shutil
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import page_forms
import pytest
from desks import Desk

import pocketlet
from pocketlet import clock
from pocketlet.agents import portable, revisions, runs
from pocketlet.agents import task as tasks
from pocketlet.demo import data, mails, waiting
from pocketlet.demo import world as worlds

CRM = Path(pocketlet.__file__).parent / "demo" / "crm"
RULE = "Never promise a delivery date; offer 10 % if it is more than 7 days late."
KEY = {"idempotency-key": "a key of this test"}


@dataclass(frozen=True)
class School:
    """An agent `clerk` with a worker, a stand-in model, and two runs that wait: on a late order, and on a product."""

    desk: Desk
    watch: waiting.Watch
    run: int
    other: int


@pytest.fixture(scope="module")
async def school(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[School]:
    """An agent of its own: it learns."""
    place = tmp_path_factory.mktemp("school")
    folder = place / "clerk"
    shutil.copytree(CRM, folder, ignore=shutil.ignore_patterns("__pycache__", "*.py"))
    text = (folder / "agent.toml").read_text(encoding="utf-8")
    text = text.replace('"crm"', '"clerk"', 1).replace("shop@crm.example", "shop@clerk.example")
    (folder / "agent.toml").write_text(text, encoding="utf-8")
    story = mails.story(data.write(folder, seed=1, today=clock.now().date()))
    agent = await portable.load(desk.database, folder)
    with worlds.made(desk.config.home, place / "sent", own_model=False) as world:
        watch = waiting.Watch(desk.database, world)
        async with desk.database.api() as conn:
            manifest = (await revisions.load(conn, agent, 1)).manifest
            both = [await runs.create(conn, agent, tasks.read(raw), raw, manifest) for raw in (story.known, story.new)]
        assert [await watch.rest(run) for run in both] == ["waiting", "waiting"]
        yield School(desk, watch, *both)


async def test_words_become_a_change_that_proves_itself_counts_and_is_taken_back(school: School) -> None:
    browser = await school.desk.browser()
    async with browser:
        asked = await browser.get(f"/runs/{school.run}/feedback")
        form = page_forms.with_words(asked, "Needs a change")
        assert "order A-1041" in form.fields["edited"]
        sent = await page_forms.send(browser, form, verdict="change", comment=RULE)
        again = await page_forms.send(browser, form, verdict="change", comment=RULE)
        assert sent.status_code == 303
        assert again.headers["location"] == sent.headers["location"]
        at = sent.headers["location"]
        listed = (await browser.get("/v1/agents/clerk/feedback")).json()["items"]
        assert [item["comment"] for item in listed] == [RULE]

        await school.watch.settled(listed[0]["feedback"])
        page = await browser.get(at)
        assert "Waiting for you" in page.text
        assert "fixed" in page.text
        assert RULE in page.text
        assert 'hx-trigger="every' not in page.text
        accept = page_forms.with_words(page, "Accept")
        accepted = await page_forms.send(browser, accept)
        twice = await page_forms.send(browser, accept)
        assert (accepted.status_code, accepted.headers["location"]) == (303, at)
        assert twice.headers["location"] == at
        page = await browser.get(at)
        assert "It counts" in page.text
        assert "Now true: the answer contains" in page.text
        assert (await browser.get("/v1/agents/clerk/playbook")).json()["current"] == 2
        playbook = await browser.get("/agents/clerk/playbook")
        assert "Told to 0 of its first 3 runs" in playbook.text
        assert at in playbook.text  # the lesson says whose words it came of

        undo = page_forms.with_words(page, "Undo")
        assert (await page_forms.send(browser, undo)).status_code == 303
        assert (await browser.get("/v1/agents/clerk/playbook")).json()["current"] == 1
        assert "It was taken back" in (await browser.get(at)).text
        late = await page_forms.send(browser, undo, key="another")
        assert late.status_code == 409
        assert "Revision 1 counts now, not 2." in late.text
        restored = await browser.get("/agents/clerk/playbook/2")
        forward = page_forms.with_words(restored, "Let revision 2 count again")
        assert (await page_forms.send(browser, forward)).status_code == 303
        assert (await browser.get("/v1/agents/clerk/playbook")).json()["current"] == 2


async def test_an_edited_output_is_shown_as_what_was_changed(school: School) -> None:
    async with await school.desk.browser() as browser:
        form = page_forms.with_words(await browser.get(f"/runs/{school.run}/feedback"), "Wrong")
        own = form.fields["edited"].strip() + "\nWe are sorry for the delay."
        sent = await page_forms.send(browser, form, verdict="wrong", edited=own)
        number = int(sent.headers["location"].rpartition("/")[2])
        page = await browser.get(f"/feedback/{number}")
        await school.watch.settled(number)
        part = await browser.get(f"/feedback/{number}/progress")
    assert "We are sorry for the delay." in page.text
    assert "<html" not in part.text
    assert "every 2s" not in part.text


async def test_a_form_that_says_nothing_keeps_what_was_written(school: School) -> None:
    async with await school.desk.browser() as browser:
        form = page_forms.with_words(await browser.get(f"/runs/{school.run}/feedback?verdict=change"), "Wrong")
        assert form.fields["verdict"] == "change"
        silent = await page_forms.send(browser, form)
        odd = await page_forms.send(browser, form, verdict="perhaps", comment="Be kind.")
    assert silent.status_code == odd.status_code == 422
    assert "Say what should change." in silent.text
    assert page_forms.with_words(odd, "Wrong").fields["comment"] == "Be kind."


async def test_right_is_kept_as_an_example_and_starts_nothing(school: School) -> None:
    run = school.other
    async with school.desk.client() as client:
        right = await client.post(f"/v1/runs/{run}/feedback", json={"verdict": "right"}, headers=KEY)
        again = await client.post(f"/v1/runs/{run}/feedback", json={"verdict": "right"}, headers=KEY)
        output = (await client.get(f"/v1/runs/{run}/feedback")).json()
    assert (right.status_code, right.json()["stage"]) == (200, "ended")
    assert right.json() == again.json()
    assert [item["verdict"] for item in output["given"]] == ["right"]


async def test_what_is_said_needs_a_key_a_verdict_and_words(desk: Desk) -> None:
    at = f"/v1/runs/{desk.run_of('known-customer')}/feedback"
    async with desk.client() as client:
        keyless = await client.post(at, json={"verdict": "right"})
        odd = await client.post(at, json={"verdict": "fine"}, headers={"idempotency-key": "odd"})
        wordless = await client.post(at, json={"verdict": "change"}, headers={"idempotency-key": "wordless"})
        both = await client.post(at, json={"verdict": "right", "edited": "New."}, headers={"idempotency-key": "both"})
        step = {"verdict": "wrong", "comment": "No.", "step": 999}
        stepless = await client.post(at, json=step, headers={"idempotency-key": "stepless"})
    assert [one.status_code for one in (keyless, odd, wordless, both, stepless)] == [422, 422, 422, 422, 404]


async def test_how_the_feedback_of_the_story_stands(desk: Desk) -> None:
    async with desk.client() as client:
        [item] = [one for one in (await client.get("/v1/agents/crm/feedback")).json()["items"] if one["curation"]]
        standing = (await client.get(f"/v1/feedback/{item['feedback']}")).json()
        first = (await client.get("/v1/agents/crm/feedback?limit=1")).json()
        rest = (await client.get(f"/v1/agents/crm/feedback?cursor={first['next']}")).json()
    assert standing["stage"] == "taken-back"  # the story ends with going back
    assert standing["change"]["trials"][0]["verdict"] == "fixed"
    assert standing["change"]["can"] == ["rollback"]
    assert "+++ r2/lessons/" in standing["change"]["diff"]
    assert first["items"][0]["feedback"] > rest["items"][0]["feedback"]


async def test_another_owner_finds_none_of_it(desk: Desk) -> None:
    run = desk.run_of("known-customer")
    async with desk.client() as mine, desk.client("second") as theirs:
        [item] = [one for one in (await mine.get("/v1/agents/crm/feedback")).json()["items"] if one["curation"]]
        number = item["feedback"]
        word = {"verdict": "right"}
        missing = {
            (await theirs.get("/v1/agents/crm/feedback")).text: (await theirs.get("/v1/agents/none/feedback")).text,
            (await theirs.get(f"/v1/runs/{run}/feedback")).text: (await theirs.get("/v1/runs/999999/feedback")).text,
            (await theirs.get(f"/v1/feedback/{number}")).text: (await theirs.get("/v1/feedback/999999")).text,
        }
        given = await theirs.post(f"/v1/runs/{run}/feedback", json=word, headers={"idempotency-key": "theirs"})
        memory = {"verdict": "wrong", "memory": 1}
        forgot = await theirs.post(f"/v1/runs/{run}/feedback", json=memory, headers={"idempotency-key": "memory"})
    assert (given.status_code, forgot.status_code) == (404, 404)
    for found, nobodys in missing.items():
        same = found.replace("crm", "none").replace(f" {run}.", " 999999.").replace(f" {number}.", " 999999.")
        assert same == nobodys
    async with await desk.browser("second") as browser:
        pages = [f"/runs/{run}/feedback", f"/feedback/{number}", f"/feedback/{number}/progress", "/agents/crm/feedback"]
        assert [(await browser.get(page)).status_code for page in pages] == [404] * len(pages)
        assert (await browser.post(f"/runs/{run}/feedback", data=word)).status_code == 404


@pytest.mark.parametrize("at", ["/runs/x/feedback", "/runs/１/feedback", f"/runs/{'9' * 30}/feedback", "/feedback/0"])
async def test_what_is_no_number_is_not_there(desk: Desk, at: str) -> None:
    async with await desk.browser() as browser:
        assert (await browser.get(at)).status_code == 404
