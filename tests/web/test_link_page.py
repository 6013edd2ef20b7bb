"""The page of a signed link: what would be sent, word for word, and one answer by its own form."""

import logging
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import urlencode

import hook_ground
import pytest
import raw_client

from pocketlet.agents import effects, links
from pocketlet.platform import compose

BODY = 'Your order <b>17</b> & "more"\u202e.\nSecond line\u200b.\n<script>alert(1)</script>{{ 7 * 7 }}\n'
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Asked:
    """A question that waits, and the token of a link to it."""

    ground: hook_ground.Ground
    approval: int
    token: str

    @property
    def path(self) -> str:
        """Where the page is."""
        return links.url("", self.token)

    async def state(self) -> tuple[str, str]:
        """Of the approval: how it stands, and why."""
        query = """SELECT a.state, a.because FROM pocketlet.approval a JOIN pocketlet.effect e ON e.id = a.effect_id
                    WHERE e.agent_id = %s"""
        [row] = await self.ground.rows(query)
        return row["state"], row["because"]

    async def show(self, method: str = "GET") -> raw_client.Reply:
        """The page."""
        return await raw_client.ask(self.ground.port, method, self.path)

    async def form(self) -> str:
        """What the page's form says of itself."""
        found = re.search(rb'name="form" value="(\w+)"', (await self.show()).body)
        assert found
        return found[1].decode()

    async def post(self, kind: str = FORM, **fields: str) -> raw_client.Reply:
        """The form sent as a browser does under `no-referrer`."""
        own = [("Origin", "null"), ("Sec-Fetch-Site", "same-origin"), ("Content-Type", kind)]
        return await raw_client.ask(self.ground.port, "POST", self.path, own, urlencode(fields).encode())


async def ask(ground: hook_ground.Ground) -> int:
    """A run that waits for the owner's word on a mail; the approval."""
    assert (await ground.deliver("msg_1")).status == 202
    [run] = await ground.rows("SELECT id FROM pocketlet.run WHERE agent_id = %s")
    await ground.change("UPDATE pocketlet.run SET state = 'waiting' WHERE agent_id = %s")
    at = datetime(2026, 11, 22, tzinfo=UTC)
    draft = compose.Draft("shop@shop.example", "Shop", "ann@customer.example", "Late", "", "m@shop.example", "", (), at)
    message = compose.with_body(compose.compose(draft), "placeholder").replace(b"placeholder", b"")
    message = message.replace(b"7bit", b"8bit") + BODY.replace("\n", "\r\n").encode()
    digest = compose.digest("mail", draft.to, message)
    values = {"agent": ground.agent.id, "run": run["id"], "seq": 1, "tool": "send_mail", "kind": "mail", "rule": "r"}
    values |= {"class": "checkable", "to": draft.to, "request": "{}", "message": message, "hash": digest, "fence": 0}
    values |= {"state": "planned", "rule_id": None, "said": None}
    async with ground.database.api() as conn:
        made = await (await conn.execute(effects.Q["plan"], values)).fetchone()
        assert made
        await effects.ask(conn, made["id"], "send", "It asks \u202efor this.")
    query = (
        """SELECT a.id FROM pocketlet.approval a JOIN pocketlet.effect e ON e.id = a.effect_id WHERE e.agent_id = %s"""
    )
    [row] = await ground.rows(query)
    return row["id"]


@pytest.fixture
async def asked(ground: hook_ground.Ground) -> Asked:
    """A question with its link."""
    approval = await ask(ground)
    async with ground.database.api() as conn:
        token = await links.make(conn, links.key(ground.config.home), approval)
    return Asked(ground, approval, token)


async def test_the_page_shows_all_of_it_and_draws_what_would_not_show(asked: Asked) -> None:
    reply = await asked.show()
    text = reply.body.decode()
    assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "&lt;b&gt;17&lt;/b&gt; &amp; &#34;more&#34;⟨U+202E⟩." in text
    assert "Second line⟨U+200B⟩." in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;{{ 7 * 7 }}" in text
    assert "It asks ⟨U+202E⟩for this." in text
    assert {"ann@customer.example", "shop@shop.example", "Late", "checkable"} <= set(re.split(r"[<>]| &lt;|&gt;", text))
    text = re.sub(r'<link rel="(icon|stylesheet)" href="/static/[\w./-]+">', "", text)
    assert not re.search(r"<script|<img|<link|<a |href=|src=|https?://|style=|\son\w+=", text)


