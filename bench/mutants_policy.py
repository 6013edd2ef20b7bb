"""Changes the policy core in one place at a time: each change must be noticed by its tests. At least 95 % are."""

import ast
import copy
import importlib
import io
import os
import re
import signal
import sys
import types
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "src" / "pocketlet" / "policy"
TESTS = str(ROOT / "tests" / "unit" / "test_policy_core.py")
#: Runs the mutated code itself: not what starts a second process or reads the source.
CHOSEN = "not every_branch and not small_and_pure"
#: These tests need no fixtures of the house, and no plugin.
BARE = ("-c", os.devnull, "--rootdir", str(ROOT), "--noconftest")
GOAL = 0.95
PATIENCE = 60
SWAPS: dict[type[ast.AST], tuple[type[ast.AST], ...]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.And: (ast.Or,),
    ast.Or: (ast.And,),
    ast.Sub: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd, ast.Sub),
    ast.BitAnd: (ast.BitOr,),
}
CALLED = {"max": "min", "all": "any", "any": "all", "sorted": "list"}


def variants(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Each changed form of one node, and what was changed."""
    for swap in SWAPS.get(type(node), ()):
        yield f"{type(node).__name__} -> {swap.__name__}", swap()
    if isinstance(node, ast.Constant):
        yield from ((f"{node.value!r} -> {value!r}", ast.Constant(value)) for value in _values(node.value))
    yield from _of_branch(node)
    if isinstance(node, ast.Tuple | ast.Set) and isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        for position in range(len(node.elts)):
            left = [*node.elts[:position], *node.elts[position + 1 :]]
            yield f"without {ast.unparse(node.elts[position])}", _like(node, left)
    yield from _of_call(node)


def _of_branch(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "no `not`", node.operand
    if isinstance(node, ast.IfExp):
        yield "branches swapped", ast.IfExp(node.test, node.orelse, node.body)
    if isinstance(node, ast.Return) and not (isinstance(node.value, ast.Constant) and node.value.value is None):
        yield "returns None", ast.Return(ast.Constant(None))
    if isinstance(node, ast.If):
        yield "never", ast.If(ast.Constant(False), node.body, node.orelse)
        yield "always", ast.If(ast.Constant(True), node.body, node.orelse)


def _like(node: ast.Tuple | ast.Set, elements: list[ast.expr]) -> ast.expr:
    return ast.Tuple(elements, ast.Load()) if isinstance(node, ast.Tuple) else ast.Set(elements)


def _of_call(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    if not isinstance(node, ast.Call):
        return
    if isinstance(node.func, ast.Name) and node.func.id in CALLED:
        yield (
            f"{node.func.id} -> {CALLED[node.func.id]}",
            ast.Call(
                ast.Name(CALLED[node.func.id], ast.Load()),
                node.args,
                [] if CALLED[node.func.id] == "list" else node.keywords,
            ),
        )
    if isinstance(node.func, ast.Attribute) and node.func.attr in ("lower", "rstrip", "replace"):
        yield f"no .{node.func.attr}()", node.func.value


def _values(value: object) -> Iterator[object]:
    """Other values. A text with a blank is for people: only that it is there is tested."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, value - 1)
    elif isinstance(value, str) and " " not in value:
        yield f"{value}X"


def mutants(source: str) -> Iterator[tuple[int, str, ast.Module]]:
    """Line, change and tree of every mutant of a module."""
    tree = ast.parse(source)
    for number, (node, skip) in enumerate(_nodes(tree)):
        if skip:
            continue
        for what, changed in variants(node):
            other = copy.deepcopy(tree)
            target = next(found for place, (found, _) in enumerate(_nodes(other)) if place == number)
            _replace(other, target, changed)
            yield getattr(node, "lineno", 0), what, ast.fix_missing_locations(other)


def _nodes(tree: ast.Module) -> Iterator[tuple[ast.AST, bool]]:
    """All nodes, and whether one is a docstring, a type or a part of a text for people."""
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(id(node.value))
        for part in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            skipped |= {id(one) for one in ast.walk(part)} if part else set()
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(one) for one in node.values if isinstance(one, ast.Constant)}
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "dataclass":
            skipped |= {id(one) for one in ast.walk(node)}
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "Check":
            skipped |= {id(one) for one in ast.walk(node)}
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "cast":
            skipped |= {id(node.args[0])}
    return ((node, id(node) in skipped) for node in ast.walk(tree))


def _replace(tree: ast.Module, target: ast.AST, changed: ast.AST) -> None:
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if value is target:
                setattr(parent, name, changed)
                return
            if isinstance(value, list) and any(one is target for one in value):
                setattr(parent, name, [changed if one is target else one for one in value])
                return


def survives(name: str, tree: ast.Module) -> bool:
    """Whether all tests still pass with this module, in a process of its own that ends in a minute."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status) == 0
    signal.alarm(PATIENCE)
    code = 1
    try:
        code = _tested(name, tree)
    finally:
        os._exit(code)


def _tested(name: str, tree: ast.Module) -> int:
    package = importlib.import_module("pocketlet.policy")
    for other in [found for found in sys.modules if found.startswith("pocketlet.policy.")]:
        del sys.modules[other]
    module = types.ModuleType(f"pocketlet.policy.{name}")
    sys.modules[module.__name__] = module
    setattr(package, name, module)
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        exec(compile(tree, f"{name}.py", "exec"), vars(module))
        for other in ("labels", "calls", "core"):
            setattr(package, other, importlib.import_module(f"pocketlet.policy.{other}"))
        return int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *BARE, "-k", CHOSEN, TESTS]))


def main() -> int:
    """Prints each survivor and the share that was killed; 1 if it is too small."""
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    killed, alive = 0, list[str]()
    for file in sorted(FOLDER.glob("[a-z]*.py")):
        for line, what, tree in mutants(file.read_text(encoding="utf-8")):
            if survives(file.stem, tree):
                alive.append(f"{file.name}:{line}  {re.sub(chr(92) + 's+', ' ', what)[:100]}")
                print(f"survives: {alive[-1]}", flush=True)
            else:
                killed += 1
    share = killed / (killed + len(alive))
    print(f"{killed} of {killed + len(alive)} mutants of the policy core killed: {share:.1%} (goal {GOAL:.0%})")
    return 0 if share >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
