"""What the stand-in answers, before it is put on a wire."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

REFUSALS = ("error:", "refused:", "blocked:")


@dataclass(frozen=True, slots=True)
class Say:
    """Plain text."""

    text: str


@dataclass(frozen=True, slots=True)
class Use:
    """A tool call."""

    tool: str
    arguments: dict[str, object]
    malformed: bool = False

    @property
    def written(self) -> str:
        """The arguments as the model writes them: JSON, if the call is not malformed."""
        text = json.dumps(self.arguments, ensure_ascii=False)
        return text[:-1] if self.malformed else text


Answer = Say | Use


def words(answer: Answer) -> int:
    """Its length in words, which is what it is billed by."""
    return len((answer.text if isinstance(answer, Say) else f"{answer.tool} {answer.written}").split())


def pieces(text: str, size: int = 40) -> Iterator[str]:
    """A text as a stream brings it."""
    return (text[start : start + size] for start in range(0, len(text), size))


def refused(result: str | None) -> bool:
    """Whether a tool's result says that nothing came of the call."""
    return result is not None and result.startswith(REFUSALS)
