"""Whose mail it is: what a receiver found out about a mail, and when that makes it the owner's own.

A name in `From` proves nothing. What counts is that the domain in there vouches for the mail (DMARC, aligned), which
`gateways.origin` finds out; this module only reads headers, and judges what was found out.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from pocketlet.platform import dkim, headers

#: Fields of which a mail has one at most (RFC 5322, 3.6, and MIME): programs show the first or the last of several.
SINGLE = (
    "from", "sender", "reply-to", "to", "cc", "date", "subject", "message-id", "in-reply-to", "references",
    "mime-version", "content-type", "content-transfer-encoding",
)  # fmt: skip
#: Fields that the owner's signature has to cover where they are there, so that an old mail can't be made a new one.
SIGNED = ("from", "to", "cc", "subject", "date", "message-id")
#: Fields that say what a mail answers and how it is read; whoever goes by one asks `owner` for it.
ASKED_FOR = ("in-reply-to", "references", "content-type")

_ADDRESS = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+"
#: A name, plain or in quotes, then the address in brackets; or the address alone. No comments, groups or lists.
_AUTHOR = re.compile(rf'[ \t]*(?:(?:"(?:[^"\\]|\\.)*+"|[^"<>(),:;@\\\[\]]*+)[ \t]*<({_ADDRESS})>|({_ADDRESS}))[ \t]*')


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found out about a mail.

    `author`: the one address in From, in lower case; "" if From can be read in more than one way. `dmarc`: pass, fail,
    none (the domain says nothing), temperror (ask again later) or permerror. `by`: what made it pass: dkim, spf, or
    receiver (a server that the owner trusts said so). `spf`: of RFC 7208's results. `dkim`: for each signature that was
    looked at, its domain and why it does not hold (empty: it holds). `policy`: what the domain asks for (none,
    quarantine, reject). `to`: the addresses in To and Cc, as far as what made it pass vouches for them. `loose`: of
    ASKED_FOR, the fields that are there and that nothing vouches for. `reason`: in a sentence, why it is not a pass.
    """

    author: str
    dmarc: str
    by: str = ""
    spf: str = "none"
    dkim: tuple[tuple[str, str], ...] = ()
    policy: str = ""
    to: tuple[str, ...] = ()
    whole: bool = False
    loose: tuple[str, ...] = ()
    reason: str = ""


def author(letter: dkim.Letter) -> str:
    """The only address of the only From, in lower case; "" if there is any doubt."""
    fields = letter.named("from")
    value = _unfolded(fields[0].value) if len(fields) == 1 else ""
    match = _AUTHOR.fullmatch(value)
    return (match[1] or match[2]).lower() if match else ""


def recipients(letter: dkim.Letter) -> tuple[str, ...]:
    """The addresses in To and Cc, in lower case."""
    found: list[str] = []
    for name in ("to", "cc"):
        for field in letter.named(name):
            found += [address.lower() for _, address in headers.addresses(_unfolded(field.value), [])]
    return tuple(dict.fromkeys(found))


def ambiguous(letter: dkim.Letter) -> str:
    """The first field that is there more often than it may be; "" if there is none."""
    return next((name for name in SINGLE if len(letter.named(name)) > 1), "")


def owner(
    verdict: Verdict, addresses: Collection[str], *, to: Collection[str] = (), vouched: Collection[str] = ()
) -> bool:
    """Whether a mail is from one of the owner's registered addresses, proven by that address's own domain.

    `to`: our own addresses, one of which the mail has to be for, so that what the owner wrote to somebody else can't be
    handed to us; without it that is not asked. A mail proven by a signature must have its subject, date, recipients and
    Message-ID signed (`whole`), and where they are there the fields `vouched`, of ASKED_FOR.
    """
    mine = {address.lower() for address in addresses if address.isascii()}
    ours = {address.lower() for address in to}
    proven = verdict.dmarc == "pass" and verdict.whole and verdict.author in mine - {""}
    proven = proven and not set(vouched) & set(verdict.loose)
    return proven and (not ours or not ours.isdisjoint(verdict.to))


def _unfolded(value: bytes) -> str:
    """A field's value on one line; what is not ASCII stays as it is, and so fits no address."""
    return value.decode("utf-8", "replace").replace("\r\n", "").strip(" \t")
