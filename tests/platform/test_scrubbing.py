"""Secrets are found in whatever comes back, encoded and cut into pieces as echoing servers do it."""

import base64
import html
import json
import random
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pocketlet.platform.gateways import scrubbing

SECRET = 'sk-Abc/123+xyz&"quo\\ted"<é>%41~'
PLAIN = "tok_4eC39HqLyjWDarjtT1zdp7dc"
SECRETS = st.text(
    alphabet=st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="[]"), min_size=12, max_size=40
)


@pytest.mark.parametrize("form", sorted(scrubbing.forms(SECRET) | scrubbing.forms(PLAIN)))
def test_every_form_is_scrubbed(form: bytes) -> None:
    clean = scrubbing.scrubbed(b"before " + form + b" after", [SECRET, PLAIN])
    assert clean.startswith(b"before ")
    assert clean.endswith(b" after")
    assert scrubbing.MASK in clean
    assert len(clean) < 30


@pytest.mark.parametrize("before", ["", "x", "xy", "user:", "Bearer "])
@pytest.mark.parametrize("after", ["", "!", "!!", "@host"])
def test_base64_is_found_at_every_alignment(before: str, after: str) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        clean = scrubbing.scrubbed(encode((before + PLAIN + after).encode()), [PLAIN])
        left = clean.replace(scrubbing.MASK, b"")
        # What is left of the secret is less than a byte on either side.
        assert len(left) <= len(encode((before + after).encode())) + 4


@pytest.mark.parametrize(
    "reflected",
    [
        json.dumps({"headers": {"Authorization": f"Bearer {SECRET}"}}),
        json.dumps({"body": json.dumps({"token": SECRET})}),
        json.dumps({"body": json.dumps({"token": PLAIN}).replace("c", "\\u0063")}),
        f"<p>Authorization: {html.escape(SECRET)}</p>",
        f"<p>{html.escape(html.escape(SECRET))}</p>",
        "https://example.com/?next=" + quote(f"https://example.com/?token={quote(SECRET)}"),
        "token=" + quote_plus(SECRET),
        PLAIN.upper(),
        PLAIN.lower(),
        PLAIN[:10] + "%" + PLAIN[10:].encode().hex("%"),
        PLAIN[:3] + f"&#{ord(PLAIN[3])}" + ";" + PLAIN[4:],
        "".join(f"\\x{byte:02x}" for byte in PLAIN.encode()),
        "".join(f"\\u{{{ord(character):x}}}" for character in PLAIN),
        PLAIN.encode().hex(":"),
        PLAIN.encode().hex(" ").upper(),
        ", ".join(f"0x{byte:02x}" for byte in PLAIN.encode()),
        json.dumps(list(PLAIN.encode())),
        base64.encodebytes(b"x" * 50 + PLAIN.encode()).decode(),
        json.dumps(base64.encodebytes(b"x" * 50 + PLAIN.encode()).decode()),
        quote(base64.b64encode(SECRET.encode()).decode(), safe=""),
        json.dumps(base64.b64encode(SECRET.encode()).decode()).replace("/", "\\/"),
        SECRET.encode("utf-16-le").decode("latin-1"),
    ],
)
def test_what_servers_reflect_is_scrubbed(reflected: str) -> None:
    clean = scrubbing.scrubbed(reflected.encode("latin-1", "replace"), [SECRET, PLAIN])
    assert scrubbing.MASK in clean
    for part in (SECRET[4:14], PLAIN[4:14]):
        for form in scrubbing.forms(part):
            assert form.lower() not in clean.lower()


def test_what_is_no_secret_stays_as_it_is() -> None:
    text = 'é "a\\/b" %41 &amp; \\u0041 &bogus; &#9999999; \\ud83d\\ude00 100% \r\n\r\n'.encode()
    assert scrubbing.scrubbed(text, [PLAIN, ""]) == text
    assert scrubbing.scrubbed(text + PLAIN.encode() + text, [PLAIN]) == text + scrubbing.MASK + text
    assert scrubbing.scrubbed(b"", [PLAIN]) == b""
    assert scrubbing.scrubbed(text, []) == text


def test_a_character_beyond_the_first_plane_is_found_as_a_pair() -> None:
    secret = "key-\U0001f511-0123456789"
    assert scrubbing.scrubbed(json.dumps(secret).encode(), [secret]) == b'"[secret]"'


def test_a_short_secret_is_found_as_it_is_and_not_by_chance_encoded() -> None:
    assert scrubbing.scrubbed(b"pin 4711, 34373131, NDcxMQ", ["4711"]).startswith(b"pin [secret]")
    assert scrubbing.scrubbed(b"YWI plain ab", ["ab"]) == b"YWI plain [secret]"


def test_nothing_of_a_key_over_several_lines_is_left() -> None:
    key = "-----BEGIN KEY-----\n" + "\n".join("A1b2C3d4" * 8 for _ in range(3)) + "\n-----END KEY-----\n"
    assert scrubbing.scrubbed(json.dumps({"k": key}).encode(), [key]) == b'{"k": "[secret]\\n"}'
    assert scrubbing.scrubbed(key.replace("\n", "\r\n").encode(), [key]).startswith(b"[secret]")


@settings(deadline=None)
@given(SECRETS, st.data())
def test_any_secret_in_any_form_is_found(secret: str, data: st.DataObject) -> None:
    form = data.draw(st.sampled_from(sorted(scrubbing.forms(secret))))
    clean = scrubbing.scrubbed(b"<" + form + b">", [secret])
    assert form not in clean
    assert scrubbing.MASK in clean


@settings(max_examples=60)
@given(SECRETS, st.integers(0, 2**32))
@example("0000000000<\\", 0)
def test_a_stream_is_scrubbed_as_the_whole_is(secret: str, seed: int) -> None:
    chance = random.Random(seed)
    whole = _noise(chance, secret)
    scrubber = scrubbing.Scrubber([secret])
    streamed = b"".join([*map(scrubber.feed, _split(chance, whole)), scrubber.close()])
    assert streamed == scrubbing.scrubbed(whole, [secret])
    for form in scrubbing.forms(secret):
        assert form not in streamed


def _noise(chance: random.Random, secret: str) -> bytes:
    """A long text with forms of a secret in it, at whatever places."""
    forms = sorted(scrubbing.forms(secret))
    fillings = [b"the quick brown fox, ", b'{"a": 1}, ', b"%20and&amp;", b"\r\n", b"\\n\\u0041", bytes(range(128, 190))]
    pieces = [chance.choice(fillings) * chance.randint(1, 300) for _ in range(60)]
    return b" ".join(piece + b" " + chance.choice(forms) for piece in pieces)


def _split(chance: random.Random, whole: bytes) -> list[bytes]:
    """The same bytes in chunks of whatever length."""
    longest = chance.choice([7, 500, 5_000, 60_000])
    chunks: list[bytes] = []
    while whole:
        length = chance.randint(1, longest)
        chunks.append(whole[:length])
        whole = whole[length:]
    return chunks


def test_a_stream_gives_back_what_is_clean_before_it_ends() -> None:
    scrubber = scrubbing.Scrubber([PLAIN])
    given_back = b"".join(scrubber.feed(b"x" * 10_000 + PLAIN.encode()) for _ in range(100))
    assert len(given_back) > 900_000
    assert PLAIN.encode() not in given_back + scrubber.close()
