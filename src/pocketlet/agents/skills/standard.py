"""What the open standard (agentskills.io) asks of a skill folder, strictly; the loader itself is lenient.

Errors are those of the reference validator `skills-ref`, and a few that it does not look for: names beyond ASCII, a
`metadata` that is no mapping, SKILL.md in small letters, front matter that ends in the middle of a line, broken links.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast
from urllib import parse

import yaml

from pocketlet import errors
from pocketlet.agents import playbook as playbooks
from pocketlet.agents.skills import package

MAX_COMPATIBILITY = 500  # characters
LONG_BODY = 500  # lines
LONG_BODY_CHARACTERS = 20_000  # about 5,000 tokens
NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
LINK = re.compile(r"!?\[[^\]\n]{0,300}\]\(<?([^)\s>]{1,300})>?[^)\n]{0,300}\)")
FENCED = re.compile(r"^(```|~~~).*?^\1|`[^`\n]+`", re.DOTALL | re.MULTILINE)
MENTIONED = re.compile(r"(?<![\w./-])((?:scripts|references|assets)/[\w./-]*\w)")
MISSING = object()


@dataclass(frozen=True, slots=True)
class Problem:
    """`level`: error (against the standard) or advice. `where`: the file, relative to the skill's folder."""

    level: str
    where: str
    text: str


class _Texts(yaml.SafeLoader):
    """YAML whose plain values are all texts: a name like 123 or `on` stays what was written."""

    yaml_implicit_resolvers = {}  # noqa: RUF012


def check(folder: str, found: Mapping[str, bytes]) -> list[Problem]:
    """What is wrong with the files of a skill folder of that name; errors first."""
    if "SKILL.md" not in found:
        small = "skill.md" in found
        return [Problem("error", "SKILL.md", "it is spelled skill.md here." if small else "it is missing.")]
    try:
        text = found["SKILL.md"].decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        return [Problem("error", "SKILL.md", f"it is not UTF-8 text (byte {error.start}).")]
    match = playbooks.FRONT.match(text)
    if match is None:
        return [Problem("error", "SKILL.md", "it must start with front matter between two lines of ---.")]
    front, wrong = _front(match[1])
    if not wrong:
        wrong = [*_keys(front), *_name(front, folder), *_texts(front)]
    problems = [Problem("error", "SKILL.md", text) for text in wrong]
    problems += _links(match[2], found)
    return sorted([*problems, *_advice(match[2], found)], key=lambda problem: problem.level != "error")


def _front(text: str) -> tuple[Mapping[str, object], list[str]]:
    """The keys and values, or why they can't be read."""
    try:
        package.check_front(text)
        plain = [_not_plain(event) for event in yaml.parse(text, Loader=_Texts)]
        node = _Texts(text).get_single_node()
    except errors.BadInput as error:
        return {}, [str(error)]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        return {}, [f"the front matter is not YAML{f' (line {mark.line + 2})' if mark else ''}."]
    if not isinstance(node, yaml.MappingNode):
        return {}, ["the front matter must be `key: value` lines."]
    wrong = [said for said in plain if said] + _twice(node)
    return ({}, sorted(set(wrong))) if wrong else (cast("Mapping[str, object]", _value(node)), [])


def _not_plain(event: yaml.Event) -> str:
    """The reference validator reads StrictYAML: no flow style, no tags, no anchors."""
    if getattr(event, "flow_style", None) and isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
        return "values in { } or [ ] are not allowed: write them on lines of their own, or put them in quotes."
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        return "anchors and aliases (& and *) are not allowed."
    if isinstance(event, yaml.NodeEvent) and getattr(event, "tag", None):
        return "tags (!) are not allowed."
    return ""


