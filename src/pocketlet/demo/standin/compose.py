"""A reply from a template, after the rules have spoken: sentences left out, sentences added."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from . import language, recipe

SAY = re.compile(r"^(?:say|mention|add|write|state|include|note|tell them|point out)\s+(?:that\s+)?", re.I)
QUOTED = re.compile(r"[\"“„]([^\"“”„]+)[\"”“]")


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes replies by the rules that apply; `obeys` says whether the rule at an index is followed."""

    rules: Sequence[language.Rule]
    situation: language.Situation
    values: Mapping[str, str]
    obeys: Callable[[int], bool] = lambda _: True

    def write(self, template: str, phrases: Sequence[recipe.Sentence]) -> str:
        """Fill a template: lines that are forbidden or can't be filled fall away; before the last paragraph
        come the phrases that are required, and a sentence for each lesson that no label fits.
        """
        rules = [rule for i, rule in enumerate(self.rules) if rule.applies(self.situation) and self.obeys(i)]
        lines = [_labelled(line) for line in template.splitlines()]
        kept = [self._filled(line, winner(rules, line)) for line in lines if not _forbidden(rules, line)]
        asked = [(phrase, winner(rules, phrase)) for phrase in phrases]
        added = [self._filled(phrase, rule) for phrase, rule in asked if rule and not rule.forbids]
        extra = [
            own_words(rule)
            for rule in rules
            if rule.lesson and not rule.forbids and not any(matches(rule, s) for s in (*lines, *phrases))
        ]
        return _insert(_present(kept), [*_present(added), *dict.fromkeys(extra)])

    def _filled(self, sentence: recipe.Sentence, rule: language.Rule | None) -> str | None:
        return recipe.fill(sentence.text, {**self.values, **(slots(rule, sentence) if rule else {})})


def winner(rules: Sequence[language.Rule], sentence: recipe.Sentence) -> language.Rule | None:
    """The rule that decides about a sentence: the most specific one; among equals the last."""
    return max((r for r in reversed(rules) if matches(r, sentence)), key=language.Rule.weight, default=None)


def matches(rule: language.Rule, sentence: recipe.Sentence) -> bool:
    """Whether a rule speaks about the sentence with this label."""
    return _label(rule, sentence) is not None


def slots(rule: language.Rule, sentence: recipe.Sentence) -> dict[str, str]:
    """The numbers that a rule gives for the slots of the sentence's label."""
    names = recipe.SLOT.findall(_label(rule, sentence) or "")
    return dict(zip(names, language.numbers(rule.act), strict=False))


def own_words(rule: language.Rule) -> str:
    """A sentence made from a rule for which no phrase is given: what it quotes, or else its own words."""
    quoted = QUOTED.search(rule.act)
    text = quoted[1].strip() if quoted else SAY.sub("", rule.act.strip())
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def _label(rule: language.Rule, sentence: recipe.Sentence) -> str | None:
    mine = language.words(rule.act)
    for label in filter(None, sentence.label.split(" / ")):
        theirs = language.words(recipe.SLOT.sub("", label))
        enough = rule.forbids or len(recipe.SLOT.findall(label)) <= len(language.numbers(rule.act))
        if (theirs <= mine and theirs and enough) or (rule.forbids and mine and mine <= theirs):
            return label
    return None


def _labelled(line: str) -> recipe.Sentence:
    return next(iter(recipe.sentences(line)), recipe.Sentence("", line))


def _forbidden(rules: Sequence[language.Rule], sentence: recipe.Sentence) -> bool:
    ruling = winner(rules, sentence)
    return ruling is not None and ruling.forbids


def _present(texts: Sequence[str | None]) -> list[str]:
    return [text for text in texts if text is not None]


def _insert(lines: list[str], added: list[str]) -> str:
    paragraphs = re.split(r"\n{2,}", "\n".join(lines).strip())
    if added:
        paragraphs.insert(max(1, len(paragraphs) - 1), "\n".join(added))
    return "\n\n".join(paragraphs)
