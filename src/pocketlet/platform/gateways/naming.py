"""Questions to DNS that the system's own look-up of addresses can't answer: texts, mail exchangers."""

from collections.abc import Awaitable, Callable, Sequence

import dns.asyncresolver
import dns.exception
import dns.name
import dns.resolver
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.ANY.TXT import TXT
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA

from pocketlet import errors

SECONDS = 5.0
LONGEST_NAME = 253
MOST = 100  # records of one answer
#: `ask(name, kind)`: the records of a name, in words; kind is A, AAAA, MX or TXT. Empty if there is no such
#: name or record. MX: the exchangers, the preferred one first. Raises errors.ServiceUnreachable.
Ask = Callable[[str, str], Awaitable[Sequence[str]]]


def asking(resolver: dns.asyncresolver.Resolver | None = None) -> Ask:
    """The system's resolvers, or another one; each question is asked once, for as long as the function is kept.

    Raises errors.ServiceUnreachable if the system names no resolver.
    """
    if resolver is None:
        try:
            resolver = dns.asyncresolver.Resolver()
        except dns.resolver.NoResolverConfiguration:
            raise errors.ServiceUnreachable("This system names no DNS resolver.") from None
    known: dict[tuple[str, str], Sequence[str]] = {}

    async def ask(name: str, kind: str) -> Sequence[str]:
        key = name.lower().rstrip("."), kind
        if key not in known:
            known[key] = await _asked(resolver, *key)
        return known[key]

    return ask


async def _asked(resolver: dns.asyncresolver.Resolver, name: str, kind: str) -> Sequence[str]:
    if not name or len(name) > LONGEST_NAME:
        return ()
    try:
        wanted = dns.name.from_text(name)
    except (dns.exception.DNSException, UnicodeError):
        return ()
    try:
        found = await resolver.resolve(wanted, kind, lifetime=SECONDS, search=False)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return ()
    except (dns.exception.DNSException, OSError):
        raise errors.ServiceUnreachable(f"DNS does not answer for {name}.") from None
    return _read(list(found)[:MOST])


def _read(records: Sequence[object]) -> Sequence[str]:
    texts = [b"".join(one.strings).decode("latin-1") for one in records if isinstance(one, TXT)]
    hosts = sorted((one.preference, one.exchange.to_text().rstrip(".")) for one in records if isinstance(one, MX))
    found = [one.address for one in records if isinstance(one, A | AAAA)]
    return [*texts, *(host for _, host in hosts), *found]
