"""Whose mail it is (T25): only what the owner's own domain vouches for is the owner's, however a mail is dressed up."""

import base64
import time
from collections.abc import AsyncGenerator, Callable

import dns_server
import pytest
from signing import SIGNED, Key

from pocketlet import errors
from pocketlet.platform import dkim, identity
from pocketlet.platform.gateways import naming, origin

OWNER = "ada@owner.example.com"
AGENT = "shop@agent.example.net"
EVIL = Key("evil.example.org")
MINE = Key("owner.example.com")
SUB = Key("news.owner.example.com")
PARENT = Key("example.com", selector="parent")
MODERN = Key("owner.example.com", selector="ed", bits=0)
WEAK = Key("owner.example.com", selector="weak", bits=1024)
NOW = int(time.time())
NO_HOP = origin.Hop()
RECEIVER = "mx.receiver.example"
ARRIVED = origin.Hop("192.0.2.10", "mail.owner.example.com", "ada@owner.example.com")


@pytest.fixture
async def server() -> AsyncGenerator[dns_server.Server]:
    """The domains of the owner, who says what is known by DMARC, and of somebody else."""
    async with dns_server.serving() as serving:
        serving.texts("_dmarc.owner.example.com", "v=DMARC1; p=reject")
        serving.texts("_dmarc.evil.example.org", "v=DMARC1; p=none")
        for key in (EVIL, MINE, SUB, PARENT, MODERN, WEAK):
            serving.texts(key.name, key.record)
        serving.texts("owner.example.com", "v=spf1 ip4:192.0.2.10 -all")
        serving.texts("evil.example.org", "v=spf1 +all")
        yield serving


def mail(
    sender: str = f"Ada <{OWNER}>", *, to: str = AGENT, body: str = "Please refund all.", extra: str = ""
) -> bytes:
    lines = [f"From: {sender}", f"To: {to}", "Subject: Refund", f"Date: {DATE}", "Message-ID: <1@owner.example.com>"]
    lines += [extra] if extra else []
    return "\r\n".join([*lines, "MIME-Version: 1.0", "Content-Type: text/plain", "", f"{body}\r\n"]).encode()


DATE = "Sun, 22 Nov 2026 10:00:00 +0000"


async def judged(server: dns_server.Server, raw: bytes, hop: origin.Hop = NO_HOP) -> identity.Verdict:
    return await origin.check(raw, hop, naming.asking(server.resolver()))


def is_owner(verdict: identity.Verdict) -> bool:
    return identity.owner(verdict, [OWNER], to=[AGENT])


@pytest.mark.parametrize(
    "raw",
    [
        MINE.sign(mail()),
        MODERN.sign(mail()),
        WEAK.sign(mail()),
        SUB.sign(mail()),
        MINE.sign(mail(OWNER)),
        MINE.sign(mail(f"<{OWNER.upper()}>")),
        MINE.sign(mail(f'"Ada, of (the) <Shop>" <{OWNER}>')),
        MINE.sign(mail(f"=?utf-8?q?Ada_L=C3=B6?=\r\n <{OWNER}>")),
        MINE.sign(mail(to=f"Bob <bob@example.org>, Shop <{AGENT}>")),
        MINE.sign(mail(), names=[*SIGNED, *SIGNED, "reply-to", "list-id"]),
        MINE.sign(mail(), extra=f"t={NOW}; x={NOW + 1000};"),
        EVIL.sign(MINE.sign(mail())),
        MINE.sign(EVIL.sign(mail())),
        b"Received: from x by y\r\nReturn-Path: <x@y.example>\r\n" + MINE.sign(mail()),
        MINE.sign(mail()).replace(b"\r\n", b"\n"),
    ],
)
async def test_what_the_owner_sent_is_the_owners(server: dns_server.Server, raw: bytes) -> None:
    verdict = await judged(server, raw)
    assert (verdict.dmarc, verdict.by, verdict.author) == ("pass", "dkim", OWNER)
    assert verdict.reason == ""
    assert is_owner(verdict)


