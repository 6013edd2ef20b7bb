"""How the story is told: on a terminal for people, or not at all when only its facts are wanted."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.syntax import Syntax
from rich.table import Table

DIFF = {"+": "green", "-": "red", "@": "cyan"}


class Teller:
    """Writes to one console; a quiet one says only which step it is at, on standard error."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        console = Console(stderr=quiet, highlight=False)
        #: Neither colours nor boxes: a file, a pipe, or a person who asked for none.
        self._plain = console.no_color or not console.is_terminal
        self._console = Console(stderr=quiet, highlight=False, color_system=None) if self._plain else console

    def chapter(self, number: int, title: str) -> None:
        """The next step of the story."""
        if self._quiet:
            self._console.print(f"[{number}/6] {title}", markup=False)
        else:
            self._console.print()
            if self._plain:
                self._console.print(f"{number} · {title}", markup=False)
                return
            self._console.print(Rule(f"[bold]{number} · {escape(title)}", align="left", style="dim"))

    def say(self, text: str, style: str = "") -> None:
        """One sentence."""
        if not self._quiet:
            self._console.print(text, style=style or None, markup=False)

    def progress(self, text: str) -> None:
        """What is happening now, when it takes a moment."""
        self._console.print(f"… {text}", style="dim", markup=False)

    def mail_in(self, sender: str, subject: str, text: str) -> None:
        """A mail that arrived."""
        self._box(
            f"[bold]From[/] {escape(sender)}\n[bold]Subject[/] {escape(subject)}\n\n{escape(text.strip())}",
            "mail arrives",
            "yellow",
        )

    def draft(self, to: str, subject: str, body: str, why: str) -> None:
        """The exact text that waits for the owner."""
        head = f"[bold]To[/] {escape(to)}\n[bold]Subject[/] {escape(subject)}\n[dim]{escape(why)}[/]"
        self._box(f"{head}\n\n{escape(body.strip())}", "waits for your approval", "cyan")

    def sql(self, query: str, result: str) -> None:
        """A query of the run and the rows it found."""
        if self._quiet:
            return
        self._console.print(
            Padding(Syntax(query, "sql", theme="ansi_dark", word_wrap=True, background_color="default"), (0, 2))
        )
        header, *rows = result.splitlines()
        table = Table(show_edge=False, box=None, padding=(0, 2, 0, 0), header_style="dim")
        for name in header.split("\t"):
            table.add_column(escape(name), overflow="fold")
        for row in rows[:-1][:6]:
            table.add_row(*(escape(cell) for cell in row.split("\t")))
        self._console.print(Padding(table, (0, 4), expand=False))
        more = f", {len(rows) - 7} not shown here" if len(rows) > 7 else ""
        self._console.print(Padding(f"[dim]{escape(rows[-1] if rows else '')}{more}[/]", (0, 4)))

    def diff(self, text: str) -> None:
        """What a revision changes."""
        if not self._quiet:
            for line in text.splitlines():
                self._console.print(f"    {line}", style=DIFF.get(line[:1]), markup=False)

    def trials(self, rows: Sequence[Mapping[str, Any]], counts: Mapping[str, int], cost: object) -> None:
        """The verdicts of the replays."""
        if self._quiet:
            return
        table = Table("case", "mail", "verdict", "why", box=None, padding=(0, 2, 0, 0), header_style="dim")
        for row in rows:
            why = _why(row)
            table.add_row(f"run {row['case_run']}", escape(str(row["subject"] or "")), row["verdict"], escape(why))
        self._console.print(Padding(table, (0, 4), expand=False))
        self._console.print(
            f"    {', '.join(f'{count} {name}' for name, count in counts.items())} · {money(cost)}", style="bold"
        )

    def costs(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Where the money went."""
        if self._quiet:
            return
        table = Table(
            "what for",
            "runs",
            "model calls",
            "tokens in",
            "tokens out",
            "USD",
            box=None,
            padding=(0, 2, 0, 0),
            header_style="dim",
        )
        for row in rows:
            cells = [
                row["kind"],
                row["runs"],
                row["calls"],
                row["input_tokens"],
                row["output_tokens"],
                money(row["cost_usd"]),
            ]
            table.add_row(*(str(cell) for cell in cells))
        self._console.print(Padding(table, (0, 4), expand=False))

    def _box(self, text: str, title: str, style: str) -> None:
        if self._quiet:
            return
        if self._plain:
            self._console.print(f"  [{title}]", markup=False)
            self._console.print(Padding(text, (0, 0, 0, 4), expand=False))
            return
        width = min(92, self._console.width - 4)
        panel = Panel(text, title=title, title_align="left", border_style=style, width=width)
        self._console.print(Padding(panel, (0, 2), expand=False))


def _why(row: Mapping[str, Any]) -> str:
    """What the replays of a case showed."""
    passed = f"{row['passes']} of {row['attempts']} replays pass"
    without: list[str] = row["evidence"].get("failed_before", [])
    if row["verdict"] == "fixed" and without:
        return f"{passed}; without it fails again: {'; '.join(without)}"
    failed: list[str] = row["evidence"]["failed"]
    return f"{passed}{': ' if failed else ''}{'; '.join(failed)}"


def money(amount: object) -> str:
    """An amount in USD, to four decimals."""
    return f"${float(str(amount)):.4f}"
