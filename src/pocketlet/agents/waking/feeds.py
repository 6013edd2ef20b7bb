"""A look at a feed: fetched over the wire if it changed, an event an entry."""

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any
from urllib.parse import parse_qsl, urldefrag, urljoin

from pocketlet import errors
from pocketlet.agents.triggers import sources, specs
from pocketlet.agents.waking import slots
from pocketlet.platform.gateways import addresses, syndication, wire

HOPS = 3  # redirects that are followed
MOST_BYTES = 4_000_000
READING = 20.0  # seconds that the reading of what came may take
ACCEPT = "application/rss+xml, application/atom+xml, application/rdf+xml, application/xml;q=0.9, */*;q=0.1"
#: What a server says of the version it sent, and how that is given back.
VALIDATORS: Mapping[str, str] = {"etag": "if-none-match", "last-modified": "if-modified-since"}
_VALIDATOR = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,500}[\x21-\x7e])?")


async def look(spec: specs.Spec, place: Mapping[str, Any]) -> tuple[Sequence[slots.Event], Mapping[str, Any]]:
    """Every entry that the feed has now, and the place for the next look; none if it did not change since `place`.

    Raises errors.Rejected, errors.BadInput, errors.EgressRefused, errors.ServiceUnreachable.
    """
    url, reply = await _fetched(spec, place)
    if reply.status == 304 and place:
        return (), place
    if reply.status != 200:
        raise errors.Rejected(f"The feed's server answers HTTP {reply.status}.")
    if reply.truncated:
        raise errors.BadInput(f"The feed is larger than {MOST_BYTES // 1_000_000} MB, or damaged on its way.")
    try:
        async with asyncio.timeout(READING):
            entries = await asyncio.to_thread(syndication.read, reply.body, reply.headers, url)
    except TimeoutError:
        raise errors.BadInput(f"The feed can't be read within {READING:g} s.") from None
    seen = {name: value for name in VALIDATORS if _VALIDATOR.fullmatch(value := reply.headers.get(name, ""))}
    return [_event(entry) for entry in entries], {**place, "url": url, "seen": seen}


def _event(entry: syndication.Entry) -> slots.Event:
    body = json.dumps(asdict(entry), ensure_ascii=False, sort_keys=True).encode()
    # The id stands apart from the hash of an entry that has none: it could be that text.
    key = slots.key_of(f"id:{entry.id}" if entry.id else "", body)
    return slots.Event(key, body, {"label": "outside", "subject": entry.title})


async def _fetched(spec: specs.Spec, place: Mapping[str, Any]) -> tuple[str, wire.Reply]:
    """The reply that is no redirect, and where it came from. Each hop is a request of its own, checked as the first.

    Pins are the owner's word on one server: on the way to another they do not count.
    """
    url, pinned = spec.source, tuple(sources.pins(spec.settings))
    for _ in range(HOPS + 1):
        target, request = _request(url, pinned)
        if place.get("url") == url:
            back = {VALIDATORS[name]: value for name, value in place["seen"].items()}
            request = replace(request, headers={**request.headers, **back})
        reply = await wire.send(target, request)
        if not reply.location:
            return url, reply
        if not wire.same_site(target, reply.location):
            pinned = ()
        url = urldefrag(urljoin(url, reply.location)).url
    raise errors.Rejected(f"The feed's server passes on more than {HOPS} times.")


def _request(url: str, pinned: tuple[str, ...]) -> tuple[wire.Target, wire.Request]:
    try:
        found = addresses.host_of(url, inner=bool(pinned))
    except errors.BadInput as error:
        raise errors.EgressRefused(f"The feed's address, or where it passes on to, can't be used: {error}") from None
    host = f"[{found.host}]" if ":" in found.host else found.host
    target = wire.Target(f"{found.scheme}://{host}:{found.port}", pinned, MOST_BYTES)
    path, _, query = found.target.partition("?")
    pairs = tuple(parse_qsl(query, keep_blank_values=True))
    return target, wire.Request("GET", path, pairs, {"accept": ACCEPT})
