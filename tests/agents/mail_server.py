"""A mail server on loopback that keeps what it took in a Maildir, and breaks where a test wants it to."""

import asyncio
import contextlib
import mailbox
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from email.message import Message
from pathlib import Path


class MailServer:
    """`faults` are used up one a connection; without one, everything is taken. One is an answer with a code, such as
    `rcpt 550` or `data 451`, or hanging up, `drop before` or `drop after` it kept the message.
    """

    def __init__(self, maildir: Path) -> None:
        self.url = ""
        self.maildir = maildir
        self.faults: list[str] = []
        self.connections = 0
        self._box = mailbox.Maildir(maildir, create=True)

    @property
    def url_with_sent(self) -> str:
        """The server as one whose mails can be looked up."""
        return f"{self.url}?sent={self.maildir}"

    def taken(self) -> list[Message]:
        """Every message that it keeps, as often as it came."""
        return list(self._box)

    def keep(self, message: bytes) -> None:
        """A message that it had taken all along turns up."""
        self._box.add(message)

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator["MailServer"]:
        """Serves for as long as the block lasts."""
        listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"smtp://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        yield self
        listener.close()
        await listener.wait_closed()
        self._box.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        fault = self.faults.pop(0) if self.faults else ""
        writer.write(b"220 scripted\r\n")
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while answer := await self._answer(reader, writer, fault):
                writer.write(answer + b"\r\n")
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fault: str) -> bytes:
        verb = (await reader.readuntil(b"\r\n"))[:4].upper()
        if verb == b"RCPT" and fault.startswith("rcpt"):
            return f"{fault.split()[1]} on demand".encode()
        if verb != b"DATA":
            return b"221 bye" if verb == b"QUIT" else b"250 ok"
        writer.write(b"354 go on\r\n")
        data = (await reader.readuntil(b"\r\n.\r\n"))[:-3]
        if fault.startswith("data"):
            return f"{fault.split()[1]} on demand".encode()
        if fault != "drop before":
            self._box.add(data.replace(b"\r\n..", b"\r\n."))
        return b"" if fault.startswith("drop") else b"250 taken"
