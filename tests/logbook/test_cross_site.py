"""A page of another site, in the browser of an owner who is logged in: it changes nothing, and reads nothing."""

from typing import Any

import httpx2
import pytest
from desks import Desk

from pocketlet.surfaces.api import endpoint, table
from pocketlet.surfaces.web import screens

EVIL = "https://evil.example"
FOREIGN: dict[str, dict[str, str]] = {
    "form": {"origin": EVIL, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
    "fetch": {"origin": EVIL, "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
    "same site, other port": {"origin": "http://127.0.0.1:1", "sec-fetch-site": "same-site", "sec-fetch-mode": "cors"},
    "sandboxed frame": {"origin": "null", "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
    "old browser": {"origin": EVIL},
    "old browser without origin": {"cookie": "pocketlet=x"},
}
UNSAFE: list[tuple[str, str]] = [
    *((one.method, one.path) for one in screens.SCREENS if one.method != "GET"),
    *((one.method, endpoint.PREFIX + one.path) for one in table.ENDPOINTS if one.method != "GET"),
    ("POST", "/login"),
    ("POST", "/logout"),
]
FILLED = dict.fromkeys(("run", "feedback", "approval", "slot", "notice", "n", "revision"), "1")


class Filled(dict[str, str]):
    """Whatever is not a number is a name."""

    def __missing__(self, key: str) -> str:
        return "crm"


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize(("method", "path"), UNSAFE)
async def test_no_foreign_page_posts(desk: Desk, kind: str, method: str, path: str) -> None:
    async with await desk.browser() as browser:
        del browser.headers["origin"], browser.headers["sec-fetch-site"]
        answer = await browser.request(method, path.format_map(Filled(FILLED)), headers=FOREIGN[kind], data={"a": "b"})
    assert answer.status_code == 403, answer.text[:500]
    assert "origin" in answer.json()["type"]


@pytest.mark.parametrize("path", ["/", "/v1/agents", "/v1/openapi.json"])
@pytest.mark.parametrize("mode", ["no-cors", "cors", "websocket"])
async def test_no_foreign_page_loads(desk: Desk, path: str, mode: str) -> None:
    fields: dict[str, Any] = {"sec-fetch-site": "cross-site", "sec-fetch-mode": mode}
    async with await desk.browser() as browser:
        assert (await browser.get(path, headers=fields)).status_code == 403


@pytest.mark.parametrize(
    "fields",
    [
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "object"},
        {"origin": EVIL, "connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13"},
    ],
)
async def test_no_frame_and_no_socket_is_another_pages(desk: Desk, fields: dict[str, str]) -> None:
    """A browser begins a WebSocket with a GET that says nothing but its origin."""
    async with await desk.browser() as browser:
        del browser.headers["origin"], browser.headers["sec-fetch-site"]
        assert (await browser.get("/runs/1", headers=fields)).status_code == 403


async def test_what_another_page_opens_is_not_read(desk: Desk) -> None:
    """What went wrong stays on the first page until its owner has looked: no other page can look for her."""
    run = desk.run_of("attack")
    async with desk.client() as program, await desk.browser() as browser:
        assert (await program.post(f"/v1/runs/{run}/unseen")).status_code == 200
        fields = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
        del browser.headers["origin"]
        unread, page = "/v1/runs?unread=true", f"/runs/{run}"
        assert (await browser.get(page, headers=fields)).status_code == 200
        assert run in [one["run"] for one in (await program.get(unread)).json()["items"]]
        assert (await browser.get(page)).status_code == 200
        assert run not in [one["run"] for one in (await program.get(unread)).json()["items"]]


async def test_a_link_from_elsewhere_may_be_followed(desk: Desk) -> None:
    fields = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    async with await desk.browser() as browser:
        answer = await browser.get("/", headers=fields)
    assert answer.status_code == 200
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


async def test_a_strange_host_is_no_host_of_ours(desk: Desk) -> None:
    async with await desk.browser() as browser:
        assert (await browser.get("/", headers={"host": f"evil.example:{desk.port}"})).status_code == 400


async def test_nobody_is_known_behind_a_proxy_without_a_login(desk: Desk) -> None:
    async with httpx2.AsyncClient(base_url=desk.url) as nobody:
        assert (await nobody.get("/", headers={"x-forwarded-for": "192.0.2.1"})).status_code == 303
        assert (await nobody.get("/v1/agents", headers={"x-forwarded-for": "192.0.2.1"})).status_code == 401
