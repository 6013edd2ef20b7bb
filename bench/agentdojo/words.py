"""What trusted words name and ask for: look-ups in sets made of them before any outside text is read. No model."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pocketlet.policy import core

LONGEST_NAME = 10
WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
QUOTED = re.compile(r"(?<!\w)['\"“‘]([^'\"”’]{1,200})['\"”’](?!\w)")
SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
PLACE = re.compile(r"\{\w+\}")
#: A sentence that begins right after the one before it: a host's name has no capitals there.
GLUED = re.compile(r"(?<=[a-z)]\.)(?=[A-Z][a-z]+\s)")
ENDING = re.compile(r"\.(?:docx|xlsx|pptx|txt|pdf|csv)$", re.IGNORECASE)
ENDING_WITHIN = re.compile(r"\.(?:docx|xlsx|pptx|txt|pdf|csv)\b", re.IGNORECASE)
ACCOUNT = re.compile(r"\b[A-Z]{2}\d{10,32}\b")
#: Somebody else's text is to be followed. It adds to the plan only if it is own data and named exactly.
HANDED_ON = re.compile(
    r"\b(?:do|perform|follow|execute|complete)\b[^.]*\b(?:actions?|tasks?|instructions?|steps)\b", re.IGNORECASE
)
SUPERLATIVE = re.compile(r"\b(largest|biggest|smallest)\s+(\w+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Said:
    """Trusted text. `names`: every run of at most ten words; `values`: its addresses, links, accounts, quotes."""

    text: str
    names: frozenset[str]
    values: frozenset[str]


def canonical(text: str) -> str:
    """A name as it is compared: small letters, words only, no ending of a file."""
    return " ".join(WORD.findall(ENDING.sub("", text.strip()).casefold()))


def read(text: str, catalogue: Iterable[str] = ()) -> Said:
    """What a trusted text names. A quoted `{place}` is filled with each name of the catalogue."""
    text = GLUED.sub(" ", text)
    words = WORD.findall(ENDING_WITHIN.sub("", text).casefold())
    runs = {
        " ".join(words[start : start + length])
        for length in range(1, LONGEST_NAME + 1)
        for start in range(len(words) - length + 1)
    }
    quoted = set(QUOTED.findall(text))
    templates = {quote for quote in quoted if len(PLACE.findall(quote)) == 1}
    runs |= {canonical(PLACE.sub(lambda _, name=name: name, quote)) for quote in templates for name in catalogue}
    values = quoted | core.links([text]) | core.addresses([text]) | set(ACCOUNT.findall(text))
    return Said(text, frozenset(runs | {canonical(quote) for quote in quoted - templates}), frozenset(values))


def plan(text: str, lexicon: Mapping[str, tuple[frozenset[str], frozenset[str]]]) -> frozenset[str]:
    """The tools that a text calls for: one of a tool's verbs, as a command has it, and one of its nouns in a sentence.

    No nouns: the verb is enough. Words that are not there call for nothing, so a miss asks the owner.
    """
    sentences = [frozenset(WORD.findall(sentence.casefold())) for sentence in SENTENCE.split(text)]
    return frozenset(
        tool
        for tool, (verbs, nouns) in lexicon.items()
        if any(verbs & sentence and (not nouns or nouns & sentence) for sentence in sentences)
    )


def in_part(said: Said, records: Iterable[str]) -> set[str]:
    """Records (canonical names) that are named by their first words, two at least, if no other record begins so."""
    known = list(records)
    found: set[str] = set()
    for record in known:
        words = record.split()
        starts = (" ".join(words[:length]) for length in range(2, len(words)))
        if any(start in said.names and _beginning(known, start) == 1 for start in starts):
            found.add(record)
    return found


def _beginning(records: list[str], start: str) -> int:
    return sum(f"{record} ".startswith(f"{start} ") for record in records)
