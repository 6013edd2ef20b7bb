"""Journeys through the daily work: by mouse, by keys alone and on a phone, over links and buttons that one sees."""

import json
import os
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import browsing
import household
import pytest
import walking
from playwright import async_api

pytestmark = [pytest.mark.ui, pytest.mark.timeout(300)]

expect = async_api.expect
PROGRAM = household.PROGRAM
RULE = "Never promise a delivery date; offer 10 % if it is more than 7 days late."
LATER = 60_000  # milliseconds that a worker may take
MOST_ACTS = 12  # of a newcomer, from the first page to the change that counts


@dataclass
class Person(walking.Walk):
    """Who counts: `acts` are the clicks (or controls that a key acts on) and the fields that were filled in."""

    acts: list[str] = field(default_factory=list[str])

    def first(self, role: str, name: str, *, exact: bool = False) -> async_api.Locator:
        """The first such thing in the page or beside it."""
        inside = self.page.locator("main, aside.margin")
        return inside.get_by_role(role, name=name, exact=exact).first  # pyright: ignore[reportArgumentType]

    async def press(self, what: async_api.Locator) -> None:
        self.acts.append(f"press {what}")
        await super().press(what)

    async def tick(self, what: async_api.Locator) -> None:
        self.acts.append(f"tick {what}")
        await super().tick(what)
        await expect(what).to_be_checked()

    async def write(self, what: async_api.Locator, text: str) -> None:
        self.acts.append(f"write {what}")
        await super().write(what, text)
        await expect(what).to_have_value(text)

    async def pick(self, radio: async_api.Locator) -> None:
        """One of several, of which none is picked; by keys, the arrows go from one to the next."""
        self.acts.append(f"pick {radio}")
        if not self.way.keys:
            await radio.click()
            return
        others = self.page.locator(f'input[type=radio][name="{await radio.get_attribute("name")}"]')
        await self.reach(others.first)
        await self.page.keyboard.press("Space")
        for _ in range(await others.count()):
            if await radio.is_checked():
                break
            await self.page.keyboard.press("ArrowRight")
        await expect(radio).to_be_checked()

    async def reads(self, where: str, text: str) -> None:
        """It says so there, or soon does."""
        await expect(self.page.locator(where).first).to_contain_text(text)

    async def looks(self, name: str) -> None:
        """A picture of where the journey led, on which axe finds nothing, and nothing is cut off."""
        await self.sight.shot(f"journey-{name}-{self.way.name}")
        assert await self.sight.axe() == []
        assert await self.sight.too_wide() == 0


@pytest.fixture(params=walking.WAYS, ids=lambda way: way.name)
def way(request: pytest.FixtureRequest) -> walking.Way:
    """One of three."""
    return request.param


@pytest.fixture
def person(visit, house: household.House, way: walking.Way) -> Callable[[str], Awaitable[Person]]:
    """`await person("/")`: somebody who opens that page."""

    async def opens(address: str) -> Person:
        return Person(await visit(address, theme=way.theme, width=way.width), way, house)

    return opens


class Letter:
    """The customer whom the shop knows writes again; then the answer of `run` waits for the owner."""

    def __init__(self, house: household.House, subject: str) -> None:
        self.house, self.subject = house, subject
        mail = message_from_bytes((house.home / "demo" / "mails" / "known.eml").read_bytes(), policy=policy.SMTP)
        for name, value in (("Subject", subject), ("Message-ID", f"<{subject.replace(' ', '-')}@customer.example>")):
            mail.replace_header(name, value)
        self.run: int = house.command("run", "crm", "--input", "-", stdin=mail.as_bytes().decode())["run"]

    def answers(self) -> list[list[str]]:
        """Those that left the machine, each as words."""
        folder = Path(parse_qs(urlsplit(self.house.environment["POCKETLET_SMTP_URL"]).query)["sent"][0])
        mails = [message_from_bytes(path.read_bytes(), policy=policy.default) for path in folder.glob("*/*")]
        found = [mail for mail in mails if str(mail["Subject"]).endswith(self.subject)]
        return [str(mail.get_content()).split() for mail in found]  # pyright: ignore[reportAttributeAccessIssue]


