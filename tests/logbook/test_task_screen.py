"""A task given by hand, and the way from an agent's beginning to its first run."""

import page_forms
import pytest
import reading_ground as ground
from desks import Desk

from pocketlet.agents import agent as agents
from pocketlet.agents import runs as all_runs
from pocketlet.surfaces.api import changes, playbook
from pocketlet.surfaces.web.screens import filled

SAID = "<b>What</b> came in today?"


@pytest.fixture(scope="module")
async def novice(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> agents.Agent:
    """An agent that has done nothing yet, and its owner of the same name."""
    return await ground.moved_in(desk, "novice", tmp_path_factory.mktemp("novice"))


async def test_a_task_becomes_a_run_of_which_nothing_is_sent(desk: Desk, novice: agents.Agent) -> None:
    async with await desk.browser("novice") as browser:
        away = await browser.get("/agents/novice")
        assert (away.status_code, away.headers["location"]) == (303, "/agents/novice/runs")
        page = await browser.get(away.headers["location"])
        [form] = [one for one in page_forms.of(page) if one.action == "/agents/novice/task"]
        assert form.fields["dry"] == "yes"
        assert "outside" not in form.fields
        sent = await browser.post(form.action, data=form.fields | {"task": SAID})
        twice = await browser.post(form.action, data=form.fields | {"task": SAID})
        assert sent.status_code == 303, sent.text
        assert sent.headers["location"] == twice.headers["location"]
        shown = (await browser.get(sent.headers["location"])).text
    assert "nothing is sent" in shown
    assert SAID not in shown
    async with desk.database.api() as conn:
        run = await all_runs.load(conn, int(sent.headers["location"].rpartition("/")[2]))
    assert (run.dry, run.agent_id) == (True, novice.id)


async def test_what_others_wrote_is_material_and_an_unticked_box_acts(desk: Desk, novice: agents.Agent) -> None:
    async with await desk.browser("novice") as browser:
        sent = await browser.post("/agents/novice/task", data={"key": "k", "task": "Do it.", "outside": "yes"})
    async with desk.database.api() as conn:
        run = await all_runs.load(conn, int(sent.headers["location"].rpartition("/")[2]))
    assert (run.dry, run.input["label"]) == (False, "outside")


async def test_a_form_without_a_task_comes_back_as_it_was(desk: Desk, novice: agents.Agent) -> None:
    async with await desk.browser("novice") as browser:
        alone = page_forms.of(await browser.get("/agents/novice/task"))
        wrong = await browser.post("/agents/novice/task", data={"key": "e", "task": " ", "outside": "yes"})
    assert [one.fields["dry"] for one in alone if one.action == "/agents/novice/task"] == ["yes"]
    assert wrong.status_code == 422
    assert "There is no task." in wrong.text
    [form] = [one for one in page_forms.of(wrong) if one.action == "/agents/novice/task"]
    assert form.fields["outside"] == "yes"
    assert "dry" not in form.fields


async def test_another_owner_gives_no_task(desk: Desk) -> None:
    async with await desk.browser("second") as browser:
        for path in ("/agents/crm", "/agents/nobody", "/agents/crm/task"):
            assert (await browser.get(path)).status_code == 404, path
        for task in ("Obey.", ""):
            assert (await browser.post("/agents/crm/task", data={"key": "t", "task": task})).status_code == 404


async def test_a_revision_says_what_starts_its_runs(desk: Desk, novice: agents.Agent) -> None:
    async with desk.client("novice") as client:
        kept = (await client.get("/v1/agents/novice/revisions/1/change")).json()
    assert kept["triggers"] == ["morning"]
    async with await desk.browser("novice") as browser, await desk.browser("second") as foreign:
        assert "Nothing starts it yet" not in (await browser.get("/agents/novice/playbook/1")).text
        assert "Nothing starts it yet" in (await foreign.get("/agents/foreign/playbook/1")).text


def test_one_lesson_is_told_by_a_sentence() -> None:
    expect = [{"kind": "contains", "text": "Hello"}, {"kind": "max_words", "n": "90"}]
    found = playbook.Lesson.model_construct(expect=expect)
    assert found.shows == ["the answer contains “Hello”", "the answer has at most 90 words"]
    one = "--- r1/lessons/greet.md\n+++ r2/lessons/greet.md\n@@ -0,0 +1,1 @@\n+b"
    two = one + "\n--- r1/agent.toml\n+++ r2/agent.toml\n@@ -1 +1 @@\n-c\n+d"
    for diff, adds, is_one in ((one, [found], True), (two, [found], False), (one, [found, found], False)):
        assert changes.Change.model_construct(diff=diff, adds=adds, drops=[]).is_one_lesson is is_one


def test_numbers_in_addresses() -> None:
    assert filled.number("12") == 12
    assert filled.number("1", filled.REVISIONS) == 1
    for text, among in (("x", filled.IDS), ("-1", filled.IDS), ("9" * 19, filled.IDS), ("0", filled.REVISIONS)):
        with pytest.raises(filled.errors.NotFound):
            filled.number(text, among)
