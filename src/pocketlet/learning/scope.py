"""How far a lesson reaches: which accepted work it would turn over, and how it is narrowed until it does not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pocketlet.agents import playbook as playbooks
from pocketlet.learning import assertions as asserting
from pocketlet.learning import gate, lint, trials


@dataclass(frozen=True, slots=True)
class Known:
    """An affected case with what is known to be right about it: its accepted work (or None), and its assertions."""

    affected: trials.Affected
    work: asserting.Work | None
    assertions: tuple[asserting.Assertion, ...]


@dataclass(frozen=True, slots=True)
class Reach:
    """`retires`: cases that the owner's new word contradicts; `contested`: cases that rest on what it speaks against.

    `risky`: cases where a narrower lesson is all that stands between them and the draft. `finding`: what else it would
    turn over, if anything.
    """

    retires: tuple[int, ...]
    contested: tuple[int, ...]
    risky: tuple[int, ...]
    finding: gate.Finding | None


def of(old: playbooks.Playbook, new: playbooks.Playbook, known: Sequence[Known], origin: lint.Origin | None) -> Reach:
    """Whom the draft's lessons contradict.

    In the very situation of the corrected run, and where a lesson gave the answer that this draft takes back, the
    newest word wins and the case retires. Anywhere else the owner has accepted the work: the lesson is too wide.
    """
    added, removed = lint.changed(old, new)
    gone = {lesson.id for lesson in removed}
    disputed = _disputed(old, added, gone, origin)
    retires: list[int] = []
    contested: list[int] = []
    risky: list[int] = []
    elsewhere: list[Known] = []
    for item in known:
        case = item.affected.case
        same = origin is not None and _same_situation(item.affected.facts, origin.facts, old)
        spoken_of = same or bool(gone & set(item.affected.before.lessons))
        turned_over = any(_turns_over(lesson, item, new) for lesson in added)
        if spoken_of and turned_over:
            retires.append(case.id)
        elif spoken_of and any(one in disputed for one in item.assertions):
            contested.append(case.id)
        elif turned_over and not case.audit:
            elsewhere.append(item)
        elif any(_wants_otherwise(lesson, item) for lesson in added):
            risky.append(case.id)
    finding = _too_wide(added, [item.affected for item in elsewhere], origin, old)
    return Reach(tuple(retires), tuple(contested), tuple(risky), finding)


def _disputed(
    old: playbooks.Playbook, added: Sequence[playbooks.Lesson], gone: set[int], origin: lint.Origin | None
) -> list[asserting.Assertion]:
    """What lessons expect that the draft retires or the corrected run had followed, and the new ones exclude."""
    told = gone | set(origin.lessons if origin else ())
    lines = origin.work.lines if origin else ()
    wanted = [asserting.read(one) for lesson in added for one in lesson.expect]
    before = [asserting.read(one) for lesson in old.lessons if lesson.id in told for one in lesson.expect]
    return [one for one in before if any(asserting.contradict(one, new, lines) for new in wanted)]


def _same_situation(one: Mapping[str, str], other: Mapping[str, str], playbook: playbooks.Playbook) -> bool:
    """Whether two tasks are of one kind by every declared fact; tasks that show none have nothing in common."""
    cells = [{fact: facts.get(fact, "other") for fact in playbook.manifest.facts} for facts in (one, other)]
    return cells[0] == cells[1] and any(value != "other" for value in cells[0].values())


def _turns_over(lesson: playbooks.Lesson, item: Known, new: playbooks.Playbook) -> bool:
    """Whether the lesson wants what the case does not allow, and no narrower lesson goes before it.

    Where one does, only a trial can tell.
    """
    others = [other for other in new.lessons if other.id != lesson.id and other.applies(item.affected.facts)]
    narrower = any(len(other.predicate) > len(lesson.predicate) for other in others)
    return not narrower and _wants_otherwise(lesson, item)


def _wants_otherwise(lesson: playbooks.Lesson, item: Known) -> bool:
    """Whether the lesson expects there what the accepted work, or an assertion, does not allow."""
    if not lesson.applies(item.affected.facts):
        return False
    expected = [asserting.read(one) for one in lesson.expect]
    if item.work is not None and any(not asserting.holds(one, item.work) for one in expected):
        return True
    return any(asserting.contradict(one, other) for one in expected for other in item.assertions)


def _too_wide(
    added: Sequence[playbooks.Lesson],
    elsewhere: Sequence[trials.Affected],
    origin: lint.Origin | None,
    old: playbooks.Playbook,
) -> gate.Finding | None:
    if not elsewhere:
        return None
    many = f"{len(elsewhere)} answer{'' if len(elsewhere) == 1 else 's'} that you accepted for other kinds of task"
    why = f"It would change {many} (case {', '.join(str(item.case.id) for item in elsewhere[:5])})."
    facts = distinguishing([item.facts for item in elsewhere], origin.facts, old) if origin else ()
    if facts and any(set(facts) - set(lesson.predicate) for lesson in added):
        return gate.Finding("narrow", "too-wide", why, facts)
    return gate.Finding("ask", "too-wide", why)


def distinguishing(
    others: Sequence[Mapping[str, str]], own: Mapping[str, str], playbook: playbooks.Playbook
) -> tuple[str, ...]:
    """Few facts (the most telling first) that tell `own` from each of `others`; none if one of them can't be told."""
    left: list[Mapping[str, str]] = list(others)
    chosen: list[str] = []
    while left:
        told = {fact: sum(other.get(fact) != own.get(fact) for other in left) for fact in playbook.manifest.facts}
        best = max(sorted(told), key=lambda fact: told[fact], default="")
        if not best or not told[best]:
            return ()
        chosen.append(best)
        left = [other for other in left if other.get(best) == own.get(best)]
    return tuple(chosen)


def narrowed(
    old: playbooks.Playbook, new: playbooks.Playbook, facts: Sequence[str], own: Mapping[str, str]
) -> playbooks.Playbook:
    """The draft with its new lessons bound to these facts of the corrected run, too."""
    added = {lesson.id for lesson in lint.changed(old, new)[0]}
    more = {fact: own[fact] for fact in facts if fact in own}
    lessons = [
        replace(lesson, id=0, predicate={**lesson.predicate, **more}) if lesson.id in added else lesson
        for lesson in new.lessons
    ]
    return replace(new, lessons=tuple(lessons))
