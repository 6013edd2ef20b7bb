"""Whose words a lesson is made of: it may say nothing that its owner did not say, and turn nothing round.

Every word of meaning in it is the owner's own or a name of the playbook, and each clause keeps the negations, limits,
conditions and units of the clause that it is made of. So no byte of outside text can become a lesson (T3 to T5),
however gullible the manager is.
"""

import re
from collections.abc import Iterable

WORD = re.compile(r"\d+(?:[.,]\d+)?|[%€$£]|[^\W\d_]+(?:['’][^\W\d_]+)?")
CLAUSE = re.compile(r"[.!?](?=\s|$)|[;\n]")
PART = re.compile(r",(?=\s)")
#: Words that carry no meaning of their own. What turns a rule round is not among them.
EMPTY = frozenset(
    re.findall(
        r"\w+",
        """a an and are as at be been being but by can do does for from has have if in into is it its may of on or our
        own should so such than that the their them then there these they this those to too us was we were when where
        which will with would you your must also please more most very applies apply rule case cases mail reply
        answer""",
    )
)
NEGATION = re.compile(
    r".*n['’]t|(?:do|does|did|wo|ca|is|are|should|must|would)nt|never|not|no|nor|neither|none|nothing|nobody|nowhere|"
    r"without|cannot|avoid|stop|refrain|forbid(?:den)?|skip|omit"
)
#: Words that limit a rule, or say when it holds: without one of them it is another rule.
LIMITS = frozenset(
    re.findall(
        r"\S+",
        """most least more less fewer than only except unless until if when before after first last once over under
        above below within between up maximum minimum instead rather % € $ £""",
    )
)
#: Words around which the order of the others is the meaning: ask before you pay.
SEQUENCE = frozenset({"before", "after", "until", "than", "instead", "rather"})
SAME = 0.8  # shared words above which two lessons say the same


def words(text: str) -> set[str]:
    """The words of meaning in a text, without the commonest endings, in small letters."""
    return {_stem(word) for word in _plain(text) if word not in EMPTY}


def foreign(text: str, known: set[str]) -> set[str]:
    """The words of meaning in a text that are not among the known ones, as they are written.

    Ways to say "not", and "always", are left to `turns_round`.
    """
    told = (word for word in _plain(text) if word not in EMPTY and word != "always" and not NEGATION.fullmatch(word))
    return {word for word in told if _stem(word) not in known}


def turns_round(body: str, sources: Iterable[str]) -> str:
    """The first clause that says it otherwise than the owner's clause that it is made of; empty if none does."""
    own = [clause for text in sources for clause in _clauses(text)]
    for clause in _clauses(body):
        best = _nearest(clause, own)
        if turning(clause) != turning(best) or not _fixed(clause) <= _fixed(best):
            return clause
        parts = PART.split(best)
        if any("not" in turning(part) ^ turning(_nearest(part, parts)) for part in PART.split(clause)):
            return clause
    return ""


def _nearest(clause: str, others: list[str]) -> str:
    """The one that shares most words with it, and of equals the one with the fewest others."""
    mine = words(clause)
    return max(others, key=lambda other: (len(words(other) & mine), -len(words(other) ^ mine)), default="")


def _fixed(clause: str) -> set[tuple[str, ...]]:
    """What has to stay together: a number and the word after it, and what stands around a word of sequence."""
    said = [_stem(word) for word in _plain(clause) if word not in EMPTY or word in LIMITS]
    around = zip(["", *said], said, [*said[1:], ""], strict=False)
    stems = {_stem(word) for word in SEQUENCE}
    return {
        (here, after) if here[0].isdigit() else (before, here, after)
        for before, here, after in around
        if here[0].isdigit() or here in stems
    }


def turning(clause: str) -> set[str]:
    """What turns a clause round, limits it, or says when it holds, and its units; all negations count as one."""
    said = set(_plain(clause))
    return {word for word in said if word in LIMITS} | ({"not"} if any(map(NEGATION.fullmatch, said)) else set())


def similar(one: str, other: str) -> bool:
    """Whether two lessons say the same: four fifths of their words are shared, and nothing is turned round."""
    first, second = words(one), words(other)
    alike = bool(first and second) and len(first & second) / len(first | second) >= SAME
    return alike and turning(one) == turning(other)


def _clauses(text: str) -> list[str]:
    return [clause for clause in CLAUSE.split(text) if words(clause)]


def _plain(text: str) -> list[str]:
    return [word.casefold() for word in WORD.findall(text.replace("_", " "))]


def _stem(word: str) -> str:
    word = re.sub(r"['’].*$", "", word)
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word.removesuffix(ending)
            break
    return word.removesuffix("e")
