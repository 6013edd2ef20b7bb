"""A thousand malformed messages and those of Python's own tests: each parses or is refused in a sentence."""

import dataclasses
import importlib.resources
import os
import pathlib
import random
from collections.abc import Callable

import pytest

from pocketlet import errors
from pocketlet.platform import messages

PLAIN = b"From: Ada <ada@example.com>\r\nTo: bob@example.com\r\nSubject: Hello\r\n\r\nHow are you?\r\n"
MIXED = (pathlib.Path(__file__).parent / "mail" / "mixed.eml").read_bytes()


def strings(message: messages.Message) -> list[str]:
    fields = [getattr(message, field.name) for field in dataclasses.fields(message)]
    flat = [field for field in fields if isinstance(field, str)]
    flat += [item for field in fields if isinstance(field, tuple) for item in field if isinstance(item, str)]
    return flat + [text for file in message.attachments for text in (file.name, file.media_type)]


def assert_storable(message: messages.Message) -> None:
    for text in strings(message):
        text.encode("utf-8")
        assert "\x00" not in text
        assert "\r" not in text
    for file in message.attachments:
        assert file.name not in ("", ".", "..")
        assert not set(file.name) & set("/\\\n\t")
        assert file.size == len(file.content)


def parses_or_is_refused(raw: bytes) -> bool:
    """Whether it parsed; anything but BadInput with one line of text is an error of the test."""
    try:
        message = messages.parse(raw)
    except errors.BadInput as refusal:
        sentence = str(refusal)
    else:
        assert_storable(message)
        return True
    assert sentence.endswith(".")
    assert len(sentence.splitlines()) == 1
    return False


def python_samples() -> list[bytes]:
    try:
        folder = importlib.resources.files("test.test_email") / "data"
    except ModuleNotFoundError:
        why = (
            "This Python has no `test.test_email`: install its test-suite (Debian: libpython3-testsuite; "
            "Fedora: python3-test), or use a Python from python.org, uv or pyenv."
        )
        # An ordinary user of a distribution's Python can't install it; CI has it by `make system-deps`.
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    return [file.read_bytes() for file in folder.iterdir() if file.name.startswith("msg_")]


def test_python_samples() -> None:
    samples = python_samples()
    assert len(samples) >= 40
    parsed = [parses_or_is_refused(sample) for sample in samples]
    assert sum(parsed) >= len(samples) - 2


def _truncate(dice: random.Random, raw: bytes) -> bytes:
    return raw[: dice.randrange(len(raw))]


def _flip(dice: random.Random, raw: bytes) -> bytes:
    changed = bytearray(raw)
    for _ in range(dice.randint(1, 30)):
        changed[dice.randrange(len(changed))] = dice.randrange(256)
    return bytes(changed)


def _insert(dice: random.Random, raw: bytes) -> bytes:
    junk = dice.choice((b"\x00", b"\r", b"\n", b"\r\n\r\n", b"=?utf-8?b?/w==?=", b"(((", b'"', b"\xff\xfe", b"<<@,;:"))
    at = dice.randrange(len(raw))
    return raw[:at] + junk * dice.randint(1, 20) + raw[at:]


def _spoil_header(dice: random.Random, raw: bytes) -> bytes:
    name = dice.choice(("From", "To", "Date", "Subject", "Message-ID", "Content-Type", "Content-Disposition"))
    value = dice.choice(
        (
            "",
            " ",
            "<>",
            "@",
            '"',
            "(" * 5_000,
            "<a@b" * 500,
            "=?utf-7?q?+2AA-?=",
            "=?zip?b?eJw=?=",
            "=?utf-8?b?a?=",
            "Thu, 99 Foo 99999 99:99:99 +9999",
            "Mon, 1 Jan 0001 00:00:00 +2359",
            'multipart/mixed; boundary=""',
            "multipart/mixed; boundary*0*=utf-8''%ff; boundary*x=1",
            "multipart/mixed",
            "text/plain; charset=idna",
            "text/plain; charset=base64",
            "text/plain; charset=unicode_escape",
            'text/html; charset="\x00"',
            "text/plain; charset*=x''%f0%28",
            "attachment; filename*=utf-8''..%2F..%2Fetc%2Fpasswd%00",
            "attachment; filename*0*=x; filename*1=y; filename=z",
            "\udcff\udcfe <\udcff@b>",
        )
    )
    return f"{name}: {value}\r\n".encode("utf-8", "surrogateescape") + raw


