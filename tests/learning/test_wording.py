"""Whose words a lesson is made of: what turns the owner's rule round is found, what says the same is not."""

import pytest
from drafts import LATE, lesson, origin, playbook
from hypothesis import given
from hypothesis import strategies as st

from pocketlet.learning import gate, lint, wording

TURNED = {
    "never dropped": ("Never promise a date.", "Promise a date."),
    "don't dropped": ("Don't promise a date.", "Promise a date."),
    "curly don't dropped": ("Please don’t promise a date.", "Promise a date."),
    "nobody dropped": ("Nobody may promise a date.", "You may promise a date."),
    "no added": ("Send a refund. There is no hurry.", "Send no refund."),
    "at most dropped": ("Offer at most 10 %.", "Offer 10 %."),
    "no of no more than dropped": ("Offer no more than 10 %.", "Offer more than 10 %."),
    "unit changed": ("Offer 10 %. The parcel costs 5 €.", "Offer 10 €."),
    "unit dropped": ("Offer 10 %.", "Offer 10."),
    "order dropped": ("Ask first before you pay.", "Pay first."),
    "condition dropped": ("Offer 10 % if the order is late.", "Offer 10 %."),
    "unless dropped": ("Say sorry unless it is late.", "Say sorry, it is late."),
    "only the second clause is turned": ("Say sorry; never promise a date.", "Say sorry. Promise a date."),
}
SAME = {
    "verbatim": ("Never promise a date; offer at most 10 %.", "Never promise a date; offer at most 10 %."),
    "do not for never": ("Never promise a date.", "Do not promise a date."),
    "don't for never": ("Never promise a date.", "Don't promise a date."),
    "order of clauses": ("Say sorry. Never promise a date.", "Never promise a date. Say sorry."),
    "condition first": ("Offer 10 % if the order is late.", "If the order is late, offer 10 %."),
    "always added": ("Say sorry.", "Always say sorry."),
    "one clause of two": ("Say sorry. Never promise a date.", "Say sorry."),
}


@pytest.mark.parametrize(("said", "body"), TURNED.values(), ids=TURNED.keys())
def test_a_clause_that_is_turned_round_is_named(said: str, body: str) -> None:
    turned = wording.turns_round(body, [said])
    assert turned
    assert turned.strip() in body


@pytest.mark.parametrize(("said", "body"), TURNED.values(), ids=TURNED.keys())
def test_a_lesson_that_turns_the_owners_rule_round_asks(said: str, body: str) -> None:
    findings = lint.findings(playbook(), playbook(lesson(body)), origin(said), overhead=0)
    assert ("ask", "turned-round") in [(one.does, one.rule) for one in findings]
    proven = gate.Evidence(tuple(findings), case=1, trigger=gate.Tried(passes=2), before=gate.Tried(fails=2))
    assert getattr(gate.after(proven), "does", "") != "adopt"


@pytest.mark.parametrize(("said", "body"), SAME.values(), ids=SAME.keys())
def test_what_says_the_same_is_not_turned_round(said: str, body: str) -> None:
    assert wording.turns_round(body, [said]) == ""


def test_an_old_lesson_for_the_same_runs_vouches_for_its_own_clauses() -> None:
    old = lesson("Never promise a date.", number=1)
    new = lesson("Never promise a date. Say sorry.")
    assert lint.findings(playbook(old), playbook(new, old), origin(), overhead=0) == []
    elsewhere = playbook(lesson("Never promise a date.", {}, number=1))
    findings = lint.findings(elsewhere, playbook(*elsewhere.lessons, new), origin(), overhead=0)
    assert [one.rule for one in findings] == ["not-your-words"]
    turned = lint.findings(playbook(old), playbook(old, lesson("Promise a date. Say sorry.")), origin(), overhead=0)
    assert [one.rule for one in turned] == ["turned-round"]


def test_the_drafter_is_told_at_once() -> None:
    args = {"body": "Promise a date.", "when": LATE}
    assert "leaves out or adds a “not”" in lint.unfit("late", args, origin("Never promise a date."), playbook())


def test_numbers_and_refusals_are_words_of_meaning() -> None:
    assert wording.words("Offer 10 % within 7.5 days") == {"offer", "10", "%", "within", "7.5", "day"}
    assert "never" in wording.words("never")
    assert "not" in wording.words("not")


def test_lessons_are_similar_only_if_nothing_is_turned_round() -> None:
    assert wording.similar("Say sorry, first.", "Say sorry first.")
    assert not wording.similar("", "")
    rule = "Offer a refund of 10 % on every late gold order by mail"
    for other in (f"Never {rule}", f"{rule} only", rule.replace("10 %", "10 €")):
        assert not wording.similar(rule, other)


TALK = ["never", "say", "sorry", "offer", "10", "%", "€", "at most", "only", "if", "late", "not"]


@given(st.lists(st.sampled_from(TALK), min_size=1, max_size=12).map(" ".join))
def test_the_owners_own_clause_is_never_turned_round(said: str) -> None:
    assert wording.turns_round(said, [said]) == ""
