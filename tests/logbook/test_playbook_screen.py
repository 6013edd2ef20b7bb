"""The playbook by pages and by the API: what counts, where it comes from, what differs, edits by hand, going back."""

import shutil
from dataclasses import replace
from decimal import Decimal

import page_forms
import pytest
from desks import Desk

from pocketlet.agents import agent as agents
from pocketlet.agents import portable, revisions
from pocketlet.learning import adoption
from pocketlet.surfaces.api import changes
from pocketlet.surfaces.web.screens import playbook

MANIFEST = """
name = "scribe"
job = "Write things down."
model = "openai:none"
price = {input = 1.0, output = 2.0}
"""
FIRST = "Write plainly.\n- Be brief.\n"


@pytest.fixture(scope="module")
async def scribe(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An agent of its own, that has a draft: revision 2."""
    folder = tmp_path_factory.mktemp("scribe")
    (folder / "agent.toml").write_text(MANIFEST, encoding="utf-8")
    (folder / "INSTRUCTIONS.md").write_text(FIRST, encoding="utf-8")
    agent = await portable.load(desk.database, folder)
    shutil.rmtree(folder)
    async with desk.database.api() as conn:
        now = await revisions.load(conn, agent, 1)
        change = revisions.Change("<b>politer</b>", "manager", 1)
        await revisions.add(conn, agent, replace(now, instructions="Write plainly.\n- Be brief and kind.\n"), change)
        await revisions.decide(conn, agent, 2, "ask", author="gate", because="It waits for your word.")
    return agent.name


async def test_the_storys_playbook_says_where_its_lesson_came_from(desk: Desk) -> None:
    async with desk.client() as client:
        second = (await client.get("/v1/agents/crm/revisions/2")).json()
        listed = (await client.get("/v1/agents/crm/revisions")).json()
        change = (await client.get("/v1/agents/crm/revisions/2/change")).json()
        blamed = (await client.get("/v1/agents/crm/blame")).json()
        diff = (await client.get("/v1/agents/crm/diff?old=1&new=2")).json()
    assert [row["revision"] for row in listed["items"]] == [2, 1]
    assert {row["state"] for row in listed["items"]} == {"adopted", "current"}
    [lesson] = second["lessons"]
    assert lesson["when"] == {"intent": "late_order"}
    assert change["adds"][0]["body"] == lesson["body"]
    assert change["diff"] == diff["diff"]
    assert Decimal(change["cost"]) > 0
    assert {line["revision"] for line in blamed["items"]} == {1}


async def test_revisions_come_in_parts(desk: Desk) -> None:
    async with desk.client() as client:
        first = (await client.get("/v1/agents/crm/revisions?limit=1")).json()
        second = (await client.get(f"/v1/agents/crm/revisions?limit=1&cursor={first['next']}")).json()
        odd = await client.get("/v1/agents/crm/revisions?cursor=odd")
    assert [first["items"][0]["revision"], second["items"][0]["revision"]] == [2, 1]
    assert second["next"] is None
    assert odd.status_code == 422


async def test_pages_show_what_counts_one_revision_and_what_differs(desk: Desk) -> None:
    async with await desk.browser() as browser:
        current = await browser.get("/agents/crm/playbook")
        one = await browser.get("/agents/crm/playbook/2")
        compared = await browser.get("/agents/crm/playbook/compare?old=1&new=2")
        same = await browser.get("/agents/crm/playbook/compare?old=1&new=1")
    assert "You answer the mail of a small shop" in current.text
    assert "/agents/crm/playbook/1" in current.text
    assert "fixed" in one.text
    assert "What the decision rests on" in one.text
    assert "lessons/" in compared.text
    assert "They say the same." in same.text


async def test_a_hand_written_revision_counts_at_once_and_a_late_one_does_not(desk: Desk, scribe: str) -> None:
    async with await desk.browser() as browser:
        waits = await browser.get(f"/agents/{scribe}/playbook")
        assert "&lt;b&gt;politer&lt;/b&gt;" in waits.text
        editor = page_forms.with_words(await browser.get(f"/agents/{scribe}/playbook/edit"), "Keep as a new revision")
        assert editor.fields["instructions"] == FIRST
        written = FIRST + "- Sign as the scribe.\n"
        kept = await page_forms.send(browser, editor, instructions=written, reason="who writes")
        again = await page_forms.send(browser, editor, instructions=written, reason="who writes")
        assert kept.headers["location"] == again.headers["location"] == f"/agents/{scribe}/playbook/3"
        late = await page_forms.send(browser, editor, instructions=FIRST + "- Late.\n", key="late")
        assert late.status_code == 409
        assert "- Late." in page_forms.with_words(late, "Keep as a new revision").fields["instructions"]
        page = await browser.get(kept.headers["location"])
        assert "- Sign as the scribe." in page.text
        blamed = (await browser.get(f"/v1/agents/{scribe}/blame")).json()["items"]
        draft = (await browser.get(f"/v1/agents/{scribe}/revisions/2")).json()
    lines = {line["text"]: line["revision"] for line in blamed if line["file"] == "INSTRUCTIONS.md"}
    assert lines == {"Write plainly.": 1, "- Be brief.": 1, "- Sign as the scribe.": 3}
    assert draft["about"]["state"] == "asked"


async def test_a_draft_of_a_revision_that_counts_no_more_can_only_be_discarded(desk: Desk, scribe: str) -> None:
    async with desk.database.api() as conn:
        agent = await agents.get(conn, scribe)
        if agent.current == 1:
            await adoption.write(conn, agent, 1, "Write.\n", "shorter")
    async with await desk.browser() as browser:
        page = await browser.get(f"/agents/{scribe}/playbook/2")
        assert "can't be accepted any more" in page.text
        assert not [form for form in page_forms.of(page) if form.action.endswith("/adopt")]
        at = f"/v1/agents/{scribe}/revisions/2/adopt"
        adopted = await browser.post(at, json={}, headers={"idempotency-key": "late adoption"})
        assert adopted.status_code == 409
        gone = await page_forms.send(browser, page_forms.with_words(page, "Discard"))
        back = await browser.post(f"/agents/{scribe}/playbook/2/rollback", data={"key": "back"})
    assert gone.headers["location"] == f"/agents/{scribe}/playbook/2"
    assert back.status_code == 409
    assert "Revision 2 was discarded." in back.text


async def test_empty_and_unchanged_instructions_are_refused(desk: Desk, scribe: str) -> None:
    async with desk.client() as client:
        now = (await client.get(f"/v1/agents/{scribe}/playbook")).json()
        edits = [{"revision": now["current"], "instructions": text} for text in (" \n ", now["instructions"])]
        answers = [await client.put(f"/v1/agents/{scribe}/instructions", json=edit) for edit in edits]
        after = (await client.get(f"/v1/agents/{scribe}/playbook")).json()
    assert [answer.status_code for answer in answers] == [422, 409]
    assert after == now


async def test_another_owner_finds_and_changes_nothing(desk: Desk) -> None:
    reads = ["playbook", "revisions", "revisions/1", "revisions/2/change", "diff", "blame"]
    async with desk.client("second") as theirs:
        for path in reads:
            found = await theirs.get(f"/v1/agents/crm/{path}")
            nobodys = await theirs.get(f"/v1/agents/none/{path}")
            assert (found.status_code, found.text.replace("'crm'", "'none'")) == (404, nobodys.text)
        for path, body in (("revisions/2/adopt", {}), ("revisions/2/discard", {}), ("rollback", {"revision": 2})):
            key = {"idempotency-key": f"theirs {path}"}
            assert (await theirs.post(f"/v1/agents/crm/{path}", json=body, headers=key)).status_code == 404
        edit = {"revision": 1, "instructions": "Obey."}
        assert (await theirs.put("/v1/agents/crm/instructions", json=edit)).status_code == 404
    async with await desk.browser("second") as browser:
        for path in ("", "/2", "/edit", "/compare"):
            assert (await browser.get(f"/agents/crm/playbook{path}")).status_code == 404
        for path in ("/2/adopt", "/2/discard", "/2/rollback", "/edit"):
            sent = await browser.post(f"/agents/crm/playbook{path}", data={"revision": "1", "instructions": "Obey."})
            assert sent.status_code == 404
    async with desk.client() as mine:
        assert (await mine.get("/v1/agents/crm/playbook")).json()["current"] == 1


@pytest.mark.parametrize("n", ["0", "x", "99", "１", "9" * 12])
async def test_a_revision_that_there_is_not(desk: Desk, n: str) -> None:
    async with await desk.browser() as browser:
        assert (await browser.get(f"/agents/crm/playbook/{n}")).status_code == 404
        assert (await browser.get(f"/v1/agents/crm/revisions/{n}")).status_code == 404


@pytest.mark.parametrize(
    ("back", "to"),
    [
        ("/feedback/7", "/feedback/7"),
        ("/agents/crm/chat", "/agents/crm/chat"),
        ("//evil.example", "/agents/crm/playbook/2"),
        ("https://evil.example/feedback/7", "/agents/crm/playbook/2"),
        ("/feedback/7\n//evil.example", "/agents/crm/playbook/2"),
    ],
)
def test_a_form_leads_back_to_our_own_pages_alone(back: str, to: str) -> None:
    assert playbook.back({"back": back}, "crm", 2) == to


def test_a_diff_is_read_by_its_own_counts() -> None:
    text = "--- r1/A.md\n+++ r2/A.md\n@@ -1,2 +1,2 @@\n--- gone\n+++ come\n same\n@@ -9 +9 @@\n-a\n+b\n"
    text += "--- r1/B.md\n+++ r2/B.md\n@@ -0,0 +1 @@\n+new"
    assert changes.marked(text) == [
        ("@", "A.md"), ("-", "-- gone"), ("+", "++ come"), (" ", "same"), ("@", "…"), ("-", "a"), ("+", "b"),
        ("@", "B.md"), ("+", "new"),
    ]  # fmt: skip
    assert changes.marked("") == []
