"""The controlled language of rules: prohibitions, obligations, and conditions on either.

"Never whistle; knock twice if it is more than 3 doors away." holds two rules, the second with a condition
on a number that goes by the name `doors_away`.
"""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

MAX_CLAUSE = 400
WORD = re.compile(r"\d+(?:\.\d+)?|[^\W\d_]+(?:['’][^\W\d_]+)?")
EMPTY_WORDS = frozenset(
    re.findall(
        r"\w+",
        """a an the any some to of our your my their his her its this that these those it is are be been was
        were will would for on in at with by you we they them he she i me us please ever again anymore
        also then so as if when or and""",
    )
)
CLAUSE_END = re.compile(
    r";|\n|[.!?](?=\s|$)"
    r"|,?\s+(?:and|but)\s+(?=(?:never|always|do not|don['’]?t|avoid|stop|if|when|no longer)\b)",
    re.I,
)
OPENER = re.compile(
    r"^(?:(?:please|and|but|also|then|instead|so|from now on|in future|in the future)\b[,:]?\s*|[-*]\s+)+",
    re.I,
)
WHEN = r"(?:if|whenever|when|once|as soon as|in case|where|provided that|provided|as long as)"
CONDITION_FIRST = re.compile(
    rf"^(?P<when>{WHEN}|unless|for)\s+(?P<test>.+?)(?:,?\s+then\s+|,\s+|:\s+)(?P<act>.+)$", re.I
)
CONDITION_LAST = re.compile(rf"^(?P<act>.+?),?\s+(?:but\s+)?(?:only\s+)?(?P<when>{WHEN}|unless)\s+(?P<test>.+)$", re.I)
CONDITION_COLON = re.compile(r"^(?P<when>)(?P<test>[^:]*\d[^:]*):\s+(?P<act>.+)$")

NOT = r"(?:not|never|n['’]?t)"
MODAL = r"(?:must|should|shall|may|can|could|do|ought)"
REQUIRE_ABOVE_ALL = (re.compile(r"^(?:don['’]?t|do not|never)\s+(?:forget|fail)\s+to\s+(.+)$", re.I),)
FORBID = tuple(
    re.compile(pattern, re.I)
    for pattern in (
        rf"^(?:(?:you|we)\s+)?(?:{MODAL}\s*{NOT}|cannot|can['’]t|never)\s+(?:ever\s+|again\s+|to\s+)*(.+)$",
        r"^(?:avoid|stop|quit|cease|skip|omit|leave out|refrain from|abstain from)\s+(.+)$",
        r"^no (?:longer|more)\s+(.+)$",
        rf"^under no circumstances\s+(?:{MODAL}\s+(?:you|we)\s+)?(.+)$",
        r"^it(?:['’]s| is) (?:forbidden|prohibited|wrong|not (?:allowed|permitted|ok|okay)) to\s+(.+)$",
        r"^(?:you|we)(?:['’]re| are) (?:not|no longer) (?:allowed|permitted) to\s+(.+)$",
        r"^(.+?)\s+(?:is|are) (?:(?:not|no longer) (?:allowed|permitted|ok)|forbidden|prohibited|banned)$",
        rf"^(.+?)\s+{MODAL}\s*{NOT}\s+be\s+(.+)$",
    )
)
REQUIRE = tuple(
    re.compile(pattern, re.I)
    for pattern in (
        r"^always\s+(.+)$",
        r"^(?:you|we)\s+(?:must|should|shall|have to|need to|ought to|are to)\s+(?:always\s+)?(.+)$",
        r"^(?:make sure|be sure|take care)\s+(?:to|that you|that we|you|we)\s+(.+)$",
        r"^remember to\s+(.+)$",
        r"^it(?:['’]s| is) (?:required|mandatory|necessary|obligatory) to\s+(.+)$",
        r"^(.+?)\s+(?:is|are) (?:required|mandatory|obligatory|a must)$",
        r"^(.+?)\s+(?:must|should)\s+(?:always\s+)?be\s+(.+)$",
    )
)
#: A bare clause that starts like this remarks on something; it asks for nothing.
REMARK = re.compile(r"^(?:this|that|it|too|very|i|we|you|they|the|a|an|not|good|bad|well|ok|okay|thanks|there)\b", re.I)

Test = Callable[[float, float], bool]
COMPARISONS: tuple[tuple[re.Pattern[str], Test], ...] = tuple(
    (re.compile(pattern, re.I), test)
    for pattern, test in (
        (
            r"\b(?:at least|no less than|no fewer than|minimum)\b|>=|≥|\bor (?:more|longer|higher|above)\b",
            operator.ge,
        ),
        (
            r"\b(?:at most|no more than|up to|maximum)\b|<=|≤|\bor (?:less|fewer|shorter|lower|below)\b",
            operator.le,
        ),
        (r"\b(?:more|greater|longer|higher|larger) than\b|\b(?:over|above|exceeds|beyond)\b|>", operator.gt),
        (r"\b(?:less|fewer|shorter|lower|smaller) than\b|\b(?:under|below)\b|<", operator.lt),
        (r"", operator.eq),
    )
)


