"""How owners come in: codes that are good once, cookies, passwords, tokens with scopes and an end."""

import asyncio
import os
import subprocess
from datetime import timedelta
from urllib.parse import urlsplit

import httpx2
import pytest
from desks import Desk

from pocketlet import clock, errors
from pocketlet.platform import owners
from pocketlet.surfaces.web import login

FIELDS = {"sec-fetch-site": "same-origin"}
ASK = """import sys, urllib.request as u
try:
    print(u.urlopen(u.Request(sys.argv[1], headers={"cookie": sys.argv[2]})).status)
except u.HTTPError as error:
    print(error.code)
"""


def visitor(desk: Desk) -> httpx2.AsyncClient:
    """A browser in which nobody is logged in."""
    return httpx2.AsyncClient(base_url=desk.url, headers=FIELDS)


async def test_a_code_is_good_once(desk: Desk) -> None:
    async with desk.database.api() as conn:
        code = await owners.new_code(conn, await owners.by_name(conn, "second"))
    async with visitor(desk) as browser:
        assert (await browser.get("/")).headers["location"] == "/login?next=/"
        entered = await browser.post("/login", data={"code": code, "next": "/costs"})
        assert (entered.status_code, entered.headers["location"]) == (303, "/costs")
        cookie = entered.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert (await browser.get("/")).status_code == 200
    async with visitor(desk) as other:
        assert (await other.post("/login", data={"code": code})).status_code == 403
        assert (await other.get("/")).status_code == 303


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
async def test_a_cookie_is_good_for_the_user_who_logged_in(desk: Desk) -> None:
    """A browser sends it to every port of this machine: what another user of it serves there reads it."""
    async with desk.database.api() as conn:
        code = await owners.new_code(conn, await owners.by_name(conn, "second"))
    async with visitor(desk) as browser:
        assert (await browser.post("/login", data={"code": code})).status_code == 303
        [(name, secret)] = [one for one in browser.cookies.items() if one[0].startswith("pocketlet-")]
    assert name == f"pocketlet-{desk.port}", "two installations leave each other's alone"

    def ask(user: str, *more: str) -> str:
        command = ["/usr/bin/python3", "-c", ASK, f"{desk.url}/v1/agents", "; ".join((f"{name}={secret}", *more))]
        done = subprocess.run(command, user=user, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout.strip()

    assert [await asyncio.to_thread(ask, user) for user in ("root", "nobody", "root")] == ["200", "401", "200"]
    async with httpx2.AsyncClient(
        base_url=desk.url, headers={"x-forwarded-for": "1", "cookie": f"{name}={secret}"}
    ) as far:
        assert (await far.get("/v1/agents")).status_code == 401, "nor for whoever says that a proxy sends him"


async def test_two_at_once_get_one_session(desk: Desk) -> None:
    async with desk.database.api() as conn:
        code = await owners.new_code(conn, await owners.by_name(conn, "second"))
    async with visitor(desk) as browser:
        answers = await asyncio.gather(*(browser.post("/login", data={"code": code}) for _ in range(8)))
    assert sorted(one.status_code for one in answers) == [303] + [403] * 7


async def test_a_password_logs_in_and_a_new_one_logs_all_browsers_out(desk: Desk) -> None:
    async with desk.database.api() as conn:
        await owners.set_password(conn, "second", "correct horse battery")
    async with visitor(desk) as browser:
        for wrong in ({"name": "second", "password": "x"}, {"name": "nobody", "password": "correct horse battery"}):
            assert (await browser.post("/login", data=wrong)).status_code == 403
        assert (await browser.post("/login", data={"name": "owner", "password": ""})).status_code == 403
        right = {"name": "second", "password": "correct horse battery"}
        assert (await browser.post("/login", data=right)).status_code == 303
        assert (await browser.get("/")).status_code == 200
        async with desk.database.api() as conn:
            await owners.set_password(conn, "second", "another horse battery")
        assert (await browser.get("/")).status_code == 303


async def test_logging_out_ends_the_session_itself(desk: Desk) -> None:
    browser = await desk.browser("second")
    async with browser:
        secret = browser.cookies[f"pocketlet-{desk.port}"]
        assert (await browser.get("/")).status_code == 200
        await browser.post("/logout", data={})
        async with desk.database.api() as conn:
            assert await owners.of_session(conn, secret) is None


@pytest.mark.parametrize("wanted", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:x", "x"])
def test_the_way_on_leads_to_no_other_site(wanted: str) -> None:
    assert login._inside(wanted) == "/"  # pyright: ignore[reportPrivateUsage]
    assert not urlsplit(login._inside("/runs/1?a=b")).netloc  # pyright: ignore[reportPrivateUsage]


async def test_a_token_has_scopes_and_an_end(desk: Desk) -> None:
    async with desk.database.api() as conn:
        owner = await owners.by_name(conn, "second")
        _, reads = await owners.new_token(conn, owner, "reads", frozenset({"read"}), None)
        past = clock.now() - timedelta(seconds=1)
        _, ended = await owners.new_token(conn, owner, "ended", frozenset({"read"}), past)
        number, revoked = await owners.new_token(conn, owner, "revoked", frozenset({"read"}), None)
        await owners.revoke_token(conn, owner, number)
        with pytest.raises(errors.Conflict):
            await owners.new_token(conn, owner, "reads", frozenset({"read"}), None)
        with pytest.raises(errors.BadInput):
            await owners.new_token(conn, owner, "all", frozenset({"everything"}), None)

    async def status(token: str) -> int:
        async with httpx2.AsyncClient(base_url=desk.url, headers={"authorization": f"Bearer {token}"}) as program:
            return (await program.get("/v1/agents")).status_code

    assert [await status(one) for one in (reads, ended, revoked, "pkt_x")] == [200, 401, 401, 401]
    async with httpx2.AsyncClient(base_url=desk.url, headers={"authorization": f"Bearer {reads}"}) as program:
        assert (await program.get("/")).status_code == 303, "a token opens no page"


async def test_no_secret_of_a_login_is_in_the_database(desk: Desk) -> None:
    async with desk.database.api() as conn:
        owner = await owners.by_name(conn, "second")
        given = [await owners.new_code(conn, owner), await owners.new_session(conn, owner, "x")]
        given.append((await owners.new_token(conn, owner, "kept", frozenset({"read"}), None))[1])
    async with desk.database.setup() as conn:
        rows = [
            await (
                await conn.execute(f"SELECT string_agg(t::text, ' ') AS all FROM pocketlet.{name} t".encode())
            ).fetchone()
            for name in ("login_code", "session", "token", "owner")
        ]
    assert not [secret for secret in given for row in rows if secret in str(row)]
