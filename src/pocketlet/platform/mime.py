"""Takes an untrusted mail message apart (MIME): its tree of parts, capped while parsing, and their text.

Every function that has to cut or guess appends a sentence to the list `notes` it was given.
"""

import codecs
import email.errors
import email.message
import email.parser
import email.policy
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar, cast

from pocketlet import errors

_T = TypeVar("_T")

#: What the standard library raises on malformed mail where it should record a defect.
_FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    email.errors.MessageError,
)
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]")
_WRONG_SURROGATES = re.compile(r"[\ud800-\udc7f\udd00-\udfff]")
#: Codecs of Python that are no charset of mail (and some are slow on purpose-made input).
_NO_CHARSETS = frozenset(("idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"))
#: Labels that in practice mean another charset (WHATWG Encoding Standard, names and labels).
_MEANT = {"iso8859-1": "cp1252", "iso8859-9": "cp1254", "gb2312": "gb18030", "shift_jis": "cp932"}


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps on one message. Beyond the first five it is refused; beyond the others it is cut, with a note.

    `message_bytes` counts the raw message, `attachment_bytes` one decoded file, `header_chars` one header.
    """

    message_bytes: int = 25_000_000
    lines: int = 500_000
    headers: int = 1_000
    parts: int = 200
    depth: int = 20
    header_chars: int = 16_000
    text_chars: int = 100_000
    attachments: int = 20
    attachment_bytes: int = 10_000_000


def attempt(read: Callable[[], _T], otherwise: _T, notes: list[str], note: str) -> _T:
    """`read()`, or `otherwise` and a note where the standard library trips over malformed mail."""
    try:
        return read()
    except _FAULTS:
        notes.append(note)
        return otherwise


class _Policy(email.policy.EmailPolicy):
    """Cuts long headers before they are parsed, and hands them out as they stand."""

    _notes: list[str]
    _header_chars: int

    def __init__(self, notes: list[str], header_chars: int) -> None:
        super().__init__(refold_source="none")
        # Policies forbid plain assignment.
        object.__setattr__(self, "_notes", notes)
        object.__setattr__(self, "_header_chars", header_chars)

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        if len(value) > self._header_chars:
            self._notes.append(f"header {name[:60]} was cut, {len(value):,} characters are too long")
            value = value[: self._header_chars]
        return name, value

    def header_fetch_parse(self, name: str, value: str) -> str:
        # The standard parser of structured headers takes seconds on 16 kB made on purpose: see `headers`.
        return value.replace("\r", "").replace("\n", "")


class _PartFactory:
    """Makes the parser's parts and stops it *while* it parses too many or too deep ones."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._made: list[email.message.EmailMessage] = []

    def __call__(self, policy: email.policy.Policy | None = None) -> email.message.EmailMessage:
        part = email.message.EmailMessage(policy)
        self._made.append(part)
        # The parser makes one part only to try the factory; the second is the whole message.
        if len(self._made) > self._limits.parts + 1:
            raise errors.BadInput(f"The message has more than {self._limits.parts} parts.")
        if len(self._made) > 2 and self._open_depth() > self._limits.depth:
            raise errors.BadInput(f"The message is nested more than {self._limits.depth} parts deep.")
        return part

    def _open_depth(self) -> int:
        depth, part = 1, self._made[1]
        while inner := children(part):
            depth, part = depth + 1, inner[-1]
        return depth


