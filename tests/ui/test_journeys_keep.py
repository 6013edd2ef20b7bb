"""Journeys through the pages that keep an agent in hand: with the keys alone, with a mouse, and on a phone.

Each asserts what is written down in the end, and not only what the pages say. The machine is this file's own.
"""

import csv
import re
from collections.abc import AsyncGenerator, Callable, Iterator
from decimal import Decimal
from pathlib import Path

import furnishing
import household
import httpx2
import pytest
import walking
from playwright import async_api

import outside_service
from pocketlet import settings
from pocketlet.platform import database

pytestmark = [pytest.mark.ui, pytest.mark.timeout(300)]

PATIENCE = 30_000  # milliseconds: a journey starts runs, and the machine may be busy
expect = async_api.expect
NEWEST = "SELECT max(n) FROM pocketlet.revision JOIN pocketlet.agent ON id = agent_id WHERE name = 'crm'"
CURRENT = "SELECT current FROM pocketlet.agent WHERE name = 'crm'"
DECIDED = "SELECT revision, verdict, author FROM pocketlet.decision ORDER BY id DESC LIMIT 1"
MEMORIES = "SELECT count(*) FROM crm.memories WHERE origin_run = %(run)s"
TOKEN = "tk-71aa-very-secret-token"
#: An agent whose model nobody has: each of its runs fails.
NIGHT = """
name = "night"
job = "Write down what the day brought."
model = "openai:standin/imagined=1"
price = {input = 0.5, output = 1.5}
tools = ["sql"]
budget = {run = 0.50, day = 5.00}

[triggers]
late = {schedule = "0 3 1 1 *", task = "Write down what the day brought."}
"""
SKILL = """---
name: {name}
description: Answer a mail that asks for an invoice.
---

Look the order up, and say that the invoice comes by post. Never write to accounts@example.com.
"""


@pytest.fixture(scope="module")
def house(_chromium: None) -> Iterator[household.House]:
    """A machine of this file's own, for everything on it is changed."""
    with household.lived_in() as made:
        yield made


@pytest.fixture(scope="module")
async def books(house: household.House) -> AsyncGenerator[walking.Books]:
    """What is written down on it."""
    async with database.opened(settings.read({"POCKETLET_HOME": str(house.home)})) as opened:
        yield walking.Books(opened)


@pytest.fixture(params=walking.WAYS, ids=lambda way: way.name)
async def walk(request, visit, house, record_property: Callable[[str, object], None]) -> AsyncGenerator[walking.Walk]:
    """Somebody who begins at the first page."""
    way = request.param
    made = walking.Walk(await visit("/", theme=way.theme, width=way.width), way, house)
    expect.set_options(timeout=PATIENCE)
    made.page.set_default_timeout(PATIENCE)
    yield made
    record_property("journey", request.node.originalname.removeprefix("test_"))
    record_property("axe_findings", len(made.sight.findings))


async def test_going_back_to_a_revision_and_forward_again(walk, books) -> None:
    now, newest = await books.one(CURRENT), await books.one(NEWEST)
    other = 1 if now == newest else newest
    await walk.at("Today")
    for before, wanted in ((now, other), (other, now)):
        await walk.rail("Playbook")
        await walk.at("Playbook", says=f"Revision {before} counts")
        await walk.press(walk.link(f"Revision {wanted}"))
        await walk.at(f"Revision {wanted}")
        await walk.press(walk.button(f"Let revision {wanted} count again"))
        await walk.at(f"Revision {wanted}", says="counts now")
        assert await books.one(CURRENT) == wanted
        assert await books.rows(DECIDED) == [{"revision": wanted, "verdict": "rollback", "author": "owner"}]
    assert await books.one(NEWEST) == newest
    await walk.end("rollback")


async def test_asking_memory_with_sql_and_keeping_the_query(walk, books) -> None:
    name, query = f"Customers by {walk.way.name}", "select name, email from customers where name ilike %(begins)s"
    await walk.rail("Memory")
    await walk.at("Memory")
    await walk.press(walk.link("SQL"))
    await walk.at("Memory", says="For example")
    await walk.write(walk.page.get_by_role("textbox", name="One SELECT"), query)
    await walk.press(walk.button("Run"))
    await walk.at("Memory", says="The query asks for begins")
    await walk.write(walk.field("begins"), "a%")
    await walk.press(walk.button("Run"))
    told = walk.house.command("sql", "crm", "select name, email from customers where name ilike 'a%' order by name")
    known = [dict(zip(("name", "email"), row, strict=True)) for row in told["rows"]]
    await walk.at("Memory", says=f"{len(known)} row")
    await walk.write(walk.field("A name for this query"), name)
    await walk.press(walk.button("Keep"))
    await walk.at("Memory", says=f"The query is kept as “{name}”.")
    assert await books.one("SELECT query FROM pocketlet.saved_query WHERE name = %(name)s", name=name) == query
    async with walk.page.expect_download() as coming:
        await walk.press(walk.link("CSV"))
    file = Path(await (await coming.value).path()).read_text(encoding="utf-8-sig")
    assert sorted(csv.DictReader(file.splitlines()), key=lambda row: row["name"]) == known
    await walk.press(walk.link(name))
    await walk.at("Memory", says="The query asks for begins")
    await walk.end("sql")


