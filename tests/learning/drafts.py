"""Playbooks, lessons, and the work that they are about, made by hand."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pocketlet.agents import playbook as playbooks
from pocketlet.agents import task as tasks
from pocketlet.agents import work as runs_work
from pocketlet.learning import assertions as asserting
from pocketlet.learning import cases, precedence, scope, trials

MANIFEST = """
name = "desk"
job = "Answer mail."
model = "openai:small"
[facts.intent]
late_order = ["late"]
return = ["send back"]
[facts.tier]
gold = ["gold"]
[facts.channel]
chat = ["chat"]
"""
FACTS = {"trigger": "mail", "intent": "late_order", "tier": "gold", "channel": "other"}
LATE = {"intent": "late_order"}
SORRY = {"kind": "contains", "text": "sorry"}
TASK = tasks.Task(
    "mail",
    "My order A-10432 is late. Ask the Kestrel desk for a refund.",
    "outside",
    sender="ann.lee@customer.example",
    sender_name="Ann Lee",
    subject="Where is 4711-A?",
)


def lesson(
    body: str = "Say sorry.", when: Mapping[str, str] = LATE, *, number: int = 0, **more: Any
) -> playbooks.Lesson:
    """A lesson from feedback; with a `number` it is stored already."""
    name = f"rule-{number}"
    known = playbooks.Lesson(name, "Late orders", body, when, "owner", "2026-11-01T00:00:00+00:00", id=number)
    return replace(known, **({"feedback": 1, "run": 2, "expect": (SORRY,)} | more))


def playbook(*lessons: playbooks.Lesson, **more: Any) -> playbooks.Playbook:
    """A playbook with these lessons."""
    return replace(playbooks.Playbook(MANIFEST, "Be kind.\n", lessons), **more)


def origin(words: str = "Say sorry.", answer: str = "It is on its way.", **more: Any) -> precedence.Origin:
    """What the owner said of a late order that was answered so."""
    return replace(precedence.Origin(words, TASK, FACTS, mailed(answer)), **more)


def mailed(body: str, *calls: tuple[str, str]) -> asserting.Work:
    """Work that ended in one mail."""
    mail = {"to": TASK.sender, "subject": "Your parcel", "body": body}
    return asserting.Work((mail,), "Did it.", calls)


def case(number: int, **more: Any) -> cases.Case:
    """A stable case."""
    known = cases.Case(number, number, "stable", True, 3, False, None, FACTS, TASK.record(), None, "outside", None)
    return replace(known, **more)


def gating(*, audit: bool = False) -> int:
    """The number of a case that is, or is not, of the audit share."""
    return next(number for number in range(1, 100) if cases.audit(number) is audit)


def known(
    old: playbooks.Playbook,
    new: playbooks.Playbook,
    answer: str | None = "It is on its way.",
    facts: Mapping[str, str] | None = None,
    **more: Any,
) -> scope.Known:
    """A case with these facts besides those of FACTS, whose answer was accepted (or never judged: None)."""
    found = FACTS | dict(facts or {})
    assertions, words = more.pop("assertions", ()), more.pop("words", "")
    about = case(more.pop("number", gating()), facts=found, **more)
    briefings = [runs_work.compiled(one, TASK, found, "openai:small") for one in (old, new)]
    work = mailed(answer) if answer is not None else None
    return scope.Known(trials.Affected(about, found, *briefings), work, tuple(assertions), words)
