"""Who slept with an answer in hand sends nothing: what reads the answer runs before any clock is looked at."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpcore2
import pytest

from pocketlet import errors
from pocketlet.platform import leases
from pocketlet.platform.gateways import link, submission

ANSWERS = {b"EHLO": b"250 here", b"MAIL": b"250 ok", b"RCPT": b"250 ok", b"DATA": b"354 go ahead"}


@asynccontextmanager
async def server(lease: leases.Lease, *, late: bool) -> AsyncGenerator[tuple[int, list[bytes]]]:
    """A mail server; if `late`, the lease is over by the time of its "go ahead". Its port, and the lines that came."""
    lines: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        while line := await reader.readline():
            lines.append(line)
            if late and line.startswith(b"DATA"):
                lease._until -= 60  # as if it slept: no timer of the loop has seen it yet
            answer = b"250 taken" if line == b".\r\n" else ANSWERS.get(line[:4].upper())
            if answer:
                writer.write(answer + b"\r\n")
        writer.close()

    listening = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1], lines


@pytest.mark.parametrize("late", [False, True])
async def test_go_ahead_is_not_heard_by_who_slept(late: bool) -> None:
    lease = leases.Lease()
    async with server(lease, late=late) as (port, lines):
        post = submission.Submission("127.0.0.1", port)
        try:
            async with lease.held():
                await post.send(b"Subject: Once\r\n\r\nText\r\n", "shop@shop.example", "ann@customer.example")
            lost = False
        except errors.LostRun:
            lost = True
        assert lost == late
        assert (b"Text\r\n" in lines) != late


async def test_no_request_is_written_after_the_lease() -> None:
    lease = leases.Lease()
    watched = link.Watched(httpcore2.AsyncMockStream([]), link.Link(100, 1.0))
    async with lease.held():
        await watched.write(b"POST / HTTP/1.1\r\n")
        lease._until -= 60
        with pytest.raises(errors.LostRun):
            await watched.write(b"\r\n")
        lease.renew(asyncio.get_running_loop().time())
        await watched.write(b"\r\n")
    lease._until -= 60
    await watched.write(b"")  # no worker's work


async def test_what_was_lost_stays_lost_though_the_heart_beats_again() -> None:
    """As `asyncio.wait_for` may: the cancellation is swallowed, and the work goes on."""
    lease = leases.Lease()
    with pytest.raises(errors.LostRun):
        await _slept_and_went_on(lease)
    async with lease.held():
        leases.check()


async def _slept_and_went_on(lease: leases.Lease) -> None:
    now = asyncio.get_running_loop().time
    async with lease.held():
        lease.renew(now() - 60)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        lease.renew(now())
        leases.check()
