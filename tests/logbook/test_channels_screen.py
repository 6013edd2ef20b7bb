"""Channels by API and by pages: added with their secret, tried, looked at and removed, by the keeper alone."""

import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import page_forms
import pytest
from desks import Desk

from pocketlet.agents import telling
from pocketlet.platform.channels import opening

CHANNELS = Path(__file__).parents[1] / "channels"
if str(CHANNELS) not in sys.path:
    sys.path.append(str(CHANNELS))

if TYPE_CHECKING:
    import outside_http

PLACE = "/agents/crm/channels"


@pytest.fixture(scope="module")
async def desk(expendable: Desk) -> Desk:
    """A desk of this module's own."""
    return expendable


@pytest.fixture
async def bot() -> AsyncGenerator["outside_http.Telegram"]:
    """A server that speaks Telegram's Bot API."""
    import outside_http

    server = outside_http.Telegram()
    async with server.listening():
        yield server


@pytest.fixture
async def tidy(desk: Desk) -> AsyncGenerator[Desk]:
    """The desk; channels and secrets of the test are taken away."""
    yield desk
    async with desk.client() as client:
        for one in (await client.get("/v1/channels")).json()["items"]:
            assert (await client.delete(f"/v1/channels/{one['name']}")).status_code == 200
        for one in (await client.get("/v1/secrets")).json()["items"]:
            await client.delete(f"/v1/secrets/{one['name']}")


def wanted(bot: "outside_http.Telegram", **more: Any) -> dict[str, Any]:
    import outside_http

    given = {"kind": "telegram", "address": str(outside_http.CHAT), "base_url": bot.url, "pinned": ["127.0.0.1"]}
    return given | {"value": outside_http.TOKEN} | more


async def test_a_program_adds_tries_and_removes(tidy: Desk, bot: "outside_http.Telegram") -> None:
    async with tidy.client() as client:
        quiet = {"quiet": "22:00-07:00", "zone": "Europe/Berlin", "urgent": ["approvals"]}
        made = await client.post("/v1/channels", json=wanted(bot, **quiet))
        assert made.status_code == 201, made.text
        expected = {"name": "telegram", "secret": "CHANNEL_TELEGRAM", "quiet": "22:00-07:00", "last": None}
        assert expected.items() <= made.json().items()
        assert made.json()["about"] == ["problems", "approvals"]
        for number in range(3):
            keyed = {"idempotency-key": f"a{number}"}
            sent = await client.post("/v1/channels/telegram/test", headers=keyed)
            assert sent.json() == {"ok": True, "said": "The message was taken on telegram.", "hint": ""}
        assert (await client.post("/v1/channels/telegram/test", headers={"idempotency-key": "a2"})).json()["ok"]
        assert len(bot.texts()) == 3  # the same key is not sent twice
        page = (await client.get("/v1/channels/telegram/messages?limit=2")).json()
        assert [one["state"] for one in page["items"]] == ["succeeded", "succeeded"]
        rest = (await client.get(f"/v1/channels/telegram/messages?cursor={page['next']}")).json()
        assert (len(rest["items"]), rest["next"]) == (1, None)
        bot.faults.append((401, {}))
        failed = (await client.post("/v1/channels/telegram/test", headers={"idempotency-key": "b"})).json()
        assert (failed["ok"], failed["said"]) == (False, "Telegram does not know the bot's token.")
        shown = (await client.get("/v1/channels/telegram")).json()
        assert (shown["failures"], shown["last"]["state"]) == (1, "failed")
        gone = await client.delete("/v1/channels/telegram")
        assert "CHANNEL_TELEGRAM stays sealed" in gone.json()["said"]
        assert (await client.get("/v1/channels/telegram")).status_code == 404
        unknown = await client.post("/v1/channels/telegram/test", headers={"idempotency-key": "c"})
        assert unknown.status_code == 404


@pytest.mark.parametrize(
    ("more", "status", "said"),
    [
        ({"address": "-100123"}, 422, "not the id of a private chat"),
        ({"value": "no token at all"}, 422, "has not the form of one"),
        ({"name": "No Name"}, 422, "is not a name"),
        ({"quiet": "22:00-07:00"}, 422, "need both"),
        ({"about": []}, 422, "tells something"),
        ({"value": None, "secret": "NOT_THERE"}, 404, "no secret"),
        ({"kind": "mail", "address": "you@example.com"}, 422, "takes no secret"),
        ({"kind": "webhook", "address": "http://hooks.example.com/", "pinned": []}, 422, "only called by https"),
    ],
)
async def test_what_can_not_be_used_leaves_nothing(
    tidy: Desk, bot: "outside_http.Telegram", more: dict[str, Any], status: int, said: str
) -> None:
    async with tidy.client() as client:
        answer = await client.post("/v1/channels", json=wanted(bot, **more))
        assert (answer.status_code, said in answer.json()["detail"]) == (status, True), answer.text
        assert (await client.get("/v1/channels")).json() == {"items": []}
        assert (await client.get("/v1/secrets")).json()["items"] == []


