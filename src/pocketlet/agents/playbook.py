"""What a revision holds: manifest, instructions, lessons, skills, schema files; and its spelling as files."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast

import yaml

from pocketlet import errors
from pocketlet.agents import manifest as manifests

FRONT = re.compile(r"\A---[ \t]*\n(.*?)\n---[ \t]*\n?(.*)\Z", re.DOTALL)
NOT_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
MAX_TOPIC = 120  # characters
#: What a lesson may expect of the work that follows it, and what each kind needs.
EXPECTED = {"contains": "text", "absent": "text", "max_words": "n", "tool": "tool", "forbidden": "tool"}
AUTHORITIES = ("owner", "member", "outcome")


@dataclass(frozen=True, slots=True)
class Lesson:
    """One scoped rule, for runs whose facts hold every pair of `predicate`. `id` is 0 before it is stored.

    `expect`: what work that follows it shows, as assertions: {"kind": "contains", "text": "…"}.
    """

    name: str
    topic: str
    body: str
    predicate: Mapping[str, str]
    authority: str
    since: str
    label: str = "owner"
    feedback: int | None = None
    run: int | None = None
    expect: tuple[Mapping[str, str], ...] = ()
    id: int = 0

    def applies(self, facts: Mapping[str, str]) -> bool:
        """Whether every pair of the predicate is among the facts."""
        return all(facts.get(key) == value for key, value in self.predicate.items())


@dataclass(frozen=True, slots=True)
class Skill:
    """One Agent Skill: its files by relative path; SKILL.md's front matter gives name and description."""

    name: str
    description: str
    files: Mapping[str, str]

    @property
    def text(self) -> str:
        """SKILL.md without its front matter."""
        return front_matter(self.files["SKILL.md"], f"skills/{self.name}/SKILL.md")[1]


@dataclass(frozen=True, slots=True)
class Playbook:
    """Everything that decides how runs of one revision behave."""

    manifest_text: str
    instructions: str
    lessons: tuple[Lesson, ...] = ()
    skills: tuple[Skill, ...] = ()
    schema_files: Mapping[str, str] = field(default_factory=dict[str, str])
    tables: str = ""

    @property
    def manifest(self) -> manifests.Manifest:
        """The parsed agent.toml."""
        return manifests.parse(self.manifest_text)

    @property
    def digest(self) -> str:
        """sha256 over the files of this playbook: the same here and where it is imported."""
        return hashlib.sha256(json.dumps(self.files(), sort_keys=True).encode()).hexdigest()

    def files(self) -> dict[str, str]:
        """Relative path → text, as `agent export` writes them."""
        found = {"agent.toml": self.manifest_text, "INSTRUCTIONS.md": self.instructions}
        found |= {f"lessons/{lesson.name}.md": spell_lesson(lesson) for lesson in self.lessons}
        for skill in self.skills:
            found |= {f"skills/{skill.name}/{path}": text for path, text in skill.files.items()}
        return found | {f"schema/{name}": text for name, text in self.schema_files.items()}


def front_matter(text: str, where: str) -> tuple[Mapping[str, object], str]:
    """The YAML between the first `---` lines and what follows. Raises errors.BadAgent with the line that is wrong."""
    match = FRONT.match(text.replace("\r\n", "\n").removeprefix("\ufeff"))
    if match is None:
        return {}, text
    try:
        data = yaml.safe_load(match[1])
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" (line {mark.line + 2}, column {mark.column + 1})" if mark else ""
        raise errors.BadAgent(f"{where}: the front matter is not valid YAML{place}.") from error
    if not isinstance(data, dict):
        raise errors.BadAgent(f"{where}: the front matter must be `key: value` lines.")
    return cast("Mapping[str, object]", data), match[2].strip("\n") + "\n"


