"""What attacks whoever reads it in a browser, on every page that can show it; and again without each layer of defence.

A layer is taken away in a server of the test's own (`bared.py`). Two at once may let something through, and two such
pairs are tried: they show that these tests would see it.
"""

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

import browsing
import furnishing
import household
import places as every_place
import poison
import pytest
from playwright import async_api

pytestmark = [pytest.mark.ui, pytest.mark.timeout(600)]

FOREIGN = 'document.querySelectorAll(\'[href*="evil.example"],[src],[hx-get],form[action*="evil"],base,iframe\')'
#: Screens that show nothing of anybody's, or the parameters of their address alone.
FORMS = ("connect", "mcp-add", "channel-add", "removal", "task")
OWN = {"/new"} | {f"/agents/{{agent}}/{form}" for form in FORMS}
#: Parts of pages, while something is under way.
LATER = {"/agents/{agent}/chat/{run}/live", "/feedback/{feedback}/progress", "/runs/{run}/steps"}


@dataclass(frozen=True)
class Poisoned:
    """`run`: the one that the mail started. `pages`: addresses by screen. `missing`: screens without one."""

    house: household.House
    run: int
    pages: dict[str, list[str]]
    missing: set[str]

    @property
    def some(self) -> list[str]:
        """Those that show most."""
        return [f"/runs/{self.run}", "/agents/crm/chat", "/agents/crm/skills/hostile"]

    @property
    def addresses(self) -> list[str]:
        """Every page, and those that take something out of their address with an attack in it."""
        plain = [one for examples in self.pages.values() for one in examples]
        asked: dict[tuple[str | None, str], str] = {}
        for one in plain:
            path, _, query = one.partition("?")
            for name, _ in [*parse_qsl(query, keep_blank_values=True), ("said", "")]:
                place = every_place.pattern_of(one) if name != "said" else None
                asked[place, name] = f"{path}?{name}={quote(poison.SHORT)}"
        return [*plain, *asked.values()]


@pytest.fixture(scope="module")
async def poisoned(_chromium: None) -> AsyncGenerator[Poisoned]:
    """A machine of its own: what others look at stays as it is."""
    with household.lived_in() as house:
        also = await furnishing.furnish(house)
        run = await poison.spread(house)
        places = await every_place.found(house.url, [f"/runs/{run}", "/agents/crm", "/agents/crm/task", *also])
        broken = [one for one in places.broken if "?" not in one]
        assert not broken, "\n".join([*broken, house.said()])
        yield Poisoned(house, run, {pattern: found for pattern, found in places.pages.items() if found}, places.missing)


@dataclass
class Sink:
    """Who evil.example is in the test's browser: whatever comes here has left the machine."""

    port: int = 0
    came: list[str] = field(default_factory=list[str])

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came.append(repr(await reader.read(100)))
        writer.close()

    @asynccontextmanager
    async def open(self) -> AsyncGenerator["Sink"]:
        """Until the block ends."""
        async with await asyncio.start_server(self._take, "127.0.0.1", 0) as server:
            self.port = server.sockets[0].getsockname()[1]
            yield self


@pytest.fixture(scope="module")
async def sink() -> AsyncGenerator[Sink]:
    async with Sink().open() as opened:
        yield opened


@pytest.fixture(scope="module")
async def browser(_chromium: None, sink: Sink) -> AsyncGenerator[async_api.Browser]:
    """One that finds evil.example, whoever asks by whichever port."""
    rules = ", ".join(f"MAP {poison.EVIL}:{port} 127.0.0.1:{sink.port}" for port in (80, 443))
    rules = f"--host-resolver-rules={rules}, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    async with browsing.opened(rules) as opened:
        yield opened


@contextmanager
def bared(home: Path, *layers: str) -> Generator[str]:
    """The address of a server without those layers."""
    program = [sys.executable, str(Path(__file__).parent / "bared.py"), str(home), *layers]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


@dataclass
class Look:
    """What one page did by itself, while nobody touched it."""

    sight: browsing.Sight
    at: str = ""
    harm: list[str] = field(default_factory=list[str])

    def blame(self, what: str) -> None:
        """It was this page."""
        self.harm.append(f"{self.at}: {what}")

    def watch(self) -> None:
        """From now on."""
        context = self.sight.page.context
        context.on("request", self._asked)
        context.on("response", lambda answer: self._left(answer.request))
        context.on("page", lambda page: self.blame(f"a window was opened: {page.url}"))

    def _asked(self, request: async_api.Request) -> None:
        own = request.url.startswith(f"{self.sight.base}/")
        if own and (request.method != "GET" or urlsplit(request.url).path.startswith(poison.TRAP)):
            self.blame(f"asked: {request.method} {request.url}")

    def _left(self, request: async_api.Request) -> None:
        if not request.url.startswith((f"{self.sight.base}/", "data:", "blob:")):
            self.blame(f"answered by another: {request.url}")


