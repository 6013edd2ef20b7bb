"""Signed deliveries after the Standard Webhooks specification 1.0: `v1`, HMAC-SHA256 over `id.timestamp.body`. Pure.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pocketlet import errors

PREFIX = "whsec_"
ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
#: A dot in the id would let one signature stand for two deliveries: it is what parts id, timestamp and body.
IDENTITY = re.compile(r"[!-\-/-~]{1,256}")
SECONDS = re.compile(r"[0-9]{1,12}")
MOST = 16  # signatures in one header: a sender that changes its key sends two


@dataclass(frozen=True, slots=True)
class Signed:
    """The three header fields. `timestamp`: seconds since 1970, as the sender says. `given`: its `v1` signatures."""

    id: str
    timestamp: int
    given: tuple[bytes, ...]


def read(headers: Iterable[tuple[str, str]]) -> Signed:
    """The fields among header fields whose names are in small letters. Raises errors.BadInput."""
    fields: dict[str, str] = {}
    for name, value in headers:
        if name not in (ID, TIMESTAMP, SIGNATURE):
            continue
        if name in fields:
            raise errors.BadInput(f"There is more than one header field {name}.")
        fields[name] = value
    if missing := [name for name in (ID, TIMESTAMP, SIGNATURE) if name not in fields]:
        raise errors.BadInput(f"The header field {missing[0]} is missing.")
    if not IDENTITY.fullmatch(fields[ID]):
        raise errors.BadInput(f"{ID} is 1 to 256 printable ASCII characters without a dot or a space.")
    if not SECONDS.fullmatch(fields[TIMESTAMP]):
        raise errors.BadInput(f"{TIMESTAMP} is whole seconds since 1970, in digits.")
    return Signed(fields[ID], int(fields[TIMESTAMP]), _given(fields[SIGNATURE]))


def _given(field: str) -> tuple[bytes, ...]:
    """The signatures of the version that we know; of others there may be some beside it."""
    parts = field.split(" ")
    if len(parts) > MOST:
        raise errors.BadInput(f"{SIGNATURE} names more than {MOST} signatures.")
    given: list[bytes] = []
    for part in parts:
        version, comma, text = part.partition(",")
        if not version or not comma:
            raise errors.BadInput(f"{SIGNATURE} is a list of `v1,BASE64`, parted by spaces.")
        if version == "v1":
            given.append(_decoded(text, SIGNATURE))
    return tuple(given)


def key(secret: str) -> bytes:
    """The key of a secret: what follows `whsec_` is base64, anything else is the key as it stands.

    Raises errors.BadInput, without a word of the secret.
    """
    if not secret.startswith(PREFIX):
        return secret.encode()
    return _decoded(secret.removeprefix(PREFIX), f"What follows `{PREFIX}` in the secret")


def _decoded(text: str, what: str) -> bytes:
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)  # some leave the padding out
    except (binascii.Error, ValueError):
        raise errors.BadInput(f"{what} is no base64.") from None
    if not decoded:
        raise errors.BadInput(f"{what} is empty.")
    return decoded


def verified(signed: Signed, body: bytes, keys: Sequence[bytes]) -> bool:
    """Whether one of the signatures was made with one of the keys. How long it takes does not tell which."""
    found = False
    for one in keys:
        expected = _digest(one, signed.id, signed.timestamp, body)
        for given in signed.given:
            found |= hmac.compare_digest(expected, given)
    return found


def sign(keys: Sequence[bytes], identity: str, timestamp: int, body: bytes) -> Mapping[str, str]:
    """The header fields of a delivery. `timestamp`: seconds since 1970. Raises errors.BadInput for such an id."""
    if not IDENTITY.fullmatch(identity):
        raise errors.BadInput(f"{ID} is 1 to 256 printable ASCII characters without a dot or a space.")
    made = [base64.b64encode(_digest(one, identity, timestamp, body)).decode() for one in keys]
    return {ID: identity, TIMESTAMP: str(timestamp), SIGNATURE: " ".join(f"v1,{text}" for text in made)}


def _digest(one: bytes, identity: str, timestamp: int, body: bytes) -> bytes:
    return hmac.digest(one, f"{identity}.{timestamp}.".encode() + body, hashlib.sha256)