def _twice(node: yaml.Node) -> list[str]:
    if not isinstance(node, yaml.MappingNode | yaml.SequenceNode):
        return []
    children = cast("list[object]", node.value)
    if isinstance(node, yaml.SequenceNode):
        return [said for child in children for said in _twice(cast("yaml.Node", child))]
    pairs = cast("list[tuple[yaml.Node, yaml.Node]]", children)
    keys = [str(cast("object", key.value)) for key, _ in pairs]
    said = [f"`{key}` is there twice." for key in dict.fromkeys(keys) if keys.count(key) > 1]
    return said + [inner for _, value in pairs for inner in _twice(value)]


def _value(node: yaml.Node) -> object:
    if isinstance(node, yaml.MappingNode):
        pairs = cast("list[tuple[yaml.Node, yaml.Node]]", node.value)
        return {str(cast("object", key.value)): _value(value) for key, value in pairs}
    if isinstance(node, yaml.SequenceNode):
        return [_value(child) for child in cast("list[yaml.Node]", node.value)]
    return str(cast("object", node.value))


def _keys(front: Mapping[str, object]) -> list[str]:
    unknown = sorted(front.keys() - package.KNOWN)
    return [f"`{key}` is not a key of the standard; put it under `metadata`." for key in unknown]


def _name(front: Mapping[str, object], folder: str) -> list[str]:
    name = front.get("name", MISSING)
    if not isinstance(name, str) or not name.strip():
        return ["`name` is missing."]
    name = unicodedata.normalize("NFKC", name.strip())
    wrong: list[str] = []
    if len(name) > package.MAX_NAME:
        wrong.append(f"`name` has more than {package.MAX_NAME} characters.")
    if not NAME.fullmatch(name):
        wrong.append("`name` is of small letters a to z, digits and single hyphens, none at its start or end.")
    if name != unicodedata.normalize("NFKC", folder):
        wrong.append(f"`name` is {name!r}, and the folder is called {folder!r}: they must be the same.")
    return wrong


def _texts(front: Mapping[str, object]) -> list[str]:
    wrong: list[str] = []
    about = front.get("description", MISSING)
    if not isinstance(about, str) or not about.strip():
        wrong.append("`description` is missing: say what the skill does, and when to use it.")
    elif len(about) > package.MAX_DESCRIPTION:
        wrong.append(f"`description` has more than {package.MAX_DESCRIPTION} characters.")
    needs = front.get("compatibility", "")
    if not isinstance(needs, str) or len(needs) > MAX_COMPATIBILITY:
        wrong.append(f"`compatibility` is a text of at most {MAX_COMPATIBILITY} characters.")
    more = front.get("metadata", {})
    if more != "" and not (
        isinstance(more, dict) and all(isinstance(value, str) for value in cast("dict[str, object]", more).values())
    ):
        wrong.append("`metadata` maps keys to texts.")
    return wrong


def _links(body: str, found: Mapping[str, bytes]) -> list[Problem]:
    folders = {"/".join(path.split("/")[:count]) for path in found for count in range(1, path.count("/") + 1)}
    wrong: list[Problem] = []
    for link in dict.fromkeys(LINK.findall(FENCED.sub("", body))):
        target = parse.unquote(str(link).partition("#")[0])
        if not target or re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:|//", target):
            continue
        path = target.removeprefix("./").rstrip("/")
        if path not in found and path not in folders:
            wrong.append(Problem("error", "SKILL.md", f"it links to {target!r}, which is not there."))
    return wrong


def _advice(body: str, found: Mapping[str, bytes]) -> list[Problem]:
    said: list[Problem] = []
    if not body.strip():
        said.append(Problem("advice", "SKILL.md", "it has no instructions below the front matter."))
    if body.count("\n") > LONG_BODY or len(body) > LONG_BODY_CHARACTERS:
        text = (
            f"it has more than {LONG_BODY} lines or 5,000 tokens: move details to files that a run reads when needed."
        )
        said.append(Problem("advice", "SKILL.md", text))
    folders = tuple(sorted(found))
    for path in dict.fromkeys(MENTIONED.findall(body)):
        if path not in found and not any(name.startswith(f"{path}/") for name in folders):
            said.append(Problem("advice", "SKILL.md", f"it mentions {path!r}, which is not there."))
    return said
