"""How a bad curator distorts a lesson: over-general, wrong, or said twice."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from . import compose, family, language, recipe, scope


@dataclass(frozen=True, slots=True)
class Distortion:
    """What goes wrong in one attempt. `repeats`: in a needless sentence; `twice`: in a second lesson."""

    over: bool
    wrong: bool
    repeats: bool
    twice: bool


NONE = Distortion(over=False, wrong=False, repeats=False, twice=False)


def throw(traits: family.Traits, dice: family.Dice) -> Distortion:
    """One die for each trait; the lower half of `verbose` is a second lesson."""
    verbose = dice.falls_for_all_turns(traits.verbose, "verbose")
    twice = dice.falls_for_all_turns(traits.verbose / 2, "verbose")
    return Distortion(
        over=dice.falls_for_all_turns(traits.over, "over"),
        wrong=dice.falls_for_all_turns(traits.wrong, "wrong"),
        repeats=verbose and not twice,
        twice=twice,
    )


def overgeneral(body: str, when: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The body and its scope without one fact: the first that a condition of the body names, or else the last."""
    named = {name: widened(body, scope.value_words(value)) for name, value in when.items()}
    dropped = next((name for name, wider in named.items() if wider != body), next(reversed(named), ""))
    return named.get(dropped, body), {name: value for name, value in when.items() if name != dropped}


def widened(body: str, named: frozenset[str]) -> str:
    """The body with all that its conditions say in these words cut out."""
    for rule in language.rules(body):
        parts = language.conditional(rule.clause)
        if not parts or not named or not named <= language.all_words(parts["test"]):
            continue
        pieces = re.split(r"\s+and\s+", parts["test"])
        kept = [piece for piece in pieces if not named <= language.all_words(piece)]
        test = " and ".join(kept)
        narrower = f"{rule.clause[: parts.start('test')]}{test}{rule.clause[parts.end('test') :]}"
        body = body.replace(rule.clause, narrower if 0 < len(kept) < len(pieces) else parts["act"])
    return body


def mistaken(comment: str, labelled: Sequence[recipe.Sentence]) -> str:
    """A rule to always do another labelled thing than the comment speaks of; the comment, if there is none."""
    wanted = language.rules(comment)
    about = [any(compose.matches(rule, sentence) for rule in wanted) for sentence in labelled]
    first = about.index(True) if True in about else -1
    others = [i for i, meant in enumerate(about) if not meant and not recipe.SLOT.search(_label(labelled[i]))]
    others.sort(key=lambda i: (bool(recipe.SLOT.search(labelled[i].text)), i <= first, i))
    if not others:
        return comment
    act = f"always {_label(labelled[others[0]])}"
    return _sentence(language.reworded(wanted[0].clause, act) if wanted else act)


def repeated(body: str) -> str:
    """The body and, in other words, its first rule again."""
    rule = next(iter(language.rules(body)), None)
    if rule is None:
        return body
    act = rule.act[:1].lower() + rule.act[1:]
    again = f"it is forbidden to {act}" if rule.forbids else f"remember to {act}"
    return f"{_sentence(body)} {_sentence(language.reworded(rule.clause, again))}"


def _label(sentence: recipe.Sentence) -> str:
    return sentence.label.split(" / ")[0].strip()


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
