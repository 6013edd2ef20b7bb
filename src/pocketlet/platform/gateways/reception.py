"""Incoming mail: an SMTP listener on loopback, where a mail server (or the demo) hands over what is for the agents."""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from pocketlet import errors

HOST = "127.0.0.1"
MAX_BYTES = 25_000_000
NO_ADDRESS = re.compile(r"[^\w.!#$%&'*+/=?^`{|}~@-]")
log = logging.getLogger(__name__)

Knows = Callable[[str], Awaitable[bool]]
Accept = Callable[[str, bytes], Awaitable[None]]


class _Handler:
    """A message is answered with 250 only after `accept` has committed it."""

    def __init__(self, knows: Knows, accept: Accept) -> None:
        self._knows = knows
        self._accept = accept

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        try:
            if not await self._knows(address):
                return "550 5.1.1 No agent has this address"
        except errors.Unreachable:
            return "451 4.3.0 Try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        raw = _return_path(envelope) + (envelope.original_content or b"")
        try:
            for address in envelope.rcpt_tos:
                await self._accept(address, raw)
        except (errors.BadInput, errors.NotFound) as error:
            return f"554 5.6.0 {' '.join(str(error).split())[:200]}"
        except errors.PocketletError as error:
            log.warning("mail not taken: %s", error)
            return "451 4.3.0 Try again later"
        return "250 2.0.0 Accepted"


def _return_path(envelope: Envelope) -> bytes:
    """The envelope's sender as a header (RFC 5321, 4.4); an empty one is how a bounce is known."""
    return f"Return-Path: <{NO_ADDRESS.sub('', envelope.mail_from or '')}>\r\n".encode()


@asynccontextmanager
async def listening(port: int, knows: Knows, accept: Accept) -> AsyncGenerator[int]:
    """Listens while the block lasts; the port in use (`port` 0: any free one). Raises errors.Conflict."""
    handler = _Handler(knows, accept)

    def protocol() -> Any:
        return SMTP(handler, data_size_limit=MAX_BYTES, enable_SMTPUTF8=True, ident="Pocketlet")

    try:
        server = await asyncio.get_running_loop().create_server(protocol, HOST, port)
    except OSError as error:
        raise errors.Conflict(
            f"Port {port} can't be used for incoming mail: {error.strerror or error}.",
            hint="Set POCKETLET_MAIL_PORT to a free port, or to 0 for any.",
        ) from error
    async with server:
        yield server.sockets[0].getsockname()[1]
