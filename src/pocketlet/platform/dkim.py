"""DKIM signatures of a mail (RFC 6376, RFC 8301, RFC 8463): what is signed, by which domain, and whether it holds.

Pure: a key is a DNS record that somebody else looked up. One reading of the headers serves the signature and whoever
asks what the headers say, so that both speak of the same mail.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from pocketlet import errors

ALGORITHMS = ("rsa-sha256", "ed25519-sha256")
SMALLEST_RSA = 1024  # bits
#: Seconds that a signer's clock may be ahead.
AHEAD = 3600
MOST_FIELDS = 1_000
LONGEST_HEAD = 1_000_000

_FIELD = re.compile(rb"([!-9;-~]+):")
_CONTROLS = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_DOMAIN = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)+")
_FORM = re.compile(r"(?:simple|relaxed)(?:/(?:simple|relaxed))?", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]{1,12}")
_LINE_ENDS = re.compile(rb"(?:\n\r)*")  # from behind
_BLANKS = re.compile(rb"[ \t\r\n]+")
_B_TAG = re.compile(rb"(\A|;)([ \t\r\n]*b[ \t\r\n]*=)[^;]*")


@dataclass(frozen=True, slots=True)
class Field:
    """A header field: its name in lower case, and all its bytes, CRLF at the end included."""

    name: str
    raw: bytes

    @property
    def value(self) -> bytes:
        """What follows the colon, as it stands."""
        return self.raw.partition(b":")[2]


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail: header fields in order, and the body, with CRLF line ends."""

    fields: tuple[Field, ...]
    body: bytes

    def named(self, name: str) -> list[Field]:
        """All fields of a name (in lower case), the topmost first."""
        return [field for field in self.fields if field.name == name]


@dataclass(frozen=True, slots=True)
class Signature:
    """A DKIM-Signature field, read. `fault`: why it counts for nothing, whatever its key; else empty."""

    field: Field
    domain: str
    selector: str
    signed: tuple[str, ...]
    tags: Mapping[str, str]
    fault: str = ""

    @property
    def key_name(self) -> str:
        """Where in DNS its key is."""
        return f"{self.selector}._domainkey.{self.domain}"

    def covers(self, letter: Letter, name: str) -> bool:
        """Whether every field of that name is signed."""
        return self.signed.count(name) >= len(letter.named(name)) > 0


def split(raw: bytes) -> Letter:
    """The fields and the body. Bare line feeds count as line ends.

    Raises errors.BadInput for a head that two readers could read differently: a line that is no field, control
    characters, a carriage return on its own.
    """
    text = raw.replace(b"\r\n", b"\n")
    head, _, body = text.partition(b"\n\n")
    if text.startswith(b"\n") or not head or len(head) > LONGEST_HEAD:
        raise errors.BadInput("The mail has no header, or one without end.")
    if _CONTROLS.search(head):
        raise errors.BadInput("The mail's header holds bytes that can be read in more than one way.")
    lines: list[bytes] = []
    for line in head.split(b"\n"):
        if line[:1] in (b" ", b"\t"):
            if not lines or not line.strip():
                raise errors.BadInput("The mail's header holds a line that belongs to no field.")
            lines[-1] += line + b"\r\n"
        else:
            lines.append(line + b"\r\n")
    fields = tuple(_field(line) for line in lines)
    if len(fields) > MOST_FIELDS:
        raise errors.BadInput("The mail has too many header fields.")
    return Letter(fields, body.replace(b"\n", b"\r\n"))


def signatures(letter: Letter, now: float) -> list[Signature]:
    """All signatures, the topmost first; `now`: seconds since 1970, for those that have ended."""
    return [_signature(field, now) for field in letter.named("dkim-signature")]


def failing(letter: Letter, signature: Signature, records: Sequence[str]) -> str:
    """Why a signature does not hold with the TXT records at its `key_name`; empty if it holds."""
    if signature.fault:
        return signature.fault
    if len(records) != 1:
        return "its key is not in DNS" if not records else "there are several keys in DNS"
    key = _tags(records[0].encode("latin-1", "replace")) or {}
    if fault := _fault_of_key(signature, key):
        return fault
    simple = (signature.tags.get("c", "simple/simple").lower() + "/simple").split("/")
    digest = base64.b64encode(hashlib.sha256(_body(letter.body, relaxed=simple[1] == "relaxed")).digest()).decode()
    if digest != _packed(signature.tags["bh"]):
        return "the text was changed after it was signed"
    data = _head(letter, signature, relaxed=simple[0] == "relaxed")
    return _fault_of_proof(signature, key, data)


def _field(line: bytes) -> Field:
    match = _FIELD.match(line)
    if match is None:
        raise errors.BadInput("The mail's header holds a line that is no field.")
    return Field(match[1].decode("ascii").lower(), line)


def _signature(field: Field, now: float) -> Signature:
    tags = _tags(field.value)
    if tags is None:
        return Signature(field, "", "", (), {}, "its tags can't be read")
    signed = tuple(name.strip().lower() for name in tags.get("h", "").split(":"))
    domain, selector = tags.get("d", "").lower(), tags.get("s", "").lower()
    fault = _fault_of_form(tags, domain, selector, signed) or _fault_of_time(tags, now)
    return Signature(field, domain, selector, signed, tags, fault)


