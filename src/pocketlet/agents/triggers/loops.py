"""Which mails start no run, because a machine sent them: answering could go on for ever (RFC 3834).

Pure. Every mark that is read here can be forged, but a forger only gets less: a mail with a mark starts nothing.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pocketlet.platform import headers, messages, mime

#: A header for mails of Pocketlet that go through something that takes Auto-Submitted out.
LOOP = "X-Pocketlet-Loop"
#: Mails in an hour from one correspondent that start a run, unless another number is given.
MOST = 20
#: Why a mail starts nothing, where more is made of it than that.
OURS = "it is a mail of our own that came back"
TOO_MANY = "mails in an hour from one correspondent"

_HEAD = re.compile(rb"\r?\n\r?\n|\r\r")
_COMMENT = re.compile(r"\([^()]*\)?")
_LONGEST_HEAD = 1_000_000
_OURS = re.compile(r"[a-z]+-[0-9a-z-]{1,100}@([0-9a-f]{1,64})\.pocketlet", re.IGNORECASE)
_AUTO_PRECEDENCE = {"auto_reply": "an automatic answer", "bulk": "a bulk mail", "junk": "a bulk mail"}
_LIST_HEADERS = ("List-Id", "List-Post", "List-Unsubscribe")
_MACHINES = ("X-Autoreply", "X-Autorespond", "X-Auto-Response")


@dataclass(frozen=True, slots=True)
class Marks:
    """What a mail's headers tell of a machine. `auto_submitted` and `precedence`: the words, in lower case.

    `bounce`: a null return path, or a report on a mail. `loops`: the instances named in our own header.
    """

    message_id: str = ""
    auto_submitted: tuple[str, ...] = ()
    precedence: tuple[str, ...] = ()
    listed: bool = False
    bounce: bool = False
    answering: bool = False
    loops: tuple[str, ...] = ()


def head(raw: bytes) -> bytes:
    """A mail's headers without its body."""
    end = _HEAD.search(raw[:_LONGEST_HEAD])
    return raw[: end.start() if end else _LONGEST_HEAD] + b"\r\n\r\n"


def marks(raw: bytes) -> Marks:
    """Reads them; only the headers are looked at. Raises errors.BadInput for what is no mail."""
    mail = mime.tree(head(raw), messages.DEFAULT_LIMITS, [])

    def words(name: str) -> tuple[str, ...]:
        return tuple(_COMMENT.sub("", str(value)).partition(";")[0].strip().lower() for value in mail.get_all(name, []))

    return Marks(
        message_id=next(iter(headers.ids(headers.source(mail, "Message-ID"))), ""),
        auto_submitted=words("Auto-Submitted"),
        precedence=words("Precedence"),
        listed=any(name in mail for name in _LIST_HEADERS),
        bounce="<>" in ("".join(value.split()) for value in words("Return-Path"))
        or mail.get_content_type() == "multipart/report",
        answering=any(name in mail for name in _MACHINES),
        loops=words(LOOP),
    )


def why_not(mail: Marks, instance: str, recent: int, most: int = MOST) -> str:
    """Why a mail may start no run; empty if it may.

    `instance`: the name of this installation, which its own Message-IDs carry. `recent`: mails of the same
    correspondent that came in the hour before this one.
    """
    sender = _OURS.fullmatch(mail.message_id)
    if instance.lower() in ((sender[1].lower() if sender else ""), *mail.loops):
        return OURS
    if sender or mail.loops:
        return "another Pocketlet sent it: answering could start a loop"
    if any(word not in ("", "no") for word in mail.auto_submitted) or mail.answering:
        return "sent automatically: answering could start a loop"
    if mail.bounce:
        return "a mail server's report, or a mail that nobody may answer (its return path is empty)"
    return _not_personal(mail.precedence, listed=mail.listed) or _too_many(recent, most)


def _not_personal(precedence: Sequence[str], *, listed: bool) -> str:
    for word in precedence:
        if word in _AUTO_PRECEDENCE:
            return f"{_AUTO_PRECEDENCE[word]} (Precedence: {word})"
    return "from a mailing list" if listed or "list" in precedence else ""


def _too_many(recent: int, most: int) -> str:
    return f"more than {most} {TOO_MANY}" if recent >= most else ""
