"""A mail server that says what a test wants, for what a decent one never does."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable

from pocketlet.platform.gateways import mailbox

Say = Callable[[bytes], bytes]


class Script:
    """Answers each command by its first words; `heard` are the lines that came."""

    def __init__(self) -> None:
        self.greeting = b"* OK hello\r\n"
        self.can = b"IMAP4rev1 IDLE"
        self.heard: list[bytes] = []
        self.answers: dict[bytes, bytes] = {
            b"EXAMINE": b"* 2 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n* OK [UIDNEXT 3] ok\r\n",
        }
        self.refused: dict[bytes, bytes] = {}
        self.asks = b""
        self.ends_at = b""
        self.idled = asyncio.Event()
        self.ended = asyncio.Event()
        self.port = 0
        self._tag = b""

    @property
    def account(self) -> mailbox.Account:
        """The only account, in clear text."""
        return mailbox.Account("127.0.0.1", self.port, "me", "hunter2", tls=False, pinned=("127.0.0.1",))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            writer.write(self.greeting)
            while line := await reader.readline():
                line = line.rstrip()
                while line.endswith(b"}"):
                    writer.write(b"+ go on\r\n")
                    line += b" " + (await reader.readline()).rstrip()
                self.heard.append(line)
                if self.asks and self.asks in line:
                    writer.write(b"+\r\n")
                    self.heard.append((await reader.readline()).rstrip())
                if line == b"DONE":
                    writer.write(self._tag + b" OK done\r\n")
                    continue
                self._tag, _, said = line.partition(b" ")
                writer.write(self._answer(said))
                if self.ends_at and said.startswith(self.ends_at):
                    break
        writer.close()
        self.ended.set()

    def _answer(self, said: bytes) -> bytes:
        end = self._tag + b" OK done\r\n"
        for start, text in self.refused.items():
            if said.startswith(start):
                return self._tag + b" NO " + text + b"\r\n"
        for start, text in self.answers.items():
            if said.startswith(start):
                return text if start in (b"IDLE", self.ends_at) else text + end
        if said == b"CAPABILITY":
            return b"* CAPABILITY " + self.can + b"\r\n" + end
        if said == b"IDLE":
            self.idled.set()
            return b"+ idling\r\n"
        return end


@contextlib.asynccontextmanager
async def serving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Script]:
    """The server, gone afterwards."""
    script = Script()
    listener = await asyncio.start_server(script.serve, "127.0.0.1", 0, ssl=tls)
    script.port = listener.sockets[0].getsockname()[1]
    try:
        yield script
    finally:
        listener.close()
        await listener.wait_closed()
