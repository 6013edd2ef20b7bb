"""What a skill's text speaks of: programs, hosts, addresses and tools. Shown before it is installed, and kept.

It is a list of what you agreed to read, not a grant: no tool, no host and no address is ever taken from a skill. It is
found by patterns, so a text that hides a host from it gains nothing but a line less in the list.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import cast

from pocketlet import errors
from pocketlet.agents import playbook as playbooks

URL = re.compile(
    r"\b[a-z][a-z0-9+.-]{1,15}://(?:[^\s/@\"'<>()]{1,100}@)?(\[[0-9a-f:.]+\]|[^\s/:?#\"'<>()`\\,;\[\]]{1,253})", re.I
)
ADDRESS = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@((?:[\w-]{1,63}\.){1,8}[a-z]{2,24})\b", re.IGNORECASE)
BARE = re.compile(
    r"(?<![\w@./-])((?:[a-z0-9-]{1,63}\.){1,8}"
    r"(?:com|net|org|io|dev|ai|app|co|info|biz|cloud|site|online|xyz|me|tv|gg|eu|de|fr|uk|us|ru|cn|internal|local|example))"
    r"(?![\w(-]|\.\w)",
    re.IGNORECASE,
)
NUMBERS = re.compile(r"(?<![\w.])((?:\d{1,3}\.){3}\d{1,3})(?![\w.])")
TOOL = re.compile(r"[^\s,()]+(?:\([^)]{0,200}\))?")
SCRIPTS = (
    *(".bash", ".bat", ".cjs", ".cmd", ".exe", ".go", ".jar", ".js", ".mjs", ".php", ".pl", ".ps1", ".py", ".rb"),
    *(".rs", ".sh", ".so", ".ts", ".vbs", ".wasm", ".zsh"),
)


@dataclass(frozen=True, slots=True)
class Permissions:
    """Each sorted: paths of programs, hosts, mail addresses, and the tools of `allowed-tools`."""

    scripts: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()

    def record(self) -> dict[str, list[str]]:
        """As JSON."""
        return {name: list(getattr(self, name)) for name in NAMES}

    def beyond(self, granted: "Permissions") -> "Permissions":
        """What is here and not there."""
        return Permissions(*(_sorted(set(getattr(self, name)) - set(getattr(granted, name))) for name in NAMES))

    def along(self, other: "Permissions") -> "Permissions":
        """What is here or there."""
        return Permissions(*(_sorted({*getattr(self, name), *getattr(other, name)}) for name in NAMES))

    def lines(self) -> list[str]:
        """In words, a line for each kind that there is."""
        return [f"{name}: {', '.join(getattr(self, name))}" for name in NAMES if getattr(self, name)]


NAMES = tuple(one.name for one in fields(Permissions))


def _sorted(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(found)))


def from_record(record: object, where: str) -> Permissions:
    """The permissions of a stored or a declared record. Raises errors.BadInput."""
    if not isinstance(record, dict) or cast("dict[str, object]", record).keys() - set(NAMES):
        raise errors.BadInput(f"{where}: `permissions` has the keys {', '.join(NAMES)}, each a list of texts.")
    given = cast("dict[str, object]", record)
    return Permissions(*(_texts(given.get(name, []), f"{where}: `permissions.{name}`") for name in NAMES))


def _texts(value: object, what: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in cast("list[object]", value)):
        raise errors.BadInput(f"{what} is a list of texts.")
    return _sorted(cast("list[str]", value))


def derive(files: Mapping[str, str], others: Iterable[str] = ()) -> Permissions:
    """What these texts speak of; `others` are the paths of files that are no text. Raises errors.BadAgent."""
    hosts: set[str] = set()
    addresses: set[str] = set()
    for text in files.values():
        hosts |= {host.lower().rstrip(".") for pattern in (URL, BARE, NUMBERS) for host in pattern.findall(text)}
        addresses |= {match[0].lower() for match in ADDRESS.finditer(text)}
    scripts = {path for path, text in files.items() if _runs(path) or text.startswith("#!")}
    scripts |= {path for path in others if _runs(path)}
    return Permissions(_sorted(scripts), _sorted(hosts - {""}), _sorted(addresses), _sorted(_tools(files)))


def _runs(path: str) -> bool:
    return path.lower().endswith(SCRIPTS) or path.startswith("scripts/")


def _tools(files: Mapping[str, str]) -> list[str]:
    front, _ = playbooks.front_matter(files.get("SKILL.md", ""), "SKILL.md")
    named = front.get("allowed-tools") or ""
    if isinstance(named, list):
        return [str(item) for item in cast("list[object]", named)]
    return TOOL.findall(str(named))
