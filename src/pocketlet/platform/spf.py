"""SPF (RFC 7208): whether a machine may send mail in the name of a domain.

`ptr` is not evaluated: a record with it proves nothing. `exp` is not read.
"""

import ipaddress
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

#: `ask(name, kind)`: see `gateways.naming`.
Ask = Callable[[str, str], Awaitable[Sequence[str]]]
MOST_TERMS = 10  # that need DNS
MOST_VOID = 2  # names without an answer
MOST_EXCHANGERS = 10
RESULTS = {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}

_TERM = re.compile(
    r"([-+~?])?([a-z][a-z0-9_.-]*)(?::([^/]*(?:/(?!/?(?:0|[1-9][0-9]*)$)[^/]*)*))?((?:/(?:0|[1-9][0-9]*))?(?://(?:0|[1-9][0-9]*))?)",
    re.I,
)
_MODIFIER = re.compile(r"([a-z][a-z0-9_.-]*)=(.*)", re.IGNORECASE)
_MACRO = re.compile(r"%(?:\{([slodiphcrtv])([0-9]{0,3})(r?)([-.+,/_=]*)\}|([%_-])|)", re.IGNORECASE)
_END = re.compile(r"(?:\.(?![0-9]+\.?$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.?|\}|%[%_-])$", re.IGNORECASE)
_LABEL = re.compile(r"[^.]{1,63}")
_SPACE_TAKING = ("ip4", "ip6")


class _Odd(Exception):
    """The record can't be understood, or asks for too much: permerror."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who hands a mail over, and what it says. `domain`: in whose name."""

    client: str
    helo: str
    sender: str
    domain: str


async def check(envelope: Envelope, ask: Ask) -> str:
    """pass, fail, softfail, neutral, none or permerror. Raises what `ask` raises: that is a temperror."""
    try:
        client = ipaddress.ip_address(envelope.client)
    except ValueError:
        return "none"
    if isinstance(client, ipaddress.IPv6Address) and client.ipv4_mapped:
        client = client.ipv4_mapped
    try:
        return await _Evaluation(envelope, client, ask).of(envelope.domain)
    except _Odd:
        return "permerror"


class _Evaluation:
    """One check with what it has asked for so far."""

    def __init__(self, envelope: Envelope, client: ipaddress.IPv4Address | ipaddress.IPv6Address, ask: Ask) -> None:
        self._envelope = envelope
        self._client = client
        self._ask = ask
        self._terms = 0
        self._void = 0

    async def of(self, domain: str) -> str:
        """The result in the name of a domain."""
        if not _is_name(domain):
            return "none"
        records = [text for text in await self._ask(domain, "TXT") if re.match(r"v=spf1(?: |$)", text, re.IGNORECASE)]
        if not records:
            return "none"
        if len(records) > 1 or not records[0].isascii():
            raise _Odd
        scope = replace(self._envelope, domain=domain)
        return await self._evaluated(records[0].split(" ")[1:], scope)

    async def _evaluated(self, words: Sequence[str], scope: Envelope) -> str:
        terms = [word for word in words if word and not _MODIFIER.fullmatch(word)]
        modifiers = [match for word in words if (match := _MODIFIER.fullmatch(word))]
        redirects = _named(modifiers, "redirect")
        _named(modifiers, "exp")
        read = [_term(word) for word in terms]  # a fault anywhere is one, whatever comes before it
        for sign, name, domain, lengths in read:
            if await self._matches(name, domain, lengths, scope):
                return RESULTS[sign]
        if not redirects:
            return "neutral"
        self._count()
        found = await self.of(self._expanded(redirects[0], scope))
        if found == "none":
            raise _Odd
        return found

    async def _matches(self, name: str, domain: str, lengths: str, scope: Envelope) -> bool:
        if name == "all":
            return True
        if name in _SPACE_TAKING:
            return self._client in _network(name, domain + lengths)
        self._count()
        target = self._expanded(domain, scope) if domain else scope.domain
        if name == "include":
            found = await self.of(target)
            if found == "none":
                raise _Odd
            return found == "pass"
        if name == "exists":
            return bool(await self._answers(target, "A"))
        hosts = [target] if name == "a" else await self._exchangers(target)
        for host in hosts:
            if await self._is_at(host, lengths, counted=name == "a"):
                return True
        return False

    async def _exchangers(self, domain: str) -> Sequence[str]:
        hosts = await self._answers(domain, "MX")
        if len(hosts) > MOST_EXCHANGERS:
            raise _Odd
        return hosts

    async def _is_at(self, host: str, lengths: str, *, counted: bool) -> bool:
        """Whether the client is at an address of a host, or in the networks of these lengths around it."""
        four, _, six = lengths.partition("//")
        kind, length = ("A", four.strip("/") or "32") if self._client.version == 4 else ("AAAA", six or "128")
        found = await self._answers(host, kind) if counted else await self._ask(host, kind)
        return any(self._client in ipaddress.ip_network(f"{address}/{length}", strict=False) for address in found)

    async def _answers(self, name: str, kind: str) -> Sequence[str]:
        found = await self._ask(name, kind) if _is_name(name) else ()
        self._void += not found
        if self._void > MOST_VOID:
            raise _Odd
        return found

    def _count(self) -> None:
        self._terms += 1
        if self._terms > MOST_TERMS:
            raise _Odd

    def _expanded(self, text: str, scope: Envelope) -> str:
        """Macros filled in (RFC 7208, 7); of a name that gets too long, the right part."""
        name = _MACRO.sub(lambda match: self._value(match, scope), text).removesuffix(".")
        while len(name) > 253:
            name = name.partition(".")[2]
        return name

    def _value(self, match: re.Match[str], scope: Envelope) -> str:
        if match[5]:
            return {"%": "%", "_": " ", "-": "%20"}[match[5]]
        letter = (match[1] or "").lower()
        local, _, domain = scope.sender.rpartition("@")
        values = {
            "s": scope.sender,
            "l": local,
            "o": domain,
            "d": scope.domain,
            "h": scope.helo,
            "i": str(self._client) if self._client.version == 4 else ".".join(self._client.exploded.replace(":", "")),
            "v": "in-addr" if self._client.version == 4 else "ip6",
        }
        if letter not in values:
            raise _Odd
        parts = re.split(f"[{re.escape(match[4] or '.')}]", values[letter])
        parts = parts[::-1] if match[3] else parts
        if match[2]:
            if not int(match[2]):
                raise _Odd
            parts = parts[-int(match[2]) :]
        text = ".".join(parts)
        return quote(text, safe="") if match[1].isupper() else text


