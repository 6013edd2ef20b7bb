"""Commands next to each other, next to `up`, interrupted, and what they print where."""

import json
import os
import signal
import stat
from pathlib import Path

import command_line
import pytest

from pocketlet.db import pool


def test_status_of_a_home_without_postgres_starts_nothing(cli: command_line.Cli, tmp_path: Path) -> None:
    home = tmp_path / "fresh"
    result = cli("status", "--json", POCKETLET_HOME=str(home))
    assert result.code == 0
    assert (result.json["postgres"]["running"], result.json["runs"]) == (False, None)
    assert not home.exists()
    stopped = cli("down", "--json", POCKETLET_HOME=str(home))
    assert stopped.json == {"stopped": {"workers": [], "postgres": False}}
    assert cli("down", POCKETLET_HOME=str(home)).out == "Nothing was running.\n"


def test_up_works_on_runs_and_down_stops_it(cli: command_line.Cli, talker: str, tmp_path: Path) -> None:
    with cli.process("up", "--role", "worker", "--json") as up:
        assert up.stdout is not None
        json.loads(up.stdout.readline())
        [worker] = cli("status", "--json").json["workers"]
        assert (worker["role"], worker["pid"]) == ("worker", up.pid)
        queued = cli("run", talker, "--input", "-", "--no-wait", "--json", stdin="Say so.")
        assert (queued.code, queued.json["state"]) == (0, "queued")
        done = cli("run", talker, "--input", "-", "--json", stdin="Say so.")
        assert (done.code, done.json["result"]) == (0, "Nothing to do.")
        up.send_signal(signal.SIGTERM)
        up.communicate()
    assert up.returncode == 0
    assert cli("status", "--json").json["workers"] == []


def test_a_secret_counts_for_a_worker_that_was_there_before_it(
    cli: command_line.Cli, talker: str, model: command_line.FakeModel
) -> None:
    nowhere = command_line.Cli({**cli.env, "OPENAI_BASE_URL": ""})
    with nowhere.process("up", "--role", "worker", "--json") as up:
        assert up.stdout is not None
        json.loads(up.stdout.readline())
        without = nowhere("run", talker, "--input", "-", "--json", stdin="Say so.")
        assert (without.code, without.json["error"]) == (7, "openai:fake needs a key and there is none.")
        nowhere("secret", "set", "OPENAI_BASE_URL", stdin=model.url)
        done = nowhere("retry", without.json["run"], "--json")
        nowhere("secret", "remove", "OPENAI_BASE_URL")
        assert (done.code, done.json["result"]) == (0, "Nothing to do.")
        up.send_signal(signal.SIGTERM)
        up.communicate()


def test_commands_at_the_same_time(cli: command_line.Cli, talker: str, tmp_path: Path) -> None:
    (tmp_path / "task").write_text("Say so.")
    running = [cli.process("run", talker, "--input", tmp_path / "task", "--json") for _ in range(3)]
    documents = [json.loads(one.communicate()[0]) for one in running]
    assert [one.returncode for one in running] == [0, 0, 0]
    assert [document["state"] for document in documents] == ["done"] * 3
    assert len({document["run"] for document in documents}) == 3


def test_ctrl_c_leaves_the_run_for_later(cli: command_line.Cli, talker: str, tmp_path: Path) -> None:
    (tmp_path / "task").write_text("Say so.")
    with cli.process("run", talker, "--input", tmp_path / "task") as running:
        assert running.stderr is not None
        first = running.stderr.readline()
        running.send_signal(signal.SIGINT)
        told = running.stderr.read()
        assert running.stdout is not None
        assert running.stdout.read() == ""
    assert first.startswith("Run ")
    assert running.returncode == 130
    assert told.endswith("Interrupted.\n")
    assert "Traceback" not in told


def test_who_stops_reading_is_not_an_error(cli: command_line.Cli, talker: str) -> None:
    with cli.process("agent", "show", talker) as running:
        assert running.stdout is not None
        running.stdout.close()
        assert running.stderr is not None
        assert "Error" not in running.stderr.read()


