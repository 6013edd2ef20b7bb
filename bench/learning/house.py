"""The agent of the stream: its folder, made of the stream's own words."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.learning import stream as streams

MANIFEST = """name = "{name}"
job = "Answer the mail."
model = "openai:{model}"
price = {{input = 0.5, output = 1.5}}
tools = ["sql", "skill", "send_mail"]
budget = {{run = 1.0, day = 100000.0}}

[mail]
address = "desk@shop.example"
"""
SKILL = """---
name: answer
description: Answer a mail.
---

Query `known`, what we know of whoever writes:

```sql
select subject from memories where entity = '{from_address}' order by at desc limit 3
```

If nothing was found, reply:

```reply
Hello {from_name},

thank you for your mail.

Kind regards
```

## Phrases that only a lesson asks for

- `[grant {n} %] We grant you {n} % on this.`
- `[ring back] We ring you back.`
"""
LESSON = """---
topic: rule {number}
when: {{{when}}}
authority: owner
since: 2026-01-01T00:00:00+00:00
---
{text}
"""
NEVER_RIGHT = -1


def write(path: Path, name: str, model: str, stream: streams.Stream, *, scoped: bool = True) -> Path:
    """The folder of an agent that has learned nothing yet; without `scoped` it knows no facts."""
    path.mkdir(parents=True, exist_ok=True)
    facts = "".join(
        f"\n[facts.{fact}]\n" + "".join(f'{value} = ["{value}"]\n' for value in values)
        for fact, values in stream.values.items()
    )
    (path / "agent.toml").write_text(MANIFEST.format(name=name, model=model) + (facts if scoped else ""))
    (path / "INSTRUCTIONS.md").write_text("Answer in few words.\n")
    (path / "skills" / "answer").mkdir(parents=True, exist_ok=True)
    (path / "skills" / "answer" / "SKILL.md").write_text(SKILL)
    return path


def teach(path: Path, rules: Sequence[streams.Rule]) -> None:
    """Puts the rules into the folder as lessons, in the place of those that were there."""
    (path / "lessons").mkdir(exist_ok=True)
    for rule in rules:
        when = ", ".join(f"{name}: {value}" for name, value in rule.scope.items())
        text = LESSON.format(number=rule.number, when=when, text=rule.comment())
        (path / "lessons" / f"rule-{rule.number}.md").write_text(text)


def instruct(path: Path, comments: Sequence[str]) -> None:
    """Puts comments into the instructions, as plain prose."""
    text = "Answer in few words.\n" + "".join(f"- {comment}\n" for comment in comments)
    (path / "INSTRUCTIONS.md").write_text(text)


def grants(mails: Sequence[Mapping[str, str]]) -> set[int]:
    """Every number that the answer grants, by its own words."""
    return {
        int(part.split()[-1]) for mail in mails for part in mail["body"].split(" %")[:-1] if part.split()[-1].isdigit()
    }


def granted(mails: Sequence[Mapping[str, str]]) -> int | None:
    """What the answer grants; NEVER_RIGHT for two different grants, and for no answer at all."""
    found = grants(mails)
    return NEVER_RIGHT if len(found) > 1 or not mails else next(iter(found), None)