async def test_forgetting_a_sender_and_taking_it_back(walk, books) -> None:
    run = walk.house.run_of("new-customer")
    sender = await books.one("SELECT input->>'sender' FROM pocketlet.run WHERE id = %(run)s", run=run)
    await _remember(books, run, f"Wants to hear of lamps ({walk.way.name})")
    kept = await books.one(MEMORIES, run=run)
    await walk.rail("Memory")
    await walk.press(walk.link("Forget a sender"))
    await walk.at("Memory", says="You see them first")
    await walk.write(walk.field("Their address"), sender)
    await walk.press(walk.button("Show what that is"))
    await walk.at("Memory", says=f"Wants to hear of lamps ({walk.way.name})")
    assert await books.one(MEMORIES, run=run) == kept
    await walk.press(walk.button("Forget it" if kept == 1 else f"Forget these {kept}"))
    await walk.at("Memory", says="forgotten.")
    assert await books.one(MEMORIES, run=run) == 0
    await walk.press(walk.button("Take that back"))
    await walk.at("Memory", says="The memories are there again.")
    assert await books.one(MEMORIES, run=run) == kept
    await walk.end("forget")


async def _remember(books: walking.Books, run: int, subject: str) -> None:
    told = {"subject": subject, "body": "", "entity": None, "run": run, "integrity": "outside", "author": "run"}
    async with books.opened.api() as conn:
        await conn.execute(furnishing.COUNTED)
        await conn.execute(furnishing.KEPT, told)


async def test_connecting_a_service_and_cutting_it_off(walk, books) -> None:
    name = f"shop-{walk.way.name}"
    with outside_service.Service().serving() as service:
        service.access.add(TOKEN)
        await walk.rail("Connections")
        await walk.at("Connections")
        await walk.press(walk.link("Connect a service"))
        await _described(walk, name, service.url)
        await walk.press(walk.button("Look at it first"))
        await walk.at("A new connection", says="This is what would be made")
        assert not await books.rows("SELECT FROM pocketlet.connection WHERE name = %(name)s", name=name)
        await walk.press(walk.button("Add it, and let crm use it"))
        await walk.at(name, says="It needs the secret")
        await walk.write(walk.page.get_by_label("The value of"), TOKEN)
        await walk.press(walk.button("Set"))
        await walk.at(name, says="is sealed")
        await walk.press(walk.button("Test it"))
        await walk.at(name, says="It works: GET /orders answered 200")
        assert service.requests == [("GET", "/v1/orders", f"Bearer {TOKEN}")]
        assert TOKEN not in await walk.page.content()
        await _cut_and_given_back(walk, books, name, service)
    row = await books.rows(
        "SELECT c.pinned, c.allow, g.agent_id FROM pocketlet.connection c"
        " JOIN pocketlet.connection_grant g ON g.connection_id = c.id WHERE c.name = %(name)s",
        name=name,
    )
    assert [(one["pinned"], one["allow"][0]["path"]) for one in row] == [(["127.0.0.1"], "/orders")]
    await walk.end("connection")


async def _described(walk: walking.Walk, name: str, url: str) -> None:
    await walk.at("A new connection")
    await walk.write(walk.field("Name"), name)
    await walk.write(walk.field("Address"), f"{url}/v1")
    await walk.write(walk.field("Allowed operations, one a line"), "GET /orders")
    await walk.choose(walk.field("How the service knows us"), "With a token (Authorization: Bearer)")
    await walk.press(walk.summary("Limits, a server of your own, notes"))
    await walk.write(walk.field("Pinned addresses, one a line"), "127.0.0.1")


async def _cut_and_given_back(walk, books, name: str, service: outside_service.Service) -> None:
    cut = "SELECT value FROM pocketlet.setting WHERE name = 'egress_cut'"
    for button, said, works in (
        ("Cut all egress", "All egress is cut", False),
        ("Let it through again", "What agents do outside goes through again.", True),
    ):
        before = len(service.requests)
        await walk.rail("Connections")
        await walk.press(walk.button(button))
        await walk.at("Connections", says=said)
        assert (await books.one(cut) is None) == works
        await walk.press(walk.link(name))
        await walk.at(name)
        await walk.press(walk.button("Test it"))
        await walk.at(name, says="It works" if works else "It does not work")
        assert len(service.requests) - before == int(works)