async def test_a_server_of_the_owners_domain_is_enough(server: dns_server.Server) -> None:
    verdict = await judged(server, mail(), ARRIVED)
    assert (verdict.dmarc, verdict.by, verdict.spf, verdict.policy) == ("pass", "spf", "pass", "reject")
    assert is_owner(verdict)


def swap(old: str, new: str) -> Callable[[bytes], bytes]:
    return lambda raw: raw.replace(old.encode(), new.encode(), 1)


def results(said: str) -> bytes:
    return f"Authentication-Results: {said}\r\n".encode()


PASS = f"{RECEIVER}; dmarc=pass header.from=owner.example.com"
#: Mails that are not the owner's, or not provably so: each by the trick that it is.
FORGED: dict[str, bytes] = {
    "plain": mail(),
    "display name": EVIL.sign(mail(f'"{OWNER}" <x@evil.example.org>')),
    "display name in encoded words": EVIL.sign(
        mail(f"=?utf-8?b?{base64.b64encode(OWNER.encode()).decode()}?= <x@evil.example.org>")
    ),
    "name with brackets": EVIL.sign(mail(f'"<{OWNER}>" <x@evil.example.org>')),
    "two From, the owner's first": EVIL.sign(f"From: {OWNER}\r\n".encode() + mail("x@evil.example.org")),
    "two From, the owner's last": EVIL.sign(b"From: x@evil.example.org\r\n" + mail()),
    "a From before a signed one": b"From: x@evil.example.org\r\n" + MINE.sign(mail()),
    "a From that is no field": b"From : x@evil.example.org\r\n" + MINE.sign(mail()),
    "two authors": EVIL.sign(mail(f"{OWNER}, x@evil.example.org")),
    "two authors, the other way": EVIL.sign(mail(f"x@evil.example.org, {OWNER}")),
    "comment after": EVIL.sign(mail(f"x@evil.example.org ({OWNER})")),
    "comment before": EVIL.sign(mail(f"({OWNER}) x@evil.example.org")),
    "comment inside": MINE.sign(mail("ada@(evil.example.org)owner.example.com")),
    "group": EVIL.sign(mail(f"friends: {OWNER};")),
    "group with two": EVIL.sign(mail(f"{OWNER}: x@evil.example.org;")),
    "two pairs of brackets": EVIL.sign(mail(f"<{OWNER}> <x@evil.example.org>")),
    "nested brackets": EVIL.sign(mail(f"<x@evil.example.org<{OWNER}>>")),
    "route": EVIL.sign(mail(f"<@evil.example.org:{OWNER}>")),
    "percent": EVIL.sign(mail("<ada%owner.example.com@evil.example.org>")),
    "quoted local part": EVIL.sign(mail(f'<"{OWNER}"@evil.example.org>')),
    "null in the address": EVIL.sign(mail(f"<{OWNER}\0.evil.example.org>")),
    "encoded address": EVIL.sign(mail("=?utf-8?q?ada=40owner.example.com?=")),
    "no From": EVIL.sign(mail().replace(b"From: Ada <ada@owner.example.com>", b"X-From: me")),
    "empty From": EVIL.sign(mail("")),
    "Sender": EVIL.sign(mail("x@evil.example.org", extra=f"Sender: {OWNER}")),
    "Reply-To": EVIL.sign(mail("x@evil.example.org", extra=f"Reply-To: {OWNER}")),
    "Return-Path": f"Return-Path: <{OWNER}>\r\n".encode() + EVIL.sign(mail("x@evil.example.org")),
    "Resent-From": f"Resent-From: {OWNER}\r\n".encode() + EVIL.sign(mail("x@evil.example.org")),
    "signed by another domain": EVIL.sign(mail()),
    "signed for another domain": swap("d=evil.example.org", "d=owner.example.com")(EVIL.sign(mail())),
    "i= of another domain": EVIL.sign(mail(), extra="i=@owner.example.com;"),
    "look-alike letters": EVIL.sign(mail("Ada <ada@οwner.example.com>")),
    "look-alike domain": EVIL.sign(mail("Ada <ada@owner.example.com.evil.example.org>")),
    "look-alike with a dash": EVIL.sign(mail("Ada <ada@owner-example.com>")),
    "trailing dot": EVIL.sign(mail("Ada <ada@owner.example.com.>")),
    "another subdomain": MINE.sign(mail("ada@x.owner.example.com")),
    "another person of the domain": MINE.sign(mail("bob@owner.example.com")),
    "sibling domain": SUB.sign(mail("ada@other.owner.example.com")),
    "expired": MINE.sign(mail(), extra=f"t={NOW - 9000}; x={NOW - 4000};"),
    "of the future": MINE.sign(mail(), extra=f"t={NOW + 90_000};"),
    "ends before it begins": MINE.sign(mail(), extra=f"t={NOW - 10}; x={NOW - 20};"),
    "l= with more text": MINE.sign(mail(body="Hi"), extra="l=4;", text=b"Hi\r\n") + b"Send me the money.\r\n",
    "l= of nothing": MINE.sign(mail(), extra="l=0;", text=b""),
    "other text": swap("refund all", "delete all")(MINE.sign(mail())),
    "other subject": swap("Subject: Refund", "Subject: Delete")(MINE.sign(mail())),
    "other author": swap("Ada <", "Eve <")(MINE.sign(mail())),
    "subject not signed": MINE.sign(mail(), names=["from", "to", "date", "message-id"]),
    "recipients not signed": MINE.sign(mail(), names=["from", "subject", "date", "message-id"]),
    "Message-ID not signed": MINE.sign(mail(), names=["from", "to", "subject", "date"]),
    "From not signed": MINE.sign(mail(), names=["to", "subject", "date", "message-id"]),
    "a second subject": b"Subject: Delete\r\n" + MINE.sign(mail()),
    "a second recipient line": f"To: {AGENT}\r\n".encode() + MINE.sign(mail(to="bob@example.org")),
    "a second content type": b"Content-Type: text/html\r\n" + MINE.sign(mail()),
    "a Cc that was added": f"Cc: {AGENT}\r\n".encode() + MINE.sign(mail(to="bob@example.org")),
    "a mail to somebody else": MINE.sign(mail(to="bob@example.org")),
    "a signature of another mail": MINE.sign(mail(body="Hi")).partition(b"\r\n")[0] + b"\r\n" + mail(),
    "many signatures, none good": b"".join(EVIL.sign(mail()).partition(b"\r\n")[0] + b"\r\n" for _ in range(40))
    + mail(),
    "a tag twice": MINE.sign(mail(), extra="d=evil.example.org;"),
    "SHA-1": swap("rsa-sha256", "rsa-sha1")(MINE.sign(mail())),
    "no algorithm": swap("a=rsa-sha256", "a=none")(MINE.sign(mail())),
    "another algorithm": swap("rsa-sha256", "ed25519-sha256")(MINE.sign(mail())),
    "results on top": results(PASS) + mail(),
    "results of an unknown server": results("evil.example.org; dmarc=pass header.from=owner.example.com") + mail(),
    "results in the middle": mail(extra=results(PASS).decode().strip()),
    "results within the text": mail(body=results(PASS).decode()),
    "ARC that says so": b"ARC-Authentication-Results: i=1; " + PASS.encode() + b"\r\n" + mail(),
    "carriage return alone": b"X: y\rFrom: x@evil.example.org\r\n" + MINE.sign(mail()),
    "blank line that is none": b"X: y\r\n \r\nFrom: x@evil.example.org\r\n" + MINE.sign(mail()),
    "mbox line": b"From x@evil.example.org Mon Nov 22 10:00:00 2026\r\n" + MINE.sign(mail()),
    "nothing": b"",
    "only a text": b"\r\n\r\nHello",
}


