"""For which facts a rule is meant, as far as the owner's own words tell."""

import re
from collections.abc import Mapping

from . import language

FACT = re.compile(r"^- (\w+):[ \t]*(.*)$", re.MULTILINE)
OTHER = "other"


def declared(section: str) -> dict[str, tuple[str, ...]]:
    """The facts that a prompt's section declares, each with its values."""
    return {name: tuple(value.strip() for value in values.split(",")) for name, values in FACT.findall(section)}


def named(when: Mapping[str, str], comment: str) -> dict[str, str]:
    """Those facts whose value the comment names: all its words occur."""
    said = language.all_words(comment)
    return {name: value for name, value in when.items() if value_words(value) and value_words(value) <= said}


def singled_out(known: Mapping[str, tuple[str, ...]], comment: str) -> dict[str, str]:
    """Each declared fact with the one of its values that the comment names with the most words."""
    when: dict[str, str] = {}
    for name, values in known.items():
        meant = [value for value in values if value != OTHER and named({name: value}, comment)]
        most = max((len(value_words(value)) for value in meant), default=0)
        best = [value for value in meant if len(value_words(value)) == most]
        if len(best) == 1:
            when[name] = best[0]
    return when


def value_words(value: str) -> frozenset[str]:
    """The words of a fact's value, in which an underscore stands for a blank."""
    return language.all_words(value.replace("_", " "))