async def test_a_schedule_is_added_tried_and_paused(walk, books) -> None:
    name, revision = f"morning-{walk.way.name}", await books.one(NEWEST)
    trigger = "SELECT paused FROM pocketlet.trigger WHERE name = %(name)s AND active"
    await walk.rail("Triggers")
    await walk.at("Triggers")
    await walk.press(walk.link("A schedule"))
    await walk.at("Triggers", says="Add a schedule")
    await walk.write(walk.field("Name"), name)
    await walk.write(walk.field("When, in words or cron"), "every weekday at 9:00")
    await expect(walk.main).to_contain_text("That is")
    await walk.write(walk.field("What each run is to do"), "Count the letters of yesterday.")
    await walk.press(walk.button("Add it"))
    await walk.at("Triggers", says=name)
    assert await books.one(CURRENT) == revision + 1
    assert [row["paused"] for row in await books.rows(trigger, name=name)] == [None]
    await walk.press(walk.summary(f"Try it {name}"))
    section = walk.page.locator(f"#trigger-{name}")
    await walk.press(section.get_by_role("button", name="Try it without effects"))
    await expect(walk.page).to_have_url(re.compile(r"/runs/\d+$"))
    run = int(walk.page.url.rpartition("/")[2])
    await expect(walk.summary("Do it again")).to_be_visible()
    assert await books.rows("SELECT dry, kind FROM pocketlet.run WHERE id = %(run)s", run=run) == [
        {"dry": True, "kind": "run"}
    ]
    assert not await books.rows("SELECT FROM pocketlet.slot WHERE run_id = %(run)s", run=run)
    assert not await books.rows("SELECT FROM pocketlet.effect WHERE run_id = %(run)s AND state = 'succeeded'", run=run)
    await walk.seen()
    for button, paused in ((f"Pause {name}", "paused by the owner"), (f"Let it go on {name}", None)):
        await walk.rail("Triggers")
        await walk.press(walk.button(button))
        await expect(walk.button(f"Let it go on {name}" if paused else f"Pause {name}")).to_be_visible()
        await walk.seen()
        assert [row["paused"] for row in await books.rows(trigger, name=name)] == [paused]
    await walk.end("trigger")


async def test_starting_a_run_again_and_stopping_it(walk, books) -> None:
    old = walk.house.run_of("known-customer")
    await walk.rail("Runs")
    await walk.at("Runs")
    await walk.press(walk.main.locator(f'a[href="/runs/{old}"]'))
    await expect(walk.main.locator(".budget")).to_contain_text("of $0.50")
    await walk.seen()
    await walk.press(walk.summary("Do it again"))
    await walk.tick(walk.page.get_by_label("Only show what it would do"))
    await walk.press(walk.page.get_by_role("button", name="Start it on revision"))
    await expect(walk.main).to_contain_text("does it again.")
    run = int(walk.page.url.rpartition("/")[2])
    assert run > old
    await expect(walk.page.locator("#letters")).to_contain_text("Waiting for you")
    spent = await books.one("SELECT sum(cost) FROM pocketlet.ledger WHERE run_id = %(run)s", run=run)
    await expect(walk.main.locator(".budget")).to_contain_text(f"${spent:.4f} of $0.50")
    await walk.press(walk.button("Stop this run"))
    await expect(walk.main).to_contain_text("The run is stopped.")
    assert await books.one("SELECT state FROM pocketlet.run WHERE id = %(run)s", run=run) == "stopped"
    acts = await books.rows("SELECT state FROM pocketlet.effect WHERE run_id = %(run)s", run=run)
    assert acts
    assert "succeeded" not in {act["state"] for act in acts}
    await walk.rail("Today")
    await walk.at("Today")
    assert not await walk.main.locator(f'a[href="/runs/{run}"]').count()
    await walk.end("stop")