@pytest.mark.parametrize("trick", FORGED)
async def test_what_is_forged_is_not_the_owners(server: dns_server.Server, trick: str) -> None:
    verdict = await judged(server, FORGED[trick])
    assert not is_owner(verdict)
    assert not identity.owner(verdict, [OWNER, ""], to=[AGENT])


@pytest.mark.parametrize("trick", FORGED)
async def test_it_is_not_when_a_stranger_hands_it_over_either(server: dns_server.Server, trick: str) -> None:
    for hop in (
        origin.Hop("198.51.100.7", "mail.evil.example.org", "x@evil.example.org"),
        origin.Hop("198.51.100.7", "mail.owner.example.com", OWNER),
        origin.Hop("198.51.100.7", "mail.owner.example.com", ""),
        origin.Hop("192.0.2.10", "owner.example.com", ""),
        origin.Hop("not an address", "", OWNER),
    ):
        assert not is_owner(await judged(server, FORGED[trick], hop)), hop


async def test_fields_that_nothing_vouches_for_are_named(server: dns_server.Server) -> None:
    for names, loose in ((SIGNED, ("in-reply-to",)), ((*SIGNED[:6], "in-reply-to"), ("content-type",))):
        raw = MINE.sign(MINE.sign(mail(extra="In-Reply-To: <1@x>"), names=SIGNED[:6]), names=names)
        assert [(await judged(server, raw, hop)).loose for hop in (NO_HOP, ARRIVED)] == [loose, ()]


