"""Skills: seen before they count, pinned by digest, edited, turned off and on, tried; each owner's own."""

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
from desks import Desk

from pocketlet import clock
from pocketlet.agents import portable
from pocketlet.surfaces.api import changes

NUMBERS = itertools.count(1)
MANIFEST = """
name = "{name}"
job = "Read invoices."
model = "openai:none"
price = {{input = 1.0, output = 2.0}}
"""
TEXT = """---
name: invoices
description: Reads invoices.
---

# Invoices

Ask https://books.example for the bill. <script>window.pwned=1</script> ![x](https://evil.example/x.png)
"""


@pytest.fixture
async def agent(desk: Desk, tmp_path: Path) -> str:
    name = f"skilled{next(NUMBERS)}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "agent.toml").write_text(MANIFEST.format(name=name), encoding="utf-8")
    await portable.load(desk.database, tmp_path / name)
    return name


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "invoices"
    folder.mkdir()
    (folder / "SKILL.md").write_text(TEXT, encoding="utf-8")
    (folder / "form.md").write_text("Form.\n", encoding="utf-8")
    return folder


async def install(desk: Desk, agent: str, package: Path, **more: str) -> dict[str, Any]:
    """What installing at the digest of the plan says."""
    asked = {"source": str(package)} | more
    async with desk.client() as client:
        plan = (await client.post(f"/v1/agents/{agent}/skills/plan", json=asked)).json()
        done = await client.post(f"/v1/agents/{agent}/skills", json=asked | {"digest": plan["digest"]})
    assert done.status_code == 200, done.text
    return dict(done.json())


async def listed(desk: Desk, agent: str) -> dict[str, Any]:
    async with desk.client() as client:
        return dict((await client.get(f"/v1/agents/{agent}/skills")).json())


async def test_the_skill_of_the_demo_is_there(desk: Desk) -> None:
    found = await listed(desk, "crm")
    async with await desk.browser() as browser:
        page = await browser.get("/agents/crm/skills")
        whole = await browser.get("/agents/crm/skills/reply-to-customer")
    assert [(one["name"], one["state"]) for one in found["items"]] == [("reply-to-customer", "own")]
    assert "reply-to-customer" in page.text
    assert "from-owner" in whole.text


async def test_nothing_counts_before_it_was_seen(desk: Desk, agent: str, package: Path) -> None:
    asked = {"source": str(package)}
    async with desk.client() as client:
        plan = (await client.post(f"/v1/agents/{agent}/skills/plan", json=asked)).json()
        before = await listed(desk, agent)
        (package / "form.md").write_text("Other.\n", encoding="utf-8")
        moved = await client.post(f"/v1/agents/{agent}/skills", json=asked | {"digest": plan["digest"]})
        after = await listed(desk, agent)
    assert (plan["skill"], plan["is_new"], plan["permissions"]["hosts"]) == (
        "invoices",
        True,
        ["books.example", "evil.example"],
    )
    assert "+# Invoices" in plan["diff"]
    assert (before["items"], moved.status_code, after["items"]) == ([], 409, [])


async def test_an_update_shows_what_is_new_and_keeps_edits(desk: Desk, agent: str, package: Path) -> None:
    await install(desk, agent, package)
    where = f"/v1/agents/{agent}/skills"
    async with desk.client() as client:
        current = (await listed(desk, agent))["current"]
        text = TEXT.replace("# Invoices", "# Bills at https://third.example")
        seen = (await client.post(f"{where}/invoices/preview", json={"text": text, "revision": current})).json()
        stale = await client.put(f"{where}/invoices/text", json={"text": text, "revision": current - 1})
        edited = await client.put(f"{where}/invoices/text", json={"text": text, "revision": current})
        whole = (await client.get(f"{where}/invoices")).json()
        (package / "form.md").write_text("See https://fourth.example.\n", encoding="utf-8")
        plan = (await client.post(f"{where}/plan", json={"skill": "invoices"})).json()
    await install(desk, agent, package, skill="invoices")
    async with desk.client() as client:
        now = (await client.get(f"{where}/invoices")).json()
        idle = (await client.post(f"{where}/plan", json={"skill": "invoices"})).json()
    assert (seen["added"]["hosts"], stale.status_code, edited.status_code) == (["third.example"], 409, 200)
    assert (whole["skill"]["state"], "-# Invoices" in whole["edits"]) == ("edited", True)
    assert (plan["added"]["hosts"], plan["kept"]) == (["fourth.example", "third.example"], ["SKILL.md"])
    assert now["texts"] == {"SKILL.md": text, "form.md": "See https://fourth.example.\n"}
    assert idle["idle"]