async def test_looking_decides_nothing_however_often(asked: Asked) -> None:
    for method in ("GET", "HEAD", "GET"):
        assert (await asked.show(method)).status == 200
        assert (await asked.state())[0] == "pending"
    assert (await raw_client.ask(asked.ground.port, "GET", f"{asked.path}?word=approve&read=yes")).status == 200
    assert (await asked.state())[0] == "pending"


async def test_a_yes_counts_once(asked: Asked) -> None:
    form = await asked.form()
    reply = await asked.post(form=form, word="approve", read="yes")
    assert (reply.status, await asked.state()) == (200, ("approved", ""))
    assert b"<h1>Approved</h1>" in reply.body
    assert (await asked.post(form=form, word="refuse")).status == 409
    assert (await asked.show()).status == 409
    assert (await asked.state())[0] == "approved"


async def test_a_no_goes_with_its_reason(asked: Asked) -> None:
    reply = await asked.post(form=await asked.form(), word="refuse", because=" Too long & late. ")
    assert (reply.status, await asked.state()) == (200, ("refused", "Too long & late."))


async def test_an_answer_that_is_not_complete_decides_nothing(asked: Asked) -> None:
    form = await asked.form()
    for fields in (
        {},
        {"word": "approve"},
        {"word": "yes", "read": "yes"},
        {"read": "yes"},
        {"word": "approve", "read": "no"},
    ):
        assert (await asked.post(form=form, **fields)).status == 400
    assert (await asked.state())[0] == "pending"


async def test_a_form_that_is_not_of_this_page_decides_nothing(asked: Asked) -> None:
    form, answer = await asked.form(), {"word": "approve", "read": "yes"}
    assert (await asked.post(**answer)).status == 403
    assert (await asked.post(form="0" * 64, **answer)).status == 403
    assert (await asked.post(form="\xe4", **answer)).status == 403
    assert (await asked.post("application/json", form=form, **answer)).status == 403
    assert (await asked.post("text/plain", form=form, **answer)).status == 403
    assert (await asked.post(form=form, **answer, because="x" * 30_000)).status == 403
    other = replace(asked, token=asked.token[:-1] + ("A" if asked.token[-1] != "A" else "B"))
    assert (await other.post(form=form, **answer)).status == 403
    assert (await asked.state())[0] == "pending"


async def test_another_origin_decides_nothing(asked: Asked) -> None:
    body = urlencode({"form": await asked.form(), "word": "approve", "read": "yes"}).encode()
    for site in ("cross-site", "same-site", "none"):
        fields = [("Origin", "null"), ("Sec-Fetch-Site", site), ("Content-Type", FORM)]
        assert (await raw_client.ask(asked.ground.port, "POST", asked.path, fields, body)).status == 403
    for origin in ("null", "https://evil.example"):
        fields = [("Origin", origin), ("Content-Type", FORM)]
        assert (await raw_client.ask(asked.ground.port, "POST", asked.path, fields, body)).status == 403
    assert (await asked.state())[0] == "pending"


async def test_a_link_that_is_forged_expired_or_of_changed_bytes_shows_nothing(asked: Asked) -> None:
    for token in ("1.x", f"{asked.token}x", asked.token[::-1], "%00", "a" * 5000):
        reply = await raw_client.ask(asked.ground.port, "GET", links.url("", token))
        assert reply.status == 404
        assert b"17" not in reply.body
    await asked.ground.change("UPDATE pocketlet.effect SET request_hash = 'else' WHERE agent_id = %s")
    reply = await asked.show()
    assert (reply.status, b"Nothing was sent" in reply.body) == (404, True)
    assert (await asked.post(form="x", word="approve", read="yes")).status == 403


async def test_no_log_has_the_token(asked: Asked, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    form = await asked.form()
    await asked.post(form="x")
    await asked.post(form=form, word="approve", read="yes")
    await asked.show()
    await raw_client.ask(asked.ground.port, "GET", f"{asked.path}/more?{asked.token}")
    assert asked.token not in caplog.text
    assert "uvicorn" not in caplog.text
