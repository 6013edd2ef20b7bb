"""A curl command becomes a proposal, and its secrets stand nowhere but in what goes to the vault."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketlet import errors
from pocketlet.platform import connection_changes, connections, curl

SECRET = "sk-test-51Hx9f00d"
BASIC = base64.b64encode(f"us:{SECRET}".encode()).decode()
URL = "https://api.example.com/v1/orders"


def draft(command: str, **more: Any) -> connections.Draft:
    return connection_changes.checked(curl.draft(command, "shop", **more))


def test_a_plain_get() -> None:
    found = draft(f"curl {URL}")
    assert found.base_url == "https://api.example.com"
    assert found.auth == connections.Auth()
    assert found.allow == (connections.Operation("GET", "/v1/orders"),)


SECRETS = [
    (f"curl -H 'Authorization: Bearer {SECRET}' {URL}", ("bearer", "TOKEN", "", ""), SECRET),
    (f"curl --oauth2-bearer {SECRET} {URL}", ("bearer", "TOKEN", "", ""), SECRET),
    (f"curl {URL} -H'authorization: bearer {SECRET}'", ("bearer", "TOKEN", "", ""), SECRET),
    (f"curl -u us:{SECRET} {URL}", ("basic", "LOGIN", "", ""), f"us:{SECRET}"),
    (f"curl -uus:{SECRET} {URL}", ("basic", "LOGIN", "", ""), f"us:{SECRET}"),
    (f"curl -u {SECRET}: {URL}", ("basic", "LOGIN", "", ""), f"{SECRET}:"),
    (f"curl https://us:{SECRET}@api.example.com/v1/orders", ("basic", "LOGIN", "", ""), f"us:{SECRET}"),
    (f"curl -H 'Authorization: Basic {BASIC}' {URL}", ("basic", "LOGIN", "", ""), f"us:{SECRET}"),
    (f"curl -H 'Authorization: Token {SECRET}' {URL}", ("header", "KEY", "Authorization", "Token "), SECRET),
    (f"curl -H 'Authorization: {SECRET}' {URL}", ("header", "KEY", "Authorization", ""), SECRET),
    (f"curl -H 'X-Api-Key: {SECRET}' {URL}", ("header", "KEY", "X-Api-Key", ""), SECRET),
    (f"curl -H 'PRIVATE-TOKEN: {SECRET}' {URL}", ("header", "KEY", "PRIVATE-TOKEN", ""), SECRET),
    (f"curl -sSLH 'X-Shop: {SECRET}' {URL}", ("header", "KEY", "X-Shop", ""), SECRET),
    (f"curl '{URL}?api_key={SECRET}&page=2'", ("query", "KEY", "api_key", ""), SECRET),
]


@pytest.mark.parametrize(("command", "place", "value"), SECRETS)
def test_a_secret_goes_to_the_vault_under_a_generated_name(
    command: str, place: tuple[str, str, str, str], value: str
) -> None:
    found = draft(command)
    kind, name, where, before = place
    assert found.auth == connections.Auth(kind, (connections.Place(kind, f"CONNECTION_SHOP_{name}", where, before),))
    assert found.secrets == {f"CONNECTION_SHOP_{name}": value}
    assert SECRET not in repr(found) + str(connections.document(found))
    assert found.allow[0].query == (("page",) if "page" in command else ())


def test_a_copied_command_of_many_lines() -> None:
    found = draft(
        f"""curl -X POST '{URL}/8812/notes?notify=true' \\
          -H 'Content-Type: application/json' -H 'Accept: application/json' \\
          -H 'Shop-Version: 2026-01-01' -H 'X-App-Key: app-{SECRET}' -H "X-Api-Key: {SECRET}" \\
          -H 'Idempotency-Key: 77aa' --compressed -d '{{"password": "hunter2-{SECRET}"}}'"""
    )
    assert found.headers == {"accept": "application/json", "shop-version": "2026-01-01"}
    assert [one.secret for one in found.auth.places] == ["CONNECTION_SHOP_KEY", "CONNECTION_SHOP_KEY_1"]
    (allowed,) = found.allow
    assert (allowed.line, allowed.effect, allowed.query) == ("POST /v1/orders/{id}/notes", "keyed", ("notify",))
    assert "hunter2" not in repr(found) + str(connections.document(found)) + str(found.secrets)
    assert "parameters" in found.remarks[0]


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (f"curl -d a=b {URL}", "POST /v1/orders"),
        (f"curl --json '{{}}' {URL}", "POST /v1/orders"),
        (f"curl -G -d a=b {URL}", "GET /v1/orders"),
        (f"curl -I {URL}", "HEAD /v1/orders"),
        (f"curl -X delete {URL}/17", "DELETE /v1/orders/{id}"),
        (f"curl -XPUT {URL}/17 -F file=@x", "PUT /v1/orders/{id}"),
        ("curl https://api.telegram.example.com/bot12345:AAbbCC-dd_ee/getMe", "GET /{id}/getMe"),
        ("curl https://hooks.example.com/services/T0001/B0001/XXXXyyyyZZZZ0000aaaa1111", None),
        ("curl https://api.example.com/rest/api/2/issue/17/v3/58.0/", "GET /rest/api/2/issue/{id}/v3/58.0/"),
        ("curl https://api.example.com/a/3f2504e0-4f89-11d3-9a0c-0305e82c3301/b/2", "GET /a/{id}/b/{id2}"),
    ],
)
def test_methods_and_paths(command: str, line: str | None) -> None:
    found = draft(command)
    if line is None:
        assert "XXXXyyyy" not in found.allow[0].path
    else:
        assert found.allow[0].line == line
    assert found.allow[0].effect == ("read" if found.allow[0].method in ("GET", "HEAD") else "unsafe")


REFUSED = [
    "wget https://api.example.com",
    "curl",
    f"curl {URL} {URL}",
    f"curl -k {URL}",
    f"curl --insecure {URL}",
    f"curl -x http://proxy {URL}",
    f"curl --proxy-user us:{SECRET} {URL}",
    f"curl -b 'sid={SECRET}' {URL}",
    f"curl -H 'Cookie: sid={SECRET}' {URL}",
    f"curl -K file {URL}",
    f"curl --unix-socket /run/x {URL}",
    f"curl --resolve api.example.com:443:127.0.0.1 {URL}",
    f"curl -H 'Authorization: Bearer $TOKEN' {URL}",
    f"curl -H 'Authorization: Bearer {{{{token}}}}' {URL}",
    f"curl -H 'Authorization: Bearer <your key>' {URL}",
    f"curl -H 'Authorization: Bearer ' {URL}",
    f"curl -H 'Authorization: Basic {SECRET}!' {URL}",
    f"curl -H $'Authorization: Bearer {SECRET}' {URL}",
    f"curl -H 'Authorization: Bearer {SECRET} {URL}",
    f"curl {URL} | jq .",
    f"curl -u us {URL}",
    f"curl -H nonsense-{SECRET} {URL}",
    f"curl -H 'X-A: {SECRET}' -H",
    "curl http://api.example.com/v1",
    "curl http://127.0.0.1:8080/",
    "curl https://localhost/",
    "curl https://api.example.com/$ID",
    f"curl -u us:{SECRET} -H 'Authorization: Bearer {SECRET}' {URL}",
    f"curl -X TRACE {URL}",
    f"curl '{URL}?token={SECRET}' -H 'a-key: 1' -H 'b-key: 2' -H 'c-key: 3' -H 'd-key: 4'",
    "curl " + "x" * 200_000,
]


@pytest.mark.parametrize("command", REFUSED, ids=lambda value: value[:60])
def test_what_is_not_understood_is_refused_without_its_values(command: str) -> None:
    with pytest.raises(errors.BadInput) as caught:
        draft(command)
    shown = f"{caught.value} {caught.value.hint} {caught.value.__context__!r}"
    assert SECRET not in shown


def test_a_server_of_ones_own_is_pinned() -> None:
    found = draft(f"curl -H 'X-Token: {SECRET}' http://127.0.0.1:8123/api/states", pinned=("127.0.0.1",))
    assert found.base_url == "http://127.0.0.1:8123"


@given(st.text("curl -HuXd'\"\\ :/?=$`{}\n#@|;<>%abc019", max_size=60))
def test_whatever_is_given_it_is_a_draft_or_bad_input(text: str) -> None:
    for command in (f"curl {text}", f"curl {URL} {text}", f"curl {URL}/{text}"):
        try:
            found = curl.draft(command, "shop")
        except errors.BadInput:
            continue
        assert len(found.allow) == 1