async def looked(browser: async_api.Browser, base: str, addresses: list[str], sink: Sink) -> list[str]:
    """The harm that pages did. Each is opened, has loaded all it loads, and has had time to start more."""
    context = await browser.new_context(viewport={"width": 1280, "height": browsing.HEIGHT})
    look = Look(browsing.Sight(await context.new_page(), base, Path()))
    look.sight.watch()
    look.watch()
    for address in addresses:
        before = len(sink.came)
        look.at = address
        await look.sight.page.goto(base + address)
        await look.sight.ask("new Promise(done => requestIdleCallback(() => requestIdleCallback(() => done(1))))")
        if await look.sight.executed():
            look.blame("something was executed")
        if len(sink.came) > before:
            look.blame(f"reached {poison.EVIL}: {sink.came[before:][:3]}")
        if not look.sight.page.url.startswith(base):
            look.blame(f"went to {look.sight.page.url}")
    harm = [*look.harm, *(fault for fault in look.sight.faults if fault.startswith("dialog"))]
    await context.close()
    return harm


@pytest.mark.parametrize("theme", browsing.THEMES)
async def test_a_run_shows_it_as_text(poisoned, browser, shots, theme) -> None:
    context = await browser.new_context(color_scheme=theme, viewport={"width": 1280, "height": browsing.HEIGHT})
    sight = browsing.Sight(await context.new_page(), poisoned.house.url, shots)
    sight.watch()
    await sight.go(f"/runs/{poisoned.run}")
    await sight.shot(f"hostile-run-{theme}")
    assert poison.MARK in await sight.page.locator("main").inner_text()
    assert "<script>window.__pwned=5</script>" in await sight.page.locator("body").inner_text()
    kept = await sight.ask(f"[...{FOREIGN}].map(one => one.outerHTML).filter(one => one.includes('evil'))")
    assert [one for one in kept if 'href="/leave?' not in one] == []
    assert not await sight.axe()
    assert not sight.faults
    await context.close()


async def test_every_screen_shows_some_of_it(poisoned, browser) -> None:
    """Else the other tests would look at nothing."""
    assert poisoned.missing <= LATER
    context = await browser.new_context()
    page = await context.new_page()
    showing: set[str | None] = set()
    for address in poisoned.addresses:
        await page.goto(poisoned.house.url + address)
        text = await page.content()
        if any(word in text for word in (poison.MARK, poison.EVIL, "__pwned")):
            showing.add(every_place.pattern_of(address))
    assert poisoned.pages.keys() - showing <= OWN
    await context.close()


@pytest.mark.parametrize("layer", ["none", "parser", "list", "sanitiser", "escaping", "policy", "box", "nonce"])
async def test_without_one_layer_the_others_hold(poisoned, browser, sink, layer, record_property) -> None:
    with bared(poisoned.house.home, *([] if layer == "none" else [layer])) as base:
        harm = await looked(browser, base, poisoned.addresses, sink)
    record_property("hostile_executed", len(harm))
    assert not harm, "\n".join(harm)


@pytest.mark.parametrize("layers", [("sanitiser", "box"), ("sanitiser", "nonce")])
async def test_htmx_is_held_by_the_box_or_the_nonce(poisoned, browser, sink, layers) -> None:
    with bared(poisoned.house.home, *layers) as base:
        assert not await looked(browser, base, poisoned.some, sink)


@pytest.mark.parametrize(
    ("layers", "seen"),
    [(("sanitiser", "policy"), "something was executed"), (("sanitiser", "policy"), f"reached {poison.EVIL}"),
     (("sanitiser", "box", "nonce"), "asked: POST"), (("escaping", "nonce"), "asked: POST")],
)  # fmt: skip
async def test_what_no_layer_holds_is_seen(poisoned, browser, sink, layers, seen) -> None:
    with bared(poisoned.house.home, *layers) as base:
        harm = await looked(browser, base, poisoned.some, sink)
    assert any(seen in one for one in harm), harm
