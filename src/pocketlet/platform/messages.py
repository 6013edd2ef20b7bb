"""Reads an untrusted mail message (RFC 5322, MIME) into plain fields.

Nothing here trusts the message: sizes, depth and counts are capped while parsing, what can't be read is left
out or shown as it stands, and every such cut or oddity is told in `Message.notes`.
"""

import email.message
import functools
import hashlib
import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime

from pocketlet.platform import headers, hypertext, mime

#: Headers of which RFC 5322 allows one, and that we show.
_SINGLE = ("From", "To", "Cc", "Reply-To", "Subject", "Date", "Message-ID", "In-Reply-To", "References")
_MAIL_HEADERS = frozenset(
    (
        b"from",
        b"to",
        b"cc",
        b"subject",
        b"date",
        b"message-id",
        b"received",
        b"return-path",
        b"reply-to",
        b"sender",
    )
)
_HEADER_LINE = re.compile(rb"([!-9;-~]+)[ \t]*:")
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,60}/[a-z0-9!#$&^_.+-]{1,90}")
_UNSAFE_IN_NAMES = re.compile(r'[<>:"|?*]')
_SUFFIXES = {
    "application/pdf": ".pdf",
    "image/gif": ".gif",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "message/delivery-status": ".txt",
    "message/rfc822": ".eml",
    "text/calendar": ".ics",
    "text/csv": ".csv",
    "text/html": ".html",
    "text/plain": ".txt",
}


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file in a message: `name` is a safe base name, never a path; `size` is in bytes, `sha256` in hex."""

    name: str
    media_type: str
    size: int
    sha256: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """What a message says about itself; none of it is verified, least of all `sender`.

    Addresses are bare (`local@domain`, the domain in lower case), "" where there is none. Message-IDs are
    without angle brackets. `date` is in UTC. `auto_submitted`: a machine sent it, so no machine should answer
    (RFC 3834).
    `text` has LF line ends. No string holds NUL, another control character or a lone surrogate.
    `notes` are sentences on what was cut, odd or unreadable.
    """

    sender: str
    sender_name: str
    to: tuple[str, ...]
    cc: tuple[str, ...]
    reply_to: str
    subject: str
    date: datetime | None
    message_id: str
    in_reply_to: str
    references: tuple[str, ...]
    auto_submitted: bool
    text: str
    attachments: tuple[Attachment, ...]
    notes: tuple[str, ...]


Limits = mime.Limits
DEFAULT_LIMITS = mime.Limits()


def parse(raw: bytes, *, limits: Limits = DEFAULT_LIMITS) -> Message:
    """Read a message. Raises BadInput, in one sentence, if it is empty, beyond a cap or without headers."""
    notes: list[str] = []
    mail = mime.tree(raw, limits, notes)
    for name in _SINGLE:
        if (count := len(mail.get_all(name, []))) > 1:
            notes.append(f"header {name} appears {count} times, the first one counts")
    source = functools.partial(headers.source, mail)
    senders = headers.addresses(source("From"), notes)
    if len(senders) > 1:
        notes.append("more than one sender is named, the first one counts")
    text, attachments = _content(mail, limits, notes)
    return Message(
        sender=senders[0][1] if senders else "",
        sender_name=senders[0][0] if senders else "",
        to=tuple(address for _, address in headers.addresses(source("To"), notes)),
        cc=tuple(address for _, address in headers.addresses(source("Cc"), notes)),
        reply_to=next((address for _, address in headers.addresses(source("Reply-To"), notes)), ""),
        subject=headers.text(source("Subject"), notes),
        date=headers.date(source("Date"), notes),
        message_id=next(iter(headers.ids(source("Message-ID"))), ""),
        in_reply_to=next(iter(headers.ids(source("In-Reply-To"))), ""),
        references=headers.ids(source("References")),
        auto_submitted=_auto_submitted(mail),
        text=text,
        attachments=attachments,
        notes=_told(notes),
    )


def looks_like_mail(raw: bytes) -> bool:
    """Whether a file is a mail message rather than plain text or JSON: header lines, a known one among them,
    then an empty line."""
    known = False
    for number, line in enumerate(raw[:262_144].splitlines()):
        if not line.strip():
            return known
        if number == 0 and line.startswith(b"From "):
            continue
        if number > 0 and line[:1] in (b" ", b"\t"):
            continue
        header = _HEADER_LINE.match(line)
        if header is None:
            return False
        known = known or header[1].lower() in _MAIL_HEADERS
    return False


def _told(notes: list[str]) -> tuple[str, ...]:
    """Each note once, and the first twenty; more would only drown the message."""
    once = list(dict.fromkeys(notes))
    return (*once[:20], f"{len(once) - 20} more oddities") if len(once) > 20 else tuple(once)


def _auto_submitted(mail: email.message.EmailMessage) -> bool:
    """RFC 3834 and the older habits it names; a bounce has an empty Return-Path (RFC 5321, 4.5.5)."""
    declared = headers.source(mail, "Auto-Submitted").partition(";")[0].partition("(")[0].strip().lower()
    return (
        declared not in ("", "no")
        or headers.source(mail, "Precedence").strip().lower() in ("auto_reply", "bulk", "junk")
        or headers.source(mail, "Return-Path").replace(" ", "") == "<>"
        or "X-Autoreply" in mail
        or mail.get_content_type() == "multipart/report"
    )


def _content(mail: email.message.EmailMessage, limits: Limits, notes: list[str]) -> tuple[str, tuple[Attachment, ...]]:
    """The text to read (plain where there is a choice) and the files."""
    shown: list[str] = []
    spare: list[email.message.EmailMessage] = []
    files: list[Attachment] = []
    for part, is_spare in mime.leaves(mail, spare=False):
        if _is_file(part, notes):
            _keep_file(part, files, limits, notes)
        elif part.get_content_type() != "text/html":
            shown.append(mime.text(part, notes))
        elif is_spare:
            spare.append(part)
        else:
            shown.append(_html(part, limits, notes))
    texts = [text for text in shown if text.strip()] or [_html(part, limits, notes) for part in spare]
    text = "\n\n".join(piece.strip("\n") for piece in texts)
    if len(text) > limits.text_chars:
        notes.append(f"text of {len(text):,} characters was cut at {limits.text_chars:,}")
        text = text[: limits.text_chars]
    return text, tuple(files)


def _is_file(part: email.message.EmailMessage, notes: list[str]) -> bool:
    if mime.children(part):
        return True
    if part.get_content_maintype() == "multipart":
        notes.append("parts could not be told apart, shown as text")
        return False
    if part.get_content_type() not in ("text/plain", "text/html"):
        return True
    return part.get_content_disposition() == "attachment" or bool(_filename(part, notes))


def _keep_file(part: email.message.EmailMessage, files: list[Attachment], limits: Limits, notes: list[str]) -> None:
    name = _safe_name(_filename(part, notes), part, len(files) + 1)
    if len(files) >= limits.attachments:
        notes.append(f"more than {limits.attachments} attachments, the others were left out")
        return
    content = _embedded(part, notes) if mime.children(part) else mime.octets(part, notes)
    if len(content) > limits.attachment_bytes:
        cap = mime.readable_size(limits.attachment_bytes)
        notes.append(f"attachment {name} of {mime.readable_size(len(content))} left out (cap {cap})")
        return
    taken = {file.name for file in files}
    while name in taken:
        name = f"{len(files) + 1}-{name}"
    kind = part.get_content_type()
    files.append(
        Attachment(
            name=name,
            media_type=kind if _MEDIA_TYPE.fullmatch(kind) else "application/octet-stream",
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            content=content,
        )
    )


def _embedded(part: email.message.EmailMessage, notes: list[str]) -> bytes:
    """A message inside the message (message/rfc822, message/delivery-status), as the bytes of a file."""
    return mime.attempt(
        lambda: b"\n".join(child.as_bytes() for child in mime.children(part)),
        b"",
        notes,
        "an attached message could not be written out, left empty",
    )


def _filename(part: email.message.EmailMessage, notes: list[str]) -> str:
    name = mime.attempt(part.get_filename, None, notes, "an attachment's name could not be read")
    return headers.text(mime.line(name or ""), notes)


def _safe_name(name: str, part: email.message.EmailMessage, number: int) -> str:
    """A base name of at most 120 characters that is no path and hides nothing (no bidi, no zero width)."""
    base = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    shown = "".join(char for char in base if unicodedata.category(char)[0] != "C")
    plain = _UNSAFE_IN_NAMES.sub("_", shown).strip(" .")
    stem, dot, suffix = plain.rpartition(".")
    if dot and len(suffix) <= 10:
        plain = stem[: 119 - len(suffix)] + dot + suffix
    return plain[:120] or f"attachment-{number}{_SUFFIXES.get(part.get_content_type(), '.bin')}"


def _html(part: email.message.EmailMessage, limits: Limits, notes: list[str]) -> str:
    """The text of an HTML part; markup beyond four times the text's cap is not read."""
    markup = mime.text(part, notes)
    if len(markup) > (cap := 4 * limits.text_chars):
        notes.append(f"HTML of {len(markup):,} characters was cut at {cap:,}")
    notes.append("HTML part shown as text")
    broken = "HTML part is malformed, its tags were only stripped"
    text = mime.attempt(lambda: hypertext.to_text(markup[:cap]), None, notes, broken)
    return mime.clean(hypertext.strip_tags(markup[:cap]) if text is None else text)