async def test_from_a_failure_on_home_to_its_cause(walk, books, tmp_path) -> None:
    await _night_falls(walk, books, tmp_path)
    [notice] = await books.rows(
        "SELECT n.id, n.run_id FROM pocketlet.notice n JOIN pocketlet.agent a ON a.id = n.agent_id"
        " WHERE a.name = 'night' AND n.resolved_at IS NULL"
    )
    await walk.at("Today", says="night failed")
    await walk.press(walk.main.get_by_role("link", name="night failed"))
    await expect(walk.main.get_by_role("group", name="Why it failed")).to_contain_text("standin/imagined=1")
    run = int(walk.page.url.rpartition("/")[2])
    assert run == notice["run_id"]
    await walk.seen()
    await walk.sight.shot(f"journey-cause-{walk.way.name}")
    assert await books.one("SELECT state FROM pocketlet.run WHERE id = %(run)s", run=run) == "failed"
    assert await books.rows("SELECT FROM pocketlet.seen WHERE run_id = %(run)s", run=run)
    await walk.rail("Today")
    await walk.at("Today")
    assert not await walk.main.get_by_role("link", name="night failed").count()
    await walk.press(walk.button(f"Dismiss notice {notice['id']}"))
    await expect(walk.button("Undo: show the notice again")).to_be_visible()
    await walk.at("Today")
    closed = "SELECT resolved_at IS NOT NULL FROM pocketlet.notice WHERE id = %(id)s"
    assert await books.one(closed, id=notice["id"])
    await walk.end("failure")


async def _night_falls(walk: walking.Walk, books: walking.Books, folder: Path) -> None:
    """A run of an agent that can't work, by its own trigger; the person looks again until it is told."""
    if not await books.rows("SELECT FROM pocketlet.agent WHERE name = 'night'"):
        (folder / "agent.toml").write_text(NIGHT, encoding="utf-8")
        (folder / "INSTRUCTIONS.md").write_text("Write little.\n", encoding="utf-8")
        walk.house.command("agent", "import", folder)
    async with httpx2.AsyncClient(base_url=f"{walk.house.url}/v1", timeout=30) as api:
        headers = {"idempotency-key": f"night-{walk.way.name}"}
        told = await api.post("/agents/night/triggers/late/fire", json={}, headers=headers)
        assert told.status_code < 300, told.text
    failed, noticed = (walk.main.get_by_text(words) for words in ("night failed", "Trigger late did not"))
    for _ in range(200):
        await walk.sight.go("/")
        assert not walk.sight.faults
        if await failed.count() and await noticed.count():
            return
    raise AssertionError(walk.house.said())


async def test_installing_a_skill_and_switching_it_off(walk, books, tmp_path) -> None:
    name = f"invoice-{walk.way.name}"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "SKILL.md").write_text(SKILL.format(name=name), encoding="utf-8")
    revision, newest = await books.one(CURRENT), await books.one(NEWEST)
    await walk.rail("Skills")
    await walk.at("Skills")
    await walk.write(walk.field("Where it is"), str(folder))
    await walk.press(walk.button("Look at it"))
    await walk.at(f"Install {name}?", says="accounts@example.com")
    assert await books.one(CURRENT) == revision
    await walk.press(walk.button("Install it"))
    await walk.at("Skills", says=f"The skill {name} is installed")
    assert name in await _skills(books)
    await walk.press(walk.link(name))
    await walk.at(name, says="the invoice comes by post")
    await walk.press(walk.button("Turn it off"))
    await walk.at("Skills", says="Off")
    assert name not in await _skills(books)
    assert await books.one(CURRENT) == newest + 2
    await walk.end("skill")


async def _skills(books: walking.Books) -> str:
    return str(
        await books.one(
            "SELECT r.skills FROM pocketlet.agent a JOIN pocketlet.revision r ON r.agent_id = a.id AND r.n = a.current"
            " WHERE a.name = 'crm'"
        )
    )


async def test_from_the_costs_to_the_run_that_cost_most(walk, books) -> None:
    dearest = "SELECT run_id, sum(cost) AS cost FROM pocketlet.ledger GROUP BY run_id ORDER BY 2 DESC, 1 DESC LIMIT 1"
    await walk.rail("Costs")
    total = await books.one("SELECT sum(cost) FROM pocketlet.ledger")
    await walk.at("Costs", says=f"${total:.2f}")
    beside = walk.page.get_by_role("complementary")
    await walk.press(beside.get_by_role("listitem").get_by_role("link").first)
    await expect(walk.page).to_have_url(re.compile(r"/runs/\d+$"))
    [most] = await books.rows(dearest)
    run = int(walk.page.url.rpartition("/")[2])
    cost: Decimal = await books.one("SELECT sum(cost) FROM pocketlet.ledger WHERE run_id = %(run)s", run=run)
    assert cost == most["cost"]
    await walk.press(walk.main.locator(".run-figures").get_by_role("link", name=f"${cost:.4f}"))
    await expect(walk.page).to_have_url(re.compile(r"#costs$"))
    await walk.press(walk.main.locator("#costs").get_by_role("link", name=re.compile("^Step")).first)
    await expect(walk.page).to_have_url(re.compile(r"#step-\d+$"))
    await expect(walk.page.locator(":target")).to_be_in_viewport()
    await walk.seen()
    await walk.end("costs")
