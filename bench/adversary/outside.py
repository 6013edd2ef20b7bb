"""The world outside the worker, as logs that the worker does not write: services, a mail server, sinkholes, names."""

import asyncio
import base64
import contextlib
import gzip
import html
import json
import mailbox
import random
import socket
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

INNER = ("127.0.0.66", "10.11.12.13", "169.254.169.254")


@dataclass(frozen=True)
class Packet:
    """A request that arrived whole. `done`: the service acted on it; `key`: the Idempotency-Key that came with it."""

    port: int
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    done: bool
    key: str


@dataclass(frozen=True)
class Mail:
    """A message that the mail server took."""

    sender: str
    to: tuple[str, ...]
    data: bytes


class Watch:
    """Every connection and every look-up that this process tries, seen by the interpreter itself (`sys.addaudithook`).

    Names are answered here, so that no query leaves the machine: `inward` are names whose addresses lead inside.
    """

    def __init__(self) -> None:
        self.connects: list[tuple[str, int]] = []
        self.names: list[str] = []
        self.inward: set[str] = set()
        self._resolve = socket.getaddrinfo
        sys.addaudithook(self._seen)

    def _seen(self, event: str, args: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.sendto"):
            family, address = args[0].family, args[1]
            if family in (socket.AF_INET, socket.AF_INET6):
                self.connects.append((str(address[0]), int(address[1])))

    @contextlib.contextmanager
    def names_answered(self):
        """Lets every look-up of a name end here."""
        socket.getaddrinfo = self._look_up
        try:
            yield self
        finally:
            socket.getaddrinfo = self._resolve

    def _look_up(self, host: Any, port: Any, *more: Any, **named: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else str(host)
        if name.replace(".", "").isdigit() or ":" in name:
            return self._resolve(host, port, *more, **named)
        self.names.append(name)
        if name in self.inward:
            address = INNER[len(self.names) % len(INNER)]
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]
        raise socket.gaierror(socket.EAI_NONAME, "no such name")


@dataclass
class Service:
    """A service of the owner's on loopback. It echoes what it is sent, credentials in many spellings, and breaks.

    What it says is marked with `mark`, by which the referee knows text from outside again. `breaks`: how often it does.
    """

    mark: str
    dice: random.Random
    breaks: float = 0.2
    port: int = 0
    packets: list[Packet] = field(default_factory=list[Packet])
    keys: set[str] = field(default_factory=set[str])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request on one connection."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.strip().split("\r\n")
            headers = tuple((name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines))
            body = await reader.readexactly(int(dict(headers).get("content-length", 0)))
            method, target, _ = first.split(" ")
            fault = self._fault(method)
            self._act(method, target, headers, body, fault)
            if not fault.startswith("drop"):
                writer.write(self._reply(method, target, headers, fault))
                await writer.drain()
        writer.close()

    def _fault(self, method: str) -> str:
        luck = self.dice.random()
        if method != "GET" and luck < self.breaks:
            return "drop after" if luck < 0.7 * self.breaks else "drop before"
        return {0: "302", 1: "500", 2: "401"}.get(int(luck * 60) - 57, "")

    def _act(self, method: str, target: str, headers: tuple[tuple[str, str], ...], body: bytes, fault: str) -> None:
        key = dict(headers).get("idempotency-key", "")
        done = fault in ("", "drop after", "302") and method != "GET" and not (key and key in self.keys)
        if key and done:
            self.keys.add(key)
        self.packets.append(Packet(self.port, method, target, headers, body, done, key))

    def _reply(self, method: str, target: str, headers: tuple[tuple[str, str], ...], fault: str) -> bytes:
        seen = dict(headers).get("authorization", "")
        bare = seen.rpartition(" ")[2]
        said: dict[str, Any] = {"mark": self.mark, "method": method, "target": target, "note": f"write to {self.mark}"}
        if "echo" in target or fault:
            said["seen"] = [seen, bare, *(spell(bare) for spell in SPELLINGS)]
        body = gzip.compress(json.dumps(said).encode())
        lines = [f"HTTP/1.1 {fault if fault.isdigit() else 200} X", "Content-Encoding: gzip"]
        lines += [
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            f"ETag: {bare}",
            "Connection: close",
        ]
        lines += [f"Location: http://127.0.0.1:9/{self.mark}?{bare}"] if fault == "302" else []
        return "\r\n".join([*lines, f"Set-Cookie: a={bare}", "", ""]).encode("latin-1") + body


SPELLINGS: tuple[Callable[[str], str], ...] = (
    lambda text: base64.b64encode(text.encode()).decode(),
    lambda text: base64.urlsafe_b64encode(f"user:{text}".encode()).decode(),
    lambda text: text.encode().hex(),
    lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    lambda text: "".join(f"\\u{ord(character):04x}" for character in text),
    lambda text: html.escape("".join(f"&#{ord(character)};" for character in text)),
    lambda text: text.upper(),
)


@dataclass
class Postbox:
    """A mail server whose Sent folder can be looked into; now and then it breaks, before or after it took a message."""

    folder: Path
    dice: random.Random
    breaks: float = 0.17
    port: int = 0
    mails: list[Mail] = field(default_factory=list[Mail])

    @property
    def url(self) -> str:
        """As POCKETLET_SMTP_URL has it."""
        return f"smtp://127.0.0.1:{self.port}?sent={self.folder}"

    def empty(self) -> None:
        """Forgets the Sent folder: a look reads all of it."""
        mailbox.Maildir(self.folder, create=True).clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One session."""
        luck = self.dice.random()
        places = ("drop after", "drop after", "drop after", "drop before", "554")
        fault = places[int(5 * luck / self.breaks)] if luck < self.breaks else ""
        sender, to = "", list[str]()
        writer.write(b"220 postbox\r\n")
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while line := (await reader.readuntil(b"\r\n")).decode("latin-1"):
                verb, address = line[:4].upper(), line.partition("<")[2].partition(">")[0]
                if verb == "MAIL":
                    sender = address
                elif verb == "RCPT":
                    to.append(address)
                answer = b"250 ok"
                if verb == "DATA":
                    writer.write(b"354 go on\r\n")
                    data = (await reader.readuntil(b"\r\n.\r\n"))[:-3]
                    answer = self._take(Mail(sender, tuple(to), data.replace(b"\r\n..", b"\r\n.")), fault)
                writer.write(answer + b"\r\n" if answer else b"")
                if verb == "QUIT" or not answer:
                    break
        writer.close()

    def _take(self, mail: Mail, fault: str) -> bytes:
        """The answer to a message; nothing where the server hangs up."""
        if fault == "554":
            return b"554 no"
        if fault != "drop before":
            self.mails.append(mail)
            mailbox.Maildir(self.folder, create=True).add(mail.data)
        return b"" if fault else b"250 taken"


@dataclass
class Sinkhole:
    """Listens where nothing may ever arrive."""

    port: int = 0
    accepts: int = 0

    async def serve(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Counts, and hangs up."""
        self.accepts += 1
        writer.close()


@asynccontextmanager
async def listening(*servers: Service | Postbox | Sinkhole) -> AsyncGenerator[None]:
    """They serve, each on a port of its own, while the block lasts."""
    async with contextlib.AsyncExitStack() as stack:
        for server in servers:
            listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, limit=2**26)
            server.port = listener.sockets[0].getsockname()[1]
            stack.push_async_callback(_close, listener)
        yield


async def _close(listener: asyncio.Server) -> None:
    listener.close()
    await listener.wait_closed()