async def test_both_changed_a_file_and_the_owner_says_whose_counts(desk: Desk, agent: str, package: Path) -> None:
    await install(desk, agent, package)
    where = f"/agents/{agent}/skills"
    (package / "SKILL.md").write_text(TEXT + "Upstream.\n", encoding="utf-8")
    async with await desk.browser() as browser:
        page = (await browser.get(f"{where}/invoices")).text
        revision = re.search(r'name="revision" value="(\d+)"', page)
        assert revision
        mine = {"text": TEXT + "Mine.\n", "revision": revision[1]}
        change = await browser.post(f"{where}/invoices/preview", data=mine)
        done = await browser.post(f"{where}/invoices/text", data=mine)
        both = await browser.post(f"{where}/plan", data={"skill": "invoices"})
        theirs = await browser.post(f"{where}/plan", data={"skill": "invoices", "prefer": "theirs"})
        asked = dict(re.findall(r'name="(\w+)" value="([^"]*)"', theirs.text))
        put = await browser.post(f"{where}/install", data=asked)
        now = (await browser.get(f"{where}/invoices")).text
    assert "Mine." in change.text
    assert (done.status_code, put.status_code) == (303, 303)
    assert "You and upstream both changed SKILL.md" in both.text
    assert "Update it" not in both.text
    assert "Upstream." in now
    assert "Mine." not in now


async def test_off_and_on_again(desk: Desk, agent: str, package: Path) -> None:
    await install(desk, agent, package)
    digest = (await listed(desk, agent))["items"][0]["digest"]
    where = f"/agents/{agent}/skills"
    async with await desk.browser() as browser:
        off = await browser.post(f"{where}/invoices/off", data={"x": ""})
        page = (await browser.get(where)).text
        none = await listed(desk, agent)
        on = await browser.post(f"{where}/invoices/on", data={"x": ""})
        twice = await browser.post(f"{where}/invoices/on", data={"x": ""})
    found = await listed(desk, agent)
    assert (off.status_code, on.status_code, twice.status_code) == (303, 303, 404)
    assert "Turn invoices on" in page
    assert ([one["name"] for one in none["put_by"]], none["items"]) == (["invoices"], [])
    assert [(one["state"], one["digest"]) for one in found["items"]] == [("as installed", digest)]


async def test_changed_bytes_do_not_come_back(desk: Desk, agent: str, package: Path) -> None:
    await install(desk, agent, package)
    async with desk.client() as client:
        await client.post(f"/v1/agents/{agent}/skills/invoices/off")
        async with desk.database.setup() as conn:
            await conn.execute(
                "UPDATE pocketlet.skill_source SET files = files || '{\"form.md\": \"Evil.\"}' WHERE digest <> ''"
                " AND agent_id = (SELECT id FROM pocketlet.agent WHERE name = %s)",
                (agent,),
            )
        refused = await client.post(f"/v1/agents/{agent}/skills/invoices/on")
    assert (refused.status_code, "digest differs" in refused.json()["detail"]) == (403, True)


async def test_a_trial_is_dry_and_starts_once(desk: Desk, agent: str, package: Path) -> None:
    await install(desk, agent, package)
    where = f"/agents/{agent}/skills/invoices/trial"
    form = {"task": "Which bill is due?", "key": f"{clock.monotonic()}"}
    async with await desk.browser() as browser:
        first = await browser.post(where, data=form)
        again = await browser.post(where, data=form)
    number = int(first.headers["location"].rpartition("/")[2])
    async with desk.client() as client:
        keyless = await client.post(f"/v1{where}", json={"task": "x"})
    async with desk.database.api() as conn:
        row = await (
            await conn.execute("SELECT dry, label, input FROM pocketlet.run WHERE id = %s", (number,))
        ).fetchone()
    assert row
    assert first.headers["location"] == again.headers["location"]
    assert (row["dry"], row["label"], keyless.status_code) == (True, "owner", 422)
    assert row["input"]["text"].startswith("Read the skill invoices")


