"""The few words of IMAP that reading one folder needs (RFC 3501, RFC 2177), over a stream that nobody trusts.

A server's answers are taken apart into tokens, never searched: what a mail holds can't pass for what the server says.
Lines, literals and answers are capped. A connection on which anything went wrong is closed and not used again.
"""

import asyncio
import base64
import contextlib
import re
import ssl
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from pocketlet import errors

LONGEST_LINE = 65_536
#: Bytes of one literal that are kept (what goes beyond is read past); bytes (kept, lines included) and lines of all of
#: one command's answers.
KEPT = 25_000_000
MOST_BYTES = 64_000_000
MOST_LINES = 50_000
#: Bytes of a literal that are read at all, and literals in one line.
LONGEST_LITERAL = 1_000_000_000
MOST_LITERALS = 20
#: Seconds that a server may be silent within an answer, and for a farewell that nobody has to hear.
SILENCE = 60.0
FAREWELL = 2.0

_LITERAL = re.compile(rb"\{([0-9]{1,10})\+?\}\Z")
#: A quoted string may stay open, so that no quote is looked at twice.
_TOKEN = re.compile(rb'"((?:[^"\\]|\\.)*+)"?|([()])|([^\s()"]+)')
_CODE = re.compile(rb"\[([A-Z0-9-]{1,40})(?: ([^\]]{0,200}))?\]", re.IGNORECASE)
_RUNS = re.compile(r"[ -%'-~]+|&|[^ -~]+")
STRANGE = "The mail server answers what no mail server answers."
ENDLESS = "The mail server answers without end."
BROKEN = "The connection to the mail server broke."

Items = Mapping[bytes, bytes | None]


@dataclass(frozen=True, slots=True)
class Answer:
    """One line of a server: the pieces between its literals, and these. `cut`: more of one came than was kept."""

    pieces: tuple[bytes, ...]
    literals: tuple[bytes, ...] = ()
    cut: bool = False

    @property
    def size(self) -> int:
        """All its bytes that are kept."""
        return sum(map(len, self.pieces)) + sum(map(len, self.literals))

    def words(self, most: int) -> list[bytes]:
        """The first words of the line; the last one of `most` holds the rest."""
        return self.pieces[0].split(maxsplit=most - 1)


class Refusal(errors.PocketletError):
    """The server answered NO or BAD. `code`: the word in brackets, such as AUTHENTICATIONFAILED; "" without one."""

    def __init__(self, code: str) -> None:
        super().__init__(f"The mail server said no ({code or 'without a reason'}).")
        self.code = code


