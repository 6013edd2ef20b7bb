"""A mail server on loopback that files what it took in a Sent folder, and breaks where it is told to."""

import asyncio
import contextlib
import itertools
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.effects import truth as truths

RECIPIENT = re.compile(rb"<c(\d+)@s(\d+)\.example>", re.IGNORECASE)


def recipient(number: int, folder: int) -> str:
    """The address that an effect's mail goes to; the server files it in that Sent folder."""
    return f"c{number}@s{folder}.example"


class Postbox:
    """Several Sent folders, as a look into one reads every mail in it."""

    def __init__(self, truth: truths.Truth, folder: Path) -> None:
        self.truth = truth
        self.host = ""
        self._folder = folder
        self._files = itertools.count()

    def url(self, folder: int) -> str:
        """The server, with one of its Sent folders."""
        sent = self._folder / str(folder)
        for part in ("new", "cur", "tmp"):
            (sent / part).mkdir(parents=True, exist_ok=True)
        return f"smtp://{self.host}?sent={sent}"

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator["Postbox"]:
        """Serves for as long as the block lasts."""
        listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.host = f"127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            listener.close()
            await listener.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        number, folder = -1, 0
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while (line := await reader.readuntil(b"\r\n")) and (verb := line[:4].upper()) != b"QUIT":
                if verb == b"RCPT" and (match := RECIPIENT.search(line)):
                    number, folder = int(match[1]), int(match[2])
                if verb == b"DATA":
                    await self._data(reader, writer, number, folder)
                    break
                writer.write(b"451 not now\r\n" if verb == b"RCPT" and self._refused(number) else b"250 ok\r\n")
        writer.close()

    def _refused(self, number: int) -> bool:
        faults = self.truth.faults[number]
        return bool(faults) and faults[0] == "rcpt 451" and bool(faults.pop(0))

    async def _data(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int, folder: int) -> None:
        writer.write(b"354 go on\r\n")
        data = (await reader.readuntil(b"\r\n.\r\n"))[:-3].replace(b"\r\n..", b"\r\n.")
        async with self.truth.arrival(number) as fault:
            if fault.startswith("data"):
                writer.write(f"{fault[5:]} on demand\r\n".encode())
                await writer.drain()
                return
            if fault == "filed late":
                self.truth.act(number, data)  # and no Sent folder shows it
            elif not fault.endswith("before"):
                self._file(number, folder, data)
            if fault.startswith("late"):
                await reader.read()  # until the client has hung up
            if fault == "late before":
                self._file(number, folder, data)
            if not fault.startswith(("late", "drop")):
                writer.write(b"250 taken\r\n")
                await writer.drain()

    def _file(self, number: int, folder: int, data: bytes) -> None:
        self.truth.act(number, data)
        (self._folder / str(folder) / "new" / f"{next(self._files)}.here").write_bytes(data)
