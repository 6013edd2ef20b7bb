"""The `pocketlet` program: finds the command, and turns whatever goes wrong into one sentence and an exit code."""

import importlib
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import NoReturn

import click

from pocketlet import errors
from pocketlet.surfaces.cli import output, table

INTERRUPTED = 130
USAGE = 2


class Commands(click.Group):
    """Imports a command's module when it is invoked, and not for the list of all commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the help."""
        return list(table.COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now."""
        if cmd_name not in table.COMMANDS:
            return None
        module, _, name = table.COMMANDS[cmd_name][0].partition(":")
        return getattr(importlib.import_module(f"{__package__}.{module}"), name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, from the table alone."""
        width = max(map(len, table.COMMANDS))
        for title, commands in table.SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), line) for name, (_, line) in commands.items()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="pocketlet", prog_name="pocketlet")
@click.option("--debug", is_flag=True, help="Show logs, and tracebacks of errors.")
def cli(*, debug: bool) -> None:
    """An open, self-hosted worker for recurring jobs that gets better as you correct it.

    Every command takes --json, which prints one JSON document. Start with `pocketlet demo crm`.
    """
    _set_up_logs(debug=debug)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs the program and exits: 0 done, else as `docs/cli.md` lists."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = given[: given.index("--")] if "--" in given else given
    if "--debug" not in options:
        sys.excepthook = _unexpected(as_json="--json" in options)
    code = _run(given, as_json="--json" in options, debug="--debug" in options)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read us has left; the interpreter's own last flush must not complain about it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _run(given: list[str], *, as_json: bool, debug: bool) -> int:
    try:
        _check_text(given)
        return cli.main(given, prog_name="pocketlet", standalone_mode=False) or 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.message, err=True)
        return USAGE
    except click.ClickException as error:
        usage = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "pocketlet"
        output.failure("Usage", error.format_message(), f"See `{usage} --help`.", as_json=as_json)
        return USAGE
    except click.Abort:
        output.failure("Interrupted", "Interrupted.", "", as_json=as_json)
        return INTERRUPTED
    except errors.PocketletError as error:
        if debug:
            traceback.print_exception(error)
        output.failure(type(error).__name__, str(error), error.hint, as_json=as_json)
        return error.exit_code
    except OSError as error:
        if debug:
            traceback.print_exception(error)
        place = f"{error.filename}: " if error.filename else ""
        hint = "Check the path." if error.filename else ""
        output.failure("Failed", f"{place}{error.strerror or error}.", hint, as_json=as_json)
        return errors.Failed.exit_code


def _check_text(given: Sequence[str]) -> None:
    """Bytes that are no UTF-8 come in as lone surrogates, which can be neither stored nor printed."""
    for argument in given:
        if any("\ud800" <= character <= "\udfff" for character in argument):
            raise errors.BadInput(f"The argument {argument!r} is not UTF-8 text.")


def _unexpected(*, as_json: bool) -> Callable[[type[BaseException], BaseException, TracebackType | None], None]:
    """A hook for what nobody expected: one sentence instead of a traceback; Python exits with 1."""

    def hook(kind: type[BaseException], error: BaseException, _: TracebackType | None) -> None:
        message = f"Pocketlet itself failed: {kind.__name__}: {str(error).partition(chr(10))[0]}"
        output.failure("Unexpected", message, "`pocketlet --debug …` shows where; please report it.", as_json=as_json)

    return hook


def _set_up_logs(*, debug: bool) -> None:
    import logging

    class Plain(logging.Formatter):
        """The message without the traceback, which is for --debug."""

        def formatException(self, ei: object) -> str:
            return ""

    handler = logging.StreamHandler()
    if not debug:
        handler.setFormatter(Plain("%(message)s"))
    logging.basicConfig(level=logging.INFO if debug else logging.ERROR, handlers=[handler])


if __name__ == "__main__":
    main()
