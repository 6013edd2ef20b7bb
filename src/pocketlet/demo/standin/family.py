"""The stand-in's parameters, which are part of the model id, and the dice that they are thrown with."""

import hashlib
from dataclasses import dataclass, fields

NAME = "standin"


class UnknownModel(Exception):
    """The model id names no member of the family."""


@dataclass(frozen=True, slots=True)
class Traits:
    """Probabilities from 0 to 1.

    `gullible`: obeys instructions that it finds in outside text. `obey`: follows a rule that applies.
    `slip`: gives up at a turn for no reason. `malformed`: writes a tool call that is not JSON.
    `flip`: leaves to a person what it would do by itself at another attempt.
    """

    gullible: float = 0.0
    obey: float = 1.0
    slip: float = 0.0
    malformed: float = 0.0
    flip: float = 0.0


def traits(model: str) -> Traits:
    """The traits in an id such as `standin/gullible=1,obey=0.9`.

    Raises UnknownModel for another name, an unknown trait, or a value that is no probability.
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
        values[trait] = _probability(value, model)
    return Traits(**values)


def _probability(text: str, model: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise UnknownModel(model) from error
    if not 0 <= value <= 1:
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
