"""How commands print: results on stdout, as text or one JSON document; everything else on stderr."""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import click

as_json: Callable[[Callable[..., None]], Callable[..., None]] = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document."
)


def document(value: object) -> None:
    """`value` as JSON: times in RFC 3339 (UTC), money as decimal strings, nothing beyond ASCII."""
    click.echo(json.dumps(value, default=_encode, indent=2))


def _encode(value: object) -> object:
    match value:
        case Decimal():
            return f"{value.normalize():f}"
        case datetime():
            return value.astimezone(UTC).isoformat()
        case date():
            return value.isoformat()
        case _:
            raise TypeError(f"no JSON for {type(value).__name__}")


def say(value: object, text: str, *, as_json: bool) -> None:
    """What was done: `value` as JSON, or the `text` that says the same."""
    if as_json:
        document(value)
    else:
        line(text)


def line(text: str = "") -> None:
    """Text on stdout. What came from outside can't move the cursor or hide: unseen characters are shown as codes."""
    click.echo(_visible(text))


def note(text: str) -> None:
    """Progress, and what to do next, on stderr."""
    click.echo(_visible(text), err=True)


def failure(kind: str, message: str, hint: str, *, as_json: bool) -> None:
    """An error: what happened and what to do next."""
    if as_json:
        document({"ok": False, "error": {"kind": kind, "message": message, "hint": hint}})
        return
    note(message if kind == "Interrupted" else f"Error: {message}")
    if hint:
        note(f"Next: {hint}")


def money(value: Decimal | int) -> str:
    """An amount of USD, to a hundredth of a cent."""
    return f"{value:.4f} USD"


def when(value: datetime | None) -> str:
    """A point in time, to the second, in UTC."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if value else ""


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Rows in columns: boxed on a terminal, else aligned with blanks."""
    cells = [[_visible(" ".join(str("" if cell is None else cell).split())) for cell in row] for row in rows]
    if is_terminal():
        _boxed(columns, cells)
        return
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    for row in [list(columns), *cells]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def is_terminal() -> bool:
    """Whether a person reads stdout and has nothing against colours and boxes."""
    from pocketlet import settings

    return sys.stdout.isatty() and not settings.provider_environment().get("NO_COLOR")


def _boxed(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    from rich import box, console, text
    from rich import table as tables

    drawn = tables.Table(*columns, box=box.SIMPLE_HEAD)
    for row in cells:
        drawn.add_row(*(text.Text(cell) for cell in row))
    console.Console().print(drawn)


def _visible(text: str) -> str:
    from pocketlet.platform import compose

    return compose.visible(text)


def pairs(facts: dict[str, Any]) -> str:
    """`{"a": 1}` as `a=1`."""
    return ", ".join(f"{key}={value}" for key, value in facts.items())
