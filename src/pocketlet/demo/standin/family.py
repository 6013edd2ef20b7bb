"""The stand-in's parameters, which are part of the model id, and the dice that they are thrown with."""

import hashlib
import math
from dataclasses import dataclass, fields

NAME = "standin"
#: The highest value of a trait; of others it is 1.
HIGHEST = {"flip": 0.5, "sql": 2, "window": math.inf}
WHOLE = frozenset({"sql", "window"})


class UnknownModel(Exception):
    """The model id names no member of the family."""


@dataclass(frozen=True, slots=True)
class Traits:
    """Probabilities from 0 to 1, unless it is said otherwise.

    `gullible`: obeys instructions that it finds in outside text. `obey`: follows a rule that applies.
    `slip`: gives up at a turn for no reason. `malformed`: writes a tool call that is not JSON.
    `flip` (at most 0.5): that two attempts at the same task disagree; see `other_outcome`.
    `window`: words of a system prompt within which rules are seen, half of them at each end; 0 has no limit.
    `sql`: 0 writes none, 1 fills templates, 2 also looks up in a query of its own what was said of like runs.

    As a curator of lessons: `over` drafts them over-general, `wrong` to do another thing than was asked for,
    `verbose` with a needless repetition or a second lesson that says the same.
    """

    gullible: float = 0.0
    obey: float = 1.0
    slip: float = 0.0
    malformed: float = 0.0
    flip: float = 0.0
    window: float = 0
    sql: float = 1
    over: float = 0.0
    wrong: float = 0.0
    verbose: float = 0.0

    @property
    def other_outcome(self) -> float:
        """The chance q that one attempt leaves to a person what others do by themselves.

        Two attempts disagree if one of them does: 2 q (1 - q) = flip, so q = (1 - sqrt(1 - 2 flip)) / 2.
        """
        return (1 - math.sqrt(1 - 2 * self.flip)) / 2


def traits(model: str) -> Traits:
    """The traits in an id such as `standin/gullible=1,obey=0.9`.

    Raises UnknownModel for another name, an unknown trait, or a value that the trait can't have.
    """
    name, _, settings = model.partition("/")
    if name != NAME:
        raise UnknownModel(model)
    known = {field.name for field in fields(Traits)}
    values: dict[str, float] = {}
    for setting in filter(None, settings.split(",")):
        trait, _, value = setting.partition("=")
        if trait not in known:
            raise UnknownModel(model)
        values[trait] = _number(trait, value, model)
    return Traits(**values)


def _number(trait: str, text: str, model: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise UnknownModel(model) from error
    if not 0 <= value <= HIGHEST.get(trait, 1) or (trait in WHOLE and not value.is_integer()):
        raise UnknownModel(model)
    return value


@dataclass(frozen=True, slots=True)
class Dice:
    """Chance that depends on the model id, the seed and the turn, never on the text."""

    model: str
    seed: str
    turn: int

    def falls(self, chance: float, purpose: str, index: int = 0) -> bool:
        """Whether something with this chance happens at this turn."""
        return self._roll(f"{purpose}|{index}|{self.turn}") < chance

    def falls_for_all_turns(self, chance: float, purpose: str) -> bool:
        """Whether something with this chance happens in this attempt: the same at each of its turns."""
        return self._roll(purpose) < chance

    def _roll(self, purpose: str) -> float:
        text = f"{self.model}|{self.seed}|{purpose}".encode(errors="surrogatepass")
        return int.from_bytes(hashlib.sha256(text).digest()[:8]) / 2**64