async def test_describe_a_job_and_get_an_agent(person, way, record_property) -> None:
    job = f"Answer the {way.name} club's mail about rackets from what we already know."
    me = await person("/")
    await me.press(me.page.get_by_role("link", name="New agent"))
    await me.write(me.page.get_by_label("What shall it do"), job)
    if await me.page.get_by_label("The model that it thinks with").is_visible():
        await me.write(me.page.get_by_label("The model that it thinks with"), "openai:standin")
    await me.press(me.first("button", "Describe it to the manager"))
    await expect(me.first("button", "Accept")).to_be_visible(timeout=LATER)
    await me.reads(".card", "waits for you")
    await me.looks("describe-proposed")
    await me.press(me.first("button", "Accept"))
    await me.reads("[role=status]", "counts from now on")
    await me.reads(".card", "counts now")
    await me.looks("describe")
    await me.press(me.first("link", "See the playbook"))
    await expect(me.page.get_by_role("heading", level=1)).to_have_text("Playbook")
    await me.reads(".blamed", "Look things up before you write")
    record_property("journey", "describe a job and get an agent")


async def test_read_a_run(person, house, record_property) -> None:
    me = await person("/")
    await me.press(me.first("link", "crm", exact=True))
    await me.press(me.page.locator(f'main a[href="/runs/{house.run_of("known-customer")}"]'))
    await me.press(me.page.locator("#figures").get_by_role("link", name="$"))
    dearest = me.page.get_by_role("table", name="Dearest steps").locator("tbody tr").first
    await expect(dearest).to_be_in_viewport()
    cost, step = await dearest.locator("td").last.inner_text(), dearest.get_by_role("link")
    at = me.page.locator(f"li{await step.get_attribute('href')}")
    await me.press(step)
    await expect(at).to_be_in_viewport()
    await expect(at.locator(".cost")).to_contain_text(cost)
    asked = me.page.locator("li.step").filter(has=me.page.get_by_role("heading", name="Looked at")).first
    await expect(asked.locator("pre").first).to_contain_text("select")
    rows = asked.get_by_role("table")
    if not await rows.is_visible():
        await me.press(asked.locator("summary").last)
    await expect(rows).to_be_visible()
    await me.looks("read-a-run")
    await me.press(me.page.locator("nav.crumbs").get_by_role("link", name="Runs"))
    await me.press(me.page.locator(f'main a[href="/runs/{house.run_of("attack")}"]'))
    blocked = me.page.locator("li.step.is-blocked")
    [rule] = [one["rule"] for step in house.told["steps"] for one in step["facts"].get("blocked", [])]
    await expect(blocked).to_contain_text("Nothing was sent.")
    await expect(blocked.locator("code").filter(has_text=rule).last).to_be_visible()
    await blocked.scroll_into_view_if_needed()
    await me.looks("read-what-was-blocked")
    record_property("journey", "read a run")


async def teach(me: Person) -> None:
    """From a run's page to the change that waits, tried on past runs."""
    await me.pick(me.page.get_by_role("radio", name="Needs a change"))
    await me.write(me.page.get_by_label("What should be different next time?"), RULE)
    await me.press(me.first("button", "Teach the manager"))
    await expect(me.first("button", "Accept", exact=True)).to_be_visible(timeout=LATER)
    card = me.page.locator(".card")
    await expect(card.locator(".diff")).to_contain_text(RULE)
    await expect(card.get_by_role("table")).to_contain_text("fixed")


async def test_feedback_becomes_a_change_that_counts_and_is_taken_back(person, house, way, record_property) -> None:
    mail = Letter(house, f"Still waiting, says {way.name}")
    me = await person(f"/runs/{mail.run}")
    await teach(me)
    await me.looks("feedback-tried")
    await me.press(me.first("button", "Accept", exact=True))
    await me.reads("#progress", "It counts")
    record_property("journey", "feedback and accept a revision")
    before = len(me.acts)
    await me.press(me.first("button", "Undo: back to revision"))
    await me.reads("#progress", "It was taken back")
    assert len(me.acts) - before <= 2
    await me.looks("feedback-undone")
    record_property("journey", "roll back")


async def test_approve(person, house, way, record_property) -> None:
    mail = Letter(house, f"Late again, says {way.name}")
    me = await person("/")
    await me.press(me.page.locator("main li.item").filter(has_text=f"Run {mail.run}").get_by_role("link").first)
    shown = "details[open] article.letter"
    await me.reads(shown, f"Re: {mail.subject}")
    text = await me.page.locator(shown).locator("pre").inner_text()
    await me.looks("approve-letter")
    await me.press(me.page.locator("details[open]").get_by_role("button", name="Send", exact=True))
    await expect(me.page.get_by_role("status").first).to_be_visible()
    await me.looks("approve")
    await rests(me, mail.run)
    assert mail.answers() == [text.split()]
    record_property("journey", "approve")