async def test_what_is_sealed_is_not_replaced(tidy: Desk, bot: "outside_http.Telegram") -> None:
    async with tidy.client() as client:
        await client.put("/v1/secrets/BOT", json={"value": "another-value"})
        answer = await client.post("/v1/channels", json=wanted(bot, secret="BOT"))
        assert (answer.status_code, answer.json()["detail"]) == (409, "There is a secret BOT already.")
        assert (await client.get("/v1/channels")).json() == {"items": []}


async def test_another_owner_is_told_nothing(tidy: Desk, bot: "outside_http.Telegram") -> None:
    async with tidy.client() as client, tidy.client("second") as other:
        await client.post("/v1/channels", json=wanted(bot))
        for method, path in (
            ("GET", ""), ("GET", "/telegram"), ("GET", "/none"), ("GET", "/telegram/messages"), ("DELETE", "/telegram"),
            ("POST", "/telegram/test"), ("POST", ""),
        ):  # fmt: skip
            body = {"kind": "mail", "address": "eve@example.com"} if (method, path) == ("POST", "") else None
            keyed = {"idempotency-key": f"{method}{path}"} if method == "POST" else {}
            answer = await other.request(method, f"/v1/channels{path}", json=body, headers=keyed)
            assert answer.status_code == 403, (method, path)
        assert len((await client.get("/v1/channels")).json()["items"]) == 1
    assert bot.texts() == []
    async with await tidy.browser("second") as browser:
        assert (await browser.get(PLACE)).status_code == 404
        assert (await browser.get("/agents/foreign/channels")).status_code == 403
        assert "Channels" not in (await browser.get("/agents/foreign/connections")).text


async def test_the_pages_add_try_and_remove(
    tidy: Desk, bot: "outside_http.Telegram", caplog: pytest.LogCaptureFixture
) -> None:
    import outside_http

    caplog.set_level("DEBUG")
    async with await tidy.browser() as browser:
        assert "Nobody is told of anything yet" in (await browser.get(PLACE)).text
        form = page_forms.with_words(await browser.get("/agents/crm/channel-add?way=telegram"), "Add it")
        given = {"address": "-7001", "base_url": bot.url, "pinned": "127.0.0.1\n", "value": outside_http.TOKEN}
        given |= {"about-approvals": "", "about-results": "yes", "quiet": "1:00-2:00", "zone": "UTC"}
        wrong = await page_forms.send(browser, form, **given)
        assert wrong.status_code == 422
        again = page_forms.with_words(wrong, "Add it").fields
        assert (again["address"], again["quiet"], again["about-results"]) == ("-7001", "1:00-2:00", "yes")
        assert (again["value"], "about-approvals" in again) == ("", False)
        form = page_forms.with_words(wrong, "Add it")
        made = await page_forms.send(browser, form, address=str(outside_http.CHAT), value=outside_http.TOKEN)
        assert made.headers["location"] == f"{PLACE}/telegram"
        twice = await page_forms.send(browser, form, address=str(outside_http.CHAT), value=outside_http.TOKEN)
        assert twice.headers["location"] == f"{PLACE}/telegram"
        page = await browser.get(f"{PLACE}/telegram")
        assert "problems, results" in page.text
        await page_forms.send(browser, page_forms.with_words(page, "Send a test"))
        page = await browser.get(f"{PLACE}/telegram")
        assert "The message was taken on telegram." in page.text
        bot.faults.append((401, {}))
        await page_forms.send(browser, page_forms.with_words(page, "Send a test"))
        page = await browser.get(f"{PLACE}/telegram")
        assert "It does not work: Telegram does not know the bot&#39;s token." in page.text
        listed = await browser.get(PLACE)
        assert "failing" in listed.text
        assert "Telegram does not know the bot&#39;s token." in listed.text
        assert (await browser.post(f"{PLACE}/telegram/nothing", data={"key": "n"})).status_code == 404
        removing = page_forms.with_words(page, "to remove it")
        assert (await page_forms.send(browser, removing, typed="telegra")).status_code == 422
        assert (await page_forms.send(browser, removing, typed="telegram")).headers["location"] == PLACE
        said = [wrong.text, made.text, str(made.headers), page.text, listed.text, caplog.text]
    async with tidy.database.api() as conn:
        query = b"SELECT details::text AS text FROM pocketlet.audit UNION ALL SELECT body FROM pocketlet.answered"
        said += [row["text"] or "" for row in await (await conn.execute(query)).fetchall()]
    assert all(outside_http.TOKEN not in text for text in said)
    assert len(bot.texts()) == 1


async def test_what_a_worker_told_is_on_the_page(tidy: Desk, bot: "outside_http.Telegram") -> None:
    async with tidy.client() as client, await tidy.browser() as browser:
        assert (await client.post("/v1/channels", json=wanted(bot, name="phone"))).status_code == 201
        async with tidy.database.api() as conn:
            await conn.execute(
                b"INSERT INTO pocketlet.notice (problem, title) VALUES ('x', 'The <b>backup</b> failed.')"
            )
        assert await telling.tell(tidy.database, opening.Post(tidy.config.home)) >= 1
        page = await browser.get(f"{PLACE}/phone")
        assert "backup" in page.text
        assert "<b>backup" not in page.text
