"""Whose word goes before whose: what a draft is made from, which lesson gives way to it, and which is an exception.

Pure. The newest word wins where it was said of the same kind of task; the narrower lesson goes first where two overlap.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pocketlet.agents import playbook as playbooks
from pocketlet.agents import task as tasks
from pocketlet.learning import assertions as asserting
from pocketlet.learning import wording


@dataclass(frozen=True, slots=True)
class Origin:
    """What a draft is made from: the owner's words, the run's task and facts, the work that they are about, and the
    lessons that the run had been told.
    """

    words: str
    task: tasks.Task
    facts: Mapping[str, str]
    work: asserting.Work
    lessons: tuple[int, ...] = ()


def meant(words: str, facts: Mapping[str, str]) -> dict[str, str]:
    """Those of the facts whose value the words name: the kind of task that they are said of."""
    said = wording.words(words)
    return {fact: value for fact, value in facts.items() if value != "other" and wording.words(value) <= said}


def kind_of(lesson: playbooks.Lesson) -> Mapping[str, str]:
    """The kind of task that a lesson is about by its own words, however narrow it is; its scope if they name none."""
    return meant(lesson.body, lesson.predicate) or lesson.predicate


def expected(lesson: playbooks.Lesson) -> list[asserting.Assertion]:
    """What work that follows it shows."""
    return [asserting.read(one) for one in lesson.expect]


def against(one: playbooks.Lesson, other: playbooks.Lesson, lines: Iterable[str] = ()) -> bool:
    """Whether one expects what the other excludes. `lines`: of the work in which both were looked for."""
    pairs = ((first, second) for first in expected(one) for second in expected(other))
    return any(asserting.contradict(first, second, lines) for first, second in pairs)


def followed(lesson: playbooks.Lesson, work: asserting.Work) -> bool:
    """Whether the work is as the lesson says; a lesson that expects nothing shows in no work."""
    wanted = expected(lesson)
    return bool(wanted) and not asserting.failing(wanted, work)


def gives_way(old: playbooks.Lesson, new: playbooks.Lesson, origin: Origin | None = None) -> bool:
    """Whether a lesson from feedback gives way to a new one: the newest word wins.

    It expects what the new one excludes, for the same runs, or said of the same kind of task (however it was narrowed
    since), or as a narrower exception that would hold for the very run that was corrected.
    """
    if old.run is None or not old.id or not against(old, new, origin.work.lines if origin else ()):
        return False
    same = old.predicate == new.predicate or kind_of(old) == kind_of(new)
    return same or (origin is not None and old.applies(origin.facts) and new.predicate.items() <= old.predicate.items())


def exception(lesson: playbooks.Lesson, other: playbooks.Lesson) -> playbooks.Lesson | None:
    """The lesson said again for the tasks that both are about, where it then goes first; None if there are none."""
    both = {**lesson.predicate, **other.predicate}
    apart = any(both[fact] != value for fact, value in lesson.predicate.items())
    return None if apart or both == dict(lesson.predicate) else replace(lesson, id=0, predicate=both)


def is_exception(lesson: playbooks.Lesson, old: Sequence[playbooks.Lesson], added: Sequence[playbooks.Lesson]) -> bool:
    """Whether it is just an old lesson said again where a new one would go before it."""
    said = [one for one in old if (one.body, one.expect) == (lesson.body, lesson.expect)]
    return any(
        (made := exception(one, new)) is not None and made.predicate == lesson.predicate
        for one in said
        for new in added
        if new.id != lesson.id
    )


def said_again(old: playbooks.Playbook, origin: Origin | None) -> list[playbooks.Lesson]:
    """The lessons that the corrected run had been told, and that the owner says once more."""
    if origin is None:
        return []
    told = (lesson for lesson in old.lessons if lesson.id in origin.lessons)
    return [lesson for lesson in told if wording.similar(lesson.body, origin.words)]


def upheld(
    lessons: Sequence[playbooks.Lesson], speaking: Iterable[playbooks.Lesson], origin: Origin
) -> list[playbooks.Lesson]:
    """The lessons as they are to be for what the owner says of the corrected run (`speaking`: new, or said again) to
    hold there.

    What the run followed instead gives way, or, if it is about other tasks too, gets an exception.
    """
    found = list(lessons)
    for lesson in speaking:
        for rival in [other for other in lessons if _is_rival(other, lesson, origin)]:
            if gives_way(rival, lesson, origin):
                found = [other for other in found if other.id != rival.id]
            elif made := exception(lesson, rival):
                found.append(made)
    return found


def _is_rival(other: playbooks.Lesson, lesson: playbooks.Lesson, origin: Origin) -> bool:
    """Whether the run followed it, and it goes first: narrower, or as narrow and newer. A person's own stays."""
    told = other.id in origin.lessons and other.run is not None
    before = (len(other.predicate), other.since) > (len(lesson.predicate), lesson.since)
    return told and before and against(other, lesson, origin.work.lines) and followed(other, origin.work)
