"""What the import contracts of pyproject.toml can't see: what is opened or run without an import of its own."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
PACKAGE = PYPROJECT.parent / "src" / "pocketlet"
#: asyncio's (and os') ways to open a connection, listen, look a name up or start a program.
OPENING = {
    "create_connection",
    "create_datagram_endpoint",
    "create_server",
    "create_subprocess_exec",
    "create_subprocess_shell",
    "create_unix_connection",
    "create_unix_server",
    "getaddrinfo",
    "open_connection",
    "open_unix_connection",
    "popen",
    "sock_connect",
    "start_server",
    "start_unix_server",
    "system",
}
#: The demo's sink and stand-in are the outside world.
MAY_OPEN = ("platform/gateways/", "demo/")
#: It starts the program that puts up the walls before code runs in them.
MAY_START = ("platform/sandbox.py",)
STARTING = {"create_subprocess_exec"}
#: import-linter sees no more than the top level of a package from outside, and `urllib.parse` is harmless.
NETWORK = {"http.client", "multiprocessing", "urllib.request"}
EVALUATING = {"__import__", "compile", "eval", "exec", "marshal.loads", "pickle.load", "pickle.loads"}


def sources(*but: str) -> Iterator[tuple[str, ast.Module]]:
    """Each module of the package, by its path in there, but for those below some folders."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if not name.startswith(but):
            yield name, ast.parse(path.read_text(encoding="utf-8"))


def called(tree: ast.Module) -> set[str]:
    """What a module calls, as it is written there."""
    return {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}


def imported(tree: ast.Module) -> set[str]:
    """The modules that a module imports, at whatever place."""
    plain = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return plain | {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


def ours(tree: ast.Module) -> set[str]:
    """The names by which a module calls other modules of the package, which are looked at themselves."""
    return {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pocketlet")
        for alias in node.names
    }


def test_only_gateways_open_connections() -> None:
    for name, tree in sources(*MAY_OPEN):
        foreign = {call for call in called(tree) if "." in call and call.partition(".")[0] not in ours(tree)}
        opening = OPENING - STARTING if name in MAY_START else OPENING
        assert not {call.rpartition(".")[2] for call in foreign} & opening, name
        assert not imported(tree) & NETWORK, name


def test_nothing_evaluates_text() -> None:
    for name, tree in sources():
        assert not called(tree) & EVALUATING, name


def test_the_contracts_hold_what_the_safety_page_says() -> None:
    contracts = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    importers = {
        module: contract["allowed_importers"]
        for contract in contracts
        if contract["type"] == "protected"
        for module in contract["protected_modules"]
    }
    assert importers["psycopg"] == importers["psycopg_pool"] == ["pocketlet.db"]
    assert importers["procrastinate"] == ["pocketlet.platform.queue"]
    for module in ("aiosmtplib", "anthropic", "http", "httpx2", "openai", "pydantic_ai", "socket"):
        assert importers[module] == ["pocketlet.platform.gateways"]
    assert all(contract["exhaustive"] for contract in contracts if contract["type"] == "layers")
