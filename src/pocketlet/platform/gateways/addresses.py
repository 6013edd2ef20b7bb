"""Where a connection may go: our own table of IP addresses, and one strict parser of URLs and paths.

`ipaddress.is_global` and `is_private` are not asked: both let addresses through that lead inside (6to4, NAT64, clouds'
metadata). Reserved networks: IANA's special-purpose registries for IPv4 and IPv6.
"""

import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from pocketlet import errors

#: IPv4 networks that nothing is sent to, and what they are.
DENIED_IPV4 = tuple(
    (ipaddress.IPv4Network(network), what)
    for network, what in (
        ("0.0.0.0/8", "this machine"),
        ("10.0.0.0/8", "a private network"),
        ("100.64.0.0/10", "a provider's inner network"),
        ("127.0.0.0/8", "this machine"),
        ("168.63.129.16/32", "a cloud's own service"),
        ("169.254.0.0/16", "link-local, where clouds keep credentials"),
        ("172.16.0.0/12", "a private network"),
        ("192.0.0.0/24", "reserved for protocols"),
        ("192.0.2.0/24", "reserved for documentation"),
        ("192.31.196.0/24", "reserved for AS112"),
        ("192.52.193.0/24", "reserved for AMT"),
        ("192.88.99.0/24", "a 6to4 relay"),
        ("192.168.0.0/16", "a private network"),
        ("192.175.48.0/24", "reserved for AS112"),
        ("198.18.0.0/15", "reserved for benchmarks"),
        ("198.51.100.0/24", "reserved for documentation"),
        ("203.0.113.0/24", "reserved for documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved, or broadcast"),
    )
)

#: The only IPv6 addresses in use on the internet, and the networks in there that are not.
GLOBAL_IPV6 = ipaddress.IPv6Network("2000::/3")
DENIED_IPV6 = tuple(
    (ipaddress.IPv6Network(network), what)
    for network, what in (
        ("2001::/23", "reserved for protocols"),
        ("2001:db8::/32", "reserved for documentation"),
        ("2002::/16", "6to4"),
        ("2620:4f:8000::/48", "reserved for AS112"),
        ("3fff::/20", "reserved for documentation"),
    )
)

#: IPv6 networks whose addresses hold an IPv4 address, and how far that is from the right, in bits.
EMBEDDING = tuple(
    (ipaddress.IPv6Network(network), what, shift)
    for network, what, shift in (
        ("::ffff:0:0/96", "IPv4-mapped", 0),
        ("::ffff:0:0:0/96", "IPv4-translated", 0),
        ("::/96", "IPv4-compatible", 0),
        ("64:ff9b::/96", "NAT64", 0),
        ("64:ff9b:1::/48", "local NAT64", 0),
        ("2002::/16", "6to4", 80),
        ("2001::/32", "Teredo", 64),
    )
)
#: Teredo holds a second one, inverted, on the right; ISATAP's mark is the upper half of an interface's number.
TEREDO = ipaddress.IPv6Network("2001::/32")
ISATAP = 0x00005EFE

#: The widest network that an owner may pin: one network of a house, by version of IP the length of its prefix.
WIDEST = {4: 24, 6: 64}
PIN_HINT = "For example --pin 192.168.1.5: the address alone; scheme and port stand in the URL."

#: Clouds' metadata: an owner's pin reaches these only if it names exactly this address.
METADATA = frozenset(
    ipaddress.ip_address(address)
    for address in (
        "169.254.169.254",
        "169.254.170.2",
        "168.63.129.16",
        "100.100.100.200",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd20:ce::254",
    )
)

#: Last labels that no public name has (RFC 6761, RFC 6762, RFC 8375, ICANN's private-use list), and clouds' own names.
INNER_SUFFIXES = (
    "alt", "arpa", "corp", "example", "home", "internal", "intranet", "invalid", "lan", "local",
    "localdomain", "localhost", "mail", "onion", "private", "svc", "test", "workgroup", "metadata.goog",
    "cluster.local", "metadata.packet.net", "metadata.platformequinix.com", "metadata.tencentyun.com",
)  # fmt: skip

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::(?P<port>[1-9][0-9]{0,4}))?(?P<target>[/?].*)?",
    re.IGNORECASE,
)
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_LAST_LABEL = re.compile(r"[a-z]{2,63}|xn--[a-z0-9-]{1,59}")
_TEXT = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_LONGEST_URL = 8000
_MOST_DECODED = 4


@dataclass(frozen=True, slots=True)
class Url:
    """A URL that was read strictly. `host` is in lower case, IPv6 without brackets; `target` is path and query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def site(self) -> tuple[str, str, int]:
        """Scheme, host and port: what a credential belongs to."""
        return self.scheme, self.host, self.port


def forbidden(address: str) -> str | None:
    """Why nothing may be sent to this IP address, in a few words; None if it may. Never raises."""
    found = _parsed(address)
    if found is None:
        return "not an IP address"
    if isinstance(found, ipaddress.IPv4Address):
        return next((what for network, what in DENIED_IPV4 if found in network), None)
    return _forbidden_ipv6(found)


def is_address(host: str) -> bool:
    """Whether a host is an IP address, not a name."""
    return _parsed(host) is not None


def unpinned(address: str, pinned: Sequence[str]) -> str | None:
    """Why this IP address is not among those that the owner pinned (addresses or networks); None if it is.

    Raises errors.BadInput if one of `pinned` is neither.
    """
    found = _parsed(address)
    if found is None:
        return "not an IP address"
    containing = [network for network in networks(pinned) if found in network]
    if not containing:
        return "not an address that the owner pinned"
    if found in METADATA and all(network.num_addresses > 1 for network in containing):
        return "a cloud's metadata, which has to be pinned as exactly this address"
    return None


def networks(pinned: Sequence[str]) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """The owner's pins, addresses or networks, read. Raises errors.BadInput."""
    try:
        return [ipaddress.ip_network(text) for text in pinned]
    except ValueError:
        raise errors.BadInput("A pin is an IP address, or a network such as 192.168.1.0/24.", hint=PIN_HINT) from None


