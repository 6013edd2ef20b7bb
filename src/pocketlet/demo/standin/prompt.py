"""What a request says: its tools, the sections of its prompt, the task, and the calls made so far."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from . import document

HEADINGS = ("Job", "Agent", "Instructions", "Lessons", "Skills", "Tables", "Facts")
SECTION = re.compile(rf"^# ({'|'.join(HEADINGS)})[ \t]*$", re.MULTILINE)
OUTSIDE = re.compile(r"<outside[^>\n]*>\n?(.*)</outside", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call that was made earlier; `result` is None as long as there is none."""

    name: str
    arguments: dict[str, object]
    result: str | None


@dataclass(frozen=True, slots=True)
class Request:
    """A request on either wire. `turn` counts the assistant's messages, `words` the words of all.

    `digest` is of everything but the seed.
    """

    model: str
    seed: str
    stream: bool
    include_usage: bool
    tools: frozenset[str]
    system: str
    user: str
    calls: tuple[Call, ...]
    turn: int
    words: int
    digest: str

    def section(self, heading: str) -> str:
        """The text under `# heading` of the system prompt, or nothing."""
        parts = SECTION.split(self.system)
        return dict(zip(reversed(parts[1::2]), reversed(parts[2::2]), strict=True)).get(heading, "").strip()

    def result(self, tool: str, /, **arguments: object) -> str | None:
        """What the last call of this tool with (at least) these arguments gave, if there was one."""
        for call in reversed(self.calls):
            same = all(call.arguments.get(key) == value for key, value in arguments.items())
            if call.name == tool and same and call.result is not None:
                return call.result
        return None

    def within(self, window: int) -> "Request":
        """The same with a system prompt of which only the first and the last `window` / 2 words are seen.

        Headings stay, and a line that is lost in part is lost as a whole. A `window` of 0 has no limit.
        """
        words = [word.span() for word in re.finditer(r"\S+", self.system)]
        if not window or len(words) <= window:
            return self
        half = window // 2
        begin, end = words[half][0], words[-half - 1][1]
        kept: list[str] = []
        start = 0
        for line in self.system.split("\n"):
            if SECTION.match(line) or start + len(line) <= begin or start >= end:
                kept.append(line)
            start += len(line) + 1
        return replace(self, system="\n".join(kept))


@dataclass(frozen=True, slots=True)
class Report:
    """A user message: `key: value` lines, facts, and the text: what stands between the outside marks, or else
    in a task after the first blank line.
    """

    fields: dict[str, str]
    facts: dict[str, str]
    text: str


def assemble(
    body: dict[str, object],
    seed: object,
    tools: Iterable[object],
    texts: Sequence[tuple[str, str]],
    calls: Sequence[Call],
) -> Request:
    """The request in a wire's document, of the messages' roles and texts. Raises document.BadRequest."""
    model = body.get("model")
    if not isinstance(model, str) or not texts:
        raise document.BadRequest("`model` and a list `messages` are required.")
    return Request(
        model=model,
        seed=str(seed or 0),
        stream=body.get("stream") is True,
        include_usage=document.mapping(body.get("stream_options")).get("include_usage") is True,
        tools=frozenset(map(str, tools)),
        system="\n\n".join(text for role, text in texts if role in {"system", "developer"}),
        user=next((text for role, text in texts if role == "user"), ""),
        calls=tuple(calls),
        turn=sum(role == "assistant" for role, _ in texts),
        words=sum(len(text.split()) for _, text in texts),
        digest=document.digest(body),
    )


def report(text: str) -> Report:
    """The lines, facts and text of a user message; a value goes on until the next key, item or heading."""
    marked = OUTSIDE.search(text)
    own, body = (text[: marked.start()], marked[1]) if marked else (text, "")
    if not marked and text.startswith("# Task"):
        own, _, body = text.partition("\n\n")
    fields: dict[str, str] = {}
    key = ""
    for line in own.splitlines():
        pair = re.match(r"([a-z][a-z_ ]*):[ \t]*(.*)$", line)
        if pair:
            key = pair[1]
            fields.setdefault(key, pair[2].strip())
        elif line.startswith(("#", "-")):
            key = ""
        elif key and line.strip():
            fields[key] += f"\n{line.strip()}"
    facts = dict(re.findall(r"([\w.]+)=([^,\s]+)", fields.get("facts", "")))
    return Report(fields, facts, body.strip())