async def test_most_forgeries_fail_by_themselves(server: dns_server.Server) -> None:
    other = [trick for trick, raw in FORGED.items() if (await judged(server, raw)).dmarc == "pass"]
    # Real mails of a domain that vouches for them: not the owner's, not to us, or not signed in what matters.
    assert {"display name", "Sender", "Reply-To", "a mail to somebody else", "subject not signed"} <= set(other)
    for trick in other:
        verdict = await judged(server, FORGED[trick])
        assert verdict.author != OWNER or not verdict.whole or AGENT not in verdict.to, trick


@pytest.mark.parametrize(
    ("head", "counts"),
    [
        (results(PASS), True),
        (
            results(f"{RECEIVER} 1;\r\n spf=fail smtp.mailfrom=x; dmarc=pass (p=reject) header.from=owner.example.com"),
            True,
        ),
        (results(PASS.upper()), True),
        (b"X-Other: 1\r\n" + results(PASS) + results("evil; dmarc=fail header.from=owner.example.com"), True),
        (results("evil.example.org; dmarc=fail") + results(PASS), False),
        (results(f"{RECEIVER}; dmarc=fail header.from=owner.example.com") + results(PASS), False),
        (results(f"{RECEIVER}; none") + results(PASS), False),
        (results(f"x{PASS}"), False),
        (results(f"{RECEIVER}.evil.example.org; dmarc=pass header.from=owner.example.com"), False),
        (results(f"{RECEIVER}; dmarc=pass header.from=evil.example.org"), False),
        (results(f"{RECEIVER}; dmarc=pass header.from=owner.example.com.evil.example.org"), False),
        (results(f"{RECEIVER}; dmarc=pass"), False),
        (results(f"{RECEIVER}; x-dmarc=pass header.from=owner.example.com"), False),
        (results(f"{RECEIVER}; spf=pass; dkim=pass header.from=owner.example.com"), False),
        (
            results(f"{RECEIVER}; dmarc=fail header.from=owner.example.com; dmarc=pass header.from=owner.example.com"),
            False,
        ),
        (results(f'{RECEIVER}; dkim=fail reason="; dmarc=pass header.from=owner.example.com"'), False),
        (results(f"{RECEIVER}; dkim=fail (; dmarc=pass header.from=owner.example.com)"), False),
        (results(f"{RECEIVER}; dkim=fail (; dmarc=pass header.from=owner.example.com"), False),
        (results(f"({RECEIVER}; dmarc=pass header.from=owner.example.com)"), False),
        (results(f"{RECEIVER} 2; dmarc=pass header.from=owner.example.com"), False),
        (results("; dmarc=pass header.from=owner.example.com"), False),
        (b"Authentication-Results:\r\n", False),
        (results(f"{RECEIVER}; dmarc=pass header.from=ówner.example.com"), False),
    ],
)
async def test_only_the_topmost_word_of_a_named_server_counts(
    server: dns_server.Server, head: bytes, counts: bool
) -> None:
    verdict = await judged(server, head + mail(), origin.Hop(trusted_receiver=RECEIVER))
    assert (verdict.by == "receiver", is_owner(verdict)) == (counts, counts)
    assert not is_owner(await judged(server, head + mail()))