def tree(raw: bytes, limits: Limits, notes: list[str]) -> email.message.EmailMessage:
    """The tree of a message's parts. Raises BadInput if it is empty, beyond a cap or without headers."""
    if not raw.strip():
        raise errors.BadInput("The message is empty.")
    if len(raw) > limits.message_bytes:
        raise errors.BadInput(
            f"The message of {readable_size(len(raw))} is larger than {readable_size(limits.message_bytes)}."
        )
    if max(raw.count(b"\n"), raw.count(b"\r")) > limits.lines:
        raise errors.BadInput(f"The message has more than {limits.lines:,} lines.")
    parser = email.parser.BytesParser(_PartFactory(limits), policy=_Policy(notes, limits.header_chars))
    parsed = attempt(lambda: parser.parsebytes(raw), None, notes, "could not be taken apart")
    if parsed is None:
        raise errors.BadInput("The message is too malformed to be taken apart.")
    mail = cast("email.message.EmailMessage", parsed)
    if not mail.keys():
        raise errors.BadInput("This is not a mail message: it does not start with header lines.")
    if len(mail) > limits.headers:
        raise errors.BadInput(f"The message has more than {limits.headers:,} header lines.")
    return mail


def children(part: email.message.EmailMessage) -> list[email.message.EmailMessage]:
    """The parts inside a part: of a multipart or an embedded message."""
    # get_payload() decodes a text, and trips over its charset.
    return cast("list[email.message.EmailMessage]", part.get_payload()) if part.is_multipart() else []


def leaves(part: email.message.EmailMessage, *, spare: bool) -> Iterator[tuple[email.message.EmailMessage, bool]]:
    """Each part that is no container, and whether HTML in it is the spare form of a plain text beside it."""
    inner = children(part)
    if not inner or part.get_content_maintype() != "multipart":
        yield part, spare
        return
    if part.get_content_subtype() == "alternative":
        spare = spare or any(child.get_content_type() == "text/plain" for child in inner)
    for child in inner:
        yield from leaves(child, spare=spare)


def octets(part: email.message.EmailMessage, notes: list[str]) -> bytes:
    """The decoded content of a part that is no container."""
    decoded = attempt(lambda: part.get_payload(decode=True), b"", notes, "a part's encoding could not be undone")
    return decoded if isinstance(decoded, bytes) else b""


def text(part: email.message.EmailMessage, notes: list[str]) -> str:
    """The text of a part, clean."""
    content = octets(part, notes)
    charset = attempt(part.get_content_charset, None, notes, "a charset could not be read")
    return clean(decode(content, charset or "", notes))


def decode(content: bytes, charset: str, notes: list[str]) -> str:
    """Bytes in a named charset as text; "" and an unknown one are guessed."""
    name = _codec(charset, notes) if charset else ""
    if name in ("", "ascii"):
        name = guess(content)
    otherwise = content.decode("cp1252", "replace")
    decoded = attempt(lambda: content.decode(name, "replace"), otherwise, notes, _unknown(charset))
    if "\ufffd" in decoded:
        notes.append(f"some characters are not valid {name}, shown as \ufffd")
    return decoded


def guess(content: bytes) -> str:
    """The charset of unlabelled text: UTF-8 if it can be, else Windows-1252."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def clean(value: str) -> str:
    """Text that Postgres stores and a terminal survives: LF line ends, no controls, no lone surrogates."""
    joined = _WRONG_SURROGATES.sub("\ufffd", value).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    lines = joined.replace("\r\n", "\n").replace("\r", "\n").replace("\v", "\n").replace("\f", "\n")
    return _CONTROLS.sub("\ufffd", lines)


def line(value: str) -> str:
    """`clean` text on one line, without outer blanks."""
    return clean(re.sub(r"\r?\n", "", value)).replace("\n", " ").replace("\t", " ").strip()


def _codec(named: str, notes: list[str]) -> str:
    """Python's name of a charset, "" if there is none."""
    name = attempt(lambda: codecs.lookup(named).name, "", notes, _unknown(named))
    if name in _NO_CHARSETS:
        notes.append(_unknown(named))
        return ""
    return _MEANT.get(name, name)


def _unknown(charset: str) -> str:
    return f"charset {line(charset)[:40]!r} is unknown, guessed"


def readable_size(size: int) -> str:
    """A size in bytes, for people."""
    return f"{size / 1_000_000:,.1f} MB" if size >= 1_000_000 else f"{size:,} bytes"