def _tags(value: bytes) -> dict[str, str] | None:
    """A list of `name=value;` (RFC 6376, 3.2), blanks around and within folded values taken out; None if it is none."""
    try:
        text = value.decode("ascii")
    except UnicodeError:
        return None
    tags: dict[str, str] = {}
    parts = text.split(";")
    for part in parts[:-1] if not parts[-1].strip() else parts:
        name, sign, said = part.partition("=")
        name = name.strip()
        if not sign or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,30}", name) or name in tags:
            return None
        tags[name] = " ".join(said.split())
    return tags


def _fault_of_form(tags: Mapping[str, str], domain: str, selector: str, signed: Sequence[str]) -> str:
    agent = _agent(tags, domain)
    faults = (
        (tags.get("v") != "1" or not all(tags.get(name) for name in ("a", "b", "bh")), "it lacks a part"),
        (tags.get("a", "").lower() not in ALGORITHMS, "its algorithm does not count any more"),
        (not _DOMAIN.fullmatch(domain) or not _DOMAIN.fullmatch(f"{selector}.x"), "its domain can't be read"),
        ("from" not in signed or "" in signed, "it does not sign who wrote the mail"),
        ("l" in tags, "it signs only a part of the text"),
        (tags.get("q", "dns/txt").lower() != "dns/txt" or not _FORM.fullmatch(tags.get("c", "simple")), "it is odd"),
        (agent != domain and not agent.endswith(f".{domain}"), "it is for another domain than its signer's"),
    )
    return next((said for wrong, said in faults if wrong), "")


def _agent(tags: Mapping[str, str], domain: str) -> str:
    """The domain on whose behalf it was signed."""
    return tags.get("i", f"@{domain}").lower().rpartition("@")[2]


def _fault_of_time(tags: Mapping[str, str], now: float) -> str:
    made, ends = tags.get("t", "0"), tags.get("x", "999999999999")
    if not _NUMBER.fullmatch(made) or not _NUMBER.fullmatch(ends) or ("t" in tags and int(ends) < int(made)):
        return "its times can't be read"
    if int(made) > now + AHEAD:
        return "it is of the future"
    return "it has expired" if int(ends) < now else ""


def _fault_of_key(signature: Signature, key: Mapping[str, str]) -> str:
    if key.get("v", "DKIM1") != "DKIM1" or not key.get("p"):
        return "its key was revoked"
    if key.get("k", "rsa").lower() != signature.tags["a"].lower().partition("-")[0]:
        return "its key is of another kind"
    flags = {flag.strip().lower() for flag in key.get("t", "").split(":")}
    services = {service.strip().lower() for service in key.get("s", "*").split(":")}
    digests = {name.strip().lower() for name in key.get("h", "sha256").split(":")}
    if "y" in flags or not services & {"*", "email"} or "sha256" not in digests:
        return "its key is for tests, or not for mail"
    inside = _agent(signature.tags, signature.domain) == signature.domain
    return "its key is not for subdomains" if "s" in flags and not inside else ""


def _fault_of_proof(signature: Signature, key: Mapping[str, str], data: bytes) -> str:
    wrong = "it does not fit the mail"
    try:
        proof = base64.b64decode(_packed(signature.tags["b"]), validate=True)
        octets = base64.b64decode(_packed(key["p"]), validate=True)
        if signature.tags["a"].lower().startswith("ed25519"):
            public = ed25519.Ed25519PublicKey.from_public_bytes(octets)
            public.verify(proof, hashlib.sha256(data).digest())
            return ""
        loaded = serialization.load_der_public_key(octets)
        if not isinstance(loaded, rsa.RSAPublicKey) or loaded.key_size < SMALLEST_RSA:
            return "its key is too weak"
        loaded.verify(proof, data, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return wrong
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        return "its key can't be read"
    return ""


def _packed(text: str) -> str:
    return "".join(text.split())


def _body(body: bytes, *, relaxed: bool) -> bytes:
    """In the canonical form (RFC 6376, 3.4.3 and 3.4.4)."""
    if relaxed:
        body = re.sub(rb"[ \t]+", b" ", body).replace(b" \r\n", b"\r\n").removesuffix(b" ")
    tail = body[len(body.rstrip(b"\r\n")) :]
    empty = _LINE_ENDS.match(tail[::-1])
    body = body[: len(body) - (empty.end() if empty else 0)]
    return body + b"\r\n" if body or not relaxed else b""


def _head(letter: Letter, signature: Signature, *, relaxed: bool) -> bytes:
    """What is signed: the named fields, from the bottom of the mail upwards, and the signature without its proof."""
    left: dict[str, list[Field]] = {}
    for field in letter.fields:
        left.setdefault(field.name, []).append(field)
    pieces: list[bytes] = []
    for name in signature.signed:
        if left.get(name):
            pieces.append(_canonical(left[name].pop().raw, relaxed=relaxed))
    name, _, value = signature.field.raw.partition(b":")
    own = name + b":" + _B_TAG.sub(rb"\1\2", value, count=1)
    return b"".join(pieces) + _canonical(own, relaxed=relaxed).rstrip(b"\r\n")


def _canonical(raw: bytes, *, relaxed: bool) -> bytes:
    """A field in the canonical form (RFC 6376, 3.4.1 and 3.4.2)."""
    if not relaxed:
        return raw
    name, _, value = raw.partition(b":")
    return name.strip().lower() + b":" + _BLANKS.sub(b" ", value).strip(b" ") + b"\r\n"
