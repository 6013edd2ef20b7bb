"""`pocketlet skill`: shown before it is installed, done only when said, undone; and `lint` against the reference."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import command_line
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from skills_ref import validator

from pocketlet import errors
from pocketlet.agents import playbook as playbooks
from pocketlet.agents.skills import git, merge, package, permissions, source, standard

FRONT = "---\nname: invoices\ndescription: Reads invoices. Use it for bills.\n---\n"


@pytest.fixture
def desk(bare: command_line.Cli, tmp_path: Path) -> Iterator[command_line.Cli]:
    """The program with an agent `desk`, and a skill folder `invoices`."""
    put(tmp_path, "Ask https://bills.example/v1.\n")
    assert bare("agent", "import", command_line.write_agent(tmp_path / "desk", "desk")).code == 0
    yield bare
    assert bare("agent", "remove", "desk", "--yes").code == 0


def put(folder: Path, body: str, **more: str) -> Path:
    """A skill folder with these files."""
    place = folder / "invoices"
    place.mkdir(exist_ok=True)
    for name, text in {"SKILL": FRONT + body, **more}.items():
        (place / f"{name}.md").write_text(text)
    return place


def test_a_skill_is_shown_first_and_installed_on_a_word(desk: command_line.Cli, tmp_path: Path) -> None:
    asked = desk("skill", "add", "desk", tmp_path / "invoices")
    assert asked.code == 4
    assert "hosts: bills.example" in asked.out
    assert "+Ask https://bills.example/v1." in asked.out
    assert "no tool, no host and no program" in asked.out
    assert "Add --yes" in asked.err
    shown = desk("skill", "add", "desk", tmp_path / "invoices", "--json").json
    assert (shown["done"], shown["permissions"]["hosts"]) == (False, ["bills.example"])
    assert desk("skill", "list", "desk", "--json").json == {"agent": "desk", "skills": []}
    done = desk("skill", "add", "desk", tmp_path / "invoices", "--yes", "--json").json
    assert (done["done"], done["revision"], done["digest"]) == (True, 2, shown["digest"])
    [row] = desk("skill", "list", "desk", "--json").json["skills"]
    assert (row["state"], row["revision"], row["problem"]) == ("as installed", 2, None)
    assert row["source"] == str(tmp_path / "invoices")
    decided = desk("revisions", "desk", "--json").json["revisions"][0]
    assert (decided["author"], decided["decided_by"]) == ("owner", "owner")
    assert shown["digest"] in decided["because"]
    assert desk("skill", "add", "desk", tmp_path / "invoices", "--yes").code == 6


def test_an_update_shows_what_is_new_and_keeps_edits(desk: command_line.Cli, tmp_path: Path) -> None:
    folder = put(tmp_path, "Ask https://bills.example/v1.\n", notes="n1\n", form="f1\n")
    assert desk("skill", "add", "desk", folder, "--yes").code == 0
    assert "nothing new" in desk("skill", "update", "desk", "invoices").out
    exported = tmp_path / "exported"
    assert desk("agent", "export", "desk", exported).code == 0
    (exported / "skills" / "invoices" / "notes.md").write_text("mine\n")
    assert desk("agent", "import", "--replace", exported).code == 0
    assert desk("skill", "list", "desk", "--json").json["skills"][0]["state"] == "edited"
    assert "+mine" in desk("skill", "show", "desk", "invoices").out
    put(tmp_path, "Ask https://other.example/v2.\n", notes="n1\n", form="f2\n")
    asked = desk("skill", "update", "desk", "invoices")
    assert asked.code == 4
    for line in (
        "-f1",
        "+f2",
        "  new: hosts: other.example",
        "  gone: hosts: bills.example",
        "edits stay in: notes.md",
    ):
        assert line in asked.out
    assert desk("skill", "update", "desk", "invoices", "--yes").code == 0
    assert desk("skill", "show", "desk", "invoices", "--json").json["text"] == "Ask https://other.example/v2.\n"
    put(tmp_path, "Ask https://other.example/v2.\n", notes="n3\n", form="f2\n")
    both = desk("skill", "update", "desk", "invoices", "--yes")
    assert both.code == 6
    assert "-mine" in both.out
    assert "+n3" in both.out
    assert desk("skill", "update", "desk", "invoices", "--yes", "--json").code == 6
    assert desk("skill", "update", "desk", "invoices", "--json").json["conflicts"] == ["notes.md"]
    contradicting = desk("skill", "update", "desk", "invoices", "--ours", "--theirs", "--yes")
    assert (contradicting.code, "exclude each other" in contradicting.err) == (2, True)
    settled = desk("skill", "update", "desk", "invoices", "--ours", "--yes", "--json").json
    assert settled["done"] is True
    assert "nothing new" in desk("skill", "update", "desk", "invoices").out
    assert "+mine" in desk("skill", "show", "desk", "invoices").out


def test_a_skill_is_removed_and_brought_back(desk: command_line.Cli, tmp_path: Path) -> None:
    assert desk("skill", "add", "desk", tmp_path / "invoices", "--yes").code == 0
    assert desk("skill", "remove", "desk", "invoices").code == 4
    assert desk("skill", "remove", "desk", "invoices", "--yes").code == 0
    assert desk("skill", "show", "desk", "invoices").code == 6
    assert desk("skill", "remove", "desk", "invoices", "--yes").code == 6
    assert desk("rollback", "desk").code == 0
    assert desk("skill", "list", "desk", "--json").json["skills"][0]["state"] == "as installed"
    assert "as installed" in desk("skill", "list", "desk").out


def test_a_skill_that_was_written_here_has_no_upstream(desk: command_line.Cli, tmp_path: Path) -> None:
    (tmp_path / "desk" / "skills").mkdir()
    (tmp_path / "invoices").rename(tmp_path / "desk" / "skills" / "invoices")
    assert desk("agent", "import", "--replace", tmp_path / "desk").code == 0
    refused = desk("skill", "update", "desk", "invoices")
    assert (refused.code, refused.err.splitlines()[0]) == (2, "Error: The skill 'invoices' was written here.")


def test_what_can_not_be_read_is_one_sentence(desk: command_line.Cli, tmp_path: Path) -> None:
    (tmp_path / "broken.zip").write_bytes(b"PK")
    (tmp_path / "list.json").write_text("[{")
    for name, code in {"broken.zip": 2, "list.json": 2, "none": 6, "desk": 2}.items():
        result = desk("skill", "add", "desk", tmp_path / name)
        assert (result.code, result.err.count("Error: "), "Next: " in result.err) == (code, 1, True)
    assert desk("skill", "add", "desk", "https://me:tok3n@a.example/x", "--json").code == 2
    assert desk("skill", "update", "desk", "none").code == 6
    assert desk("skill", "add", "nobody", tmp_path / "invoices").code == 6


def test_lint_needs_no_agent(bare: command_line.Cli, tmp_path: Path) -> None:
    folder = put(tmp_path, "Do it.\n")
    assert bare("skill", "lint", folder).out == "invoices follows the standard.\n"
    (folder / "SKILL.md").write_text("---\nname: Bills\n---\n")
    found = bare("skill", "lint", folder, "--json")
    assert (found.code, found.json["ok"], len(found.json["problems"])) == (1, False, 4)
    assert json.dumps(found.json).count('"error"') == 3
    assert bare("skill", "lint", folder).code == 1
    assert bare("skill", "lint", tmp_path / "none").code == 6


NAMES = [
    "invoices",
    "a",
    "a1-b2",
    "Invoices",
    "-a",
    "a-",
    "a--b",
    "a b",
    "a_b",
    "",
    "x" * 65,
    "x" * 64,
    "été",
    "123",
    "on",
]
VALUES = [
    *("b", "''", '"quoted: yes"', "a: b", "{a: b}", "[a]", "{{a}}", "&x a", "*x", "!t a", "|\n  x\n  y", "x" * 1_025),
    *(
        "x" * 1_024,
        "x" * 501,
        "\n  a: b",
        "\n- a",
        "",
        "null",
        "# no",
        "'it''s'",
        "@a",
        "%a",
        "a\tb",
        "é 🙂",
        ">-\n  x",
    ),
]
FRAMES = ["---\n{}---\n", "---\r\n{}---\r\nx", "---\n{}", "{}", "---\n{}---\n\nBody\n", "\ufeff---\n{}---\n"]
LINES = st.tuples(
    st.sampled_from(["description", "license", "compatibility", "metadata", "allowed-tools", "version", "name"]),
    st.sampled_from(VALUES),
)


@given(
    st.sampled_from(NAMES), st.sampled_from(NAMES), st.lists(LINES, max_size=4), st.sampled_from(["", "b", "b: c"]),
    st.sampled_from(FRAMES),
)  # fmt: skip
@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_lint_says_what_the_reference_validator_says(
    tmp_path: Path, folder: str, name: str, lines: list[tuple[str, str]], about: str, frame: str
) -> None:
    front = "".join(f"{key}: {value}\n" for key, value in [("name", name), ("description", about), *lines])
    text = frame.format(front).encode()
    place = tmp_path / (folder or "empty")
    place.mkdir(exist_ok=True)
    (place / "SKILL.md").write_bytes(text)
    ours = [one for one in standard.check(place.name, {"SKILL.md": text}) if one.level == "error"]
    theirs = validator.validate(place)
    only_ours = {
        one.text for one in ours if "`metadata` maps" in one.text or ("small letters" in one.text and "é" in name)
    }
    if not only_ours:  # two of the differences that the module's docstring lists
        assert bool(ours) == bool(theirs), (text, ours, theirs)
    elif not theirs:
        assert {one.text for one in ours} == only_ours


def test_lint_looks_at_links_and_length() -> None:
    files = {"SKILL.md": (FRONT + "[a](./b/c.md) [b](b)\n").encode(), "b/c.md": b""}
    assert standard.check("invoices", files) == []
    body = "[a](gone.md) ![b](../out.png) [c](https://x.example) [d](#e) `[f](code.md)` scripts/none.py " + "x\n" * 501
    found = standard.check("invoices", {"SKILL.md": (FRONT + body).encode()})
    assert [one.level for one in found] == ["error", "error", "advice", "advice"]
    assert [name for one in found[:2] for name in ("gone.md", "../out.png") if name in one.text] == [
        "gone.md",
        "../out.png",
    ]
    assert standard.check("a", {})[0].text == "it is missing."
    assert "skill.md" in standard.check("a", {"skill.md": b""})[0].text


def test_what_a_text_speaks_of() -> None:
    text = (
        "---\nname: a\ndescription: b\nallowed-tools: Bash(git log:*) Read send_mail\n---\n"
        "POST it to https://user@Evil.Example:8443/x?q=1, or 10.0.0.7, see docs.evil.com and boss@corp.example. "
        "Read notes.md, run json.loads(x), e.g. version 1.2.3.\n"
    )
    asked = permissions.derive({"SKILL.md": text, "scripts/a": "x", "b.sh": "x", "c": "#!/bin/sh\n"}, ["lib.so"])
    assert asked.tools == ("Bash(git log:*)", "Read", "send_mail")
    assert set(asked.hosts) == {"evil.example", "10.0.0.7", "docs.evil.com"}
    assert asked.addresses == ("boss@corp.example", "user@evil.example")
    assert asked.scripts == ("b.sh", "c", "lib.so", "scripts/a")


CHANGES = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["1", "2", "3"]), max_size=4)


@given(CHANGES, CHANGES, CHANGES)
def test_a_merge_loses_nobodys_change(was: dict[str, str], ours: dict[str, str], theirs: dict[str, str]) -> None:
    merged = merge.three_way(was, ours, theirs)
    for path in was.keys() | ours.keys() | theirs.keys():
        before, mine, new, now = (side.get(path) for side in (was, ours, theirs, merged.files))
        assert now in (mine, new)
        assert now == mine or mine == before
        assert now == new or new == before or path in merged.conflicts
        assert (path in merged.conflicts) == (mine != before != new and mine != new)
    assert merge.three_way(was, was, theirs).files == theirs
    assert merge.three_way(was, ours, was).files == ours
    assert merge.three_way(was, ours, theirs, prefer="theirs").undecided == ()


def test_odd_skills_are_taken_with_a_note() -> None:
    text = "---\nname: Größe Zwei\nowner: me\n---\n# Do it\n\nNow\u202e.\n"
    found = package.pack({"skill.md": text.encode()}, "", "My Skill")
    assert (found.name, set(found.files)) == ("groe-zwei", {"SKILL.md"})
    said = " ".join(found.notes)
    for word in ("SKILL.md", "groe-zwei", "`owner`", "no description", "show as nothing"):
        assert word in said
    assert playbooks.parse_skill(found.name, found.files).description == "Do it"


@pytest.mark.parametrize(
    "url",
    [
        "http://a.example/x", "ssh://git@a.example/x", "git://a.example/x", "git@a.example:x", "ext::sh -c id",
        "https://user:tok3n@a.example/x", "https://a.example", "file://a.example/x", "https://a.example/x@--upload-pack=id",
    ],
)  # fmt: skip
async def test_only_plain_repositories_are_asked(url: str) -> None:
    with pytest.raises(errors.PocketletError) as caught:
        await source.find(url)
    assert isinstance(caught.value, errors.BadInput | errors.NotFound)
    assert "tok3n" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/x",
        "https://[::1]/x",
        "https://2130706433/x",
        "https://localhost/x",
        "https://a.example.com:22/x",
    ],
)
async def test_git_is_not_sent_inside(url: str) -> None:
    async def inside(host: str, port: int) -> list[str]:
        return ["93.184.215.14", "10.0.0.7"]

    with pytest.raises((errors.BadInput, errors.Refused)):
        await source.find(url)
    with pytest.raises(errors.Refused, match=r"10\.0\.0\.7"):
        await source.find("https://a.example.com/x", resolver=inside)


async def test_git_connects_to_the_address_that_was_looked_at() -> None:
    came: list[bytes] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(await reader.read(1_000))
        writer.close()

    async with await asyncio.start_server(hear, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        wanted = git.parse(f"https://pinned.example:{port}/x")
        with pytest.raises(errors.Unreachable):
            await asyncio.to_thread(git.read, wanted, ["127.0.0.1"])
    assert b"pinned.example" in came[0]  # the name goes out in TLS' greeting
