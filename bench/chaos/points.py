"""The points at which a working process may be killed, read off its source: none is written down by hand.

A point is a place that opens a transaction or a login, or a gateway's function that goes out (`crashing.io`). Which of
them the sweep does not reach, and why, stands in `points.toml`; whatever else does I/O stands there, too.
"""

import ast
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import pocketlet

ROOT = Path(pocketlet.__file__).parent
TABLE = Path(__file__).parent / "points.toml"
#: What working processes are made of; commands and the demo come and go on their own.
ROOMS = ("agents/", "learning/", "platform/", "surfaces/serve.py", "surfaces/web/", "db/reader.py")
GATEWAYS = "platform/gateways/"
OPENERS = frozenset({"api", "login", "admin", "setup"})  # methods of db.pool.Database
#: Calls that reach out of the process by themselves, by the last part of their names.
OTHERS = frozenset(
    {
        "to_thread", "create_subprocess_exec", "create_subprocess_shell", "Popen", "open_connection", "start_server",
        "create_connection", "create_server", "create_datagram_endpoint", "write_text", "write_bytes",
        "PsycopgConnector", "unlink", "rmtree", "mkdir",
    }
)  # fmt: skip
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Point:
    """`where` is what `crashing.arm` takes."""

    name: str
    where: str


@dataclass(frozen=True, slots=True)
class Source:
    """One module. `name` without the package's."""

    path: str
    name: str
    tree: ast.Module


@cache
def sources() -> tuple[Source, ...]:
    """The modules of working processes."""
    found: list[Source] = []
    for file in sorted(ROOT.rglob("*.py")):
        path = file.relative_to(ROOT).as_posix()
        if path.startswith(ROOMS):
            name = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            found.append(Source(path, name, ast.parse(file.read_text(encoding="utf-8"))))
    return tuple(found)


def everywhere() -> list[Point]:
    """Every point, in the order of the source; the second one of a function is called NAME#2."""
    found: list[Point] = []
    for source in sources():
        count: Counter[str] = Counter()
        openers = frozenset[str]() if source.path.startswith(GATEWAYS) else OPENERS
        for name, call in _calls(source, openers):
            count[name] += 1
            more = f"#{count[name]}" if count[name] > 1 else ""
            found.append(Point(f"{name}{more}", f"{ROOT / source.path}:{call.lineno}"))
        found += [Point(name, f"pocketlet.{name}") for name, function in _functions(source) if _goes_out(function)]
    return found


def others() -> set[str]:
    """Functions that do I/O of a kind of its own, which no point sees; gateways are told by `undecorated`."""
    outside = [source for source in sources() if not source.path.startswith(GATEWAYS)]
    return {name for source in outside for name, _ in _calls(source, OTHERS)}


def undecorated() -> set[str]:
    """Public coroutines of the gateways that are no points."""
    inside = [source for source in sources() if source.path.startswith(GATEWAYS)]
    return {
        name
        for source in inside
        for name, function in _functions(source)
        if isinstance(function, ast.AsyncFunctionDef) and not _goes_out(function) and "._" not in f".{name}"
    }


def _calls(source: Source, wanted: frozenset[str]) -> Iterator[tuple[str, ast.Call]]:
    def walk(node: ast.AST, name: str) -> Iterator[tuple[str, ast.Call]]:
        for child in ast.iter_child_nodes(node):
            inner = f"{name}.{child.name}" if isinstance(child, Function | ast.ClassDef) else name
            if isinstance(child, ast.Call) and isinstance(child.func, ast.Attribute) and child.func.attr in wanted:
                yield inner, child
            yield from walk(child, inner)

    return walk(source.tree, source.name)


def _functions(source: Source) -> Iterator[tuple[str, Function]]:
    def walk(node: ast.AST, name: str) -> Iterator[tuple[str, Function]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, Function):
                yield f"{name}.{child.name}", child
            elif isinstance(child, ast.ClassDef):
                yield from walk(child, f"{name}.{child.name}")

    return walk(source.tree, source.name)


def _goes_out(function: Function) -> bool:
    return any(ast.unparse(decorator) == "crashing.io" for decorator in function.decorator_list)


@dataclass(frozen=True, slots=True)
class Table:
    """`points.toml`: what the sweep reached the last time it was recorded, and for the rest a reason each."""

    reached: tuple[str, ...]
    unreached: Mapping[str, str]
    parts: Mapping[str, str]
    others: Mapping[str, str]


def table() -> Table:
    """As it is written down; the patterns of each table with their reasons."""
    data = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return Table(tuple(data["reached"]), *(_reasons(data[key]) for key in ("unreached", "parts", "others")))


def _reasons(entries: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    return {pattern: entry["why"] for entry in entries for pattern in entry["names"]}


def unexplained(names: Iterable[str], patterns: Iterable[str]) -> list[str]:
    """Names that no pattern stands for."""
    known = tuple(patterns)
    return sorted(name for name in names if not any(fnmatchcase(name, pattern) for pattern in known))


def stale(names: Iterable[str], patterns: Iterable[str]) -> list[str]:
    """Patterns that stand for nothing any more."""
    known = tuple(names)
    return sorted(pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name in known))


def sweepable() -> list[Point]:
    """Those that the sweep has to reach."""
    patterns = table().unreached
    return [point for point in everywhere() if unexplained([point.name], patterns)]


def write_reached(names: Iterable[str]) -> None:
    """Adds what the sweep reached to what stood there; points that are gone are dropped."""
    known = {point.name for point in everywhere()}
    lines = "".join(f'  "{name}",\n' for name in sorted(known & {*names, *table().reached}))
    _, _, rest = TABLE.read_text(encoding="utf-8").partition("]\n")
    head = "# Points that the sweep kills at, written by `python -m bench.chaos --record`.\n"
    TABLE.write_text(f"{head}reached = [\n{lines}]\n{rest}", encoding="utf-8")