def _named(modifiers: Sequence[re.Match[str]], name: str) -> list[str]:
    """What a modifier that may be there once says; raises _Odd for what none may say."""
    found = [match[2] for match in modifiers if match[1].lower() == name]
    if len(found) > 1 or not all(map(_is_spec, found)) or not all(_is_string(match[2]) for match in modifiers):
        raise _Odd
    return found


def _term(word: str) -> tuple[str, str, str, str]:
    """Sign, mechanism, domain and lengths of networks. Raises _Odd."""
    match = _TERM.fullmatch(word)
    if match is None:
        raise _Odd
    sign, name, domain, lengths = match[1] or "+", match[2].lower(), match[3], match[4]
    domain = "" if domain is None else domain
    if name in _SPACE_TAKING:
        _network(name, domain + lengths)
    elif name not in ("all", "include", "exists", "a", "mx") or (match[3] is not None and not _is_spec(domain)):
        raise _Odd
    if (name == "all" and word.lower().lstrip("+-~?") != "all") or (
        name in ("include", "exists") and (not domain or lengths)
    ):
        raise _Odd
    four, _, six = lengths.partition("//")
    if name not in _SPACE_TAKING and (int(four.strip("/") or 0) > 32 or int(six or 0) > 128):
        raise _Odd
    return sign, name, domain, lengths


def _network(name: str, text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    if re.search(r"/0[0-9]", text):
        raise _Odd
    kind = ipaddress.IPv4Network if name == "ip4" else ipaddress.IPv6Network
    try:
        return kind(text, strict=False)
    except ValueError:
        raise _Odd from None


def _is_spec(text: str) -> bool:
    """Whether a domain with macros is one."""
    rest = _MACRO.sub("", text)
    ends = _END.search(text)
    return _is_string(text) and rest.isprintable() and ends is not None


def _is_string(text: str) -> bool:
    """Whether every macro in a text is one."""
    return all(match[0] != "%" for match in _MACRO.finditer(text))


def _is_name(text: str) -> bool:
    """Whether something can be asked for in DNS: at least two labels, none too long."""
    labels = text.split(".")
    return len(text) <= 253 and len(labels) > 1 and all(map(_LABEL.fullmatch, labels))
