"""The list of commands needs no command: it is quick, complete and true."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import command_line
import pytest

import pocketlet
from pocketlet.surfaces.cli import main, table

HEAVY = ("psycopg", "pydantic_ai", "rich", "procrastinate", "httpx2", "openai", "aiosmtplib", "cryptography", "yaml")
GUIDE = Path(pocketlet.__file__).parents[2] / "docs" / "cli.md"


def commands(group: click.Group, *names: str) -> Iterator[tuple[str, click.Command]]:
    """Every command with its full name, without the groups."""
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None, name
        if isinstance(found, click.Group):
            yield from commands(found, *names, name)
        else:
            yield " ".join((*names, name)), found


EVERY = dict(commands(main.cli))


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["agent", "import", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = f"""
import sys
from pocketlet.surfaces.cli import main
try:
    main.main({arguments!r})
except SystemExit as end:
    found = [name for name in {HEAVY!r} if name in sys.modules]
    sys.exit(f"imported {{found}}" if found else end.code)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage: pocketlet" in done.stdout


@pytest.mark.parametrize("name", table.COMMANDS)
def test_the_line_in_the_table_is_the_commands_own(name: str) -> None:
    context = click.Context(main.cli)
    found = main.cli.get_command(context, name)
    assert found is not None
    first = (found.help or "").partition("\n\n")[0]
    assert " ".join(first.split()) == table.COMMANDS[name][1]


def test_help_lists_every_command(bare: command_line.Cli) -> None:
    result = bare("--help")
    assert result.code == 0
    for name in table.COMMANDS:
        assert f"\n  {name} " in result.out


@pytest.mark.parametrize("name", EVERY)
def test_every_command_takes_json(name: str) -> None:
    assert "--json" in {option for parameter in EVERY[name].params for option in parameter.opts}


@pytest.mark.parametrize("name", EVERY)
def test_every_command_and_option_is_in_the_guide(name: str) -> None:
    sections = GUIDE.read_text(encoding="utf-8").split("\n### ")
    [section] = [text for text in sections if re.match(rf"`pocketlet {name}[ `]", text)]
    for parameter in EVERY[name].params:
        if isinstance(parameter, click.Option) and not parameter.hidden and parameter.name != "as_json":
            assert f"`{parameter.opts[0]}" in section


def test_an_empty_command_line_shows_the_help(bare: command_line.Cli) -> None:
    result = bare()
    assert (result.code, result.out) == (2, "")
    assert "Usage: pocketlet" in result.err


def test_version(bare: command_line.Cli) -> None:
    assert bare("--version").out.startswith("pocketlet, version ")
