"""How far a lesson reaches: which accepted work it would turn over, and how it is narrowed until it does not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pocketlet.agents import playbook as playbooks
from pocketlet.learning import assertions as asserting
from pocketlet.learning import gate, lint, precedence, trials


@dataclass(frozen=True, slots=True)
class Known:
    """An affected case with what is known to be right about it: its accepted work (or None), and its assertions.

    `words`: all that the owner said of its run.
    """

    affected: trials.Affected
    work: asserting.Work | None
    assertions: tuple[asserting.Assertion, ...]
    words: str = ""


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


def of(
    old: playbooks.Playbook, new: playbooks.Playbook, known: Sequence[Known], origin: precedence.Origin | None
) -> Reach:
    """Whom the draft's lessons contradict.

    In the very situation of the corrected run, where a lesson gave the answer that this draft takes back, and where
    the case rests on what the owner said of runs like the corrected one, the newest word wins and the case retires.
    Anywhere else the owner has accepted the work: the lesson is too wide.
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
        turning = [lesson for lesson in added if _turns_over(lesson, item, new)]
        overruled = origin is not None and all(_overrules(lesson, item, old, origin) for lesson in turning)
        if turning and (spoken_of or overruled):
            retires.append(case.id)
        elif spoken_of and any(one in disputed for one in item.assertions):
            contested.append(case.id)
        elif turning and not case.audit:
            elsewhere.append(item)
        elif any(_wants_otherwise(lesson, item) for lesson in added):
            risky.append(case.id)
    finding = _too_wide(added, elsewhere, origin, old)
    return Reach(tuple(retires), tuple(contested), tuple(risky), finding)


def _disputed(
    old: playbooks.Playbook, added: Sequence[playbooks.Lesson], gone: set[int], origin: precedence.Origin | None
) -> list[asserting.Assertion]:
    """What lessons expect that the draft retires or the corrected run had followed, and the new ones exclude."""
    told = gone | set(origin.lessons if origin else ())
    lines = origin.work.lines if origin else ()
    wanted = [one for lesson in added for one in precedence.expected(lesson)]
    before = [one for lesson in old.lessons if lesson.id in told for one in precedence.expected(lesson)]
    return [one for one in before if any(asserting.contradict(one, new, lines) for new in wanted)]


def _same_situation(one: Mapping[str, str], other: Mapping[str, str], playbook: playbooks.Playbook) -> bool:
    """Whether two tasks are of one kind by every declared fact; tasks that show none have nothing in common."""
    cells = [{fact: facts.get(fact, "other") for fact in playbook.manifest.facts} for facts in (one, other)]
    return cells[0] == cells[1] and any(value != "other" for value in cells[0].values())


def _overrules(lesson: playbooks.Lesson, item: Known, old: playbooks.Playbook, origin: precedence.Origin) -> bool:
    """Whether all that speaks against the lesson there was said of kinds of task that the corrected run is one of, and
    that are wider or narrower than the lesson's own: not of others that merely share some tasks with it.
    """
    now, here = precedence.kind_of(lesson).items(), origin.facts.items()
    kinds = [kind.items() for kind in _rests_on(lesson, item, old)]
    return bool(kinds) and all(kind <= here and (kind <= now or now <= kind) for kind in kinds)


def _rests_on(lesson: playbooks.Lesson, item: Known, old: playbooks.Playbook) -> list[Mapping[str, str]]:
    """The kinds of task of which that was said which makes the case speak against the lesson.

    Accepted work says nothing of a kind: the lessons do that it was told and followed.
    """
    facts = {fact: item.affected.facts.get(fact, "other") for fact in old.manifest.facts}
    said: list[Mapping[str, str]] = [precedence.meant(item.words, facts)] if item.words else []
    if item.work is None:
        return said or [facts]
    return said + [precedence.kind_of(other) for other in _behind(lesson, item, old)]


def _behind(lesson: playbooks.Lesson, item: Known, old: playbooks.Playbook) -> list[playbooks.Lesson]:
    """The lessons that the case was told and is as it is by, and that speak against the new one."""
    told = (other for other in old.lessons if other.id in item.affected.before.lessons)
    return [other for other in told if precedence.against(other, lesson) and _stands_by(other, item)]


def _stands_by(lesson: playbooks.Lesson, item: Known) -> bool:
    """Whether the case is as the lesson says: its accepted work, or what is asserted of it."""
    if item.work is not None:
        return precedence.followed(lesson, item.work)
    return all(one in item.assertions for one in precedence.expected(lesson))


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
    expected = precedence.expected(lesson)
    if item.work is not None and any(not asserting.holds(one, item.work) for one in expected):
        return True
    return any(asserting.contradict(one, other) for one in expected for other in item.assertions)


def _too_wide(
    added: Sequence[playbooks.Lesson],
    elsewhere: Sequence[Known],
    origin: precedence.Origin | None,
    old: playbooks.Playbook,
) -> gate.Finding | None:
    if not elsewhere:
        return None
    many = f"{len(elsewhere)} answer{'' if len(elsewhere) == 1 else 's'} that you accepted for other kinds of task"
    why = f"It would change {many} (case {', '.join(str(item.affected.case.id) for item in elsewhere[:5])})."
    if origin and (spares := _spares(added, elsewhere, origin, old)):
        return gate.Finding("narrow", "too-wide", why, spares=spares)
    facts = distinguishing([item.affected.facts for item in elsewhere], origin.facts, old) if origin else ()
    if facts and any(set(facts) - set(lesson.predicate) for lesson in added):
        return gate.Finding("narrow", "too-wide", why, facts)
    return gate.Finding("ask", "too-wide", why)


def _spares(
    added: Sequence[playbooks.Lesson], elsewhere: Sequence[Known], origin: precedence.Origin, old: playbooks.Playbook
) -> tuple[int, ...]:
    """The lessons behind these answers, if each has one and none is for the corrected run: exceptions keep them."""
    behind = [{other.id: other for lesson in added for other in _behind(lesson, item, old)} for item in elsewhere]
    found = {number: other for one in behind for number, other in one.items()}
    if not all(behind) or any(other.applies(origin.facts) for other in found.values()):
        return ()
    return tuple(sorted(found))


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
    """The draft with its new lessons bound to these facts of the corrected run, too.

    What gave way to a wider one comes back where the narrower one is just an exception to it.
    """
    added, removed = lint.changed(old, new)
    more = {fact: own[fact] for fact in facts if fact in own}
    bound = [replace(lesson, id=0, predicate={**lesson.predicate, **more}) for lesson in added]
    back = [lesson for lesson in removed if any(lesson.predicate.items() < new.predicate.items() for new in bound)]
    gone = {lesson.id for lesson in removed} - {lesson.id for lesson in back}
    return replace(new, lessons=(*(lesson for lesson in old.lessons if lesson.id not in gone), *bound))


def spared(old: playbooks.Playbook, new: playbooks.Playbook, spares: Sequence[int]) -> playbooks.Playbook:
    """The draft with these lessons said again where its new ones would go before them."""
    added, _ = lint.changed(old, new)
    kept = [lesson for lesson in old.lessons if lesson.id in spares]
    made = [precedence.exception(lesson, one) for lesson in kept for one in added]
    return replace(new, lessons=(*new.lessons, *(lesson for lesson in made if lesson)))
