"""What the owner does with secrets, and the trail that it leaves, through the commands."""

from pathlib import Path

import command_line
import pytest

from pocketlet.db import pool

FORGE = b"UPDATE pocketlet.audit SET details = '{\"forged\": true}' WHERE id = %(row)s"
RESTORE = b"UPDATE pocketlet.audit SET details = '{}' WHERE id = %(row)s"


def test_a_secret_is_granted_changed_and_taken_back(cli: command_line.Cli, talker: str) -> None:
    cli("secret", "set", "SHOP_TOKEN", stdin="hush-hush\n")
    assert cli("secret", "grant", "SHOP_TOKEN", talker).out == "Connections of talker may use SHOP_TOKEN.\n"
    cli("secret", "set", "SHOP_TOKEN", stdin="hush-again\n")
    [row] = cli("secret", "list", "--long", "--json").json["details"]
    assert (row["secret"], row["agents"], row["last_used_at"]) == ("SHOP_TOKEN", ["talker"], None)
    assert row["created_at"] < row["changed_at"]
    listed = cli("secret", "list")
    assert listed.out.split() == [
        "secret",
        "changed",
        "last",
        "used",
        "agents",
        "SHOP_TOKEN",
        row["changed_at"][:10],
        talker,
    ]
    assert cli("secret", "revoke", "SHOP_TOKEN", talker, "--json").json == {
        "secret": "SHOP_TOKEN",
        "agent": "talker",
        "granted": False,
    }
    for command, code in (("revoke", 6), ("grant", 0)):
        assert cli("secret", command, "SHOP_TOKEN", talker).code == code
    assert cli("secret", "grant", "SHOP_TOKEN", "nobody").code == 6
    assert cli("secret", "grant", "NO_TOKEN", talker).code == 6
    cli("secret", "remove", "SHOP_TOKEN")
    rows = cli("audit", "list", "--json", "--limit", 6).json["audit"]
    said = [(row["action"], row["subject"], row["actor"], row["agent"]) for row in reversed(rows)]
    assert said == [
        ("secret.set", "SHOP_TOKEN", "owner", None),
        ("secret.grant", "SHOP_TOKEN", "owner", "talker"),
        ("secret.change", "SHOP_TOKEN", "owner", None),
        ("secret.revoke", "SHOP_TOKEN", "owner", "talker"),
        ("secret.grant", "SHOP_TOKEN", "owner", "talker"),
        ("secret.remove", "SHOP_TOKEN", "owner", None),
    ]
    assert "hush" not in cli("audit", "list").out
    assert "secret.grant" in cli("audit", "list", "--agent", talker, "--limit", 1).out
    assert cli("audit", "list", "--run", 2**62).err == "There is none.\n"


def test_a_new_key_keeps_every_secret(cli: command_line.Cli, home: Path) -> None:
    cli("secret", "set", "SHOP_TOKEN", stdin="hush-hush\n")
    old = (home / "key").read_bytes()
    assert cli("secret", "rekey", "--json").json == {"rekeyed": 1, "forgotten": []}
    assert (home / "key").read_bytes() != old
    told = cli("secret", "rekey")
    assert told.out == "1 values are sealed with a new key.\n"
    assert "Back the key file up" in told.err
    checks = {check["name"]: check["state"] for check in cli("doctor", "--json").json["checks"]}
    assert checks["secrets can be opened"] == checks["the audit chain is whole"] == "ok"
    cli("secret", "remove", "SHOP_TOKEN")


@pytest.mark.parametrize("as_json", [True, False])
async def test_a_forged_row_is_named_by_verify_doctor_and_anchor(
    cli: command_line.Cli, db: pool.Database, tmp_path: Path, *, as_json: bool
) -> None:
    cli("secret", "set", "SHOP_TOKEN", stdin="hush-hush")
    anchor = tmp_path / "anchor"
    anchor.write_text(cli("audit", "anchor", *["--json"] * as_json).out)
    row = cli("audit", "list", "--json", "--limit", 1).json["audit"][0]["row"]
    cli("secret", "remove", "SHOP_TOKEN")
    whole = cli("audit", "verify", "--anchor", anchor, "--json")
    assert (whole.code, whole.json["ok"], whole.json["rows"], whole.json["broken"]) == (0, True, row + 1, None)
    assert cli("audit", "verify").out.startswith(f"All {row + 1} rows are as they were written.")
    async with db.setup() as conn:
        await conn.execute(FORGE, {"row": row})
    try:
        broken = cli("audit", "verify", "--json")
        assert (broken.code, broken.json["ok"], broken.json["broken"]) == (8, False, row)
        said = cli("audit", "verify")
        assert (said.code, said.out.partition("\n")[0]) == (8, f"Row {row}: it was changed.")
        assert cli("audit", "anchor").code == 1
        red = [check for check in cli("doctor", "--json").json["checks"] if check["state"] == "red"]
        assert [check["found"] for check in red] == [f"row {row}: it was changed"]
    finally:
        async with db.setup() as conn:
            await conn.execute(RESTORE, {"row": row})
    assert cli("audit", "verify").code == 0


def test_what_is_no_anchor_is_said(cli: command_line.Cli, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no anchor")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    assert cli("audit", "verify", "--anchor", tmp_path / "text").err.startswith("Error: This is no anchor.")
    for name, code in (("text", 2), ("bytes", 2), ("missing", 1)):
        assert cli("audit", "verify", "--anchor", tmp_path / name).code == code
