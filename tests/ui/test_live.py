"""A run's page while the run goes on: how soon a committed step is seen, a long run, and a server that is killed."""

import asyncio
import json
import random
import socket
import statistics
import time
from collections.abc import AsyncGenerator

import browsing
import household
import pytest
from bench import ui_run
from playwright import async_api

from pocketlet import settings
from pocketlet.agents import agent as agents
from pocketlet.agents import portable
from pocketlet.db import pool
from pocketlet.platform import database

pytestmark = [pytest.mark.ui, pytest.mark.timeout(300)]

expect = async_api.expect
STEPS = 60  # of which is looked how soon they are seen
LONG = 2_000  # steps of a long run
OPENINGS = 5
KILLS = 20
LATER = 60_000  # milliseconds that a server may take to be back
#: Writes down when each step of the timeline can be painted first.
WATCH = """(() => {
  window.seen = {}
  const note = () => { const at = Date.now()
    for (const one of document.querySelectorAll("#steps > li[id^=step-]")) window.seen[one.id.slice(5)] ??= at }
  note()
  new MutationObserver(() => requestAnimationFrame(note)).observe(document.querySelector("#steps"), {childList: true})
})()"""
SHOWN = '[...document.querySelectorAll("#steps > li[id^=step-]")].map(one => Number(one.id.slice(5)))'
COMMITTED = b"SELECT seq, extract(epoch FROM at) * 1000 AS at FROM pocketlet.step WHERE run_id = %s"


class Ground:
    """Where runs are written."""

    def __init__(self, opened: pool.Database, agent: agents.Agent) -> None:
        self.opened = opened
        self.agent = agent

    async def begin(self, steps: int) -> tuple[int, ui_run.Long]:
        """A run that is under way, and its writer."""
        long = ui_run.Long(self.opened, self.agent)
        number = await long.begin()
        await long.write(steps)
        return number, long


@pytest.fixture(scope="module")
async def ground(house: household.House, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Ground]:
    """The machine's Postgres, and an agent whose runs these tests write by hand."""
    folder = tmp_path_factory.mktemp("long")
    (folder / "agent.toml").write_text(ui_run.AGENT, encoding="utf-8")
    async with database.opened(settings.read({"POCKETLET_HOME": str(house.home)})) as opened:
        await portable.load(opened, folder)
        async with opened.api() as conn:
            agent = await agents.get(conn, "long")
        yield Ground(opened, agent)


async def test_a_committed_step_is_seen(ground, visit, record_property) -> None:
    """Each is written as soon as the one before is there, so just after the server has looked: that is the worst."""
    number, long = await ground.begin(4)
    sight = await visit(f"/runs/{number}")
    await expect(sight.page.locator("#step-4")).to_be_visible()
    await sight.ask(WATCH)
    for _ in range(STEPS):
        await long.write(1)
        await expect(sight.page.locator(f"#step-{long.seq}")).to_be_visible()
    await sight.shot("live")
    seen = await sight.ask("window.seen")
    async with ground.opened.api() as conn:
        rows = await (await conn.execute(COMMITTED, (number,))).fetchall()
    late = [seen[str(row["seq"])] - float(row["at"]) for row in rows if row["seq"] > 4]
    await long.end()
    await expect(sight.page.locator("#figures .standing")).to_contain_text("Done")
    assert len(late) == STEPS
    assert min(late) > 0
    record_property("step_visible_p50_ms", round(statistics.median(late)))
    record_property("step_visible_p95_ms", round(statistics.quantiles(late, n=20)[-1]))


async def test_a_long_run_opens(ground, visit, record_property) -> None:
    number, long = await ground.begin(LONG)
    sight = await visit("/")
    taken: list[float] = []
    for _ in range(OPENINGS):
        began = time.perf_counter()
        await sight.page.goto(f"{sight.base}/runs/{number}")
        await expect(sight.page.locator(f"#step-{LONG}")).to_be_visible()
        taken.append((time.perf_counter() - began) * 1000)
    earlier = sight.page.get_by_role("link", name="Show earlier steps")
    first = min(await sight.ask(SHOWN))
    await earlier.click()
    await expect(sight.page.locator(f"#step-{first - 1}")).to_be_attached()
    shown = await sight.ask(SHOWN)
    await long.end()
    assert shown == list(range(shown[0], LONG + 1))
    record_property("long_run_opens_ms", round(statistics.median(taken)))
    record_property("long_run_opens_slowest_ms", round(max(taken)))


class Up:
    """`pocketlet up` on the machine, once more, at a port of its own."""

    def __init__(self, house: household.House) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._environment = house.environment | {"POCKETLET_PORT": str(self.port)}
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> str:
        """Its address, as soon as it answers."""
        command = [*household.PROGRAM, "up", "--no-open", "--json"]
        nowhere = asyncio.subprocess.DEVNULL
        self._process = await asyncio.create_subprocess_exec(
            *command, env=self._environment, stdin=nowhere, stdout=asyncio.subprocess.PIPE, stderr=nowhere
        )
        assert self._process.stdout
        return json.loads(await self._process.stdout.readline())["url"]

    async def kill(self) -> None:
        """SIGKILL."""
        if self._process:
            self._process.kill()
            await self._process.wait()
            self._process = None


@pytest.fixture
async def up(house: household.House) -> AsyncGenerator[Up]:
    """It is not started yet."""
    made = Up(house)
    yield made
    await made.kill()


@pytest.mark.timeout(900)
async def test_a_server_that_is_killed_costs_no_step(ground, up, chrome, shots, record_property) -> None:
    """The page stays open. Steps are committed before each kill, while nobody serves, and afterwards."""
    dice = random.Random(6)
    number, long = await ground.begin(3)
    sight = browsing.Sight(await (await chrome.new_context()).new_page(), await up.start(), shots)
    sight.watch()
    await sight.go(f"/runs/{number}")
    back: list[float] = []
    for _ in range(KILLS):
        for _ in range(dice.randrange(1, 12)):
            await long.write(1)
        if dice.random() < 0.5:  # in the middle of what is sent: the first of them is there, maybe not the last
            await expect(sight.page.locator(f"#step-{long.seq - 1}")).to_be_visible(timeout=LATER)
        await up.kill()
        await long.write(2)
        await up.start()
        began = time.perf_counter()
        await long.write(1)
        await expect(sight.page.locator(f"#step-{long.seq}")).to_be_visible(timeout=LATER)
        back.append(time.perf_counter() - began)
    await long.end()
    await expect(sight.page.locator("#figures .standing")).to_contain_text("Done", timeout=LATER)
    shown = await sight.ask(SHOWN)
    await sight.shot("killed")
    await sight.page.context.close()
    record_property("stream_kills", KILLS)
    record_property("stream_gaps", len(set(range(1, long.seq + 1)) - set(shown)))
    record_property("stream_doubles", len(shown) - len(set(shown)))
    record_property("stream_back_slowest_s", round(max(back), 1))
    assert shown == list(range(1, long.seq + 1))
    # That nobody answered, the browser and htmx say in the console. Nothing else may have been wrong.
    assert [fault for fault in sight.faults if "net::ERR_" not in fault and "htmx:sse:" not in fault] == []
