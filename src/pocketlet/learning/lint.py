"""What is wrong with a draft before anything is tried on it: deterministic, and without a model.

A lesson may say nothing that its owner did not say: every word of meaning in it is the owner's own, or a name of the
playbook. That is why no byte of outside text can become a lesson (T3 to T5), however gullible the manager is.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pocketlet.agents import playbook as playbooks
from pocketlet.agents import policy
from pocketlet.agents import task as tasks
from pocketlet.learning import assertions as asserting
from pocketlet.learning import gate

WORD = re.compile(r"\d+(?:[.,]\d+)?|[^\W\d_]+(?:['’][^\W\d_]+)?")
LINK = re.compile(r"\b(?:https?://|www\.)\S+", re.IGNORECASE)
#: Words that carry no meaning of their own. Never, always, not and no are not among them: they turn a rule round.
EMPTY = frozenset(
    re.findall(
        r"\w+",
        """a an and are as at be been being but by can do does for from has have if in into is it its may of on or our
        own should so such than that the their them then there these they this those to too us was we were when where
        which will with would you your must also please more most very applies apply rule case cases mail reply
        answer""",
    )
)
TURNING = frozenset({"always", "never", "no", "not", "don", "without"})
SAME = 0.8  # shared words above which two lessons say the same


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


def findings(
    old: playbooks.Playbook, new: playbooks.Playbook, origin: Origin | None, *, overhead: int
) -> list[gate.Finding]:
    """What is wrong with `new`, which is to take the place of `old`. `overhead`: tokens of its largest fixed prompt."""
    added, removed = changed(old, new)
    found = [*_power(old, new), *_human(old, new, added, removed)]
    if overhead > gate.OVERHEAD:
        found.append(gate.Finding("ask", "overhead", f"The fixed prompt would have {overhead} tokens."))
    for lesson in added:
        found += _lesson(lesson, old, removed)
        if origin:
            found += _against_origin(lesson, origin, old)
    if origin and added:
        found += _proof(added, origin)
    return found


def changed(old: playbooks.Playbook, new: playbooks.Playbook) -> tuple[list[playbooks.Lesson], list[playbooks.Lesson]]:
    """The lessons that a draft adds, and those that it removes."""
    before = {lesson.id for lesson in old.lessons}
    after = {lesson.id for lesson in new.lessons}
    added = [lesson for lesson in new.lessons if lesson.id not in before]
    return added, [lesson for lesson in old.lessons if lesson.id not in after]


def _power(old: playbooks.Playbook, new: playbooks.Playbook) -> Iterable[gate.Finding]:
    """Learning never widens power: tools, recipients, budgets, model, triggers, tables (L5)."""
    if old.manifest_text != new.manifest_text:
        yield gate.Finding(
            "ask", "power", "It changes agent.toml: what the agent may do, on which model, for how much."
        )
    if dict(old.schema_files) != dict(new.schema_files):
        yield gate.Finding("ask", "power", "It changes the memory tables.")


def _human(
    old: playbooks.Playbook,
    new: playbooks.Playbook,
    added: Sequence[playbooks.Lesson],
    removed: Sequence[playbooks.Lesson],
) -> Iterable[gate.Finding]:
    """What a person wrote is not changed without asking (L6); a lesson from feedback gives way in its own scope."""
    if old.instructions != new.instructions:
        yield gate.Finding("ask", "human-text", "It changes the instructions.")
    if old.skills != new.skills:
        yield gate.Finding("ask", "human-text", "It changes a skill.")
    for lesson in removed:
        replaced = any(other.predicate == lesson.predicate for other in added)
        if lesson.run is None:
            yield gate.Finding("ask", "human-text", f"It retires lesson {lesson.name}, which a person wrote.")
        elif not replaced:
            yield gate.Finding("ask", "retires", f"It retires lesson {lesson.name} and puts nothing in its place.")


def _lesson(
    lesson: playbooks.Lesson, old: playbooks.Playbook, removed: Sequence[playbooks.Lesson]
) -> Iterable[gate.Finding]:
    text = f"{lesson.topic}\n{lesson.body}"
    if lesson.label == "outside":
        yield gate.Finding(
            "ask", "label", f"Lesson {lesson.name} was drafted by a run that had read text from outside."
        )
    if policy.ADDRESS.search(text) or LINK.search(text):
        yield gate.Finding("ask", "destination", f"Lesson {lesson.name} names an address.")
    gone = {other.id for other in removed}
    for other in old.lessons:
        if other.id not in gone and other.predicate == lesson.predicate and similar(other.body, lesson.body):
            yield gate.Finding("discard", "duplicate", f"Lesson {other.name} says so already, for the same runs.")


def unfit(name: str, args: Mapping[str, Any], origin: Origin, old: playbooks.Playbook) -> str:
    """What whoever drafts a lesson can mend at once: words that are not the owner's or of its own case alone, and a
    scope that is not the one that was said. A sentence, or nothing if all is well.
    """
    when = {str(key): str(value) for key, value in args.get("when", {}).items()}
    lesson = playbooks.Lesson(name, name, str(args["body"]), when, "owner", "")
    return next((finding.why for finding in _against_origin(lesson, origin, old)), "")


def _words(lesson: playbooks.Lesson, origin: Origin, old: playbooks.Playbook) -> Iterable[gate.Finding]:
    quoted = _quoted(lesson, origin)
    if quoted:
        why = f"Lesson {lesson.name} quotes its own case: {', '.join(sorted(quoted)[:3])}."
        yield gate.Finding("discard", "one-case-only", why)
    foreign = _foreign(lesson, origin, old)
    if foreign:
        why = f"Lesson {lesson.name} says what you did not say: {', '.join(sorted(foreign)[:5])}."
        yield gate.Finding("ask", "not-your-words", why)


def _against_origin(lesson: playbooks.Lesson, origin: Origin, old: playbooks.Playbook) -> Iterable[gate.Finding]:
    yield from _words(lesson, origin, old)
    left_out = [fact for fact in named(origin, old) if fact not in lesson.predicate]
    if left_out:
        why = f"You named {', '.join(origin.facts[fact] for fact in left_out)}, and the lesson is wider than that."
        yield gate.Finding("narrow", "wider-than-said", why, tuple(left_out))
    if any(origin.facts.get(fact) != value for fact, value in lesson.predicate.items()):
        yield gate.Finding("discard", "other-scope", f"Lesson {lesson.name} would not even apply to its own case.")


def named(origin: Origin, old: playbooks.Playbook) -> list[str]:
    """The facts of the case whose value the owner's words name."""
    said = words(origin.words)
    declared = old.manifest.facts
    return [
        fact for fact, value in origin.facts.items() if fact in declared and value != "other" and words(value) <= said
    ]


