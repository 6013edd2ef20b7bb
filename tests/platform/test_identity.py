"""The parts of the proof of authorship one by one: each has to hold when the others would let a mail through."""

import dataclasses

import pytest
from signing import SIGNED, Key

from pocketlet import errors
from pocketlet.platform import dkim, identity, spf

KEY = Key("owner.example.com", bits=0)
MAIL = b"From: ada@owner.example.com\r\nTo: a@b.example\r\nSubject: x\r\nDate: y\r\nMessage-ID: <1@x>\r\n\r\nHi\r\n"
NOW = 1_800_000_000
PASS = identity.Verdict("ada@owner.example.com", "pass", by="dkim", to=("shop@agent.example.net",), whole=True)


def why(raw: bytes) -> str:
    """Why the topmost signature does not hold."""
    letter = dkim.split(raw)
    return dkim.failing(letter, dkim.signatures(letter, NOW)[0], [KEY.record])


def test_a_signature_that_holds() -> None:
    assert why(KEY.sign(MAIL)) == ""


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ("l=4;", "only a part"),
        ("i=@evil.example.org;", "another domain"),
        ("i=x@notowner.example.com;", "another domain"),
        ("q=dns/other;", "odd"),
        ("x=100;", "expired"),
        (f"t={NOW + 9999};", "future"),
        ("x=soon;", "times"),
        ("v=1;", "tags"),
        ("=;", "tags"),
    ],
)
def test_a_signature_that_says_too_much(extra: str, said: str) -> None:
    assert said in why(KEY.sign(MAIL, extra=extra))


def test_a_signature_has_to_sign_the_author_and_name_an_algorithm_that_counts() -> None:
    assert "who wrote" in why(KEY.sign(MAIL, names=["to", "subject"]))
    assert "who wrote" in why(KEY.sign(MAIL, names=["from", ""]))
    old = Key("owner.example.com", bits=0, claims="ed25519-sha1")
    signed = old.sign(MAIL)
    letter = dkim.split(signed)
    assert "algorithm" in dkim.failing(letter, dkim.signatures(letter, NOW)[0], [old.record])


def test_only_what_is_signed_as_often_as_it_is_there_is_covered() -> None:
    letter = dkim.split(KEY.sign(b"To: c@d.example\r\n" + MAIL))
    once = dkim.signatures(letter, NOW)[0]
    assert not once.covers(letter, "to")
    assert once.covers(letter, "subject")
    assert not once.covers(letter, "cc")
    letter = dkim.split(KEY.sign(b"To: c@d.example\r\n" + MAIL, names=[*SIGNED, "to"]))
    assert dkim.signatures(letter, NOW)[0].covers(letter, "to")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\nHi",
        b"X: y\r\n \r\nFrom: x@y.example\r\n\r\nHi",
        b" X: y\r\nFrom: x@y.example\r\n\r\nHi",
        b"X y\r\nFrom: x@y.example\r\n\r\nHi",
        b"From : x@y.example\r\n\r\nHi",
        b"From: x@y.example\r\rTo: y\r\n\r\nHi",
        b"From: x@y.example\0\r\n\r\nHi",
        b"From: x@y.example\x0bTo: y\r\n\r\nHi",
        b"X: y\r\n" * 1001 + b"\r\nHi",
        b"X: " + b"y" * 1_000_001 + b"\r\n\r\nHi",
    ],
)
def test_a_head_that_can_be_read_in_two_ways_is_not_read(raw: bytes) -> None:
    with pytest.raises(errors.BadInput):
        dkim.split(raw)


def test_there_is_one_author_or_none() -> None:
    for head in (b"From: a@b.example\r\nFrom: c@d.example\r\n", b"X: y\r\n", b"From: a@b.example (c)\r\n"):
        assert identity.author(dkim.split(head + b"\r\n")) == ""
    assert identity.author(dkim.split(b'FROM: "A (b)"\r\n <A@B.Example>\r\n\r\n')) == "a@b.example"


