"""`pocketlet bench`: what the safety of an installation is measured with."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import click

from pocketlet import errors
from pocketlet.surfaces.cli import output


@click.group()
def bench() -> None:
    """Measure how well the gate holds. Needs a checkout of the repository."""


@bench.command()
@output.as_json
def agentdojo(*, as_json: bool) -> None:
    """Let AgentDojo's call lists act as a model that obeys whatever it reads.

    Prints how many of its tasks run without a question to the owner, and how many attacks are held back.
    Offline; no model is called. Takes about a minute.
    """
    figures, report = _module("figures"), _module("report")
    found = figures.measure()
    if as_json:
        output.document(report.document(found))
        return
    for line in report.lines(found):
        output.line(line)


def _module(name: str) -> ModuleType:
    root = Path(__file__).parents[4]
    if not (root / "bench" / "agentdojo").is_dir():
        raise errors.NotFound(
            "The benchmarks are not a part of the installed package.",
            hint="Clone the repository, and there: `make bench-agentdojo`.",
        )
    if str(root) not in sys.path:
        sys.path.append(str(root))
    return importlib.import_module(f"bench.agentdojo.{name}")
