"""`pocketlet connect`: shown in full before it is made, without a value of a secret anywhere, and cut off at once."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import command_line
import pytest

import outside_service

SECRET = "sk-test-51Hx9f00d"
ID = ("--client-id", outside_service.CLIENT_ID, "--pin", "127.0.0.1")


@pytest.fixture
def service() -> Iterator[outside_service.Service]:
    with outside_service.Service().serving() as running:
        yield running


@pytest.fixture
def tidy(bare: command_line.Cli) -> Iterator[command_line.Cli]:
    """The program; the connection and the secrets of the test are removed."""
    yield bare
    if "shop" in connected(bare):
        assert bare("connect", "remove", "shop", "--yes").code == 0
    if "SHOP" in bare("secret", "list", "--json").json["secrets"]:
        assert bare("secret", "remove", "SHOP").code == 0
    assert sealed(bare) == []


def connected(cli: command_line.Cli) -> list[str]:
    return [row["connection"] for row in cli("connect", "list", "--json").json["connections"]]


def sealed(cli: command_line.Cli) -> list[str]:
    """The secrets that were made for connections."""
    return [name for name in cli("secret", "list", "--json").json["secrets"] if name.startswith("CONNECTION_")]


def test_from_a_document_to_an_agent(
    tidy: command_line.Cli, service: outside_service.Service, talker: str, tmp_path: Path
) -> None:
    url = f"{service.url}/openapi.json"
    proposed = tidy("connect", "add", "shop", "--openapi", url, *ID, "--json")
    assert proposed.code == 4
    assert proposed.json["added"] is False
    assert "shop" not in connected(tidy)
    shown = tidy("connect", "add", "shop", "--openapi", url, *ID)
    assert shown.code == 4
    assert "Add --yes" in shown.err
    for text in ("GET /orders/{id}", f"token {service.url}/token", "CONNECTION_SHOP_CLIENT_SECRET", "scopes orders"):
        assert text in shown.out
    added = tidy("connect", "add", "shop", "--openapi", url, *ID, "--allow", "POST /orders", "--yes", "--json")
    assert added.code == 0
    assert added.json["missing"] == ["CONNECTION_SHOP_CLIENT_SECRET"]
    assert [(one["method"], one["effect"]) for one in added.json["allow"]] == [
        ("GET", "read"), ("GET", "read"), ("POST", "unsafe")
    ]  # fmt: skip
    missing = tidy("connect", "test", "shop")
    assert missing.code == 4
    assert "pocketlet secret set CONNECTION_SHOP_CLIENT_SECRET" in missing.err
    assert tidy("secret", "set", "CONNECTION_SHOP_CLIENT_SECRET", stdin=outside_service.CLIENT_SECRET).code == 0
    tested = tidy("connect", "test", "shop", "--json")
    assert tested.code == 0
    assert [(row["call"], row["status"]) for row in tested.json["calls"]] == [("GET /orders", 200)]
    assert tidy("connect", "test", "shop", "--path", "/orders/17").code == 0
    denied = tidy("connect", "test", "shop", "--path", "/orders/17/../../users")
    assert (denied.code, "is not allowed" in denied.err) == (4, True)
    assert tidy("connect", "grant", "shop", talker, "--json").json["missing"] == []
    assert tidy("connect", "show", "shop", "--json").json["agents"][0]["agent"] == talker
    [row] = [row for row in tidy("connect", "list", "--json").json["connections"] if row["connection"] == "shop"]
    assert row["agents"] == [talker]
    assert talker in tidy("connect", "show", "shop").out
    assert talker in tidy("connect", "list").out
    assert tidy("connect", "revoke", "shop", talker).code == 0
    again = tidy("connect", "revoke", "shop", talker)
    assert again.code == 6
    file = tmp_path / "shop.json"
    file.write_text(json.dumps(service.document()))
    assert tidy("connect", "add", "shop", "--openapi", file, "--base-url", service.url, *ID, "--yes").code == 6


def test_a_401_is_tried_once_more_and_then_said(tidy: command_line.Cli, service: outside_service.Service) -> None:
    secret = "CONNECTION_SHOP_CLIENT_SECRET"
    tidy("connect", "add", "shop", "--openapi", f"{service.url}/openapi.json", *ID, "--yes")
    tidy("secret", "set", secret, stdin=outside_service.CLIENT_SECRET)
    assert tidy("connect", "test", "shop").code == 0
    service.access.clear()
    assert tidy("connect", "test", "shop").code == 0
    service.access = Nobody()
    failed = tidy("connect", "test", "shop", "--json")
    assert (failed.code, failed.json["ok"], failed.json["calls"][0]["status"]) == (1, False, 401)
    assert len(service.forms) == 2


class Nobody(set[str]):
    """No token is ever taken."""

    def __contains__(self, _: object) -> bool:
        return False


@pytest.mark.parametrize("how", ["argument", "stdin"])
def test_a_curl_command_gives_its_secret_to_the_vault(tidy: command_line.Cli, how: str) -> None:
    command = f"curl -H 'Authorization: Bearer {SECRET}' 'https://api.example.com/v1/orders/4711?page=1'"
    text = command if how == "argument" else "-"
    added = tidy("connect", "add", "shop", "--curl", text, "--yes", "--json", stdin=command)
    assert added.code == 0
    assert added.json["sealed"] == ["CONNECTION_SHOP_TOKEN"]
    outputs = [added, tidy("connect", "add", "other", "--curl", text, stdin=command)]
    outputs += [
        tidy("connect", what, *rest) for what, *rest in (("show", "shop"), ("list",), ("show", "shop", "--json"))
    ]
    outputs += [tidy("audit", "list", "--json"), tidy("secret", "list")]
    assert all(SECRET not in one.out + one.err for one in outputs)
    assert "CONNECTION_SHOP_TOKEN is sealed" in outputs[2].out
    assert tidy("connect", "remove", "shop").code == 4
    assert tidy("connect", "remove", "shop", "--yes").code == 0
    assert sealed(tidy) == []


def test_operations_switch_and_caps(tidy: command_line.Cli, service: outside_service.Service) -> None:
    options = ("--auth", "bearer", "--secret", "SHOP", "--pin", "127.0.0.1", "--per-day", 2, "--note", "Slow\x1b[2J.")
    base = ("connect", "add", "shop", "--base-url", f"{service.url}/v1", "--allow", "GET /orders", *options)
    assert tidy(*base, "--yes").code == 0
    service.access.add("t-1-of-shop")
    tidy("secret", "set", "SHOP", stdin="t-1-of-shop")
    keyed = ("connect", "allow", "shop", "POST  /orders", "--class", "keyed", "--harm", "money", "--open", "--json")
    operation = tidy(*keyed).json["allow"][1]
    assert (operation["path"], operation["key_header"], operation["open"]) == ("/orders", "Idempotency-Key", True)
    shown = tidy("connect", "show", "shop").out
    assert "POST /orders  (keyed; money; key in Idempotency-Key; free text)" in shown
    assert "Slow⟨U+001B⟩[2J." in shown
    assert tidy("connect", "allow", "shop", "POST /orders", "--remove").code == 0
    assert tidy("connect", "allow", "shop", "POST /orders", "--remove").code == 6
    assert tidy("connect", "allow", "shop", "POST /../x").code == 2
    assert tidy("connect", "off", "shop").code == 0
    off = tidy("connect", "test", "shop")
    assert (off.code, "`pocketlet connect on shop`" in off.err) == (4, True)
    assert service.requests == []
    assert tidy("connect", "on", "shop", "--json").json == {"connection": "shop", "off": False}
    assert tidy("connect", "test", "shop").code == 0
    assert tidy("connect", "test", "shop").code == 0
    spent = tidy("connect", "test", "shop", "--json")
    assert (spent.code, spent.json["error"]["kind"]) == (4, "Refused")
    assert len(service.requests) == 2


def oauth(tidy: command_line.Cli, service: outside_service.Service) -> None:
    urls = (
        "--token-url",
        f"{service.url}/token",
        "--authorize-url",
        f"{service.url}/authorize",
        "--client-auth",
        "body",
    )
    base = ("connect", "add", "shop", "--base-url", f"{service.url}/v1", "--allow", "GET /orders", "--yes")
    assert tidy(*base, "--auth", "oauth2-code", *urls, *ID, "--scope", "orders").code == 0
    tidy("secret", "set", "CONNECTION_SHOP_CLIENT_SECRET", stdin=outside_service.CLIENT_SECRET)


def test_the_owner_authorizes_on_another_machine(tidy: command_line.Cli, service: outside_service.Service) -> None:
    oauth(tidy, service)
    before = tidy("connect", "test", "shop")
    assert (before.code, "`pocketlet connect authorize shop`" in before.err) == (4, True)
    begun = tidy("connect", "authorize", "shop", "--redirect-uri", "https://us.example.com/back", "--json").json
    assert begun["authorized"] is False
    answer = service.authorize(begun["url"])
    assert tidy("connect", "authorize", "shop", "--code", answer.replace("state=", "state=x")).code == 4
    done = tidy("connect", "authorize", "shop", "--code", answer, "--json")
    assert done.json == {"connection": "shop", "authorized": True, "url": None}
    assert tidy("connect", "test", "shop").code == 0
    assert tidy("connect", "remove", "shop", "--yes").code == 0
    assert sealed(tidy) == []


def test_the_browser_comes_back(tidy: command_line.Cli, service: outside_service.Service) -> None:
    oauth(tidy, service)
    with tidy.process("connect", "authorize", "shop") as running:
        assert running.stderr is not None
        url = next(line for line in running.stderr if line.startswith("http"))
        with urllib.request.urlopen(service.authorize(url.strip()), timeout=10) as page:
            assert b"can be closed" in page.read()
        assert running.wait(30) == 0
    assert tidy("connect", "test", "shop").code == 0


WRONG = [
    (("--base-url", "https://api.example.com", "--auth", "header"), 2),
    (("--base-url", "https://api.example.com", "--auth", "oauth2-client"), 2),
    (("--base-url", "http://api.example.com"), 2),
    (("--base-url", "https://localhost"), 2),
    (("--openapi", "missing.json"), 1),
    (("--openapi", "http://127.0.0.1:1/openapi.json"), 4),
    (("--openapi", "http://127.0.0.1:1/openapi.json", "--pin", "127.0.0.1"), 7),
    (("--curl", "curl -k https://api.example.com"), 2),
    ((), 2),
]


@pytest.mark.parametrize(("arguments", "code"), WRONG, ids=str)
def test_what_can_not_be_added(tidy: command_line.Cli, arguments: tuple[str, ...], code: int) -> None:
    result = tidy("connect", "add", "shop", *arguments, "--yes", "--json")
    assert result.code == code
    assert result.json["ok"] is False
    assert "shop" not in connected(tidy)


@pytest.mark.parametrize("command", ["show", "test", "off", "on", "authorize"])
def test_a_connection_that_is_not_there(tidy: command_line.Cli, command: str) -> None:
    result = tidy("connect", command, "nowhere")
    assert (result.code, "`pocketlet connect list`" in result.err) == (6, True)
