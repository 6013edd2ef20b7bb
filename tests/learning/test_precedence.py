"""Whose word goes before whose: the newest one of the same kind of task, and the narrower of two that overlap."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from drafts import FACTS, LATE, known, lesson, mailed, origin, playbook

from pocketlet.agents import playbook as playbooks
from pocketlet.learning import lint, precedence, scope

GOLD = {"tier": "gold"}
BOTH = LATE | GOLD
CHAT = {"channel": "chat"}


def grant(percent: int, when: Mapping[str, str], words: str = "", **more: Any) -> playbooks.Lesson:
    """A rule whose words name its kind of task."""
    named = words or " and ".join(when.values()).replace("_", " ")
    expected = ({"kind": "contains", "text": f"{percent} %"},)
    return lesson(f"For {named}: always grant {percent} %.", when, expect=expected, **more)


WAYS = [
    (grant(10, GOLD, number=1), grant(20, GOLD), True),  # for the same runs
    (grant(10, BOTH, "gold", number=1), grant(20, GOLD), True),  # said of the same kind of task, narrowed since
    (grant(10, BOTH, number=1), grant(20, GOLD), True),  # an exception that would hold for the corrected run
    (grant(10, GOLD | CHAT, number=1), grant(20, GOLD), False),  # an exception for others
    (grant(10, GOLD, number=1), grant(20, BOTH), False),  # the new one is the exception
    (grant(10, GOLD, number=1), grant(20, LATE), False),  # they only overlap
    (grant(20, GOLD, number=1), grant(20, GOLD), False),  # no contrary
    (grant(10, GOLD, number=1, run=None), grant(20, GOLD), False),  # a person wrote it
]


@pytest.mark.parametrize(("old", "new", "gives"), WAYS)
def test_what_gives_way_to_a_newer_word(old: playbooks.Lesson, new: playbooks.Lesson, *, gives: bool) -> None:
    assert precedence.gives_way(old, new, origin("Grant it.")) is gives


def test_an_exception_is_for_the_tasks_that_both_are_about() -> None:
    first, second = grant(10, GOLD, number=1), grant(20, LATE, number=2)
    made = precedence.exception(first, second)
    assert made
    assert (made.id, made.body, made.predicate) == (0, first.body, BOTH)
    assert precedence.exception(first, grant(20, {"tier": "other"})) is None
    assert precedence.exception(grant(10, BOTH), first) is None  # it goes first already
    assert precedence.is_exception(made, [first], [second])
    assert not precedence.is_exception(replace(made, body="Grant 90 %."), [first], [second])
    assert not precedence.is_exception(replace(made, predicate=BOTH | CHAT), [first], [second])


def test_what_the_owner_says_again_goes_before_what_the_run_followed_instead() -> None:
    wide, rival = grant(10, LATE, number=1), grant(20, GOLD, number=2, since="2026-11-02T00:00:00+00:00")
    said = origin(wide.body, "We grant 20 %.", lessons=(1, 2))
    assert precedence.said_again(playbook(wide, rival), said) == [wide]
    assert precedence.said_again(playbook(wide, rival), replace(said, words="For gold: be polite.")) == []
    *_, made = precedence.upheld([wide, rival], [wide], said)
    assert (made.body, made.predicate) == (wide.body, BOTH)
    narrow = replace(rival, predicate=BOTH)
    assert precedence.upheld([wide, narrow], [wide], said) == [wide]
    for nothing in (
        replace(said, work=mailed("We grant nothing.")),  # the model's fault, not the rival's
        replace(said, lessons=(1,)),  # it had not been told the rival
    ):
        assert precedence.upheld([wide, rival], [wide], nothing) == [wide, rival]
    for other in (replace(narrow, run=None), replace(rival, since="2026-10-01T00:00:00+00:00")):
        assert precedence.upheld([wide, other], [wide], said) == [wide, other]  # a person's own; the older of two


def test_a_lesson_that_is_said_again_may_retire_its_rival() -> None:
    wide, narrow = grant(10, LATE, number=1), grant(20, BOTH, number=2)
    said = origin(wide.body, "We grant 20 %.", lessons=(1, 2))
    assert lint.findings(playbook(wide, narrow), playbook(wide), said, overhead=0) == []
    other = replace(said, words="Be polite.")
    assert [one.rule for one in lint.findings(playbook(wide, narrow), playbook(wide), other, overhead=0)] == ["retires"]


def test_an_accepted_answer_of_another_lesson_stays_as_an_exception() -> None:
    old, new = playbook(grant(10, CHAT, number=1)), playbook(grant(10, CHAT, number=1), grant(20, LATE))
    about = known(old, new, "We grant 10 %.", CHAT)
    said = origin("For late order: always grant 20 %.")
    found = scope.of(old, new, [about], said).finding
    assert found
    assert (found.does, found.facts, found.spares) == ("narrow", (), (1,))
    draft = scope.spared(old, new, found.spares)
    assert [(one.body, one.predicate) for one in draft.lessons[2:]] == [(grant(10, CHAT).body, CHAT | LATE)]
    draft = replace(draft, lessons=tuple(replace(one, id=n) for n, one in enumerate(draft.lessons, 1)))  # as stored
    again = known(old, draft, "We grant 10 %.", CHAT)
    assert scope.of(old, draft, [again], said).finding is None
    assert scope.of(old, draft, [again], said).risky == (again.affected.case.id,)
    assert lint.findings(old, draft, said, overhead=0) == []


def test_what_was_said_of_the_same_kind_of_task_is_overruled_wherever_it_was_said() -> None:
    told = grant(10, LATE, number=1)
    old, new = playbook(told), playbook(told, grant(20, BOTH))
    elsewhere = known(old, new, None, CHAT, assertions=precedence.expected(told), words=told.body)
    said = origin("For gold late order: always grant 20 %.")
    assert scope.of(old, new, [elsewhere], said).retires == (elsewhere.affected.case.id,)
    narrower = replace(elsewhere, words="For chat: always grant 10 %.")  # of a kind that the corrected run is not of
    assert scope.of(old, new, [narrower], said).retires == ()


def test_what_gave_way_comes_back_where_the_narrowed_lesson_is_its_exception() -> None:
    old, new = playbook(grant(10, LATE, number=1)), playbook(grant(20, LATE))
    narrow = scope.narrowed(old, new, ("tier",), FACTS)
    assert [(one.id, one.predicate) for one in narrow.lessons] == [(1, LATE), (0, BOTH)]