def test_text_from_outside_cannot_move_the_cursor(cli: command_line.Cli, talker: str) -> None:
    document = cli("run", talker, "--input", "-", "--json", stdin="Say \x1b[2J so \u202e now.").json
    shown = cli("show", document["run"]).out
    assert "\x1b" not in shown
    assert "⟨U+001B⟩[2J" in shown
    assert "⟨U+202E⟩" in shown


def test_json_is_ascii_with_times_and_money_spelled_out(cli: command_line.Cli, talker: str) -> None:
    result = cli("run", talker, "--input", "-", "--json", stdin="Sag es, bitte schön.")
    assert result.out.isascii()
    document = result.json
    assert document["created_at"].endswith("+00:00")
    assert document["cost_usd"] == "0.00011"
    assert document["input"]["text"] == "Sag es, bitte schön."


def test_secrets_are_sealed_and_never_shown(cli: command_line.Cli, home: Path) -> None:
    assert cli("secret", "set", "SOME_KEY", stdin="hush-hush\n").out == "SOME_KEY is sealed.\n"
    listed = cli("secret", "list", "--json")
    assert listed.json == {"secrets": ["SOME_KEY"]}
    assert "hush" not in listed.out + listed.err
    assert stat.S_IMODE((home / "key").stat().st_mode) == 0o600
    assert cli("secret", "remove", "SOME_KEY", "--json").json["removed"] is True


def test_doctor_sees_a_key_that_others_may_read(cli: command_line.Cli, home: Path) -> None:
    cli("secret", "set", "SOME_KEY", stdin="hush-hush")
    (home / "key").chmod(0o644)
    try:
        result = cli("doctor", "--json")
    finally:
        (home / "key").chmod(0o600)
        cli("secret", "remove", "SOME_KEY")
    assert result.code == 8
    [red] = [check for check in result.json["checks"] if check["state"] == "red"]
    assert red["name"] == "the key file is yours alone"
    assert red["advice"].startswith("chmod 600 ")


DAMAGE = {
    "running runs have a worker": "UPDATE pocketlet.run SET state = 'running', worker_id = NULL WHERE id = %(run)s",
    "waiting runs have a question": "UPDATE pocketlet.run SET state = 'waiting' WHERE id = %(run)s",
    "queued runs have a job": "UPDATE pocketlet.run SET state = 'queued' WHERE id = %(run)s",
    "budgets agree with the ledger": "UPDATE pocketlet.budget SET spent = spent + 1 WHERE scope = 'run:' || %(run)s",
    "no call cost more than its worst case": "UPDATE pocketlet.ledger SET reserved = 0 WHERE run_id = %(run)s",
}


@pytest.mark.parametrize("check", DAMAGE)
async def test_doctor_sees_what_must_not_be(check: str, cli: command_line.Cli, talker: str, db: pool.Database) -> None:
    run = cli("run", talker, "--input", "-", "--json", stdin="Say so.").json["run"]
    async with db.setup() as conn:
        await conn.execute(DAMAGE[check].encode(), {"run": run})
    result = cli("doctor", "--json")
    async with db.setup() as conn:
        await conn.execute(b"DELETE FROM pocketlet.ledger WHERE run_id = %(run)s", {"run": run})
        await conn.execute(b"DELETE FROM pocketlet.budget WHERE scope = 'run:' || %(run)s", {"run": run})
    assert result.code == 8
    found = {one["name"]: one for one in result.json["checks"] if one["state"] == "red"}
    assert check in found
    assert found[check]["advice"]


async def test_doctor_sees_loose_functions_and_missing_logins(
    cli: command_line.Cli, talker: str, db: pool.Database
) -> None:
    async with db.login(talker) as conn:
        await conn.execute(b"CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER AS $$ SELECT 1 $$")
    async with db.setup() as conn:
        await conn.execute(b"ALTER ROLE talker_ro NOLOGIN")
        result = cli("doctor")
        await conn.execute(b"ALTER ROLE talker_ro LOGIN")
    assert result.code == 8
    assert "red      functions with their owner's rights are pinned: talker.f()" in result.out
    assert "red      agents have their logins: talker_ro" in result.out
    assert os.linesep + "         do: " in result.out