@pytest.mark.parametrize(
    "change",
    [
        {"dmarc": "fail"},
        {"dmarc": "none"},
        {"dmarc": "temperror"},
        {"whole": False},
        {"author": ""},
        {"author": "eve@owner.example.com"},
        {"to": ()},
        {"to": ("bob@example.org",)},
    ],
)
def test_all_of_it_has_to_be_true(change: dict[str, object]) -> None:
    ours, mine = ["Shop@agent.example.net"], ["Ada@Owner.example.com", ""]
    assert identity.owner(PASS, mine, to=ours)
    fields = {name: getattr(PASS, name) for name in identity.Verdict.__dataclass_fields__} | change
    verdict = identity.Verdict(**fields)
    assert not identity.owner(verdict, mine, to=ours)
    assert identity.owner(verdict, mine) is ("to" in change)
    assert not identity.owner(PASS, [], to=ours)
    assert not identity.owner(PASS, ["ada@οwner.example.com"], to=ours)


def test_what_is_asked_for_has_to_be_vouched_for_where_it_is_there() -> None:
    loose = dataclasses.replace(PASS, loose=("in-reply-to",))
    assert identity.owner(loose, [PASS.author])
    assert identity.owner(loose, [PASS.author], vouched=["references", "content-type"])
    assert not identity.owner(loose, [PASS.author], vouched=["in-reply-to", "content-type"])


ZONE = {
    ("plain.example", "TXT"): ["v=spf1 ip4:192.0.2.0/24 -all"],
    ("soft.example", "TXT"): ["other", "v=spf1 a mx ~all"],
    ("soft.example", "A"): ["192.0.2.5"],
    ("soft.example", "MX"): ["mx.soft.example"],
    ("mx.soft.example", "AAAA"): ["2001:db8::1"],
    ("in.example", "TXT"): ["v=spf1 include:plain.example ?all"],
    ("re.example", "TXT"): ["v=spf1 redirect=plain.example"],
    ("macro.example", "TXT"): ["v=spf1 exists:%{ir}.%{l1r-}.%{d2} -all"],
    ("7.2.0.192.ada.macro.example", "A"): ["127.0.0.1"],
    ("two.example", "TXT"): ["v=spf1 -all", "v=spf1 +all"],
    ("loop.example", "TXT"): ["v=spf1 include:loop.example +all"],
    ("void.example", "TXT"): ["v=spf1 a:a.void.example a:b.void.example a:c.void.example +all"],
    ("ptr.example", "TXT"): ["v=spf1 ptr +all"],
    ("bad.example", "TXT"): ["v=spf1 +all ip4:1.2.3.4/99"],
    ("odd.example", "TXT"): ["v=spf1 +all what"],
    ("none.example", "TXT"): ["v=spf1 include:nothing.example +all"],
}


@pytest.mark.parametrize(
    ("client", "domain", "said"),
    [
        ("192.0.2.7", "plain.example", "pass"),
        ("::ffff:192.0.2.7", "plain.example", "pass"),
        ("198.51.100.1", "plain.example", "fail"),
        ("2001:db8::1", "plain.example", "fail"),
        ("192.0.2.5", "soft.example", "pass"),
        ("2001:db8::1", "soft.example", "pass"),
        ("192.0.2.6", "soft.example", "softfail"),
        ("192.0.2.7", "in.example", "pass"),
        ("198.51.100.1", "in.example", "neutral"),
        ("198.51.100.1", "re.example", "fail"),
        ("192.0.2.7", "macro.example", "pass"),
        ("192.0.2.8", "macro.example", "fail"),
        ("192.0.2.7", "two.example", "permerror"),
        ("192.0.2.7", "loop.example", "permerror"),
        ("192.0.2.7", "void.example", "permerror"),
        ("192.0.2.7", "ptr.example", "permerror"),
        ("192.0.2.7", "bad.example", "permerror"),
        ("192.0.2.7", "odd.example", "permerror"),
        ("192.0.2.7", "none.example", "permerror"),
        ("192.0.2.7", "nothing.example", "none"),
        ("192.0.2.7", "example", "none"),
        ("192.0.2.7", "a..example", "none"),
        ("nonsense", "plain.example", "none"),
    ],
)
async def test_which_machine_may_send_for_a_domain(client: str, domain: str, said: str) -> None:
    async def ask(name: str, kind: str) -> list[str]:
        return ZONE.get((name, kind), [])

    assert await spf.check(spf.Envelope(client, "mail.example", f"ada@{domain}", domain), ask) == said