async def test_a_server_that_is_trusted_does_not_mend_a_header_that_is_unclear(server: dns_server.Server) -> None:
    for raw in (b"From: x@evil.example.org\r\n" + mail(), mail(f"{OWNER}, x@evil.example.org")):
        assert not is_owner(await judged(server, results(PASS) + raw, origin.Hop(trusted_receiver=RECEIVER)))


@pytest.mark.parametrize(
    "record",
    [
        "v=DKIM1; p=",
        "v=DKIM2; p={p}",
        "v=DKIM1; k=ed25519; p={p}",
        "v=DKIM1; t=y; p={p}",
        "v=DKIM1; s=tlsrpt; p={p}",
        "v=DKIM1; h=sha1; p={p}",
        "v=DKIM1; p=AAAA",
        "v=DKIM1; p=!",
        "v=DKIM1; p={p}; p={p}",
        "nonsense",
    ],
)
async def test_a_key_that_does_not_count(server: dns_server.Server, record: str) -> None:
    server.texts(MINE.name, record.format(p=MINE.record.rpartition("=")[2]))
    verdict = await judged(server, MINE.sign(mail()))
    assert verdict.dmarc == "fail"
    assert verdict.dkim[0][1]
    server.texts(MINE.name, MINE.record, MINE.record + "; n=two")
    assert (await judged(server, MINE.sign(mail()))).dmarc == "fail"


async def test_a_key_is_for_its_domain_only_if_it_says_so(server: dns_server.Server) -> None:
    raw = MINE.sign(mail(), extra="i=@x.owner.example.com;")
    assert is_owner(await judged(server, raw))
    server.texts(MINE.name, MINE.record + "; t=s")
    assert not is_owner(await judged(server, raw))


async def test_a_short_key_is_none(server: dns_server.Server) -> None:
    short = Key("owner.example.com", selector="short", bits=1024)
    server.texts(short.name, short.record)
    assert is_owner(await judged(server, short.sign(mail())))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dkim, "SMALLEST_RSA", 2048)
        assert (await judged(server, short.sign(mail()))).dkim == (("owner.example.com", "its key is too weak"),)


@pytest.mark.parametrize(
    ("records", "signer", "passes"),
    [
        ({"owner.example.com": "v=DMARC1; p=none"}, SUB, True),
        ({"owner.example.com": "v=DMARC1; p=none; adkim=s"}, SUB, False),
        ({"owner.example.com": "v=DMARC1; p=none; adkim=s"}, MINE, True),
        ({"owner.example.com": "v=DMARC1", "news.owner.example.com": "v=DMARC1; psd=n"}, SUB, False),
        ({"owner.example.com": "v=DMARC1", "example.com": "v=DMARC1; p=reject"}, PARENT, True),
        ({"owner.example.com": "v=DMARC1; psd=n", "example.com": "v=DMARC1; p=reject"}, PARENT, False),
        ({"owner.example.com": "v=DMARC1", "example.com": "v=DMARC1; psd=y"}, PARENT, False),
        ({"example.com": "v=DMARC1; p=reject"}, MINE, True),
        ({"example.com": "v=DMARC1; psd=y"}, MINE, False),
        ({}, MINE, False),
        ({"owner.example.com": "v=DMARC2; p=none"}, MINE, False),
        ({"owner.example.com": "v=DMARC1; p=what"}, MINE, False),
        ({"owner.example.com": "p=none; v=DMARC1"}, MINE, False),
        ({"owner.example.com": "v=spf1 -all"}, MINE, False),
    ],
)
async def test_who_may_speak_for_a_domain(
    server: dns_server.Server, records: dict[str, str], signer: Key, passes: bool
) -> None:
    del server.zone["_dmarc.owner.example.com", "TXT"]
    for domain, record in records.items():
        server.texts(f"_dmarc.{domain}", record)
    assert ((await judged(server, signer.sign(mail()))).dmarc == "pass") is passes


