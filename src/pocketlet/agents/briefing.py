"""The briefing: everything that a fresh run is told, compiled from a revision and a task, stored and hashed."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from typing import Any

from pocketlet.agents import playbook as playbooks
from pocketlet.db import pool
from pocketlet.platform.gateways import models

MAX_LESSONS = 10
LESSON_BYTES = 2_400
SKILL_BYTES = 12_000  # of the texts of skills that a briefing holds, about 3,000 tokens
AUTHORITY = {"owner": 0, "member": 1, "outcome": 2}


@dataclass(frozen=True, slots=True)
class Briefing:
    """What the model receives first. `lessons` are the ids of those that apply, `left_out` counts those cut."""

    system: str
    user: str
    tools: tuple[models.Tool, ...]
    model: str
    max_tokens: int
    lessons: tuple[int, ...] = ()
    left_out: int = 0

    def request(self, turns: tuple[models.Turn, ...] = (), *, seed: int = 0) -> models.Request:
        """The request for the next model call, after `turns`."""
        return models.Request(self.system, self.user, turns, self.tools, self.max_tokens, seed)

    @property
    def hash(self) -> str:
        """sha256 of the first request's canonical bytes."""
        return hashlib.sha256(models.canonical(self.request(), self.model)).hexdigest()

    @property
    def overhead_tokens(self) -> int:
        """Tokens that every run pays before its own task, estimated as a quarter of the bytes, rounded up."""
        fixed = models.canonical(models.Request(self.system, "", (), self.tools, self.max_tokens), self.model)
        return -(-len(fixed) // 4)

    def record(self) -> dict[str, Any]:
        """As JSON, for the run's row."""
        return asdict(self)


def from_record(record: Mapping[str, Any]) -> Briefing:
    """The stored briefing of a run: it does not change once the run has begun, and neither do the bytes sent for it."""
    fields: dict[str, Any] = pool.in_order(record)
    fields["tools"] = tuple(models.Tool(**tool) for tool in fields["tools"])
    fields["lessons"] = tuple(fields["lessons"])
    return Briefing(**fields)


def choose(lessons: tuple[playbooks.Lesson, ...], facts: Mapping[str, str]) -> tuple[list[playbooks.Lesson], int]:
    """The lessons that apply, and how many did not fit.

    The more specific are kept before the wider, then those of higher authority, then the newer; they are said in the
    opposite order, so that of two lessons that disagree the one that is said later holds.
    """
    fitting = [lesson for lesson in lessons if lesson.applies(facts)]
    fitting.sort(key=lambda lesson: lesson.name)
    fitting.sort(key=lambda lesson: lesson.since, reverse=True)
    fitting.sort(key=lambda lesson: (-len(lesson.predicate), AUTHORITY[lesson.authority]))
    chosen: list[playbooks.Lesson] = []
    size = 0
    for lesson in fitting:
        needed = len(lesson_line(lesson).encode())
        if len(chosen) < MAX_LESSONS and size + needed <= LESSON_BYTES:
            chosen.append(lesson)
            size += needed
    chosen.sort(key=lambda lesson: (len(lesson.predicate), -AUTHORITY[lesson.authority], lesson.since, lesson.name))
    return chosen, len(fitting) - len(chosen)


def given(playbook: playbooks.Playbook, facts: Mapping[str, str]) -> list[playbooks.Skill]:
    """The skills whose text a run with these facts is given at once, as agent.toml says; what does not fit is left to
    the tool `skill`. Those with more facts go first, then by name.
    """
    wanted = playbook.manifest.skills
    known = [skill for skill in playbook.skills if skill.name in wanted]
    fitting = [one for one in known if all(facts.get(key) == value for key, value in wanted[one.name].items())]
    chosen: list[playbooks.Skill] = []
    left = SKILL_BYTES
    for skill in sorted(fitting, key=lambda one: (-len(wanted[one.name]), one.name)):
        if (size := len(skill.text.encode())) <= left:
            chosen.append(skill)
            left -= size
    return chosen


def lesson_line(lesson: playbooks.Lesson) -> str:
    """A lesson as a briefing shows it."""
    return f"- [lesson {lesson.name}] {lesson.topic}: {lesson.body}"


def prompt(name: str) -> str:
    """A fixed prompt of the package."""
    return (resources.files("pocketlet") / "agents" / "prompts" / f"{name}.md").read_text(encoding="utf-8").strip()


def compile_run(
    playbook: playbooks.Playbook,
    task_text: str,
    facts: Mapping[str, str],
    tools: tuple[models.Tool, ...],
    model: str,
) -> Briefing:
    """The briefing of a run. No clock and no counter goes in: same task, same revision, same bytes."""
    manifest = playbook.manifest
    lessons, left_out = choose(playbook.lessons, facts)
    sections = [prompt("run"), section("Job", manifest.job), section("Instructions", playbook.instructions)]
    sections.append(section("Lessons", "\n".join(lesson_line(lesson) for lesson in lessons)))
    index = "\n".join(f"- {skill.name}: {skill.description}" for skill in playbook.skills)
    sections.append(section("Skills", index if "skill" in manifest.tools else ""))
    sections += [section(f"Skill {skill.name}, whole", skill.text) for skill in given(playbook, facts)]
    sections.append(section("Tables", playbook.tables))
    return Briefing(
        system="\n\n".join(text for text in sections if text),
        user=task_text,
        tools=tools,
        model=model,
        max_tokens=manifest.max_tokens,
        lessons=tuple(lesson.id for lesson in lessons),
        left_out=left_out,
    )


def section(title: str, text: str) -> str:
    """A headed part of a prompt, or nothing."""
    return f"# {title}\n{text.strip()}" if text.strip() else ""
