"""A page of another origin in the owner's browser, while she is logged in: it changes nothing, and reads nothing.

The most that such a page can be: one of another site, one of this machine on another port (the same site, so that
cookies go with what it sends), and one whose name now means this machine.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import browsing
import household
import pytest
from playwright import async_api

from pocketlet import settings
from pocketlet.db import pool
from pocketlet.platform import database, owners
from pocketlet.surfaces.api import endpoint, table
from pocketlet.surfaces.web import screens

pytestmark = [pytest.mark.ui, pytest.mark.timeout(600)]

REBOUND = "rebound.example"
RULES = f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1, MAP localhost 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
#: The worker that is alive says so, and sessions and tokens that they were used.
RESTLESS = {("pocketlet", "worker"), ("pocketlet", "session")}
TABLES = b"""
SELECT schemaname, relname FROM pg_stat_user_tables
 WHERE schemaname IN ('pocketlet', 'crm') OR schemaname LIKE 'pgmq%' ORDER BY 1, 2
"""
#: Some of what the owner may read; none of it may reach another page.
READ = (
    "/", "/runs/1", "/runs/2", "/approvals", "/agents/crm/memory", "/login", "/v1/agents", "/v1/openapi.json",
    "/v1/runs/1/events", "/health", "/static/x/logbook.css", "/static/x/pocketlet.js", "/static/x/mark.svg",
)  # fmt: skip
FILLED = {"run": "1", "feedback": "2", "approval": "4", "slot": "1", "notice": "1", "revision": "1", "n": "1"}
#: Fields that forms of ours have: with them, a form that got through would do something.
FIELDS = {
    "word": "approve", "act": "approve", "verdict": "wrong", "comment": "never", "revision": "1", "job": "evil",
    "agent": "crm", "say": "always obey", "name": "evil", "task": "evil", "reason": "evil", "table": "memories",
}  # fmt: skip
POSTS = """async ([base, paths, fields]) => {
  const kinds = ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data"]
  const sent = []
  for (const path of paths) for (const kind of kinds) {
    const frame = Object.assign(document.createElement("iframe"), {name: "f" + sent.length})
    document.body.append(frame)
    const form = Object.assign(document.createElement("form"),
      {method: "post", action: base + path, enctype: kind, target: frame.name})
    for (const [name, value] of Object.entries(fields))
      form.append(Object.assign(document.createElement("input"), {name, value}))
    sent.push(new Promise(done => frame.addEventListener("load", done, {once: true})))
    document.body.append(form)
    form.submit()
    if (sent.length % 30 === 0) await Promise.all(sent.slice(-30))
  }
  await Promise.all(sent)
  return sent.length
}"""
TOP = """([address, fields]) => {
  const form = Object.assign(document.createElement("form"), {method: "post", action: address})
  for (const [name, value] of Object.entries(fields))
    form.append(Object.assign(document.createElement("input"), {name, value}))
  document.body.append(form)
  HTMLFormElement.prototype.submit.call(form)
}"""
FETCHES = """async ([base, targets, fields]) => {
  const plain = new URLSearchParams(fields), json = JSON.stringify(fields), read = [], sent = []
  const ways = [
    {mode: "cors", credentials: "include", body: plain}, {mode: "cors", credentials: "omit", body: plain},
    {mode: "no-cors", credentials: "include", body: plain}, {mode: "no-cors", credentials: "omit", body: json},
    {mode: "no-cors", credentials: "include", body: new Blob([json], {type: "text/plain"}), keepalive: true},
    {mode: "cors", credentials: "include", body: json, headers: {"content-type": "application/json"}},
    {mode: "cors", credentials: "include", body: json, headers: {"authorization": "Bearer x", "idempotency-key": "e"}},
  ]
  for (const [method, path] of targets) {
    for (const way of ways) sent.push(fetch(base + path, {...way, method})
      .then(answer => answer.type === "opaque" || answer.text().then(text => read.push(path + text)), () => 0))
    navigator.sendBeacon(base + path, plain)
    await Promise.all(sent.splice(0))
  }
  return read
}"""
READS = """async ([base, paths]) => {
  const read = []
  const html = one => one.contentDocument?.body?.innerHTML
  for (const path of paths) {
    const waits = []
    const tried = (what, start) => waits.push(new Promise(done => {
      setTimeout(done, 3000)
      try { start(done) } catch (error) { done() }
    }).then(got => got && read.push(what + " " + path + ": " + got)))
    const loaded = (kind, name, told) => tried(kind, done => {
      const one = document.createElement(kind)
      one.onload = one.onloadeddata = () => { try { done(told(one)) } catch (error) { done() } }
      one.onerror = () => done()
      if (kind === "link") one.rel = "stylesheet"
      one[name] = base + path
      document.body.append(one)
    })
    for (const mode of ["cors", "no-cors"]) for (const credentials of ["include", "omit"])
      tried("fetch", done => fetch(base + path, {mode, credentials}).then(got => got.text()).then(done, () => done()))
    loaded("img", "src", one => one.naturalWidth && "an image")
    loaded("script", "src", () => "a script")
    loaded("link", "href", () => "a style")
    loaded("iframe", "src", html)
    loaded("object", "data", html)
    loaded("video", "src", () => "a video")
    tried("import", done => import(base + path).then(() => done("a module"), () => done()))
    tried("events", done => {
      const events = new EventSource(base + path, {withCredentials: true})
      events.onopen = events.onmessage = () => done("a stream")
      events.onerror = () => done(events.close())
    })
    tried("socket", done => {
      const socket = new WebSocket(base.replace("http", "ws") + path)
      socket.onopen = () => done("a socket")
      socket.onerror = () => done()
    })
    tried("worker", done => {
      const worker = new Worker(base + path)
      worker.onmessage = () => done("a worker")
      worker.onerror = () => done()
    })
    tried("window", done => {
      const other = window.open(base + path)
      const look = left => {
        try {
          if (other.location.href !== "about:blank") return done(other.document.body.innerHTML)
        } catch (error) { return done(other?.length ? "its frames" : "") }
        if (left && !other.closed) setTimeout(look, 20, left - 1); else done()
      }
      look(100)
    })
    await Promise.all(waits)
    document.body.replaceChildren()
  }
  return read
}"""


class Page:
    """The other origin: whatever is asked for, it has an empty page, and allows everything."""

    ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 46\r\nconnection: close\r\n\r\n"
    TEXT = b"<!doctype html><title>other</title><body></body>"[:46]

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(self.ANSWER + self.TEXT)
        await writer.drain()
        writer.close()

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[int]:
        """Its port, until the block ends."""
        async with await asyncio.start_server(self._answer, "127.0.0.1", 0) as server:
            yield server.sockets[0].getsockname()[1]


@dataclass
class Attack:
    """A page of another origin that is open. `asked`: methods of requests to us; `answers`: those that the page was
    let see, with their status.
    """

    page: async_api.Page
    base: str
    asked: list[str] = field(default_factory=list[str])
    answers: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])

    def watch(self) -> None:
        """From now on."""
        self.page.context.on("request", self._asked)
        self.page.context.on("response", self._answered)

    def _asked(self, request: async_api.Request) -> None:
        if request.url.startswith(self.base):
            self.asked.append(request.method)

    def _answered(self, answer: async_api.Response) -> None:
        if answer.url.startswith(self.base):
            self.answers.append((answer.request.method, answer.status))


@pytest.fixture(scope="module")
async def browser(_chromium: None) -> AsyncGenerator[async_api.Browser]:
    async with browsing.opened(RULES) as opened:
        yield opened


@pytest.fixture(scope="module")
async def other() -> AsyncGenerator[int]:
    async with Page().open() as port:
        yield port


@pytest.fixture(scope="module")
async def data(house: household.House, furnished: list[str]) -> AsyncGenerator[pool.Database]:
    """The machine's rows."""
    async with database.opened(settings.read({"POCKETLET_HOME": str(house.home)})) as opened:
        yield opened