async def test_edit_and_approve(person, house, way, record_property) -> None:
    mail = Letter(house, f"Late once more, says {way.name}")
    mine = f"Hello, it left yesterday.\n\n{way.name}"
    me = await person(f"/runs/{mail.run}")
    await me.press(me.summary("Edit first"))
    await me.write(me.page.get_by_label("Your text goes in the place of the agent’s"), mine)
    await me.looks("edit-letter")
    await me.press(me.first("button", "Send my text"))
    await me.reads("[role=status]", "Your text leaves")
    await rests(me, mail.run)
    await me.looks("edit")
    assert mail.answers() == [mine.split()]
    record_property("journey", "edit and approve")


async def test_refuse_and_teach(person, house, way, record_property) -> None:
    mail = Letter(house, f"Late for good, says {way.name}")
    why = f"Always thank the {way.name} customer."
    me = await person(f"/runs/{mail.run}")
    await me.press(me.summary("Don’t send"))
    await me.write(me.page.get_by_label("Why not?"), why)
    await me.tick(me.page.get_by_role("checkbox", name="Make a lesson of it"))
    await me.looks("refuse-letter")
    await me.press(me.first("button", "Don’t send", exact=True))
    await me.reads("[role=status]", "refused")
    await expect(me.page.locator("#progress:not([aria-busy])")).to_be_visible(timeout=LATER)
    await me.reads(".card .diff", why)
    await me.looks("refuse")
    await me.press(me.first("button", "Discard"))
    await me.reads("#progress", "It does not count")
    assert mail.answers() == []
    record_property("journey", "refuse and teach")


async def rests(me: Person, run: int) -> None:
    """The run's page says by itself that it has ended."""
    if urlsplit(me.page.url).path != f"/runs/{run}":
        await me.sight.go(f"/runs/{run}")
    await expect(me.page.locator("#figures .standing")).to_contain_text("Done", timeout=LATER)


@contextmanager
def told() -> Iterator[household.House]:
    """A machine on which a newcomer typed `pocketlet demo crm`, and then `pocketlet demo pages`."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("POCKETLET_", "OPENAI_"))}
    with tempfile.TemporaryDirectory(prefix="pocketlet-") as folder:
        Path(folder).chmod(0o755)
        home = Path(folder) / "home"
        env = own | {"POCKETLET_HOME": str(home), "POCKETLET_MAIL_PORT": "0", "POCKETLET_PORT": "0"}
        story = subprocess.run([*PROGRAM, "demo", "crm", "--json"], env=env, capture_output=True, check=True)
        command = [*PROGRAM, "demo", "pages", "--no-open", "--json"]
        with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as pages:
            try:
                assert pages.stdout
                url = json.loads(pages.stdout.readline())["url"]
                yield household.House(home, url, json.loads(story.stdout), env, Path(os.devnull))
            finally:
                pages.terminate()
                pages.wait(30)
                subprocess.run([*PROGRAM, "down"], env=env, capture_output=True, timeout=60, check=False)


async def test_a_newcomer_corrects_the_demo(chrome, shots, record_property) -> None:
    """From the first page on, by what is seen alone: reads a run, corrects it, sees the replay, adopts the change."""
    with told() as house:
        context = await chrome.new_context(viewport={"width": 1280, "height": browsing.HEIGHT})
        context.set_default_timeout(browsing.PATIENCE)
        sight = browsing.Sight(await context.new_page(), house.url, shots)
        sight.watch()
        await sight.go("/")
        me = Person(sight, walking.Way("newcomer", keys=False, theme="light", width=1280), house)
        await me.looks("home")
        await me.press(me.first("link", "crm", exact=True))
        await me.looks("runs")
        await me.press(me.first("link", "Where is my parcel?"))
        await me.reads("#steps", "It will be with you by")
        await me.looks("run")
        await teach(me)
        await me.looks("replay")
        await me.press(me.first("button", "Accept", exact=True))
        await me.reads("#progress", "It counts")
        await me.looks("adopted")
        await context.close()
    record_property("newcomer_interactions", len(me.acts))
    assert len(me.acts) <= MOST_ACTS, me.acts
    assert sight.faults == []
