"""How far a lesson reaches: what it would turn over, whose word wins, and how it is narrowed until it does not."""

from dataclasses import replace

import pytest
from drafts import FACTS, LATE, gating, known, lesson, mailed, origin, playbook

from pocketlet.agents import playbook as playbooks
from pocketlet.learning import assertions as asserting
from pocketlet.learning import scope

GOLD = {**LATE, "tier": "gold"}
SILVER = {"tier": "other"}
NO_SORRY = lesson("Do not say sorry.", number=1, expect=({"kind": "absent", "text": "sorry"},))
OLD = playbook()
NEW = playbook(lesson())
NOWHERE = scope.of(OLD, NEW, [], None)


def reach(new: playbooks.Playbook, *about: scope.Known, old: playbooks.Playbook = OLD) -> scope.Reach:
    """The reach of a draft that comes from the origin's run."""
    return scope.of(old, new, about, origin())


def test_a_case_that_agrees_is_left_alone() -> None:
    assert reach(NEW, known(OLD, NEW, "We are sorry.", SILVER)) == NOWHERE
    assert reach(NEW, known(OLD, NEW, None, SILVER)) == NOWHERE
    assert reach(NEW, known(OLD, NEW, facts={"intent": "return"})) == NOWHERE


def test_in_the_situation_of_the_corrected_run_the_newest_word_wins() -> None:
    about = known(OLD, NEW)
    assert reach(NEW, about) == replace(NOWHERE, retires=(about.affected.case.id,))
    claimed = known(OLD, NEW, None, assertions=[asserting.Assertion("absent", {"text": "sorry"})])
    assert reach(NEW, claimed).retires == (claimed.affected.case.id,)


def test_where_a_lesson_that_is_taken_back_gave_the_answer_the_case_retires() -> None:
    old, new = playbook(NO_SORRY), playbook(lesson())
    about = known(old, new, facts=SILVER)
    assert reach(new, about, old=old) == replace(NOWHERE, retires=(about.affected.case.id,))


def test_elsewhere_the_lesson_is_too_wide_and_the_facts_say_how_to_narrow_it() -> None:
    found = reach(NEW, known(OLD, NEW, facts=SILVER)).finding
    assert found
    assert (found.does, found.rule, found.facts) == ("narrow", "too-wide", ("tier",))
    narrow = scope.narrowed(OLD, NEW, found.facts, FACTS)
    assert [one.predicate for one in narrow.lessons] == [GOLD]
    assert reach(narrow, known(OLD, narrow, facts=SILVER)).finding is None


def test_what_can_not_be_told_apart_asks() -> None:
    old = playbook(NO_SORRY)  # of another kind of task by nothing that is declared
    about = known(old, NEW, facts={"trigger": "text"})
    assert reach(NEW, about).retires == (about.affected.case.id,)  # the trigger is no declared fact
    talk = scope.of(OLD, NEW, [known(OLD, NEW, facts=SILVER)], None)
    assert talk.finding
    assert (talk.finding.does, talk.finding.rule) == ("ask", "too-wide")


def test_the_audit_share_holds_nothing_up() -> None:
    found = reach(NEW, known(OLD, NEW, facts=SILVER, number=gating(audit=True)))
    assert (found.retires, found.contested, found.finding) == ((), (), None)


def test_a_narrower_lesson_goes_before_so_only_a_trial_can_tell() -> None:
    exception = replace(NO_SORRY, predicate=LATE | SILVER)
    old, new = playbook(exception), playbook(exception, lesson())
    about = known(old, new, facts=SILVER)
    assert reach(new, about, old=old) == replace(NOWHERE, risky=(about.affected.case.id,))


def test_what_rests_on_a_lesson_that_the_owner_speaks_against_is_contested() -> None:
    dated = lesson("Name the day.", number=1, expect=({"kind": "contains", "text": "by Monday"},))
    new = playbook(dated, lesson("Never promise a date.", expect=({"kind": "absent", "text": "with you"},)))
    old, rests = playbook(dated), asserting.read(dated.expect[0])
    about = known(old, new, "We call you by Monday.", assertions=[rests])
    contested = replace(NOWHERE, contested=(about.affected.case.id,))
    spoken = origin("Never promise a date.", "It will be with you by Monday.", lessons=(1,))
    assert scope.of(old, new, [about], spoken) == contested
    apart = replace(spoken, work=mailed("It will be with you.\nCall us by Monday."))
    for unsaid in (replace(spoken, lessons=()), apart):  # it had not been told, and did not say both at once
        assert scope.of(old, new, [about], unsaid) == NOWHERE
    assert scope.of(old, new, [known(old, new, "We call you by Monday.")], spoken) == NOWHERE  # it rests on nothing
    elsewhere = known(old, new, "We call you by Monday.", SILVER, assertions=[rests])
    assert scope.of(old, new, [elsewhere], spoken) == NOWHERE


def test_a_lesson_that_is_no_contrary_contests_nothing() -> None:
    rests = asserting.read(NO_SORRY.expect[0])
    old, new = playbook(NO_SORRY), playbook(lesson("Say hello.", expect=({"kind": "contains", "text": "way"},)))
    assert reach(new, known(old, new, assertions=[rests]), old=old) == NOWHERE


def test_tasks_that_show_no_declared_fact_have_nothing_in_common() -> None:
    nothing = dict.fromkeys(("intent", "tier", "channel"), "other")
    new = playbook(lesson(when={}))
    about = known(OLD, new, facts=nothing)
    found = scope.of(OLD, new, [about], origin(facts=FACTS | nothing))
    assert found.retires == ()
    assert found.finding
    assert (found.finding.does, found.finding.rule) == ("ask", "too-wide")
    one = nothing | {"channel": "chat"}
    alike = known(OLD, new, facts=one)
    assert scope.of(OLD, new, [alike], origin(facts=FACTS | one)).retires == (alike.affected.case.id,)


def test_an_assertion_of_another_case_holds_it_up_too() -> None:
    claimed = known(OLD, NEW, None, SILVER, assertions=[asserting.Assertion("absent", {"text": "sorry"})])
    assert getattr(reach(NEW, claimed).finding, "rule", "") == "too-wide"


APART = [
    ([{"tier": "other"}], ("tier",)),
    ([{"tier": "other"}, {"channel": "chat"}], ("channel", "tier")),
    ([{"tier": "other"}, {"tier": "other", "channel": "chat"}], ("tier",)),
    ([{"tier": "other"}, {}], ()),
    ([], ()),
]


@pytest.mark.parametrize(("others", "facts"), APART)
def test_few_facts_tell_the_corrected_run_from_the_others(others: list[dict[str, str]], facts: tuple[str, ...]) -> None:
    assert set(scope.distinguishing([FACTS | one for one in others], FACTS, OLD)) == set(facts)


def test_narrowing_binds_the_new_lessons_and_no_others() -> None:
    kept = lesson("Be brief.", {}, number=5)
    narrow = scope.narrowed(playbook(kept), playbook(kept, lesson(number=0)), ("tier", "channel"), FACTS)
    assert [one.predicate for one in narrow.lessons] == [{}, {**GOLD, "channel": "other"}]
    assert [one.id for one in narrow.lessons] == [5, 0]
