"""Rows and scripts in bulk, on the app's own connection: what an import reads and an export writes."""

import csv
import graphlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import cast

import psycopg

from pocketlet import errors
from pocketlet.db import pool, queries

Q = queries.load("bulk")


async def run_script(conn: pool.Conn, text: str, *, where: str) -> None:
    """Runs SQL of the agent's folder, on a connection logged in as the agent. Raises errors.BadInput with the line."""
    text = text.removeprefix("\ufeff")
    try:
        await conn.execute(text.encode())
    except psycopg.DatabaseError as error:
        position = error.diag.statement_position
        line = f", line {text[: int(position)].count(chr(10)) + 1}" if position else ""
        raise errors.BadInput(f"{where}{line}: {error.diag.message_primary or pool.first_line(error)}.") from error


async def load(conn: pool.Conn, schema: str, table: str, path: Path) -> None:
    """Loads a .csv or .jsonl file into the table of that name. Raises errors.BadInput with the line."""
    where = f"data/{path.name}"
    columns = await _columns(conn, schema, table)
    if not columns:
        raise errors.BadInput(f"{where}: there is no table {table!r} (schema/ makes the tables).")
    try:
        if path.suffix == ".csv":
            await _load_csv(conn, schema, table, path)
        else:
            await _load_jsonl(conn, schema, table, path)
    except psycopg.DatabaseError as error:
        context = (error.diag.context or "").partition("\n")[0].removeprefix(f"COPY {table}, ")
        said = error.diag.message_primary or pool.first_line(error)
        raise errors.BadInput(f"{where}{': ' + context if context else ''}: {said}.") from error
    except UnicodeDecodeError as error:
        raise errors.BadInput(f"{where} is not UTF-8 text (byte {error.start}).") from error
    await _catch_up(conn, schema, table)


async def _load_csv(conn: pool.Conn, schema: str, table: str, path: Path) -> None:
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = next(csv.reader([file.readline()]), list[str]())
        if not header:
            raise errors.BadInput(f"data/{path.name} is empty: the first line names the columns.")
        statement = queries.columns(Q["copy_in"], header, schema=schema, table=table)
        file.seek(0)
        async with conn.cursor() as cursor, cursor.copy(statement) as copy:
            while chunk := file.read(1 << 16):
                await copy.write(chunk)


async def _load_jsonl(conn: pool.Conn, schema: str, table: str, path: Path) -> None:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            row = _json_row(line, f"data/{path.name}, line {number}")
            statement = queries.columns(Q["insert_json"], list(row), schema=schema, table=table)
            try:
                await conn.execute(statement, {"row": pool.jsonb(row)})
            except psycopg.DatabaseError as error:
                said = error.diag.message_primary or pool.first_line(error)
                raise errors.BadInput(f"data/{path.name}, line {number}: {said}.") from error


def _json_row(line: str, where: str) -> dict[str, object]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise errors.BadInput(f"{where}, column {error.colno}: {error.msg}.") from error
    if not isinstance(row, dict) or not row:
        raise errors.BadInput(f"{where}: each line must be a JSON object.")
    return cast("dict[str, object]", row)


async def _catch_up(conn: pool.Conn, schema: str, table: str) -> None:
    """Identity and serial columns go on after the highest loaded value."""
    found = await (await conn.execute(Q["counted_columns"], {"schema": schema, "table": table})).fetchall()
    for row in found:
        statement = queries.named(Q["catch_up"], schema=schema, table=table, column=row["name"])
        await conn.execute(statement, {"sequence": row["sequence"]})


async def _columns(conn: pool.Conn, schema: str, table: str) -> list[str]:
    rows = await (await conn.execute(Q["columns"], {"schema": schema, "table": table})).fetchall()
    return [row["name"] for row in rows]


async def in_order(conn: pool.Conn, schema: str, tables: Iterable[str]) -> list[str]:
    """The tables so that those that others refer to come first (a circle is left in the order of the names)."""
    wanted = sorted(tables)
    sorter = graphlib.TopologicalSorter[str]({table: [] for table in wanted})
    for row in await (await conn.execute(Q["references"], {"schema": schema, "tables": wanted})).fetchall():
        sorter.add(row["from"], row["to"])
    try:
        return list(sorter.static_order())
    except graphlib.CycleError:
        return wanted


async def check_names(conn: pool.Conn, schema: str) -> None:
    """Raises errors.BadInput if the app made a table that can't have a file of its name."""
    for table in await own_tables(conn, schema):
        if "/" in table:
            raise errors.BadInput(f"schema/ makes a table {table!r}; a table's name holds no slash.")


async def own_tables(conn: pool.Conn, schema: str) -> list[str]:
    """Names of the tables that the app itself made."""
    return [row["name"] for row in await (await conn.execute(Q["own_tables"], {"schema": schema})).fetchall()]


async def dump(conn: pool.Conn, schema: str, table: str) -> str:
    """A table of the app as CSV with a header, in the order of its first column."""
    statement = queries.columns(Q["copy_out"], await _columns(conn, schema, table), schema=schema, table=table)
    async with conn.cursor() as cursor, cursor.copy(statement) as copy:
        return "".join([bytes(chunk).decode() async for chunk in copy])


async def dump_core(conn: pool.Conn, schema: str, table: str) -> str:
    """A core table as JSON lines, with its provenance."""
    rows = await (await conn.execute(queries.named(Q["core_rows"], schema=schema, table=table))).fetchall()
    return "".join(pool.canonical(row["row"]) + "\n" for row in rows)


async def table_map(conn: pool.Conn, schema: str) -> str:
    """What a briefing says about the tables: one line each, with columns, types and comments."""
    rows = await (await conn.execute(Q["table_map"], {"schema": schema})).fetchall()
    return "\n".join(_lines(rows))


def _lines(rows: Sequence[dict[str, object]]) -> Iterator[str]:
    for row in rows:
        line = f"{row['name']}({row['columns']})"
        notes = [str(row[key]) for key in ("comment", "column_comments") if row[key]]
        yield f"{line} -- {'; '.join(notes)}" if notes else line
