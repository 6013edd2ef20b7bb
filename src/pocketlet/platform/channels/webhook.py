"""A webhook out: JSON to a URL of the owner's, signed as Standard Webhooks says (standardwebhooks.com, v1).

A try that may have arrived is made again under the same `webhook-id`, by which the receiver knows it.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pocketlet import clock, errors
from pocketlet.platform.channels import definitions
from pocketlet.platform.gateways import wire

PREFIX = "whsec_"
MOST_SAID = 2_000  # bytes of an answer
SECONDS = 15.0
GONE = 410
BUSY = (429, 503)
PAUSE = re.compile(r"\d{1,5}")


@dataclass(frozen=True, slots=True)
class Webhook:
    """`key` signs; without one the receiver can't know who is calling. It is a channel (definitions.Channel)."""

    definition: definitions.Definition
    key: bytes | None = field(default=None, repr=False)

    @property
    def effect_class(self) -> str:
        """The receiver knows a message by its id."""
        return "keyed"

    async def send(self, message: definitions.Message) -> definitions.Receipt:
        """Raises errors.Rejected if the receiver is gone for good, errors.Unreachable for another try."""
        body = payload(message)
        stamp = str(int(clock.now().timestamp()))
        headers = {"content-type": "application/json", "webhook-id": message.id, "webhook-timestamp": stamp}
        if self.key:
            headers["webhook-signature"] = signature(self.key, message.id, stamp, body)
        url = self.definition.address
        parts = urlsplit(url)
        query = tuple(parse_qsl(parts.query, keep_blank_values=True))
        target = wire.Target(url.partition("?")[0], self.definition.pinned, MOST_SAID, SECONDS)
        reply = await wire.send(target, wire.Request("POST", "", query, headers, body))
        return _taken(reply, message, parts.hostname or "")

    async def look(self, message: definitions.Message) -> bool | None:
        """Nobody can know; it is sent again."""
        return None


def _taken(reply: wire.Reply, message: definitions.Message, host: str) -> definitions.Receipt:
    if 200 <= reply.status < 300:
        return definitions.Receipt(message.id, str(reply.status))
    if reply.status == GONE:
        hint = "The receiver wants no more of it: `pocketlet channel remove NAME`."
        raise errors.Rejected(f"{host} answered {reply.status}.", hint=hint)
    hint = f"See why {host} does not take it; it is tried again."
    after = reply.headers.get("retry-after", "")
    if reply.status in BUSY and PAUSE.fullmatch(after):
        raise errors.ServiceBusy(f"{host} answered {reply.status}.", hint=hint, retry_after=int(after))
    raise errors.ServiceUnreachable(f"{host} answered {reply.status}.", hint=hint)


def payload(message: definitions.Message) -> bytes:
    """The body: `type`, `timestamp` (when it was first to be told) and `data`. The same bytes at each try, and no link:
    who reads a webhook is more than the owner.
    """
    data: dict[str, Any] = {**message.facts, "title": message.title, "text": message.text}
    document = {"type": f"pocketlet.{message.kind}", "timestamp": message.at.isoformat(), "data": data}
    return json.dumps(document, sort_keys=True, separators=(",", ":"), default=str).encode()


def signature(key: bytes, number: str, stamp: str, body: bytes) -> str:
    """`v1,` and the base64 of HMAC-SHA256 over id, timestamp and body."""
    signed = b".".join((number.encode(), stamp.encode(), body))
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def key(secret: str) -> bytes:
    """The key in a `whsec_…` secret of 24 to 64 bytes. Raises errors.BadSetting, without quoting it."""
    try:
        value = base64.b64decode(secret.strip().removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        value = b""
    if not 24 <= len(value) <= 64:
        hint = "Its form is whsec_ and the base64 of 24 to 64 random bytes: `openssl rand -base64 32`."
        raise errors.BadSetting("The webhook's secret can't be used as a signing key.", hint=hint)
    return value