def _wrong_charset(dice: random.Random, raw: bytes) -> bytes:
    wrong = dice.choice((b"utf-16", b"koi9", b"utf-7", b"shift_jis", b"hex", b"\xff", b"ascii", b"undefined"))
    return raw.replace(b"charset=iso-8859-1", b"charset=" + wrong).replace(b"?iso-8859-1?", b"?" + wrong + b"?")


def _nest(dice: random.Random, raw: bytes) -> bytes:
    for level in range(dice.randint(1, 30)):
        mark = dice.choice((b"outer", b"inner", b"x%d" % level))
        raw = b"Content-Type: multipart/%s; boundary=%s\r\n\r\n--%s\r\n%s" % (
            dice.choice((b"mixed", b"alternative", b"digest", b"signed", b"report")),
            mark,
            mark,
            raw,
        )
        if dice.random() < 0.5:
            raw += b"\r\n--%s--\r\n" % mark
    return b"From: ada@example.com\r\n" + raw


def _embed(dice: random.Random, raw: bytes) -> bytes:
    kind = dice.choice((b"message/rfc822", b"message/delivery-status", b"message/partial", b"message/external-body"))
    return b"From: a@example.com\r\nContent-Type: %s\r\n\r\n%s" % (kind, raw)


def _bad_encoding(dice: random.Random, raw: bytes) -> bytes:
    encoding = dice.choice((b"base64", b"x-uuencode", b"quoted-printable", b"\xff", b"binary", b"base64; x=y", b"8bit"))
    return raw.replace(b"quoted-printable", encoding).replace(b"base64", encoding).replace(b"JVBERi", b"JV=B!R")


def _drop_line(dice: random.Random, raw: bytes) -> bytes:
    lines = raw.splitlines(keepends=True)
    del lines[dice.randrange(len(lines))]
    return b"".join(lines)


def _repeat_line(dice: random.Random, raw: bytes) -> bytes:
    lines = raw.splitlines(keepends=True)
    at = dice.randrange(len(lines))
    return b"".join(lines[:at] + [lines[at]] * dice.randint(2, 300) + lines[at:])


def _line_ends(dice: random.Random, raw: bytes) -> bytes:
    return raw.replace(b"\r\n", b"\n").replace(b"\n", dice.choice((b"\r", b"\r\n", b"\n\r", b"\r\r\n", b"\x0b", b"\n")))


def _huge_header(dice: random.Random, raw: bytes) -> bytes:
    name = dice.choice((b"To", b"Subject", b"References", b"Content-Type", b"X"))
    piece = dice.choice((b"a@example.com, ", b"<a@b> ", b"=?utf-8?q?a?= ", b";a=b", b'"', b"(a)", b"\r\n x"))
    return name + b": " + piece * dice.randint(1_000, 4_000) + b"\r\n" + raw


def _bad_html(dice: random.Random, raw: bytes) -> bytes:
    markup = dice.choice((b"<![x[", b"<!--", b"<a href=", b"&#0;&#xD800;&#13;&#27;", b"<script><", b"</", b"<![CDATA["))
    return raw.replace(b"text/plain", b"text/html").replace(b"Gr=FC", b"<b>Gr" + markup * dice.randint(1, 50))


MUTATIONS: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    _truncate,
    _flip,
    _insert,
    _spoil_header,
    _wrong_charset,
    _nest,
    _embed,
    _bad_encoding,
    _drop_line,
    _repeat_line,
    _line_ends,
    _huge_header,
    _bad_html,
)


def test_a_thousand_malformed_messages() -> None:
    dice = random.Random(20_260_301)
    valid = (PLAIN, MIXED, *sorted(python_samples()))
    parsed = 0
    for number in range(1_000):
        raw = dice.choice(valid)
        for mutate in (MUTATIONS[number % len(MUTATIONS)], *dice.sample(MUTATIONS, dice.randrange(3))):
            raw = mutate(dice, raw) if raw else raw
        parsed += parses_or_is_refused(raw)
    assert parsed > 800


@pytest.mark.parametrize("start", range(0, len(MIXED), 7))
def test_every_truncation(start: int) -> None:
    parses_or_is_refused(MIXED[:start])
    parses_or_is_refused(MIXED[start:])