@dataclass(frozen=True, slots=True)
class Situation:
    """What conditions are held against: numbers by their name, and the words of the facts and the text."""

    numbers: Mapping[str, float]
    words: frozenset[str]


@dataclass(frozen=True, slots=True)
class Condition:
    """When a rule applies; `unless` turns it round."""

    text: str
    unless: bool = False

    def holds(self, situation: Situation) -> bool:
        """A condition with a number needs one of that name to compare; another needs its words to occur."""
        limit = re.search(r"\d+(?:\.\d+)?", self.text)
        known = self._compare(float(limit[0]), situation) if limit else words(self.text) <= situation.words
        return known is not self.unless

    def _compare(self, limit: float, situation: Situation) -> bool:
        mine = all_words(self.text)
        test = next(test for pattern, test in COMPARISONS if pattern.search(self.text))
        named = [n for n in situation.numbers if all_words(n.replace("_", " ")) <= mine]
        longest = max(named, key=lambda name: len(all_words(name.replace("_", " "))), default=None)
        return longest is not None and test(situation.numbers[longest], limit)


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that is forbidden or required.

    `hearsay`: it is no lesson yet, only a remark on another run. `rank`: among equally specific rules the higher wins.
    """

    clause: str
    act: str
    forbids: bool
    condition: Condition | None = None
    lesson: str = ""
    rank: tuple[int, int] = (0, 0)
    hearsay: bool = False

    def applies(self, situation: Situation) -> bool:
        """Whether there is no condition, or it holds."""
        return self.condition is None or self.condition.holds(situation)

    def weight(self) -> tuple[bool, int, tuple[int, int]]:
        """What decides between rules about the same thing: hearsay loses, then the longer condition, then the rank."""
        return (not self.hearsay, len(self.condition.text.split()) if self.condition else 0, self.rank)

    def same_as(self, other: "Rule") -> bool:
        """Whether both say the same, apart from case, articles and endings."""
        return self.forbids is other.forbids and self.same_test(other) and all_words(self.act) == all_words(other.act)

    def same_test(self, other: "Rule") -> bool:
        """Whether both apply under the same condition."""
        mine, theirs = (rule.condition.text if rule.condition else "" for rule in (self, other))
        return words(mine) == words(theirs)


def rules(text: str, *, lesson: str = "", strict: bool = False) -> list[Rule]:
    """The rules in prose, one for each clause. `strict` takes only those that say never, always, must …"""
    found: list[Rule] = []
    for position, clause in enumerate(CLAUSE_END.split(text)):
        rank = (int(lesson) if lesson.isdecimal() else bool(lesson), position)
        rule = _rule(OPENER.sub("", clause.strip())[:MAX_CLAUSE], strict=strict)
        if rule:
            found.append(Rule(rule.clause, rule.act, rule.forbids, rule.condition, lesson, rank))
    return found


def words(text: str) -> frozenset[str]:
    """The words that carry meaning, without their endings."""
    return frozenset(stem(word) for word in WORD.findall(text.lower()) if word not in EMPTY_WORDS)


def all_words(text: str) -> frozenset[str]:
    """All words, without their endings."""
    return frozenset(stem(word) for word in WORD.findall(text.lower()))


def numbers(text: str) -> list[str]:
    """The numbers in a text, as they are written."""
    return re.findall(r"\d+(?:\.\d+)?", text)


def stem(word: str) -> str:
    """A word without -'s, -ing, -ed, -s and a mute -e, so that forms of one word are equal."""
    word = re.sub(r"['’].*$", "", word)
    word = re.sub(r"ies$", "y", word)
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word.removesuffix(ending)
            break
    word = re.sub(r"([^\Waeiou\d_])\1$", r"\1", word)
    return word.removesuffix("e") if len(word) > 3 else word


def conditional(clause: str) -> re.Match[str] | None:
    """A clause with a condition as its parts `when`, `test` and `act`."""
    return CONDITION_FIRST.match(clause) or CONDITION_LAST.match(clause) or CONDITION_COLON.match(clause)


def reworded(clause: str, act: str) -> str:
    """The clause with its condition, if it has one, and another thing to do."""
    parts = conditional(clause)
    return clause[: parts.start("act")] + act + clause[parts.end("act") :] if parts else act


def _rule(clause: str, *, strict: bool) -> Rule | None:
    parts = conditional(clause)
    act, condition = clause, None
    if parts:
        act = OPENER.sub("", parts["act"])
        condition = Condition(parts["test"].strip(), unless=parts["when"].lower() == "unless")
    for patterns, forbids in ((REQUIRE_ABOVE_ALL, False), (FORBID, True), (REQUIRE, False)):
        match = next(filter(None, (pattern.match(act) for pattern in patterns)), None)
        if match:
            return Rule(clause, " ".join(reversed(match.groups())), forbids, condition)
    bare = not strict and len(act.split()) > 1 and not REMARK.match(act)
    return Rule(clause, act, forbids=False, condition=condition) if bare else None