def spell_lesson(lesson: Lesson) -> str:
    """The lesson as a file."""
    lines = ["---", f"topic: {_yaml(lesson.topic)}", f"when: {_yaml(dict(sorted(lesson.predicate.items())))}"]
    lines += [f"expect: {_yaml([dict(sorted(item.items())) for item in lesson.expect])}"] if lesson.expect else []
    lines += [f"authority: {lesson.authority}", f"since: {_yaml(lesson.since)}", "---", lesson.body, ""]
    return "\n".join(lines)


def _yaml(value: object) -> str:
    """JSON is YAML, but for a few characters that YAML reads as line ends or not at all."""
    return NOT_YAML.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(value, ensure_ascii=False))


def parse_lesson(name: str, text: str, *, since: str) -> Lesson:
    """A lesson file. Only a body is required; `since` is used if the file gives none. Raises errors.BadAgent."""
    where = f"lessons/{name}.md"
    check_slug(name, where)
    data, body = front_matter(text, where)
    body = body.strip()
    when = data.get("when", {})
    if not body or len(body) > 400:
        raise errors.BadAgent(f"{where}: a lesson has a body of 1 to 400 characters.")
    if not isinstance(when, dict):
        raise errors.BadAgent(f"{where}: `when` must be like {{intent: late_order}}.")
    authority = str(data.get("authority", "owner"))
    if authority not in AUTHORITIES:
        raise errors.BadAgent(f"{where}: `authority` is one of {', '.join(AUTHORITIES)}.")
    predicate = {str(key): str(value) for key, value in cast("Mapping[object, object]", when).items()}
    topic = str(data.get("topic") or body.splitlines()[0][:80])
    if len(topic) > MAX_TOPIC:
        raise errors.BadAgent(f"{where}: `topic` has at most {MAX_TOPIC} characters.")
    instant = _instant(str(data.get("since") or since), where)
    return Lesson(name, topic, body, predicate, authority, instant, expect=_expect(data.get("expect", []), where))


def _expect(items: object, where: str) -> tuple[Mapping[str, str], ...]:
    """The assertions that a lesson's work shows. Raises errors.BadAgent."""
    if isinstance(items, list) and all(isinstance(item, dict) for item in cast("list[object]", items)):
        found = cast("list[Mapping[object, object]]", items)
        expected = tuple({str(key): str(value) for key, value in item.items()} for item in found)
        if all(_whole(item) for item in expected):
            return expected
    raise errors.BadAgent(f'{where}: `expect` must be like [{{kind: contains, text: "…"}}].')


def _whole(item: Mapping[str, str]) -> bool:
    value = item.get(EXPECTED.get(item.get("kind", ""), ""), "")
    return bool(value.strip()) and (item["kind"] != "max_words" or value.isdecimal())


def _instant(text: str, where: str) -> str:
    """A point in time in RFC 3339; without an offset it is UTC. Raises errors.BadAgent."""
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    except (ValueError, OverflowError) as error:
        raise errors.BadAgent(f"{where}: `since` must be like 2026-11-22T09:00:00+00:00, not {text!r}.") from error


def parse_skill(name: str, files: Mapping[str, str]) -> Skill:
    """A skill folder, read leniently: a missing description becomes the text's first line. Raises errors.BadAgent."""
    where = f"skills/{name}/SKILL.md"
    check_slug(name, where)
    if "SKILL.md" not in files:
        raise errors.BadAgent(f"skills/{name} has no SKILL.md.")
    data, body = front_matter(files["SKILL.md"], where)
    first = next((line.strip("# ").strip() for line in body.splitlines() if line.strip("# ").strip()), name)
    return Skill(name, " ".join(str(data.get("description") or first).split()), dict(files))


def check_slug(name: str, where: str) -> None:
    """Raises errors.BadAgent unless `name` is of small letters, digits and hyphens."""
    if not SLUG.fullmatch(name):
        raise errors.BadAgent(f"{where}: {name!r} must be of small letters, digits and hyphens.")


def slug(text: str) -> str:
    """A name for a lesson, made from its topic."""
    words = re.findall(r"[a-z0-9]+", text.lower())
    return "-".join(words)[:48].strip("-") or "lesson"
