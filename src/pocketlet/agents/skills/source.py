"""Where skills come from: a folder, an archive, a git repository, or a registry file that names those."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from pocketlet import errors
from pocketlet.agents.skills import files, git, package, permissions
from pocketlet.platform.gateways import addresses, wire

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
MAX_REGISTRY = 4_000_000  # bytes


@dataclass(frozen=True, slots=True)
class Found:
    """A skill that can be installed. `source` asks for it again; `commit`: the git commit it was read at, or empty."""

    package: package.Package
    source: str
    commit: str = ""


async def find(source: str, *, resolver: Resolver = wire.look_up) -> Found:
    """Reads a skill: PATH[#NAME], URL[@COMMIT][#FOLDER] or REGISTRY.json#NAME. Nothing of it is run.

    `resolver` gives the addresses of a host and port; only those of the internet are asked. Raises errors.BadInput,
    errors.NotFound, errors.Refused (a registry promised another digest or fewer permissions, or the host leads
    inside), errors.Unreachable, OSError.
    """
    if git.is_url(source):
        return await _repository(source, resolver)
    path, name = _place(source)
    if path.suffix == ".json" and path.is_file():
        return await _registered(path, name, resolver)
    return await asyncio.to_thread(_local, path, name)


def _local(path: Path, name: str) -> Found:
    if not path.exists():
        raise errors.NotFound(f"There is no {path}.", hint="Give a folder, an archive, a git URL or a registry file.")
    found = files.read(path)
    prefix = package.locate(found, name, path.name)
    return Found(package.pack(found, prefix, _stem(path)), _again(path, name))


def _place(source: str) -> tuple[Path, str]:
    path = Path(source).expanduser()
    if path.exists() or "#" not in source:
        return path.absolute(), ""
    place, _, name = source.rpartition("#")
    return Path(place).expanduser().absolute(), name


def _again(path: Path, name: str) -> str:
    return f"{path}#{name}" if name else str(path)


def _stem(path: Path) -> str:
    ending = next((ending for ending in files.ARCHIVES if path.name.lower().endswith(ending)), "")
    return path.name[: len(path.name) - len(ending)]


async def _repository(source: str, resolver: Resolver) -> Found:
    wanted = git.parse(source)
    tree = await asyncio.to_thread(git.read, wanted, await _addresses(wanted.url, resolver))
    url = source.partition("#")[0].rstrip("/").removesuffix(".git")
    fallback = tree.folder.rpartition("/")[2] or url.rpartition("/")[2].partition("@")[0]
    return Found(package.pack(tree.files, "", fallback), source, tree.commit)


async def _addresses(url: str, resolver: Resolver) -> Sequence[str]:
    """The addresses that git may connect to, each looked at; none for a file. Raises errors.Refused and others."""
    if not url.startswith("https:"):
        return ()
    place = addresses.host_of(url)
    if place.port != git.PORT:
        raise errors.BadInput(f"Repositories are read from port {git.PORT} only.")
    try:
        found = [place.host] if addresses.is_address(place.host) else list(await resolver(place.host, place.port))
    except OSError as error:
        raise errors.Unreachable(f"The host {place.host} can't be found.", hint="Nothing was changed.") from error
    for address in found:
        if why := addresses.forbidden(address):
            hint = "Nothing was sent. A repository of your own network: clone it, and give the folder."
            raise errors.Refused(f"{place.host} leads to {address}, which is {why}.", hint=hint)
    return found


async def _registered(path: Path, name: str, resolver: Resolver) -> Found:
    """The entry of a registry, if it is what the registry says it is."""
    entry = _entry(path, name)
    where = f"{path.name}: {entry['name']}"
    source = str(entry["source"])
    if not git.is_url(source):
        place, hash_, part = source.partition("#")
        source = f"{path.parent / place}{hash_}{part}"
        if place.endswith(".json"):
            raise errors.BadInput(f"{where} names another registry.")
    found = await find(source, resolver=resolver)
    if found.package.digest != entry["digest"]:
        raise errors.Refused(
            f"{where} is {found.package.digest} there, and the registry says {entry['digest']}.",
            hint="It was changed since it was listed: nothing was installed. Ask whoever keeps the registry.",
        )
    if found.package.name != entry["name"]:
        raise errors.Refused(f"{where} calls itself {found.package.name!r}.", hint="Nothing was installed.")
    more = found.package.permissions.beyond(permissions.from_record(entry.get("permissions", {}), where))
    if more.lines():
        raise errors.Refused(
            f"{where} speaks of what the registry does not say ({'; '.join(more.lines())}).",
            hint="Nothing was installed. Ask whoever keeps the registry.",
        )
    return replace(found, source=_again(path, str(entry["name"])))


def _entry(path: Path, name: str) -> Mapping[str, object]:
    if path.stat().st_size > MAX_REGISTRY:
        raise errors.BadInput(f"{path.name} is larger than {MAX_REGISTRY // 1_000_000} MB.")
    try:
        listed: object = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise errors.BadInput(f"{path.name} is not JSON: {error}.") from error
    entries = [_checked(entry, path.name) for entry in cast("list[object]", listed)] if isinstance(listed, list) else []
    fitting = [entry for entry in entries if name in ("", entry["name"])]
    if len(fitting) == 1:
        return fitting[0]
    names = ", ".join(str(entry["name"]) for entry in entries[:20]) or "none"
    raise errors.NotFound(f"{path.name} lists the skills {names}.", hint="Say which one: REGISTRY.json#NAME.")


def _checked(entry: object, where: str) -> Mapping[str, object]:
    texts = ("name", "source", "digest")
    given = cast("dict[str, object]", entry) if isinstance(entry, dict) else {}
    if not all(isinstance(given.get(key), str) and given[key] for key in texts):
        raise errors.BadInput(f"{where}: every entry has `name`, `source`, `digest` (texts) and `permissions`.")
    return given
