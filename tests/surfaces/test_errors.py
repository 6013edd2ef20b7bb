"""Whatever goes wrong: one clear sentence, the next step, and the exit code of `docs/cli.md`."""

from pathlib import Path

import command_line
import pytest

BROKEN = {
    "toml": ({"agent_dot_toml": 'name = "x"\njob ='}, "agent.toml is not valid TOML: Invalid value (at end of"),
    "key": ({"agent_dot_toml": 'name = "x"\njob = "y"'}, "agent.toml needs `model`"),
    "name": ({"agent_dot_toml": 'name = "pg_x"\njob = "y"\nmodel = "openai:z"'}, "The name 'pg_x' is reserved."),
    "tool": ({"agent_dot_toml": 'name = "x"\njob = "y"\nmodel = "z"\ntools = ["rm"]'}, "no tool is called rm"),
    "sql": ({"schema__01_dot_sql": "CREATE TABLE a (i int);\nCREATE TABEL b ();"}, "schema/01.sql, line 2: syntax"),
    "table": ({"data__nope_dot_csv": "a\n1\n"}, "data/nope.csv: there is no table 'nope'"),
    "csv": (
        {"schema__01_dot_sql": "CREATE TABLE a (i int);", "data__a_dot_csv": "i\n1\nx\n"},
        "data/a.csv: line 3, column i",
    ),
    "expect": ({"lessons__a_dot_md": "---\nexpect: sorry\n---\nBe kind."}, "lessons/a.md: `expect` must be like"),
    "yaml": ({"lessons__a_dot_md": "---\nwhen: {a\n---\nBe kind."}, "lessons/a.md: the front matter is not valid YAML"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_folder_is_refused_whole(case: str, cli: command_line.Cli, tmp_path: Path) -> None:
    files, sentence = BROKEN[case]
    result = cli("agent", "import", command_line.write_agent(tmp_path / "agent", "broken", **files))
    assert (result.code, result.out) == (2, "")
    assert sentence in result.err
    assert "Next: " in result.err
    assert "Traceback" not in result.err
    assert cli("agent", "show", "broken").code == 6


def test_invalid_toml_names_line_and_column(cli: command_line.Cli, tmp_path: Path) -> None:
    folder = command_line.write_agent(tmp_path / "agent", "x", agent_dot_toml='name = "x"\njob = = 1\n')
    assert "(at line 2, column 7)" in cli("agent", "import", folder).err


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["nope"], 2, "No such command 'nope'."),
        (["show", "x"], 2, "'x' is not a valid number."),
        (["show", "0"], 2, "0 is not in the range"),
        (["show", str(2**63)], 2, "is not in the range"),
        (["approve", "x"], 2, "'x' is not a valid number."),
        (["run", "nobody"], 2, "Missing option '--input'"),
        (["run", "nobody", "--input", "nowhere.eml"], 2, "nowhere.eml can't be read: No such file or directory."),
        (["agent", "import", "nowhere"], 2, "nowhere is not a folder."),
        (["agent", "import", "."], 2, ". holds no agent.toml."),
        (["feedback", "1", "--edited", "nowhere"], 2, "nowhere can't be read"),
        (["secret", "set", "a b"], 2, "'a b' is not a name"),
        (["secret", "set", "A_KEY"], 2, "The value is empty."),
        (["show", str(2**62)], 6, f"There is no run {2**62}."),
        (["stop", str(2**62)], 6, f"There is no run {2**62}."),
        (["retry", str(2**62)], 6, f"There is no run {2**62}."),
        (["feedback", str(2**62), "x"], 6, f"There is no run {2**62}."),
        (["approve", str(2**62)], 6, f"There is no approval {2**62}."),
        (["refuse", str(2**62)], 6, f"There is no approval {2**62}."),
        (["secret", "remove", "NOPE"], 6, "There is no secret 'NOPE'."),
        (["agent", "remove", "nobody"], 4, "Nothing was removed."),
        (["agent", "remove", "nobody", "--yes"], 6, "There is no agent 'nobody'."),
        (["runs", "nobody"], 6, "There is no agent 'nobody'."),
        (["revisions", "nobody"], 6, "There is no agent 'nobody'."),
        (["diff", "nobody", "1", "2"], 6, "There is no agent 'nobody'."),
        (["sql", "nobody", "select 1"], 6, "There is no agent 'nobody'."),
        (["cost", "nobody"], 6, "There is no agent 'nobody'."),
    ],
)  # fmt: skip
def test_wrong_arguments(
    arguments: list[str],
    code: int,
    sentence: str,
    cli: command_line.Cli,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    result = cli(*arguments)
    assert (result.code, result.out) == (code, "")
    assert sentence in result.err
    told = cli(*arguments, "--json")
    assert told.code == code
    assert told.json["ok"] is False
    assert sentence in told.json["error"]["message"]
    assert told.json["error"].keys() == {"kind", "message", "hint"}


def test_revisions_that_are_not_there(cli: command_line.Cli, talker: str) -> None:
    for arguments in (["adopt", talker, 9], ["discard", talker, 9], ["rollback", talker, 9], ["diff", talker, 1, 9]):
        result = cli(*arguments)
        assert (result.code, result.err.splitlines()[0]) == (6, "Error: talker has no revision 9.")
    assert cli("rollback", talker).err.startswith("Error: talker has no revision before 1")


def test_inputs_that_say_nothing(cli: command_line.Cli, talker: str) -> None:
    empty = cli("run", talker, "--input", "-", stdin="  \n")
    assert (empty.code, empty.err.splitlines()[0]) == (2, "Error: The input is empty.")
    binary = cli("run", talker, "--input", "-", stdin=b"\xff\xfe\x00")
    assert binary.code == 2
    assert "neither a mail message nor UTF-8 text" in binary.err
    broken = cli("run", talker, "--input", "-", stdin='{"a": ')
    assert broken.code == 2
    assert "looks like JSON and is not" in broken.err
    deep = cli("run", talker, "--input", "-", stdin="[" * 100_000 + "]" * 100_000)
    assert (deep.code, deep.err.splitlines()[0]) == (2, "Error: The input is JSON that is nested too deeply.")


@pytest.mark.parametrize("arguments", [["feedback", 1, "caf\udce9"], ["agent", "show", "\udce9"]])
def test_arguments_that_are_not_text(arguments: list[object], cli: command_line.Cli) -> None:
    told = cli(*arguments, "--json")
    assert (told.code, told.json["error"]["kind"]) == (2, "BadInput")
    assert told.json["error"]["message"].endswith("\\udce9' is not UTF-8 text.")


def test_secrets_that_can_not_be_kept(cli: command_line.Cli) -> None:
    binary = cli("secret", "set", "A_KEY", stdin=b"hush\xff")
    assert (binary.code, binary.err.splitlines()[0]) == (2, "Error: The value is not UTF-8 text.")
    broken = cli("secret", "set", "POCKETLET_SMTP_URL", stdin="smtp://me:hush/x@mx.example")
    assert broken.code == 2
    assert "hush" not in binary.err + broken.err
    assert cli("secret", "list", "--json").json == {"secrets": []}


def test_an_import_of_the_same_name_is_a_conflict_until_told_to_replace(
    cli: command_line.Cli, talker: str, tmp_path: Path
) -> None:
    folder = command_line.write_agent(tmp_path / "again", talker, INSTRUCTIONS_dot_md="Be brief.\n")
    assert cli("agent", "import", folder).code == 6
    assert cli("agent", "import", folder, "--replace", "--json").json["revision"] == 2
    assert "+Be brief." in cli("diff", talker, 1, 2).out
    assert cli("rollback", talker).out == "talker: back to revision 1.\n"


@pytest.mark.parametrize(("status", "code"), [(401, 7), (500, 7)])
def test_a_model_that_fails_fails_the_run_which_can_be_retried(
    status: int, code: int, cli: command_line.Cli, talker: str, model: command_line.FakeModel
) -> None:
    model.status = status
    failed = cli("run", talker, "--input", "-", stdin="Say so.")
    assert failed.code == code
    assert "Error: " in failed.err
    assert "Next: " in failed.err
    assert "Traceback" not in failed.err
    number = cli("runs", talker, "--json").json["runs"][0]["run"]
    model.status = 200
    again = cli("retry", number, "--json")
    assert (again.code, again.json["state"], again.json["result"]) == (0, "done", "Nothing to do.")


def test_a_model_that_does_not_answer(cli: command_line.Cli, talker: str) -> None:
    result = cli("run", talker, "--input", "-", "--json", stdin="Say so.", OPENAI_BASE_URL="http://127.0.0.1:1/v1")
    assert (result.code, result.json["state"]) == (7, "failed")
    assert "http://127.0.0.1:1" in result.json["error"]
    assert f"pocketlet retry {result.json['run']}" in result.json["hint"]


def test_a_model_elsewhere_needs_a_key(cli: command_line.Cli, talker: str) -> None:
    result = cli("run", talker, "--input", "-", stdin="Say so.", OPENAI_BASE_URL="https://model.invalid/v1")
    assert result.code == 7
    assert "pocketlet secret set OPENAI_API_KEY" in result.err


def test_no_budget_no_call(cli: command_line.Cli, tmp_path: Path, model: command_line.FakeModel) -> None:
    manifest = 'name = "poor"\njob = "x"\nmodel = "openai:fake"\nprice = {input = 1, output = 2}\nbudget = 0\n'
    cli("agent", "import", command_line.write_agent(tmp_path / "poor", "poor", agent_dot_toml=manifest))
    before = model.calls
    result = cli("run", "poor", "--input", "-", stdin="Say so.")
    assert (result.code, model.calls) == (5, before)
    assert "Raise `budget` in agent.toml, `pocketlet agent import --replace DIR`, and start a new run" in result.err
    assert cli("agent", "remove", "poor", "--yes").code == 0


def test_a_wrong_database_url(cli: command_line.Cli) -> None:
    assert cli("agent", "list", POCKETLET_DATABASE_URL="mysql://x").code == 2
    refused = cli("agent", "list", POCKETLET_DATABASE_URL="postgresql://127.0.0.1:1/x")
    assert refused.code == 7
    assert "Postgres can't be reached" in refused.err
    sick = cli("doctor", "--json", POCKETLET_DATABASE_URL="postgresql://127.0.0.1:1/x")
    assert (sick.code, sick.json["ok"]) == (8, False)


def test_data_of_another_major_version_is_left_alone(cli: command_line.Cli, tmp_path: Path) -> None:
    home = tmp_path / "old"
    (home / "postgres" / "data").mkdir(parents=True)
    (home / "postgres" / "data" / "PG_VERSION").write_text("14\n")
    result = cli("agent", "list", POCKETLET_HOME=str(home))
    assert result.code == 7
    assert "PostgreSQL 14" in result.err
    assert "Nothing was changed" in result.err


def test_a_home_that_cannot_be(cli: command_line.Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = cli("agent", "list", POCKETLET_HOME=str(tmp_path / "file" / "home"))
    assert result.code == 7
    assert "Traceback" not in result.err


def test_debug_shows_the_traceback(cli: command_line.Cli) -> None:
    assert "Traceback" in cli("--debug", "show", 2**62).err
    assert "Traceback" not in cli("show", 2**62).err
