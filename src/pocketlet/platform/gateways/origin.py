"""Who wrote a mail: SPF, DKIM and DMARC, evaluated by us when the mail comes in, never taken from the mail."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pocketlet import clock, errors
from pocketlet.platform import dkim, dmarc, identity, spf
from pocketlet.platform.gateways import naming

SECONDS = 20.0
#: Signatures that are looked at: only those whose domain may speak for the author's.
MOST_SIGNATURES = 5
MOST_READ = 30

_QUOTED_OR_COMMENT = re.compile(r'"(?:[^"\\]|\\.)*+"|\((?:[^()\\]|\\.)*+\)')
_RESULT = re.compile(r"(?:^|;)\s*dmarc\s*(?:/\s*1\s*)?=\s*([a-z]+)([^;]*)", re.IGNORECASE)
_PROPERTY = re.compile(r"\bheader\s*\.\s*from\s*=\s*([^\s;]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Hop:
    """The connection over which the mail came, as our own server saw it; empty for a mail out of a mailbox.

    `trusted_receiver`: the name (authserv-id) of the server whose word on a mail the owner takes.
    """

    client_ip: str = ""
    helo: str = ""
    mail_from: str = ""
    trusted_receiver: str = ""


async def check(raw: bytes, hop: Hop, ask: naming.Ask) -> identity.Verdict:
    """What can be known of a mail's author. Never raises for what a mail holds or DNS does not say.

    `ask` is `naming.asking()`, made anew for each mail or few of them: it remembers what it was told.
    """
    try:
        letter = dkim.split(raw)
    except errors.BadInput as error:
        return identity.Verdict("", "permerror", reason=str(error))
    author = identity.author(letter)
    double = identity.ambiguous(letter)
    if not author or double:
        said = f"the field {double} is there more than once" if double else "From does not name one address plainly"
        return identity.Verdict(author if not double else "", "permerror", reason=said)
    try:
        async with asyncio.timeout(SECONDS):
            verdict = await _evaluated(letter, author, hop, ask)
    except (TimeoutError, errors.ServiceUnreachable):
        verdict = identity.Verdict(author, "temperror", reason="DNS does not answer now")
    if verdict.dmarc != "pass" and _vouched(letter, hop.trusted_receiver, author):
        to = identity.recipients(letter)
        return replace(verdict, dmarc="pass", by="receiver", to=to, whole=True, reason="")
    return verdict


async def _evaluated(letter: dkim.Letter, author: str, hop: Hop, ask: naming.Ask) -> identity.Verdict:
    """Raises errors.ServiceUnreachable if an answer of DNS that is needed does not come."""
    domain = author.partition("@")[2]
    scope = await dmarc.scope(domain, ask)
    found = identity.Verdict(author, "none", reason=f"{domain} does not say what its mails are known by (no DMARC)")
    if scope.record is None:
        return found
    found = replace(found, dmarc="fail", policy=scope.record.policy, reason=f"nothing proves that it is from {domain}")
    late: errors.ServiceUnreachable | None = None
    try:
        found = await _by_signature(letter, scope, found, ask)
    except errors.ServiceUnreachable as error:
        late = error
    if found.dmarc != "pass" or not found.whole or found.loose:
        found = await _by_envelope(letter, scope, hop, found, ask)
    if found.dmarc != "pass" and late is not None:
        raise late
    return found


async def _by_signature(
    letter: dkim.Letter, scope: dmarc.Scope, found: identity.Verdict, ask: naming.Ask
) -> identity.Verdict:
    """With what the signatures say of the domains that may speak for the author's."""
    seen: list[tuple[str, str]] = []
    holding: list[dkim.Signature] = []
    late: errors.ServiceUnreachable | None = None
    for signature in dkim.signatures(letter, clock.now().timestamp())[:MOST_READ]:
        if len(seen) >= MOST_SIGNATURES:
            break
        if not await dmarc.aligned(scope, signature.domain, ask, "adkim"):
            continue
        try:
            records = () if signature.fault else await ask(signature.key_name, "TXT")
        except errors.ServiceUnreachable as error:
            seen.append((signature.domain, "its key can't be looked up now"))
            late = error
            continue
        fault = await asyncio.to_thread(dkim.failing, letter, signature, records)
        seen.append((signature.domain, fault))
        if not fault:
            holding.append(signature)
    found = replace(found, dkim=tuple(seen))
    if not holding:
        if late is not None:
            raise late
        return found
    whole = [signature for signature in holding if _covers(signature, letter)]
    to = identity.recipients(letter) if whole else ()
    loose = min((_loose(signature, letter) for signature in whole or holding), key=len)
    return replace(found, dmarc="pass", by="dkim", to=to, whole=bool(whole), loose=loose, reason="")


async def _by_envelope(
    letter: dkim.Letter, scope: dmarc.Scope, hop: Hop, found: identity.Verdict, ask: naming.Ask
) -> identity.Verdict:
    """With what SPF says of the machine that handed it over. A null sender proves no author."""
    domain = hop.mail_from.rpartition("@")[2].strip(" <>").lower()
    if not hop.client_ip or not domain:
        return found
    try:
        said = await spf.check(spf.Envelope(hop.client_ip, hop.helo, hop.mail_from.strip(" <>"), domain), ask)
    except errors.ServiceUnreachable:
        return replace(found, spf="temperror")
    if said != "pass" or not await dmarc.aligned(scope, domain, ask, "aspf"):
        return replace(found, spf=said)
    to = identity.recipients(letter)
    return replace(found, dmarc="pass", by="spf", spf=said, to=to, whole=True, loose=(), reason="")


def _covers(signature: dkim.Signature, letter: dkim.Letter) -> bool:
    """Whether what makes a mail this mail is signed; a Message-ID and a date have to be there."""
    there = all(letter.named(name) for name in ("date", "message-id"))
    return there and all(signature.covers(letter, name) for name in identity.SIGNED if letter.named(name))


def _loose(signature: dkim.Signature, letter: dkim.Letter) -> tuple[str, ...]:
    """Which of the fields that may be asked for are there, and not signed."""
    return tuple(name for name in identity.ASKED_FOR if letter.named(name) and not signature.covers(letter, name))


def _vouched(letter: dkim.Letter, receiver: str, author: str) -> bool:
    """Whether the topmost Authentication-Results is the trusted server's, and says that the author's domain passed."""
    fields = letter.named("authentication-results")
    if not receiver or not fields:
        return False
    text = _plain(fields[0].value)
    name, _, results = text.partition(";")
    if name.split()[:1] != [receiver.lower()] or name.split()[1:] not in ([], ["1"]):
        return False
    found: Sequence[tuple[str, str]] = _RESULT.findall(f";{results}")
    passed = [_PROPERTY.findall(rest) for result, rest in found if result == "pass"]
    return len(found) == len(passed) == 1 and passed[0] == [author.partition("@")[2]]


def _plain(value: bytes) -> str:
    """A field without comments and quoted strings, in lower case; "" for what can't be told apart."""
    try:
        text = value.decode("ascii").replace("\r\n", "")
    except UnicodeError:
        return ""
    for _ in range(10):
        text, count = _QUOTED_OR_COMMENT.subn(" ", text)
        if not count:
            break
    return "" if any(sign in text for sign in '"()\\') else text.lower()