class Talk:
    """One connection to a server. `can`: its capabilities. `news`: it told of more mails since this was set to False.

    Methods raise errors.NoMailbox when the connection is no good, or was none before.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.can: frozenset[bytes] = frozenset()
        self.news = False
        self._exists = 0
        self._reader = reader
        self._writer = writer
        self._number = 0
        self._broken = False

    async def greeting(self) -> bool:
        """Reads the first line; whether the server knows us already, without a login."""
        with self._whole():
            words = (await self._read()).words(3)
        kind = words[1].upper() if words[:1] == [b"*"] and len(words) > 1 else b""
        if kind not in (b"OK", b"PREAUTH"):
            raise self._end("The mail server does not want to talk now.")
        await self.capabilities()
        return kind == b"PREAUTH"

    async def capabilities(self) -> None:
        """Asks what the server can do."""
        found: list[bytes] = []
        for answer in await self.command("CAPABILITY"):
            words = answer.pieces[0].upper().split()
            found += words[2:] if words[1:2] == [b"CAPABILITY"] else []
        self.can = frozenset(found)

    async def login(self, user: str, password: str) -> None:
        """Says who we are; raises Refusal, and never with the server's own text, which may repeat the password."""
        if b"AUTH=PLAIN" in self.can:
            secret = base64.b64encode(f"\0{user}\0{password}".encode())
            await self.command("AUTHENTICATE PLAIN", secret)
        elif b"LOGINDISABLED" in self.can:
            raise Refusal("LOGINDISABLED")
        else:
            name, word = user.encode(), password.encode()
            await self.command(f"LOGIN {{{len(name)}}}", name + b" {%d}" % len(word), word)
        await self.capabilities()

    async def command(self, line: str, *continued: bytes) -> list[Answer]:
        """What is answered before the end of a command; `continued`: lines that the server asks for with +.

        Raises Refusal if the answer is NO or BAD.
        """
        rest = list(continued)
        found: list[Answer] = []
        room = MOST_BYTES
        with self._whole():
            tag = await self._say(line)
            while not (answer := await self._read(room=room)).pieces[0].startswith(tag):
                if rest and answer.pieces[0].startswith(b"+"):
                    await self._write(rest.pop(0))
                    continue
                self._heard(answer)
                found.append(answer)
                room -= answer.size
                if len(found) > MOST_LINES:
                    raise self._end(ENDLESS)
        _checked(answer)
        return found

    async def idle(self, seconds: float) -> bool:
        """Waits until the server tells of more mails; whether it did. Raises Refusal."""
        with self._whole():
            tag = await self._say("IDLE")
            while not (answer := await self._read()).pieces[0].startswith((b"+", tag)):
                self._heard(answer)
            if answer.pieces[0].startswith(b"+"):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        while not self.news:
                            self._heard(await self._read(silence=None))
                await self._write(b"DONE")
                while not (answer := await self._read()).pieces[0].startswith(tag):
                    self._heard(answer)
        _checked(answer)
        return self.news

    async def farewell(self) -> None:
        """Says goodbye if that is still possible, and closes."""
        if not self._broken:
            # A server answers LOGOUT with BYE, which otherwise is the end of a connection.
            with contextlib.suppress(errors.NoMailbox, Refusal, TimeoutError):
                async with asyncio.timeout(FAREWELL):
                    await self.command("LOGOUT")
        self._abort()

    @contextmanager
    def _whole(self) -> Generator[None]:
        """An exchange that was left in the middle, cancelled or broken, is the connection's last."""
        if self._broken:
            raise errors.NoMailbox("The connection to the mail server was closed.")
        whole = False
        try:
            yield
            whole = True
        finally:
            if not whole:
                self._abort()

    def _heard(self, answer: Answer) -> None:
        """Counts the mails in the folder, as the server tells of them."""
        words = [word.upper() for word in answer.words(4)]
        if words[:2] == [b"*", b"BYE"]:
            raise self._end("The mail server ended the connection.")
        if len(words) == 3 and words[0] == b"*" and words[1].isdigit():
            if words[2] == b"EXPUNGE":
                self._exists -= 1
            elif words[2] == b"EXISTS":
                self.news = self.news or int(words[1][:20]) > self._exists
                self._exists = int(words[1][:20])

    async def _say(self, line: str) -> bytes:
        """Sends a command; the tag that its last answer begins with."""
        self._number += 1
        tag = b"p%d " % self._number
        await self._write(tag + line.encode("ascii"))
        return tag

    async def _write(self, octets: bytes) -> None:
        try:
            self._writer.write(octets + b"\r\n")
            async with asyncio.timeout(SILENCE):
                await self._writer.drain()
        except (OSError, TimeoutError):
            raise self._end(BROKEN) from None

    async def _read(self, silence: float | None = SILENCE, room: int = MOST_BYTES) -> Answer:
        """One answer, of which at most `room` bytes are kept."""
        pieces: list[bytes] = []
        literals: list[bytes] = []
        cut = False
        while True:
            line = await self._line(silence)
            match = _LITERAL.search(line)
            pieces.append(line[: match.start()] if match else line)
            room -= len(pieces[-1])
            if room < 0:
                raise self._end(ENDLESS)
            if match is None:
                return Answer(tuple(pieces), tuple(literals), cut)
            size = int(match[1])
            if size > LONGEST_LITERAL or len(literals) >= MOST_LITERALS:
                raise self._end(STRANGE)
            literals.append(await self._literal(size, room))
            room -= len(literals[-1])
            cut = cut or size > KEPT

    async def _line(self, silence: float | None) -> bytes:
        try:
            async with asyncio.timeout(silence):
                line = await self._reader.readuntil(b"\n")
        except asyncio.LimitOverrunError:
            raise self._end(STRANGE) from None
        except TimeoutError:
            raise self._end("The mail server stopped answering.") from None
        except (OSError, EOFError):
            raise self._end(BROKEN) from None
        return line.rstrip(b"\r\n")

    async def _literal(self, size: int, room: int) -> bytes:
        """The first bytes of a literal, all of which is read; for those that are kept there must be room."""
        if min(size, KEPT) > room:
            raise self._end(ENDLESS)
        kept = bytearray()
        try:
            while size:
                async with asyncio.timeout(SILENCE):
                    chunk = await self._reader.read(min(size, LONGEST_LINE))
                if not chunk:
                    raise self._end(BROKEN)
                size -= len(chunk)
                kept += chunk[: KEPT - len(kept)]
        except OSError:  # time-outs are among them
            raise self._end(BROKEN) from None
        return bytes(kept)

    def _end(self, message: str) -> errors.NoMailbox:
        self._abort()
        return errors.NoMailbox(message)

    def _abort(self) -> None:
        self._broken = True
        self._writer.transport.abort()


