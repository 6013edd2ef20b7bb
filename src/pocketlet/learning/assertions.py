"""Assertions: what a run's work must show, from the strongest form to the weakest, judged without a model.

Strongest first: an effect (a mail to somebody), a tool's call, a forbidden call, then texts. The label of a run is no
part of it, and neither is what a model says of its own work: only these, or the owner, say that a case has passed.
"""

import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pocketlet import errors
from pocketlet.agents import playbook as playbooks

MAX_COMPILED = 8
FEW = 2  # sentences that are cut on purpose; who cuts more has written another mail
SENTENCES = {
    "effect": "a mail goes to {to}",
    "tool": "{tool} is called",
    "forbidden": "{tool} is never called",
    "contains": "the answer contains “{text}”",
    "absent": "the answer does not contain “{text}”",
    "max_words": "the answer has at most {n} words",
}
NUMBER = re.compile(r"\d+(?:[.,]\d+)?")
SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")


@dataclass(frozen=True, slots=True)
class Assertion:
    """`kind` and what it expects.

    effect {to}: a mail goes there · tool {tool, text}: a call of the tool whose arguments contain the text ·
    forbidden {tool, text}: no such call · contains, absent {text}: of the mails, or of the result if there is none ·
    max_words {n}.
    """

    kind: str
    expected: Mapping[str, str]

    def sentence(self) -> str:
        """As a person reads it."""
        said = SENTENCES[self.kind].format_map(self.expected)
        text = self.expected.get("text")
        return f"{said} with “{text}”" if text and self.kind in ("tool", "forbidden") else said


@dataclass(frozen=True, slots=True)
class Work:
    """What a run left: its mails (to, subject, body), its result, and its calls (tool, arguments as JSON)."""

    mails: tuple[Mapping[str, str], ...]
    result: str
    calls: tuple[tuple[str, str], ...] = ()

    @property
    def text(self) -> str:
        """Where texts are looked for; blanks count as one and letters as small."""
        parts = [f"{mail['subject']}\n{mail['body']}" for mail in self.mails] or [self.result]
        return folded("\n".join(parts))

    @property
    def draft(self) -> str:
        """What the owner corrects: the last mail, or the result if there is none."""
        return self.mails[-1]["body"] if self.mails else self.result

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines of its mails, or of the result if there is none."""
        return tuple(
            line for text in ([mail["body"] for mail in self.mails] or [self.result]) for line in text.splitlines()
        )


def folded(text: str) -> str:
    """The text as it is compared."""
    return " ".join(text.split()).casefold()


def holds(assertion: Assertion, work: Work) -> bool:
    """Whether the run's work is as the assertion says."""
    said = assertion.expected
    match assertion.kind:
        case "effect":
            return any(mail["to"] == said["to"] for mail in work.mails)
        case "tool" | "forbidden":
            wanted = folded(said.get("text", ""))
            called = any(tool == said["tool"] and wanted in folded(args) for tool, args in work.calls)
            return called is (assertion.kind == "tool")
        case "max_words":
            return len(work.text.split()) <= int(said["n"])
        case _:
            return (folded(said["text"]) in work.text) is (assertion.kind == "contains")


def failing(assertions: Iterable[Assertion], work: Work) -> list[str]:
    """The assertions that do not hold, as sentences."""
    return [assertion.sentence() for assertion in assertions if not holds(assertion, work)]


def contradict(one: Assertion, other: Assertion, lines: Iterable[str] = ()) -> bool:
    """Whether both can't be meant of the same work, going by texts alone.

    One wants what the other forbids (or what stands in one line of the work with it: `lines`), or both want the same
    words with other numbers ("offer 10 %", "offer 15 %").
    """
    kinds = {one.kind, other.kind}
    if kinds == {"contains"}:
        texts = [folded(item.expected["text"]) for item in (one, other)]
        return texts[0] != texts[1] and NUMBER.sub("#", texts[0]) == NUMBER.sub("#", texts[1])
    if kinds == {"contains", "absent"}:
        wanted, banned = (one, other) if one.kind == "contains" else (other, one)
        want, ban = folded(wanted.expected["text"]), folded(banned.expected["text"])
        return ban in want or any(ban in line and want in line for line in map(folded, lines))
    return kinds == {"tool", "forbidden"} and dict(one.expected) == dict(other.expected)


def read(expected: object) -> Assertion:
    """What a manager expects. Raises errors.BadInput with the form that is wanted."""
    if isinstance(expected, dict):
        fields = {str(key): str(value).strip() for key, value in cast("Mapping[object, object]", expected).items()}
        kind = fields.pop("kind", "")
        needed = playbooks.EXPECTED.get(kind)
        if needed and fields.get(needed) and (kind != "max_words" or fields["n"].isdecimal()):
            return Assertion(kind, fields)
    raise errors.BadInput('`expect` holds {"kind": "contains" or "absent", "text": "…"}.')


def record(assertion: Assertion) -> dict[str, str]:
    """As `read` takes it."""
    return {"kind": assertion.kind, **assertion.expected}


def of_edit(draft: str, edited: str, known: str) -> list[Assertion]:
    """What the owner's edit of a draft says: short inserted sentences, or ones that the playbook itself has, are to
    stand there; sentences that were cut are not. `known` is the playbook's text. Longer new ones are the manager's to
    understand: nobody writes the same sentence twice.
    """
    before, after = _sentences(draft), _sentences(edited)
    same = {folded(text) for text in before} & {folded(text) for text in after}
    vocabulary = folded(known)
    found = [
        Assertion("contains", {"text": text})
        for text in after
        if folded(text) not in same and (len(text.split()) <= 6 or folded(text) in vocabulary)
    ]
    gone = [text for text in before if folded(text) not in same]
    found += [Assertion("absent", {"text": text}) for text in gone if len(gone) <= FEW]
    return found[:MAX_COMPILED]


def _sentences(text: str) -> list[str]:
    return [sentence.strip() for sentence in SENTENCE.split(text) if len(sentence.split()) >= 2]


def inserted(draft: str, edited: str) -> str:
    """The words that only the owner's version has: the part of an edit that is the owner's own text."""
    was, now = draft.split(), edited.split()
    matcher = difflib.SequenceMatcher(None, was, now, autojunk=False)
    return " ".join(word for tag, _, _, i, j in matcher.get_opcodes() if tag != "equal" for word in now[i:j])


def call(tool: str, args: Any) -> tuple[str, str]:
    """A call as `Work.calls` holds it."""
    return tool, json.dumps(args, ensure_ascii=False, sort_keys=True)


def vocabulary(texts: Sequence[str], work: Work) -> list[Assertion]:
    """What accepted work says of texts that somebody cared about once: those it has must stay, the others stay out."""
    return [Assertion("contains" if folded(text) in work.text else "absent", {"text": text}) for text in texts]
