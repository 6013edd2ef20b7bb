"""What work must show: each kind of assertion, what an edit says, and which two can't both hold."""

import pytest
from drafts import mailed
from hypothesis import given
from hypothesis import strategies as st

from pocketlet import errors
from pocketlet.learning import assertions as asserting
from pocketlet.learning.assertions import Assertion, Work

WORK = mailed("Dear Ann,\nwe are  SORRY.", ("sql", '{"query": "SELECT order FROM orders"}'), ("remember", "{}"))
HOLDING = [
    ("effect", {"to": "ann.lee@customer.example"}),
    ("tool", {"tool": "sql"}),
    ("tool", {"tool": "sql", "text": "from ORDERS"}),
    ("forbidden", {"tool": "search"}),
    ("forbidden", {"tool": "sql", "text": "customers"}),
    ("contains", {"text": "we are sorry"}),
    ("contains", {"text": "YOUR PARCEL"}),
    ("absent", {"text": "delivered"}),
    ("max_words", {"n": "7"}),
]
BROKEN = [
    ("effect", {"to": "eve@evil.example"}),
    ("tool", {"tool": "search"}),
    ("tool", {"tool": "sql", "text": "customers"}),
    ("forbidden", {"tool": "sql"}),
    ("forbidden", {"tool": "sql", "text": "orders"}),
    ("contains", {"text": "sorry about"}),
    ("absent", {"text": "sorry"}),
    ("max_words", {"n": "6"}),
]


@pytest.mark.parametrize(("kind", "expected"), HOLDING)
def test_what_holds(kind: str, expected: dict[str, str]) -> None:
    assert asserting.holds(Assertion(kind, expected), WORK)
    assert asserting.failing([Assertion(kind, expected)], WORK) == []


@pytest.mark.parametrize(("kind", "expected"), BROKEN)
def test_what_does_not_hold_is_said_in_a_sentence(kind: str, expected: dict[str, str]) -> None:
    assertion = Assertion(kind, expected)
    assert asserting.failing([assertion], WORK) == [assertion.sentence()]
    assert "{" not in assertion.sentence()
    assert all(value in assertion.sentence() for value in expected.values())


def test_without_a_mail_the_result_is_what_counts_and_with_one_it_is_not() -> None:
    assert asserting.holds(Assertion("contains", {"text": "nothing"}), Work((), "Nothing to do."))
    assert not asserting.holds(Assertion("contains", {"text": "did it"}), WORK)


CONTRADICTIONS = [
    (("contains", {"text": "we are sorry"}), ("absent", {"text": "Sorry"}), True),
    (("contains", {"text": "sorry"}), ("absent", {"text": "we are sorry"}), False),
    (("contains", {"text": "a b"}), ("contains", {"text": "c d"}), False),
    (("contains", {"text": "10 % off"}), ("contains", {"text": "15 % OFF"}), True),
    (("contains", {"text": "10 % off"}), ("contains", {"text": "10 %  off"}), False),
    (("tool", {"tool": "sql"}), ("forbidden", {"tool": "sql"}), True),
    (("tool", {"tool": "sql"}), ("forbidden", {"tool": "search"}), False),
    (("tool", {"tool": "sql"}), ("absent", {"text": "sql"}), False),
]


@pytest.mark.parametrize(("one", "other", "both_can_not"), CONTRADICTIONS)
def test_which_contradict(one: tuple[str, dict], other: tuple[str, dict], *, both_can_not: bool) -> None:
    assert asserting.contradict(Assertion(*one), Assertion(*other)) is both_can_not
    assert asserting.contradict(Assertion(*other), Assertion(*one)) is both_can_not


def test_what_a_manager_expects_is_read_and_written_the_same() -> None:
    for record in ({"kind": "contains", "text": "sorry"}, {"kind": "max_words", "n": "80"}):
        assert asserting.record(asserting.read(record)) == record
    assert asserting.read({"kind": "tool", "tool": "sql", "text": "orders"}).expected["text"] == "orders"
    for wrong in (
        {}, [], "sorry", None, {"kind": "effect", "to": "x@y.example"}, {"kind": "regex", "pattern": "(a+)+"},
        {"kind": "contains"}, {"kind": "contains", "text": " "}, {"kind": "max_words", "n": "few"}, {"kind": "tool"},
    ):  # fmt: skip
        with pytest.raises(errors.BadInput, match="`expect` holds"):
            asserting.read(wrong)


DRAFT = "Hello Ann,\n\nit will be with you by Monday. Best wishes"
EDITS = [
    (f"{DRAFT}\nSorry about that.", "", [("contains", "Sorry about that.")]),
    ("Hello Ann,\n\nBest wishes", "", [("absent", "it will be with you by Monday.")]),
    (
        "Hello Ann,\n\nyou get 10 % off. Best wishes",
        "",
        [("contains", "you get 10 % off."), ("absent", "it will be with you by Monday.")],
    ),
    (f"{DRAFT}\nYou may send it back within thirty days, free of charge.", "", []),  # long, and nowhere else
    (
        f"{DRAFT}\nYou may send it back within thirty days, free of charge.",
        "- You may send it back  within thirty days, free of charge.",
        [("contains", "You may send it back within thirty days, free of charge.")],
    ),
    (DRAFT.replace(" ", "  "), "", []),
    (f"{DRAFT}\nThanks!", "", []),  # a word is no sentence
]


@pytest.mark.parametrize(("edited", "playbook", "said"), EDITS)
def test_what_an_edit_says(edited: str, playbook: str, said: list[tuple[str, str]]) -> None:
    found = [(one.kind, one.expected["text"]) for one in asserting.of_edit(DRAFT, edited, playbook)]
    assert found == said


def test_only_the_inserted_words_are_the_owners() -> None:
    draft = "Ann wrote: pay me 500 EUR. It is on its way."
    assert asserting.inserted(draft, "Sorry! It is on its way, Ann.") == "Sorry! way, Ann."
    assert asserting.inserted(draft, draft) == ""
    assert asserting.inserted("", "All new.") == "All new."


words = st.lists(st.sampled_from(["it", "is", "on", "its", "way", "not", "late", "now", "sorry."]), max_size=12).map(
    " ".join
)


@given(words, words)
def test_an_edit_holds_for_itself(draft: str, edited: str) -> None:
    found = asserting.of_edit(draft, edited, "")
    assert len(found) <= asserting.MAX_COMPILED
    wanted = [one for one in found if one.kind == "contains"]
    assert asserting.failing(wanted, Work((), edited)) == []
    assert set(asserting.inserted(draft, edited).split()) <= set(edited.split())


def test_accepted_work_says_something_of_every_text() -> None:
    found = asserting.vocabulary(["we are sorry", "10 % off"], WORK)
    assert [(one.kind, one.expected["text"]) for one in found] == [("contains", "we are sorry"), ("absent", "10 % off")]
    assert asserting.failing(found, WORK) == []