def check_pins(pinned: Sequence[str]) -> None:
    """Raises errors.BadInput for what is no pin, and for one so wide that it would be no pin at all."""
    for network in networks(pinned):
        if network.prefixlen < WIDEST[network.version]:
            most = " or ".join(f"a /{length} of IPv{version}" for version, length in WIDEST.items())
            raise errors.BadInput(f"{network} is too wide a pin: {most} is the widest.", hint=PIN_HINT)


def host_of(url: str, *, inner: bool = False) -> Url:
    """Read an absolute http or https URL, exactly as it will be sent.

    Takes nothing that two parsers could read differently: no user, backslash, fragment, character outside ASCII or
    number in disguise (0x7f.1, 2852039166). `inner`: names of a local network may be used, too (localhost, nas.local);
    only for what the owner pinned. Raises errors.BadInput.
    """
    match = _URL.fullmatch(url) if len(url) <= _LONGEST_URL else None
    if match is None:
        raise _bad("This is not a URL of the form https://host/path, in plain ASCII.")
    scheme = match["scheme"].lower()
    port = int(match["port"] or (443 if scheme == "https" else 80))
    if port > 65535:
        raise _bad("This URL's port does not exist.")
    target = match["target"] or "/"
    checked_target(target)
    return Url(scheme, _host(match["host"].lower(), inner=inner), port, target if target[0] == "/" else "/" + target)


def checked_target(target: str) -> None:
    """Refuse a path (and query) that servers read in more than one way: `//`, `..`, control characters, bare `%`.

    Raises errors.BadInput.
    """
    if len(target) > _LONGEST_URL or not _TEXT.fullmatch(target):
        raise _bad("A path holds only ASCII letters, digits, - . _ ~ and percent-encoded bytes.")
    path, _, query = target.partition("?")
    if b"\0" in unquote_to_bytes(query):
        raise _bad("A query holds no %00.")
    level = path.encode()
    # Servers behind servers decode more than once.
    for _ in range(_MOST_DECODED):
        if _CONTROL.search(level):
            raise _bad("A path holds no control characters, also not percent-encoded.")
        if _climbs(level):
            raise _bad("A path has no . or .. in it and does not begin with //, also not percent-encoded.")
        level = unquote_to_bytes(level)


def _climbs(path: bytes) -> bool:
    """Whether a path may leave the folder that it names."""
    segments = re.split(rb"[/\\]", path)
    return segments[:2] == [b"", b""] < segments[:3] or any(
        segment.partition(b";")[0] in (b".", b"..") for segment in segments
    )


def _host(host: str, *, inner: bool) -> str:
    """A host in the one form that is sent; raises errors.BadInput."""
    if host.startswith("["):
        found = _parsed(host[1:-1])
        if not isinstance(found, ipaddress.IPv6Address):
            raise _bad("This URL's IPv6 address can't be read.")
        return str(found)
    labels = host.split(".")
    if len(host) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise _bad("This URL's host is not a name that can be looked up.")
    if isinstance(_parsed(host), ipaddress.IPv4Address):
        return host
    if not _LAST_LABEL.fullmatch(labels[-1]):
        raise _bad("This URL's host is a number in disguise.")
    if not inner and (len(labels) == 1 or any(host == name or host.endswith(f".{name}") for name in INNER_SUFFIXES)):
        raise _bad("This URL's host is a name of a local network, which only a pinned connection may use.")
    return host


def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address without a zone; None for anything else."""
    if "%" in text:
        return None
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _forbidden_ipv6(address: ipaddress.IPv6Address) -> str | None:
    for embedded, what in _embedded(address):
        reason = forbidden(str(embedded))
        if reason is not None:
            return f"{what} for {embedded}: {reason}"
    if address not in GLOBAL_IPV6:
        return "not an IPv6 address of the internet"
    return next((what for network, what in DENIED_IPV6 if address in network), None)


def _embedded(address: ipaddress.IPv6Address) -> Iterator[tuple[ipaddress.IPv4Address, str]]:
    """The IPv4 addresses that a router on the way may find in an IPv6 one."""
    number = int(address)
    for network, what, shift in EMBEDDING:
        if address in network:
            yield ipaddress.IPv4Address(number >> shift & 0xFFFFFFFF), what
    if address in TEREDO:
        yield ipaddress.IPv4Address(~number & 0xFFFFFFFF), "Teredo"
    if number >> 32 & 0xFDFFFFFF == ISATAP:
        yield ipaddress.IPv4Address(number & 0xFFFFFFFF), "ISATAP"


def _bad(message: str) -> errors.BadInput:
    return errors.BadInput(message, hint="A URL looks like https://api.example.com/v1/items, in plain ASCII.")