async def connected(address: str, port: int, name: str, tls: ssl.SSLContext | None) -> Talk:
    """A connection to an address that was checked; its certificate must be for `name`. Raises OSError."""
    reader, writer = await asyncio.open_connection(
        address, port, ssl=tls, server_hostname=name if tls else None, limit=LONGEST_LINE
    )
    return Talk(reader, writer)


def fetched(answer: Answer) -> Items:
    """The items of a FETCH by their names in capitals (BODY without its brackets); {} for any other answer.

    A list in parentheses is given as None.
    """
    tokens = _tokens(answer)
    head = [token.upper() for token in tokens[:4]]
    if len(tokens) < 4 or (head[0], head[2], tokens[3]) != (b"*", b"FETCH", "("):
        return {}
    items: dict[bytes, bytes | None] = {}
    name = b""
    depth = 0
    for part in tokens[4:]:
        if isinstance(part, str):
            depth += 1 if part == "(" else -1
        if depth < 0:
            break
        if depth > 0 or not name:
            name = name or (part.partition(b"[")[0].upper() if isinstance(part, bytes) else b"")
            continue
        items[name], name = (None if isinstance(part, str) else part), b""
    return items


def _tokens(answer: Answer) -> list[bytes | str]:
    """Atoms, quoted strings and literals as bytes; parentheses as text."""
    tokens: list[bytes | str] = []
    for number, piece in enumerate(answer.pieces):
        for quoted, parenthesis, atom in _TOKEN.findall(piece):
            if parenthesis:
                tokens.append(parenthesis.decode())
            else:
                tokens.append(atom or re.sub(rb"\\(.)", rb"\1", quoted))
        tokens += answer.literals[number : number + 1]
    return tokens


def coded(answers: list[Answer], code: bytes) -> int:
    """The number in a response code such as `* OK [UIDNEXT 17]`; 0 if nobody said it."""
    for answer in answers:
        words = answer.words(3)
        match = _CODE.match(words[2]) if words[1:2] == [b"OK"] and len(words) == 3 else None
        if match and match[1].upper() == code and (match[2] or b"").isdigit():
            return int(match[2][:20])
    return 0


def folder(name: str) -> str:
    """A folder's name as it is sent: modified UTF-7 (RFC 3501, 5.1.3), in quotes."""
    out: list[str] = []
    for run in _RUNS.findall(name):
        if run == "&":
            out.append("&-")
        elif " " <= run[0] <= "~":
            out.append(run.replace("\\", "\\\\").replace('"', '\\"'))
        else:
            packed = base64.b64encode(run.encode("utf-16-be")).decode()
            out.append(f"&{packed.rstrip('=').replace('/', ',')}-")
    return f'"{"".join(out)}"'


def _checked(answer: Answer) -> None:
    """Raises Refusal unless a command's last line says OK."""
    words = answer.words(3)
    if words[1:2] and words[1].upper() == b"OK":
        return
    match = _CODE.match(words[2]) if len(words) == 3 else None
    raise Refusal(match[1].decode().upper() if match else "")
