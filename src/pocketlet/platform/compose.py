"""Composes the mail that leaves: the same draft always gives the same bytes; approvals bind to them."""

import base64
import binascii
import email.utils
import hashlib
import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime

from pocketlet import errors

#: Octets of text in one encoded word: 45 become 60 of base64, below the 75 characters that RFC 2047 allows.
_WORD_OCTETS = 45
_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"({_ATEXT}(?:\.{_ATEXT})*)@({_LABEL}(?:\.{_LABEL})*)")
_MESSAGE_ID = re.compile(r"[!-;=?-~]{1,250}")
_PLAIN_TEXT = re.compile(r"[!-~]+(?: [!-~]+)*")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9'-]+(?: [A-Za-z0-9'-]+)*")
#: Characters that show as nothing although they are letters, marks or symbols by their category.
_BLANKS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | frozenset(
    chr(code) for span in (range(0x180B, 0x1810), range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0)) for code in span
)
#: Controls, format characters (bidi, zero width, tags), surrogates, private use, unassigned, line separators.
_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))


@dataclass(frozen=True, slots=True)
class Draft:
    """A plain-text mail to one person.

    Message-IDs are bare or in angle brackets; `in_reply_to` is "" in a first mail. `date` has a time zone.
    `body` may have any line ends.
    """

    sender: str
    sender_name: str
    to: str
    subject: str
    body: str
    message_id: str
    in_reply_to: str
    references: tuple[str, ...]
    date: datetime


def compose(draft: Draft) -> bytes:
    """The canonical bytes of a draft: ASCII, CRLF line ends, short lines.

    Of a long thread's references the first and the last 49 are kept. Raises BadInput if a field can't be sent
    as it is: a line break in a header, more than one address, control characters.
    """
    if draft.date.tzinfo is None:
        raise errors.BadInput("The mail's date has no time zone.")
    sender = f"<{address(draft.sender)}>"
    if draft.sender_name:
        sender = f"{_name(draft.sender_name)}\r\n {sender}"
    encoding, body = _body(draft.body)
    headers = [
        ("From", sender),
        ("To", f"<{address(draft.to)}>"),
        ("Subject", _subject(draft.subject)),
        ("Date", email.utils.format_datetime(draft.date.astimezone(UTC))),
        ("Message-ID", _message_id(draft.message_id)),
    ]
    if draft.in_reply_to:
        headers.append(("In-Reply-To", _message_id(draft.in_reply_to)))
    if draft.references:
        kept = draft.references if len(draft.references) <= 50 else draft.references[:1] + draft.references[-49:]
        headers.append(("References", "\r\n ".join(_message_id(reference) for reference in kept)))
    headers += [
        ("Auto-Submitted", "auto-replied" if draft.in_reply_to else "auto-generated"),
        ("MIME-Version", "1.0"),
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Transfer-Encoding", encoding),
    ]
    head = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return head.encode("ascii") + b"\r\n" + body


def with_body(message: bytes, text: str) -> bytes:
    """A composed mail with another text, all else as it was. Raises BadInput for what no mail can hold."""
    head = message.partition(b"\r\n\r\n")[0].rpartition(b"\r\n")[0]  # without Content-Transfer-Encoding, the last
    encoding, body = _body(text)
    return head + f"\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode() + body


def address(text: str) -> str:
    """One plain address, its domain in lower case.

    Raises BadInput for anything else: names, lists, groups, quotes, comments, blanks inside, characters
    beyond ASCII (an international domain is written in its xn-- form).
    """
    candidate = text.strip(" ")
    match = _ADDRESS.fullmatch(candidate) if len(candidate) <= 254 else None
    if match is None or len(match[1]) > 64:
        raise errors.BadInput(
            f"{text[:80]!a} is not one plain mail address.",
            hint="Give one address such as ada@example.com.",
        )
    return f"{match[1]}@{match[2].lower()}"


def digest(connection: str, destination: str, message: bytes) -> str:
    """SHA-256, in hex, of what an approval allows: these bytes, over this connection, to this destination.

    Each part is preceded by its length (8 bytes), so that no byte can move from one part to the next.
    """
    total = hashlib.sha256()
    for part in (connection.encode(), destination.encode(), message):
        total.update(len(part).to_bytes(8, "big"))
        total.update(part)
    return total.hexdigest()


def visible(text: str) -> str:
    """The text with every character that shows as nothing, or reorders others, drawn as its code: ⟨U+202E⟩.

    Line feeds and tabs stay.
    """
    return "".join(f"⟨U+{ord(char):04X}⟩" if _is_unseen(char) else char for char in text)


def _is_unseen(char: str) -> bool:
    return char not in "\n\t" and (unicodedata.category(char) in _UNSEEN or char in _BLANKS)


def _subject(text: str) -> str:
    _check_header("subject", text, 900)
    if len(text) <= 68 and _PLAIN_TEXT.fullmatch(text) and "=?" not in text:
        return text
    return _encoded_words(text)


def _name(text: str) -> str:
    _check_header("sender's name", text, 200)
    if len(text) <= 70 and _PLAIN_NAME.fullmatch(text):
        return f'"{text}"'
    return _encoded_words(text)


def _check_header(what: str, text: str, longest: int) -> None:
    if len(text) > longest:
        raise errors.BadInput(f"The {what} is longer than {longest} characters.")
    for char in text:
        if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp"):
            raise errors.BadInput(f"The {what} contains {visible(char)}, which a mail header can't hold.")


def _encoded_words(text: str) -> str:
    """RFC 2047, one word a line; a character is never split between two."""
    words = [b""]
    for char in text:
        octets = char.encode()
        if len(words[-1]) + len(octets) > _WORD_OCTETS:
            words.append(b"")
        words[-1] += octets
    return "\r\n ".join(f"=?utf-8?b?{base64.b64encode(word).decode()}?=" for word in words if word)


def _message_id(text: str) -> str:
    bare = text[1:-1] if text.startswith("<") and text.endswith(">") else text
    if not _MESSAGE_ID.fullmatch(bare):
        raise errors.BadInput(f"{text[:80]!a} is not a Message-ID.")
    return f"<{bare}>"


def _body(text: str) -> tuple[str, bytes]:
    """The name of the shorter transfer encoding (quoted-printable if equal), and the body in it."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    for char in lines:
        if char not in "\n\t" and unicodedata.category(char) in ("Cc", "Cs"):
            raise errors.BadInput(f"The body contains {visible(char)}, which a mail can't hold.")
    lines = lines if lines.endswith("\n") else f"{lines}\n"
    printable = binascii.b2a_qp(lines.encode(), istext=True).replace(b"\n", b"\r\n")
    packed = base64.encodebytes(lines.replace("\n", "\r\n").encode()).replace(b"\n", b"\r\n")
    if len(packed) < len(printable):
        return "base64", packed
    return "quoted-printable", printable