async def state(data: pool.Database) -> dict[str, str]:
    """A hash of each table."""
    hashes: dict[str, str] = {}
    async with data.setup() as conn:
        tables = [(one["schemaname"], one["relname"]) for one in await (await conn.execute(TABLES)).fetchall()]
        for schema, name in set(tables) - RESTLESS:
            query = f"SELECT string_agg(t::text, '|' ORDER BY t::text) AS all FROM {schema}.{name} t"
            row = await (await conn.execute(query.encode())).fetchone()
            hashes[f"{schema}.{name}"] = hashlib.sha256(str(row and row["all"]).encode()).hexdigest()
        sessions = await (await conn.execute(b"SELECT hash FROM pocketlet.session ORDER BY 1")).fetchall()
        hashes["sessions"] = repr(sessions)
    return hashes


class Filled(dict[str, str]):
    """Whatever is not a number is a name."""

    def __missing__(self, key: str) -> str:
        return "crm"


def unsafe() -> list[tuple[str, str]]:
    """Everything that changes something, with addresses of things that there are."""
    found = [(one.method, one.path) for one in screens.SCREENS if one.method != "GET"]
    found += [(one.method, endpoint.PREFIX + one.path) for one in table.ENDPOINTS if one.method != "GET"]
    found += [("POST", "/login"), ("POST", "/logout"), ("POST", "/hooks/crm/mail")]
    return [(method, path.format_map(Filled(FILLED))) for method, path in found]


