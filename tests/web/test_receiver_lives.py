"""The receiver as a process: killed at the worst moment, stopped with a request under way, looked at from outside."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import hook_ground
import pytest
import raw_client

from pocketlet import settings
from pocketlet.db import pool
from pocketlet.platform import queue
from pocketlet.platform.gateways import listener
from pocketlet.surfaces.web import app as web


@contextlib.contextmanager
def running(config: settings.Settings, *command: str) -> Generator[subprocess.Popen[str]]:
    """A process of ours on this home, with any free ports; killed at the end of the block."""
    env = {**os.environ, "POCKETLET_HOME": str(config.home), "POCKETLET_MAIL_PORT": "0", "POCKETLET_PORT": "0"}
    with subprocess.Popen(
        [sys.executable, *command], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


async def line_of(process: subprocess.Popen[str]) -> str:
    """The first line that it prints."""
    assert process.stdout
    return await asyncio.to_thread(process.stdout.readline)


async def test_killed_between_commit_and_answer_a_redelivery_starts_nothing(ground: hook_ground.Ground) -> None:
    fields = await ground.fields("msg_1", "x")
    with running(ground.config, str(Path(__file__).with_name("doomed_receiver.py"))) as process:
        doomed = int(await line_of(process))
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await raw_client.ask(doomed, "POST", ground.path, fields, b"x")
        assert await asyncio.to_thread(process.wait) == -signal.SIGKILL
    [slot] = await ground.slots()
    again = await raw_client.ask(ground.port, "POST", ground.path, fields, b"x")
    assert (again.status, again.json) == (200, {"slot": slot["id"]})
    assert (len(await ground.slots()), await ground.runs()) == (1, 1)


async def test_up_takes_deliveries_and_stops_with_one_under_way(ground: hook_ground.Ground) -> None:
    secret_path = "/decide/1.very-secret-token"
    with running(ground.config, "-m", "pocketlet.surfaces.cli.main", "up", "--json") as process:
        told = json.loads(await line_of(process))
        port = int(told["url"].removeprefix("http://127.0.0.1:"))
        health = await raw_client.ask(port, "GET", "/health")
        assert (health.status, health.json) == (200, {"postgres": True, "worker": True})
        assert (await raw_client.ask(port, "GET", f"{secret_path}?code=very-secret-query")).status == 404
        assert (await ground.aged(port=port).deliver("msg_1")).status == 202
        fields = "".join(f"{name}: {value}\r\n" for name, value in await ground.fields("msg_2", "xx"))
        async with raw_client.connected(port) as line:
            head = f"POST {ground.path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{fields}Content-Length: 2\r\n\r\n"
            line.writer.write(head.encode() + b"x")
            await line.writer.drain()
            assert (await raw_client.ask(port, "GET", "/health")).status == 200
            process.send_signal(signal.SIGTERM)
            assert (await line.send(b"x")).status == 202
        _, said = await asyncio.to_thread(process.communicate)
        assert process.returncode == 0
        assert "very-secret" not in said
    assert len(await ground.slots()) == 2


async def test_a_sender_that_never_ends_its_head_is_left(
    db: pool.Database, config: settings.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "HEAD", 0.5)
    async with listener.listening(0, lambda port: web.made(db, config, port)) as port:
        for begun in (b"", b"GET /health HTTP/1.1\r\nHost: "):
            async with raw_client.connected(port) as line:
                line.writer.write(begun)
                assert await line.reader.read() == b""
        await queue.register(db, "worker")
        async with raw_client.connected(port) as line:
            for _ in range(3):  # heads that come whole, on one connection, are not late
                assert (await line.ask("GET", "/health")).status == 200
            line.writer.write(b"GET ")
            assert await line.reader.read() == b""
        async with db.api() as conn:
            await conn.execute(b"DELETE FROM pocketlet.worker")


async def test_health_wants_postgres_and_a_worker_that_lives(
    db: pool.Database, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def health(at: int = port) -> tuple[int, object]:
        reply = await raw_client.ask(at, "GET", "/health")
        return reply.status, reply.json

    command = await queue.register(db, "command")
    assert await health() == (503, {"postgres": True, "worker": False})
    worker = await queue.register(db, "worker")
    assert await health() == (200, {"postgres": True, "worker": True})
    async with db.api() as conn:
        await conn.execute(b"UPDATE pocketlet.worker SET heartbeat = pocketlet.now() - interval '11 seconds'")
    assert await health() == (503, {"postgres": True, "worker": False})
    for number in (command, worker):
        await queue.unregister(db, number)
    monkeypatch.setattr(pool, "CONNECT_SECONDS", 1)
    async with pool.Database(replace(db.address, host="127.0.0.1", port=1, sslmode=None)) as away:
        config = settings.read({})
        async with listener.listening(0, lambda number: web.made(away, config, number)) as elsewhere:
            assert await health(elsewhere) == (503, {"postgres": False, "worker": False})
            deliver = await raw_client.ask(
                elsewhere, "POST", "/hooks/a/b", hook_ground.signed("YWJj", "m", 1, "x"), b"x"
            )
            assert (deliver.status, deliver.problem, deliver.headers["retry-after"]) == (503, "later", "10")
