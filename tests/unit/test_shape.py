"""The shape of the code: small files, small functions, names that say something. There is no list of exceptions."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "pocketlet"
LONGEST_FILE = 400
LONGEST_FUNCTION = 60
MOST_ARGUMENTS = 6
#: Lines of each kind in src/. Set just above what there is: a higher number needs a reason in docs/decisions/.
CEILINGS = {".py": 48_600, ".sql": 5_300, ".md": 130}
DRAWERS = {"base", "common", "helper", "helpers", "misc", "util", "utils"}
STATEMENT = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|GRANT|WITH|CALL|DO)\s+\S", re.IGNORECASE)
EXECUTING = {"execute", "executemany", "copy", "stream"}


def modules(*folders: str) -> list[Path]:
    """The Python files below some folders of the repository."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def trees() -> Iterator[tuple[str, ast.Module]]:
    """Each module of the package, by its path in there."""
    for path in modules("src/pocketlet"):
        yield path.relative_to(SOURCE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def written() -> list[Path]:
    """What people write and read. A migration is not edited once it is there: it is as long as its change."""
    others = [
        path for pattern in ("*.sql", "*.md") for path in SOURCE.rglob(pattern) if path.parent.name != "migrations"
    ]
    return [*modules("src", "tests", "bench"), *others]


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_files_are_short() -> None:
    assert not {str(path.relative_to(ROOT)): lines(path) for path in written() if lines(path) > LONGEST_FILE}


def test_functions_are_short_and_take_few_arguments() -> None:
    found: list[str] = []
    for path in modules("src", "tests", "bench"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > LONGEST_FUNCTION:
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name} has {length} lines")
                if path.is_relative_to(SOURCE) and arguments(node) > MOST_ARGUMENTS:
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name} has {arguments(node)} arguments")
    assert not found


def arguments(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    taken = function.args
    return sum(argument.arg not in ("self", "cls") for argument in (*taken.posonlyargs, *taken.args, *taken.kwonlyargs))


def test_complexity_and_arguments_are_ruffs_to_check() -> None:
    lint = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]["lint"]
    assert lint["mccabe"]["max-complexity"] <= 8
    assert lint["pylint"]["max-args"] <= MOST_ARGUMENTS
    assert {"C90", "BLE", "PLR0911", "PLR0912", "PLR0913", "PLR0915", "T20", "TID251"} <= set(lint["select"])
    ignored = {*lint["ignore"], *(rule for rules in lint["per-file-ignores"].values() for rule in rules)}
    assert not {"C90", "C901", "BLE", "BLE001"} & ignored
    assert all(folder.startswith(("tests/", "bench/")) for folder in lint["per-file-ignores"])


@pytest.mark.parametrize("kind", CEILINGS)
def test_the_whole_stays_small(kind: str) -> None:
    total = sum(lines(path) for path in SOURCE.rglob(f"*{kind}") if path.parent.name != "migrations")
    assert total <= CEILINGS[kind]


def test_guides_are_short() -> None:
    assert lines(ROOT / "AGENTS.md") <= 80
    records = [path for path in (ROOT / "docs" / "decisions").glob("*.md") if path.name != "README.md"]
    assert records
    assert not {path.name: lines(path) for path in records if lines(path) > 40}


def test_decisions_say_why_and_until_when() -> None:
    numbers: list[str] = []
    for path in sorted((ROOT / "docs" / "decisions").glob("*.md")):
        match = re.fullmatch(r"(\d{4})-[a-z0-9-]+\.md", path.name)
        assert match, path.name
        numbers.append(match[1])
        headings = re.findall(r"^## (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert headings == ["Context", "Choice", "What would change our mind"], path.name
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]


def test_no_drawers_and_no_second_versions() -> None:
    names = {
        part.removesuffix(".py") for path in modules("src", "tests", "bench") for part in path.relative_to(ROOT).parts
    }
    assert not {name for name in names if name in DRAWERS or re.search(r"_v\d+$", name)}


def test_every_module_says_in_a_sentence_why_it_exists() -> None:
    wrong: list[str] = []
    for path in modules("src", "tests", "bench"):
        said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        if not said.partition("\n")[0].endswith("."):
            wrong.append(str(path.relative_to(ROOT)))
    assert not wrong


def test_only_the_worker_boundary_swallows_every_error() -> None:
    found = [
        name
        for name, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler) and catches_all(node) and not raises_again(node)
    ]
    assert sorted(set(found)) == ["agents/loop.py", "agents/waking/rounds.py"]


def catches_all(handler: ast.ExceptHandler) -> bool:
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or ast.unparse(kind) in ("Exception", "BaseException") for kind in caught)


def raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def test_sql_stands_in_sql_files() -> None:
    found = [
        f"{name}:{node.lineno}"
        for name, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in EXECUTING
        and any(STATEMENT.match(text) for text in texts(node.args[:1]))
    ]
    assert not found


def texts(arguments_of_call: list[ast.expr]) -> Iterator[str]:
    """Every piece of text that an expression is made of."""
    for argument in arguments_of_call:
        for node in ast.walk(argument):
            if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
                yield node.value if isinstance(node.value, str) else node.value.decode("utf-8", "replace")


def test_only_the_loader_vouches_for_sql() -> None:
    found = [
        name
        for name, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("cast", "typing.cast")
        and "LiteralString" in ast.unparse(node.args[0])
    ]
    assert set(found) == {"db/queries.py"}


def test_only_settings_reads_the_environment() -> None:
    names = {"os.environ", "os.environb", "os.getenv"}
    found = {
        name
        for name, tree in trees()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and ast.unparse(node) in names)
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "os"
            and {a.name for a in node.names} & {"environ", "getenv"}
        )
    }
    assert found == {"settings.py"}