async def test_hostile_text_is_shown_and_does_nothing(desk: Desk, agent: str, package: Path) -> None:
    where = f"/agents/{agent}/skills"
    async with await desk.browser() as browser:
        plan = await browser.post(f"{where}/plan", data={"source": str(package)})
        await install(desk, agent, package)
        whole = await browser.get(f"{where}/invoices")
        update = await browser.post(f"{where}/plan", data={"skill": "invoices"})
    for page in (plan, whole, update):
        assert page.status_code == 200
        assert not re.search(r"<script>window|<img|\son\w+=\"|style=", page.text)
    assert "&lt;script&gt;window.pwned=1" in plan.text
    assert "from-outside" in plan.text
    assert "from-outside" in whole.text


@pytest.mark.parametrize(
    "source", ["", "nowhere", "https://127.0.0.1/x", "file:///nowhere", "https://nowhere.invalid/x"]
)
async def test_what_can_not_be_read_is_said(desk: Desk, agent: str, source: str) -> None:
    async with desk.client() as client:
        refused = await client.post(f"/v1/agents/{agent}/skills/plan", json={"source": source})
    assert refused.status_code in (403, 404, 422, 503)
    assert refused.json()["detail"]


async def test_files_of_the_machine_are_the_keepers(desk: Desk, package: Path) -> None:
    async with desk.client("second") as client:
        answers = [
            await client.post("/v1/agents/foreign/skills/plan", json={"source": source})
            for source in (str(package), f"file://{package}", f"HTTPS://{package}")
        ]
    assert [one.status_code for one in answers] == [403, 403, 403]


async def test_another_owner_finds_nothing(desk: Desk, agent: str, package: Path) -> None:
    await install(desk, agent, package)
    digest = "sha256:" + "0" * 64
    asked: list[tuple[str, str, dict[str, Any] | None]] = [
        ("GET", "", None),
        ("GET", "/invoices", None),
        ("POST", "/plan", {"source": "https://nowhere.invalid/x"}),
        ("POST", "", {"source": "https://nowhere.invalid/x", "digest": digest}),
        ("POST", "/invoices/preview", {"text": "x", "revision": 1}),
        ("PUT", "/invoices/text", {"text": "x", "revision": 1}),
        ("POST", "/invoices/off", None),
        ("POST", "/invoices/on", None),
        ("POST", "/invoices/trial", {"task": "x"}),
    ]
    async with desk.client("second") as theirs:
        for number, (method, path, body) in enumerate(asked):
            keys = [{"idempotency-key": f"{agent}-{number}-{side}"} for side in "ab"]
            hers = await theirs.request(method, f"/v1/agents/{agent}/skills{path}", json=body, headers=keys[0])
            nobodys = await theirs.request(method, f"/v1/agents/nobody/skills{path}", json=body, headers=keys[1])
            assert (hers.status_code, nobodys.status_code) == (404, 404), (method, path)
            assert hers.text == nobodys.text.replace("nobody", agent)
    async with await desk.browser("second") as browser:
        for path in ("", "/invoices"):
            assert (await browser.get(f"/agents/{agent}/skills{path}")).status_code == 404


def test_no_line_of_a_file_passes_for_a_heading() -> None:
    diff = (
        "--- now/a\n+++ then/a\n@@ -1,2 +1,2 @@\n--- x\n+++ y\n @@ -1 +1 @@\n--- now/b\n+++ then/b\n@@ -3 +3 @@\n-c\n+d"
    )
    assert changes.marked(diff) == [
        ("@", "a"),
        ("-", "-- x"),
        ("+", "++ y"),
        (" ", "@@ -1 +1 @@"),
        ("@", "b"),
        ("-", "c"),
        ("+", "d"),
    ]