async def test_two_records_are_none(server: dns_server.Server) -> None:
    server.texts("_dmarc.owner.example.com", "v=DMARC1; p=none", "v=DMARC1; p=reject")
    assert (await judged(server, MINE.sign(mail()))).dmarc == "none"
    server.texts("_dmarc.owner.example.com", "another text", "v=DMARC1; p=reject")
    assert is_owner(await judged(server, MINE.sign(mail())))


@pytest.mark.parametrize("silent", ["_dmarc.owner.example.com", MINE.name])
async def test_when_dns_does_not_answer_nobody_is_the_owner(server: dns_server.Server, silent: str) -> None:
    server.silent.add(silent)
    verdict = await judged(server, MINE.sign(mail()))
    assert verdict.dmarc == "temperror"
    assert not is_owner(verdict)
    # With another proof the key is not needed.
    assert is_owner(await judged(server, MINE.sign(mail()), ARRIVED)) is (silent == MINE.name)


async def test_signatures_of_strangers_cost_nothing(server: dns_server.Server) -> None:
    lines = b"".join(EVIL.sign(mail()).partition(b"\r\n")[0] + b"\r\n" for _ in range(20))
    assert is_owner(await judged(server, lines + MINE.sign(mail())))
    assert not [name for name, _ in server.asked if "evil" in name]
    assert len(server.asked) <= 6


async def test_an_old_signature_of_other_software_holds() -> None:
    # Made by dkimpy (its own test data) with the key of RFC 8032, 7.1, which RFC 8463 uses, too.
    letter = dkim.split(SAMPLE.encode())
    (signature,) = dkim.signatures(letter, NOW)
    assert signature.key_name == "brisbane._domainkey.football.example.com"
    record = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
    assert dkim.failing(letter, signature, [record]) == ""
    assert dkim.failing(letter, signature, [record.replace("11q", "21q")])


SAMPLE = """\
DKIM-Signature: v=1; a=ed25519-sha256; c=simple/simple;{blank}
 d=football.example.com; i=@football.example.com;{blank}
 q=dns/txt; s=brisbane; t=1518460054; h=from : to :{blank}
 subject : date : message-id : from : subject : date;{blank}
 bh=4bLNXImK9drULnmePzZNEBleUanJCX5PIsDIFoH4KTQ=;{blank}
 b=9/dsDChY0YMTtD5Eyw3wx7x22BlSJP7M5ECbJ7GWrR45nXlTCGb8l0YB
 o0wBLR++X5LqmsxXaOYLLJe46l10AQ==
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
""".format(blank=" ")


async def test_what_dns_can_not_be_asked(server: dns_server.Server) -> None:
    ask = naming.asking(server.resolver())
    server.zone["x.example.com", "MX"] = ["20 b.example.com.", "10 a.example.com."]
    server.zone["x.example.com", "A"] = ["192.0.2.1", "192.0.2.2"]
    assert list(await ask("X.example.com.", "MX")) == ["a.example.com", "b.example.com"]
    assert sorted(await ask("x.example.com", "A")) == ["192.0.2.1", "192.0.2.2"]
    for name in ("", "a..b", "x" * 64 + ".example.com", "a." * 130, "x.example.com\\", "ü" * 70):
        assert not await ask(name, "A")
    asked = len(server.asked)
    await ask("x.example.com", "A")
    assert len(server.asked) == asked
    server.silent.add("y.example.com")
    with pytest.raises(errors.ServiceUnreachable):
        await ask("y.example.com", "TXT")