@pytest.fixture(params=["http://localhost:{other}", "http://127.0.0.1:{other}", "a name that was rebound"])
async def attack(request, house, data, browser, other) -> AsyncGenerator[Attack]:
    """Ready to begin, in the browser of an owner with a session."""
    async with data.api() as conn:
        owner = (await owners.everyone(conn))[0]
        secret = await owners.new_session(conn, owner, "a browser")
    context = await browser.new_context()
    cookie = {"name": f"pocketlet-{house.url.rpartition(':')[2]}", "value": secret, "url": house.url}
    await context.add_cookies([{**cookie, "httpOnly": True, "sameSite": "Strict"}])
    base, whence = house.url, request.param.format(other=other)
    if "name" in request.param:  # the page came from the other's machine; then its name got another address
        whence = base = house.url.replace("127.0.0.1", REBOUND)
        text = "<!doctype html><title>other</title><body></body>"
        await context.route(f"{whence}/start", lambda route: route.fulfill(body=text, content_type="text/html"))
    made = Attack(await context.new_page(), base)
    await made.page.goto(f"{whence}/start")
    made.watch()
    yield made
    await context.close()


async def test_its_forms_change_nothing(attack, data) -> None:
    before = await state(data)
    paths = [path for method, path in unsafe() if method == "POST" and not path.startswith("/hooks/")]
    sent = await attack.page.evaluate(POSTS, [attack.base, paths, FIELDS])
    assert await state(data) == before
    assert attack.asked.count("POST") == sent == 3 * len(paths)


async def test_a_form_in_its_place_changes_nothing(attack, data) -> None:
    """The whole window goes there, as if the owner had sent it."""
    before = await state(data)
    start = attack.page.url
    for path in ("/approvals/4", "/runs/1/feedback", "/agents/crm/chat", "/logout", "/v1/runs/1/stop"):
        async with attack.page.expect_navigation() as coming:
            await attack.page.evaluate(TOP, [attack.base + path, FIELDS])
        answer = await coming.value
        assert answer is not None
        assert (answer.request.method, answer.status) in (("POST", 400), ("POST", 403))
        await attack.page.goto(start)
    assert await state(data) == before


async def test_its_requests_change_nothing(attack, data) -> None:
    before = await state(data)
    read = await attack.page.evaluate(FETCHES, [attack.base, unsafe(), FIELDS])
    assert await state(data) == before
    assert [
        one for one in read if "not served here" not in one
    ] == []  # a rebound name may read that it is none of ours
    assert {status for method, status in attack.answers if method != "OPTIONS"} <= {400, 401, 403}


async def test_it_reads_nothing(attack, data) -> None:
    before = await state(data)
    read = await attack.page.evaluate(READS, [attack.base, READ])
    told = [one for one in read if json.dumps("host") not in one and "not served here" not in one]
    assert not told
    assert await state(data) == before


async def test_the_owner_still_does_what_she_wants(house, browser) -> None:
    """The same browser, on our own page: the addresses of these tests are right."""
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(f"{house.url}/runs/1")
    assert "Where is my parcel?" in await page.locator("h1").inner_text()
    await context.close()
