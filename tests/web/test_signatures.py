"""Signatures, against the reference library, in both directions."""

import time

import hook_ground
import pytest
import standardwebhooks
from hypothesis import given
from hypothesis import strategies as st

from pocketlet import errors
from pocketlet.platform import signatures

IDENTITY = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="."), min_size=1, max_size=60)


@given(IDENTITY, st.integers(0, 4_000_000_000), st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_what_the_reference_signs_is_verified(identity: str, at: int, body: str) -> None:
    secret = hook_ground.fresh_secret()
    signed = signatures.read(hook_ground.signed(secret, identity, at, body))
    assert (signed.id, signed.timestamp) == (identity, at)
    assert signatures.verified(signed, body.encode(), [signatures.key(secret)])
    assert not signatures.verified(signed, body.encode() + b" ", [signatures.key(secret)])
    assert not signatures.verified(signed, body.encode(), [signatures.key(hook_ground.fresh_secret())])
    assert not signatures.verified(signed, body.encode(), [])


@given(IDENTITY, st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_what_we_sign_the_reference_verifies(identity: str, body: str) -> None:
    old, new = hook_ground.fresh_secret(), hook_ground.fresh_secret()
    keys = [signatures.key(new), signatures.key(old)]
    fields = signatures.sign(keys, identity, int(time.time()), body.encode())
    for secret in (old, new):
        standardwebhooks.Webhook(secret).verify(body, dict(fields), json_parse=False)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(hook_ground.fresh_secret()).verify(body, dict(fields), json_parse=False)


def test_no_byte_moves_from_the_id_to_the_time_or_the_body() -> None:
    key = signatures.key(hook_ground.fresh_secret())
    fields = dict(signatures.sign([key], "a", 1, b"2.body"))
    with pytest.raises(errors.BadInput, match="without a dot"):
        signatures.read((fields | {"webhook-id": "a.1", "webhook-timestamp": "2"}).items())
    with pytest.raises(errors.BadInput):
        signatures.sign([key], "a.1", 2, b"body")


def test_keys() -> None:
    assert signatures.key("whsec_YWJj") == b"abc"
    assert signatures.key("whsec_YWJjZA") == signatures.key("whsec_YWJjZA==") == b"abcd"
    assert signatures.key("YWJj") == b"YWJj"
    for wrong in ("whsec_", "whsec_%%%%", "whsec_YWJj YWJj"):
        with pytest.raises(errors.BadInput) as raised:
            signatures.key(wrong)
        assert "%%" not in str(raised.value)
