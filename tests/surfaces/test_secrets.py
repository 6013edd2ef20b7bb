"""`pocketlet secret` and what depends on it: what can be kept, who lacks it, and a key that is lost."""

from collections.abc import Iterator
from pathlib import Path

import command_line
import pytest

ADD = ("connect", "add", "shop", "--base-url", "https://api.example.com", "--allow", "GET /orders", "--yes")


@pytest.fixture
def shop(cli: command_line.Cli) -> Iterator[str]:
    assert cli(*ADD, "--auth", "bearer", "--secret", "SHOP").code == 0
    yield "shop"
    cli("connect", "remove", "shop", "--yes")
    cli("secret", "remove", "SHOP")


@pytest.mark.parametrize(("value", "said"), [("x", "The value has 1 bytes"), ("ü" * 32_769, "more than 65536 bytes")])
def test_what_can_not_be_kept(cli: command_line.Cli, value: str, said: str) -> None:
    refused = cli("secret", "set", "SHOP", stdin=value)
    assert (refused.code, said in refused.err) == (2, True)
    assert value not in refused.err.split()
    assert "SHOP" not in cli("secret", "list", "--json").json["secrets"]


def test_a_value_of_more_than_one_line_is_told(cli: command_line.Cli) -> None:
    assert "more than one line" in cli("secret", "set", "SHOP", stdin="one-line\r\nanother\n").err
    assert "more than one line" not in cli("secret", "set", "SHOP", stdin="one-line\r\n").err
    cli("secret", "remove", "SHOP")


def test_who_can_not_use_a_connection_for_want_of_a_grant_is_told(
    cli: command_line.Cli, shop: str, talker: str
) -> None:
    grant = "talker can't use shop now: `pocketlet secret grant SHOP talker`"
    cli("secret", "set", "SHOP", stdin="hush-hush")
    assert cli("connect", "grant", shop, talker).code == 0
    assert cli("connect", "show", shop).err == ""
    removed = cli("secret", "remove", "SHOP")
    assert (
        "talker can't use shop now: `pocketlet secret set SHOP`, then `pocketlet secret grant SHOP talker`"
        in removed.err
    )
    assert grant in cli("secret", "set", "SHOP", stdin="hush-again").err
    assert grant in cli("connect", "show", shop).err
    lack = {"kind": "connection", "name": "shop", "agent": "talker", "secret": "SHOP", "is_set": True}
    assert cli("connect", "show", shop, "--json").json["barred"] == [lack]
    cli("secret", "grant", "SHOP", talker)
    assert cli("connect", "show", shop).err == ""


def test_a_connection_is_renewed(cli: command_line.Cli, shop: str, talker: str) -> None:
    cli("connect", "grant", shop, talker)
    asked = cli("connect", "renew", shop)
    assert (asked.code, "agent     talker" in asked.out, "--yes" in asked.err) == (4, True, True)
    done = cli("connect", "renew", shop, "--yes", "--json").json
    assert (done["connection"], done["agents"]) == ("shop", ["talker"])
    assert cli("connect", "show", shop, "--json").json["review_on"] == done["review_on"]
    assert f"hold until {done['review_on']}" in cli("connect", "renew", shop, "--yes").out
    assert cli("connect", "renew", "nowhere", "--yes").code == 6


def test_a_lost_key_costs_the_values_and_nothing_else(cli: command_line.Cli, home: Path) -> None:
    cli("secret", "set", "OLD_ONE", stdin="hush-hush")
    key = (home / "key").read_bytes()
    (home / "key").unlink()
    try:
        lost = cli("secret", "rekey")
        assert lost.code in (1, 6)  # 6 once the database knows which key it wants
        assert "`pocketlet secret rekey --lost`" in lost.err
        assert cli("secret", "rekey", "--lost").code == 4
        assert cli("secret", "rekey", "--lost", "--yes", "--json").json == {"rekeyed": 0, "forgotten": ["OLD_ONE"]}
        assert cli("secret", "set", "NEW_ONE", stdin="hush-hush").code == 0
        (home / "key").unlink()  # and once more, now that the database knows which key it wants
        lost = cli("secret", "set", "NEW_ONE", stdin="hush-hush")
        assert (lost.code, "`pocketlet secret rekey --lost`" in lost.err) == (6, True)
        assert cli("secret", "rekey", "--lost", "--yes", "--json").json["forgotten"] == ["NEW_ONE"]
        assert cli("secret", "rekey").code == 0
    finally:
        for name in cli("secret", "list", "--json").json["secrets"]:
            cli("secret", "remove", name)
    assert (home / "key").read_bytes() != key
