"""What is wrong with a draft before anything is tried on it: deterministic, and without a model."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pocketlet.agents import playbook as playbooks
from pocketlet.learning import assertions as asserting
from pocketlet.learning import gate, precedence, wording
from pocketlet.policy import core

LINK = re.compile(r"\b(?:https?://|www\.)\S+", re.IGNORECASE)


def findings(
    old: playbooks.Playbook, new: playbooks.Playbook, origin: precedence.Origin | None, *, overhead: int
) -> list[gate.Finding]:
    """What is wrong with `new`, which is to take the place of `old`. `overhead`: tokens of its largest fixed prompt."""
    added, removed = changed(old, new)
    newer = [*added, *precedence.said_again(old, origin)]
    found = [*_power(old, new), *_human(old, new), *_retired(newer, removed, origin)]
    if overhead > gate.OVERHEAD:
        found.append(gate.Finding("ask", "overhead", f"The fixed prompt would have {overhead} tokens."))
    for lesson in added:
        found += _lesson(lesson, old, removed)
        if origin and not precedence.is_exception(lesson, old.lessons, added):
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


def _human(old: playbooks.Playbook, new: playbooks.Playbook) -> Iterable[gate.Finding]:
    """What a person wrote is not changed without asking (L6)."""
    if old.instructions != new.instructions:
        yield gate.Finding("ask", "human-text", "It changes the instructions.")
    if old.skills != new.skills:
        yield gate.Finding("ask", "human-text", "It changes a skill.")


def _retired(
    newer: Sequence[playbooks.Lesson], removed: Sequence[playbooks.Lesson], origin: precedence.Origin | None
) -> Iterable[gate.Finding]:
    """A lesson from feedback gives way to its contrary; a person's own, or any other, does not."""
    for lesson in removed:
        if lesson.run is None:
            yield gate.Finding("ask", "human-text", f"It retires lesson {lesson.name}, which a person wrote.")
        elif not any(precedence.gives_way(lesson, other, origin) for other in newer):
            yield gate.Finding("ask", "retires", f"It retires lesson {lesson.name}, and nothing new says the contrary.")


def _lesson(
    lesson: playbooks.Lesson, old: playbooks.Playbook, removed: Sequence[playbooks.Lesson]
) -> Iterable[gate.Finding]:
    text = f"{lesson.topic}\n{lesson.body}"
    if lesson.label == "outside":
        yield gate.Finding(
            "ask", "label", f"Lesson {lesson.name} was drafted by a run that had read text from outside."
        )
    if core.ADDRESS.search(text) or LINK.search(text):
        yield gate.Finding("ask", "destination", f"Lesson {lesson.name} names an address.")
    gone = {other.id for other in removed}
    for other in old.lessons:
        if other.id not in gone and other.predicate == lesson.predicate and wording.similar(other.body, lesson.body):
            yield gate.Finding("discard", "duplicate", f"Lesson {other.name} says so already, for the same runs.")


def unfit(name: str, args: Mapping[str, Any], origin: precedence.Origin, old: playbooks.Playbook) -> str:
    """What whoever drafts a lesson can mend at once: words that are not the owner's or of its own case alone, and a
    scope that is not the one that was said. A sentence, or nothing if all is well.
    """
    when = {str(key): str(value) for key, value in args.get("when", {}).items()}
    lesson = playbooks.Lesson(name, name, str(args["body"]), when, "owner", "")
    return next((finding.why for finding in _against_origin(lesson, origin, old)), "")


def _words(lesson: playbooks.Lesson, origin: precedence.Origin, old: playbooks.Playbook) -> Iterable[gate.Finding]:
    quoted = _quoted(lesson, origin)
    if quoted:
        why = f"Lesson {lesson.name} quotes its own case: {', '.join(sorted(quoted)[:3])}."
        yield gate.Finding("discard", "one-case-only", why)
    sources = [origin.words, *(other.body for other in old.lessons if other.predicate == lesson.predicate)]
    known = wording.words("\n".join(sources)).union(*map(wording.words, _names(old)))
    if said := sorted(wording.foreign(f"{lesson.topic} {lesson.body}", known)):
        why = f"Lesson {lesson.name} says what you did not say: {', '.join(said[:5])}."
        yield gate.Finding("ask", "not-your-words", why)
    elif turned := wording.turns_round(lesson.body, sources):
        why = f"Lesson {lesson.name} leaves out or adds a “not”, a limit or a condition of yours: {turned.strip()}."
        yield gate.Finding("ask", "turned-round", why)


def _names(playbook: playbooks.Playbook) -> Iterable[str]:
    """What the facts and their values are called."""
    for fact, values in playbook.manifest.facts.items():
        yield from (fact, *values)


def _against_origin(
    lesson: playbooks.Lesson, origin: precedence.Origin, old: playbooks.Playbook
) -> Iterable[gate.Finding]:
    yield from _words(lesson, origin, old)
    left_out = [fact for fact in named(origin, old) if fact not in lesson.predicate]
    if left_out:
        why = f"You named {', '.join(origin.facts[fact] for fact in left_out)}, and the lesson is wider than that."
        yield gate.Finding("narrow", "wider-than-said", why, tuple(left_out))
    if any(origin.facts.get(fact) != value for fact, value in lesson.predicate.items()):
        yield gate.Finding("discard", "other-scope", f"Lesson {lesson.name} would not even apply to its own case.")


def named(origin: precedence.Origin, old: playbooks.Playbook) -> list[str]:
    """The facts of the case whose value the owner's words name."""
    return list(
        precedence.meant(
            origin.words, {fact: origin.facts[fact] for fact in origin.facts if fact in old.manifest.facts}
        )
    )


def _quoted(lesson: playbooks.Lesson, origin: precedence.Origin) -> set[str]:
    """Names and numbers of the case that stand in the lesson: whoever reads it next has others."""
    task = origin.task
    names = {task.sender, *task.sender_name.split(), *task.sender.partition("@")[0].split(".")}
    codes = set(re.findall(r"[\w-]*\d[\w-]{3,}", f"{task.subject}\n{task.text}"))
    own = {folded.casefold() for folded in names | codes if len(folded) > 2}
    inside = {word.casefold() for word in re.findall(r"[\w@.-]+", f"{lesson.topic} {lesson.body}")}
    return {word for word in own & {word.strip(".") for word in inside} if word not in wording.EMPTY}


def _proof(added: Sequence[playbooks.Lesson], origin: precedence.Origin) -> Iterable[gate.Finding]:
    expected = [item for lesson in added for item in precedence.expected(lesson)]
    if all(asserting.holds(item, origin.work) for item in expected):
        why = "Nothing that it expects was missing in the work that you corrected, so no replay can prove it."
        yield gate.Finding("ask", "nothing-to-prove", why)
