"""A skill as it came: its name, its texts, and one digest over all of its files."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

import yaml

from pocketlet import errors
from pocketlet.agents import playbook as playbooks
from pocketlet.agents.skills import permissions

KNOWN = {"name", "description", "license", "compatibility", "metadata", "allowed-tools"}
MAX_NAME = 64  # characters
MAX_FRONT = 10_000  # characters of front matter
DEEPEST = 8  # levels of front matter
MAX_DESCRIPTION = 1_024  # characters: every briefing of the agent carries it
#: Format characters that texts need: the joiners of emoji and scripts, the soft hyphen, a byte order mark.
HARMLESS = {"\u200c", "\u200d", "\u00ad", "\ufeff"}


@dataclass(frozen=True, slots=True)
class Package:
    """`files`: the texts by path. `others`: sha256 (hex) of each file that is no text: its content is not kept."""

    name: str
    files: Mapping[str, str]
    others: Mapping[str, str]
    notes: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """The pin: `digest` over all files, texts or not."""
        return digest(self.files, self.others)

    @property
    def permissions(self) -> permissions.Permissions:
        """What its texts speak of."""
        return permissions.derive(self.files, self.others)


def digest(files: Mapping[str, str], others: Mapping[str, str] | None = None) -> str:
    """`sha256:` and the sha256 over the lines `HASH  PATH` of the files, sorted by path, as `sha256sum` prints them."""
    hashes = {path: hashlib.sha256(text.encode()).hexdigest() for path, text in files.items()} | dict(others or {})
    listing = "".join(f"{hashes[path]}  {path}\n" for path in sorted(hashes))
    return f"sha256:{hashlib.sha256(listing.encode()).hexdigest()}"


def locate(paths: Iterable[str], wanted: str, where: str) -> str:
    """The folder (with its slash, or empty) that holds the one skill that is meant. Raises errors.BadInput."""
    ends = ("SKILL.md", "skill.md")
    found = sorted({path.rpartition("/")[0] for path in paths if path.rpartition("/")[2] in ends})
    wanted = wanted.strip("/")
    if wanted:
        fitting = [folder for folder in found if folder == wanted] or [
            folder for folder in found if folder.rpartition("/")[2] == wanted
        ]
    else:
        fitting = [""] if "" in found else found
    if len(fitting) == 1:
        return f"{fitting[0]}/" if fitting[0] else ""
    if not found:
        raise errors.BadInput(f"{where} holds no SKILL.md.")
    names = ", ".join(folder or "." for folder in found[:20])
    raise errors.BadInput(f"{where} holds the skills {names}.", hint="Say which one: SOURCE#NAME.")


def pack(found: Mapping[str, bytes], prefix: str, fallback: str) -> Package:
    """The skill whose files lie below `prefix`, read leniently: what is odd becomes a note. Raises errors.BadInput."""
    files: dict[str, str] = {}
    others: dict[str, str] = {}
    for path, content in found.items():
        if path.startswith(prefix):
            _sort_in(path.removeprefix(prefix), content, files, others)
    notes: list[str] = []
    if "SKILL.md" not in files and "skill.md" in files:
        files["SKILL.md"] = files.pop("skill.md")
        notes.append("skill.md is kept as SKILL.md.")
    if "SKILL.md" not in files:
        raise errors.BadInput("SKILL.md is not UTF-8 text.")
    if match := playbooks.FRONT.match(files["SKILL.md"].replace("\r\n", "\n").removeprefix("\ufeff")):
        check_front(match[1])
    name = _name(files["SKILL.md"], PurePosixPath(prefix).name or fallback, notes)
    _check(name, files, notes)
    notes += [f"{path} is no text and is not kept: a run could not read it." for path in sorted(others)]
    return Package(name, dict(sorted(files.items())), dict(sorted(others.items())), tuple(notes))


def check_front(text: str) -> None:
    """Looks at front matter before it is taken apart: no bomb of aliases or of levels. Raises errors.BadInput."""
    if len(text) > MAX_FRONT:
        raise errors.BadInput(f"The front matter has more than {MAX_FRONT:,} characters.")
    depth = 0
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent) or depth > DEEPEST:
                raise errors.BadInput("The front matter has aliases, or too many levels.")
    except yaml.YAMLError:
        return  # whoever reads it says where it is wrong


def _sort_in(path: str, content: bytes, files: dict[str, str], others: dict[str, str]) -> None:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = "\x00"
    if "\x00" in text:  # which Postgres' texts can't hold
        others[path] = hashlib.sha256(content).hexdigest()
    else:
        files[path] = text


def _name(text: str, fallback: str, notes: list[str]) -> str:
    front, _ = playbooks.front_matter(text, "SKILL.md")
    given = str(front.get("name") or "").strip()
    if not given:
        notes.append("SKILL.md gives no name; it is called as its folder.")
    name = slug(given) or slug(fallback)
    if given and name != given:
        notes.append(f"The name {given[:MAX_NAME]!r} is not one of the standard; it is kept as {name!r}.")
    if not name:
        raise errors.BadInput("SKILL.md gives no name that can be written in small letters, digits and hyphens.")
    return name


def slug(text: str) -> str:
    """A name of small letters, digits and single hyphens, or nothing."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return "-".join(re.findall(r"[a-z0-9]+", plain))[:MAX_NAME].strip("-")


def _check(name: str, files: Mapping[str, str], notes: list[str]) -> None:
    """Notes what is odd. Raises errors.BadInput for what a briefing can't carry."""
    skill = playbooks.parse_skill(name, files)
    front, _ = playbooks.front_matter(files["SKILL.md"], "SKILL.md")
    if not front.get("description"):
        notes.append("SKILL.md gives no description; its first line stands for it.")
    if len(skill.description) > MAX_DESCRIPTION:
        raise errors.BadInput(f"The description has more than {MAX_DESCRIPTION} characters, and every briefing has it.")
    unknown = sorted(str(key) for key in front.keys() - KNOWN)
    notes += [f"`{key[:40]}` is not a key of the standard and was left alone." for key in unknown]
    for path, text in files.items():
        hidden = sum(unicodedata.category(character) == "Cf" and character not in HARMLESS for character in text)
        if hidden:
            notes.append(f"{path} has {hidden} characters that show as nothing: look at it with care.")
