"""Without a login: the one owner's own processes, and nobody else who can reach the port."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator

import httpx2
import pytest

from pocketlet import settings
from pocketlet.db import pool
from pocketlet.platform import neighbours, owners
from pocketlet.platform.gateways import listener
from pocketlet.surfaces.web import app as web
from pocketlet.surfaces.web import guesses

LEAVE = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1]))).send(b'x')"
ASK = "import urllib.request as u, sys; print(u.urlopen(sys.argv[1]).status)"


@pytest.fixture
async def port(db: pool.Database, config: settings.Settings) -> AsyncGenerator[int]:
    """An installation with one owner, who has no password."""
    async with listener.listening(0, lambda port: web.made(db, config, port)) as number:
        yield number


async def test_our_own_processes_need_no_login(port: int) -> None:
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as mine:
        assert (await mine.get("/")).status_code == 200
        assert (await mine.get("/v1/agents")).status_code == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
async def test_another_user_of_the_machine_logs_in(port: int) -> None:
    def ask() -> subprocess.CompletedProcess[str]:
        command = ["/usr/bin/python3", "-c", ASK, f"http://127.0.0.1:{port}/v1/agents"]
        return subprocess.run(command, user="nobody", capture_output=True, text=True, check=False, timeout=60)

    asked = await asyncio.to_thread(ask)
    assert "401" in asked.stderr, asked.stdout + asked.stderr


@pytest.mark.skipif(os.geteuid() != 0 or not sys.platform.startswith("linux"), reason="only root can be somebody else")
def test_who_asks_and_is_gone_at_once_is_not_taken_for_root() -> None:
    """Linux gives a connection that nobody holds any more to user 0."""
    with socket.create_server(("127.0.0.1", 0)) as here:
        number = here.getsockname()[1]
        subprocess.run(["/usr/bin/python3", "-c", LEAVE, str(number)], user="nobody", check=True, timeout=60)
        taken, peer = here.accept()
        with taken:
            while _state(peer) not in ("05", "06"):  # until it is one that is only waited for
                assert not neighbours.same_user(peer, (here.getsockname()[0], number))
            assert neighbours.user(peer, ("127.0.0.1", number)) is None
            assert not neighbours.same_user(peer, ("127.0.0.1", number))


def _state(peer: tuple[str, int]) -> str:
    lines = neighbours.TABLE.read_text(encoding="ascii").splitlines()
    return next(line.split()[3] for line in lines if line.split()[1].endswith(f":{peer[1]:04X}"))


@pytest.mark.parametrize("name", ["x-forwarded-for", "forwarded", "via", "x-forwarded-proto", "x-real-ip"])
async def test_what_a_proxy_passed_on_needs_a_login(port: int, name: str) -> None:
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers={name: "x"}) as proxied:
        assert (await proxied.get("/")).headers["location"].startswith("/login")


def test_a_connection_that_is_not_there_is_nobodys() -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("there is no such table")
    assert not neighbours.same_user(("127.0.0.1", 1), ("127.0.0.1", 2))
    assert not neighbours.same_user(("192.0.2.1", 1), ("127.0.0.1", 2))


def test_ten_wrong_passwords_end_the_guessing() -> None:
    known = guesses.Guesses()
    for _ in range(guesses.MOST):
        assert known.wait("owner") == 0
        known.wrong("owner")
    assert 0 < known.wait("owner") <= guesses.PERIOD
    assert known.wait("second") == 0


async def test_a_new_password_ends_codes_too(db: pool.Database) -> None:
    async with db.api() as conn:
        owner = await owners.add(conn, "gone")
        code = await owners.new_code(conn, owner)
        await owners.set_password(conn, "gone", "correct horse battery")
        assert await owners.use_code(conn, code) is None
        await owners.remove(conn, "gone", no_login=True)
