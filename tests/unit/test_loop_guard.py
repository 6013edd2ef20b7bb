"""The loop guard: what a machine sent starts no run, and what a person sent does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketlet import errors
from pocketlet.agents import mailing
from pocketlet.agents.triggers import loops

US = "0123456789abcdef"
PERSON = "From: ann@customer.example\nMessage-ID: <1@customer.example>\nSubject: Hello"


def why(extra: str, recent: int = 0, body: str = "Hello.") -> str:
    raw = f"{PERSON}\n{extra}".strip().encode("utf-8", "surrogateescape") + b"\n\n" + body.encode()
    return loops.why_not(loops.marks(raw), US, recent)


@pytest.mark.parametrize(
    "extra",
    [
        "",
        "Auto-Submitted: no",
        "Auto-Submitted: NO (a person did)",
        "Auto-Submitted: no; by=hand",
        "Precedence: normal",
        "Precedence: first-class",
        "Return-Path: <ann@customer.example>",
        f"In-Reply-To: <effect-3-4@{US}.pocketlet>",
        f"References: <notice-3-0a0b@{US}.pocketlet>",
        "X-Priority: 1",
        "Content-Type: multipart/mixed; boundary=x",
    ],
)
def test_what_a_person_sent_starts_a_run(extra: str) -> None:
    assert why(extra) == ""


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ("Auto-Submitted: auto-replied", "automatically"),
        ("Auto-Submitted: auto-generated", "automatically"),
        ("auto-submitted:  Auto-Notified; owner=x", "automatically"),
        ("Auto-Submitted: (no) auto-replied", "automatically"),
        ("Auto-Submitted: no\nAuto-Submitted: auto-replied", "automatically"),
        ("Auto-Submitted:\n auto-replied", "automatically"),
        ("X-Autoreply: yes", "automatically"),
        ("X-Autorespond: yes", "automatically"),
        ("Precedence: bulk", "bulk"),
        ("Precedence: Junk", "bulk"),
        ("Precedence: auto_reply", "automatic answer"),
        ("Precedence: list", "mailing list"),
        ("List-Id: <news.example.com>", "mailing list"),
        ("List-Unsubscribe: <https://example.com/u>", "mailing list"),
        ("Precedence: list\nList-Id: News <news.example.com>", "mailing list"),
        ("Return-Path: <>", "return path is empty"),
        ("Return-Path:  < > ", "return path is empty"),
        ("Content-Type: multipart/report; report-type=delivery-status; boundary=x", "report"),
        (f"X-Pocketlet-Loop: {US}", "our own"),
        (f"x-pocketlet-loop: {US.upper()}", "our own"),
        ("X-Pocketlet-Loop: fedcba9876543210", "another Pocketlet"),
    ],
)
def test_what_a_machine_sent_starts_nothing(extra: str, said: str) -> None:
    assert said in why(extra)
    assert bool(said) == bool(why(extra))


@pytest.mark.parametrize(
    ("message_id", "said"),
    [
        (mailing.message_id(12, 3, US), "our own"),
        (f"<notice-7-{'0a' * 16}@{US}.pocketlet>", "our own"),
        (mailing.message_id(12, 3, "fedcba9876543210"), "another Pocketlet"),
        (f"<effect-12-3@{US}.pocketlet.example.com>", ""),
        (f"<effect-12-3@x{US}.pocketlet>", ""),
    ],
)
def test_a_message_id_of_ours_is_known(message_id: str, said: str) -> None:
    found = loops.why_not(loops.marks(f"From: a@b.example\nMessage-ID: {message_id}\n\nHi".encode()), US, 0)
    assert said in found
    assert bool(said) == bool(found)


@pytest.mark.parametrize(("recent", "stops"), [(0, False), (19, False), (20, True), (1000, True)])
def test_one_correspondent_starts_only_so_many_runs(recent: int, stops: bool) -> None:
    assert ("20 mails in an hour" in why("", recent)) is stops
    assert loops.why_not(loops.Marks(), US, 3, most=3)
    assert not loops.why_not(loops.Marks(), US, 2, most=3)


def test_what_the_text_says_is_no_mark() -> None:
    assert why("", body="Auto-Submitted: auto-replied\nPrecedence: bulk\n\nX-Pocketlet-Loop: 1") == ""


def test_what_is_no_mail() -> None:
    with pytest.raises(errors.BadInput):
        loops.marks(b"")


@given(st.binary(max_size=500))
def test_nothing_breaks_the_guard(raw: bytes) -> None:
    try:
        found = loops.marks(raw)
    except errors.BadInput:
        return
    assert isinstance(loops.why_not(found, US, 0), str)