def _quoted(lesson: playbooks.Lesson, origin: Origin) -> set[str]:
    """Names and numbers of the case that stand in the lesson: whoever reads it next has others."""
    task = origin.task
    names = {task.sender, *task.sender_name.split(), *task.sender.partition("@")[0].split(".")}
    codes = set(re.findall(r"[\w-]*\d[\w-]{3,}", f"{task.subject}\n{task.text}"))
    own = {folded.casefold() for folded in names | codes if len(folded) > 2}
    inside = {word.casefold() for word in re.findall(r"[\w@.-]+", f"{lesson.topic} {lesson.body}")}
    return {word for word in own & {word.strip(".") for word in inside} if word not in EMPTY}


def _foreign(lesson: playbooks.Lesson, origin: Origin, old: playbooks.Playbook) -> set[str]:
    """Words of meaning in a lesson that neither the owner said nor the facts are called by."""
    known = words(origin.words)
    for fact, values in old.manifest.facts.items():
        known |= words(fact).union(*(words(value) for value in values))
    for other in old.lessons:
        if other.predicate == lesson.predicate:
            known |= words(other.body)  # what is kept of a lesson that gives way
    return words(f"{lesson.topic} {lesson.body}") - known


def _proof(added: Sequence[playbooks.Lesson], origin: Origin) -> Iterable[gate.Finding]:
    expected = [asserting.read(item) for lesson in added for item in lesson.expect]
    if all(asserting.holds(item, origin.work) for item in expected):
        why = "Nothing that it expects was missing in the work that you corrected, so no replay can prove it."
        yield gate.Finding("ask", "nothing-to-prove", why)


def words(text: str) -> set[str]:
    """The words of meaning in a text, without the commonest endings, in small letters."""
    found = (word.casefold() for word in WORD.findall(text.replace("_", " ")))
    return {_stem(word) for word in found if word not in EMPTY}


def _stem(word: str) -> str:
    word = re.sub(r"['’].*$", "", word)
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word.removesuffix(ending)
            break
    return word.removesuffix("e")


def contrary(old: playbooks.Lesson, new: playbooks.Lesson) -> bool:
    """Whether a lesson from feedback is for the same runs as a new one and expects what the new one excludes."""
    if old.run is None or not old.id or old.predicate != new.predicate:
        return False
    expected = [asserting.read(item) for item in old.expect]
    return any(asserting.contradict(one, asserting.read(item)) for one in expected for item in new.expect)


def similar(one: str, other: str) -> bool:
    """Whether two lessons say the same: four fifths of their words are shared, and both forbid or both do not."""
    first, second = words(one), words(other)
    turned = (first & TURNING) != (second & TURNING)
    return bool(first and second) and not turned and len(first & second) / len(first | second) >= SAME
