"""An OpenAPI document becomes a proposal, and no document gets more than to be read."""

import contextlib
import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import outside_service
from pocketlet import errors
from pocketlet.platform import connection_changes, connections, openapi

SOURCE = "https://api.example.com/openapi.json"


def document(**changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "openapi": "3.0.3",
        "servers": [{"url": "https://{region}.example.com/v2", "variables": {"region": {"default": "eu"}}}],
        "paths": {
            "/orders": {"get": {"parameters": [{"in": "query", "name": "status"}]}, "post": {}},
            "/orders/{id}": {"get": {}, "delete": {}},
            "/orders/{id}/cancel": {"post": {}},
        },
    }
    return found | changes


def read(found: object, **wanted: Any) -> connections.Draft:
    return openapi.draft(json.dumps(found).encode(), openapi.Wanted("shop", **wanted))


def lines(found: tuple[connections.Operation, ...]) -> list[str]:
    return [one.line for one in found]


def test_gets_are_allowed_and_nothing_else() -> None:
    found = connection_changes.checked(read(document()))
    assert found.base_url == "https://eu.example.com/v2"
    assert lines(found.allow) == ["GET /orders", "GET /orders/{id}"]
    assert found.allow[0].query == ("status",)
    assert found.auth == connections.Auth()
    assert "3 other operations are not allowed: POST /orders, DELETE" in found.remarks[0]


def test_others_are_allowed_by_name() -> None:
    keyed = connections.operation("POST /orders", "keyed")
    found = read(document(), allow=(keyed, connections.operation("POST /more")))
    assert lines(found.allow) == ["GET /orders", "GET /orders/{id}", "POST /orders", "POST /more"]
    assert found.allow[2].effect == "keyed"
    assert found.remarks[0] == "POST /more is not in the document; it is allowed as you said."


def test_what_a_wider_template_would_let_through_is_denied_by_name() -> None:
    paths = {"/orders/{id}": {"post": {}, "get": {}}, "/orders/purge": {"post": {}, "get": {}}, "/all": {"post": {}}}
    found = read(document(paths=paths))
    assert lines(found.deny) == ["POST /orders/purge"]
    found = read(document(paths=paths), allow=(connections.operation("POST /orders/purge"),))
    assert found.deny == ()
    found = read(document(paths=paths), allow=(connections.operation("POST /{kind}/purge"),))
    assert lines(found.deny) == ["POST /orders/purge"]


def test_a_part_of_a_document() -> None:
    assert lines(read(document(), only="/orders/").allow) == ["GET /orders/{id}"]


SCHEMES: list[tuple[dict[str, Any], str, tuple[tuple[str, str], ...]]] = [
    ({"type": "http", "scheme": "Bearer"}, "bearer", (("CONNECTION_SHOP_TOKEN", ""),)),
    ({"type": "http", "scheme": "basic"}, "basic", (("CONNECTION_SHOP_LOGIN", ""),)),
    ({"type": "apiKey", "in": "header", "name": "X-Key"}, "header", (("CONNECTION_SHOP_KEY", "X-Key"),)),
    ({"type": "apiKey", "in": "query", "name": "key"}, "query", (("CONNECTION_SHOP_KEY", "key"),)),
    ({"type": "apiKey", "in": "cookie", "name": "sid"}, "none", ()),
    ({"type": "mutualTLS"}, "none", ()),
    ({"type": "openIdConnect", "openIdConnectUrl": "https://evil.example.com/.well-known"}, "none", ()),
]


@pytest.mark.parametrize(("scheme", "kind", "places"), SCHEMES, ids=str)
def test_ways_to_log_in(scheme: dict[str, Any], kind: str, places: tuple[tuple[str, str], ...]) -> None:
    found = read(document(components={"securitySchemes": {"a": scheme}}, security=[{"a": []}]))
    assert found.auth.kind == kind
    assert tuple((place.secret, place.name) for place in found.auth.places) == places
    assert connection_changes.checked(found)
    assert any("can't be used" in remark for remark in found.remarks) is (kind == "none")


def test_two_keys_and_the_first_way_that_can_be_used() -> None:
    schemes = {
        "sid": {"type": "apiKey", "in": "cookie", "name": "sid"},
        "app": {"type": "apiKey", "in": "header", "name": "X-App"},
        "key": {"$ref": "#/components/securitySchemes/real"},
        "real": {"type": "apiKey", "in": "header", "name": "X-Key"},
    }
    asked = [{"sid": []}, {"app": [], "key": []}]
    found = read(document(components={"securitySchemes": schemes}, security=asked))
    assert [(one.name, one.secret) for one in found.auth.places] == [
        ("X-App", "CONNECTION_SHOP_KEY_1"),
        ("X-Key", "CONNECTION_SHOP_KEY_2"),
    ]


def test_oauth2_asks_for_what_is_required_and_other_hosts_are_pointed_at() -> None:
    flows = {"authorizationCode": {"authorizationUrl": "https://login.example.net/a", "tokenUrl": SOURCE, "scopes": {}}}
    schemes = {"o": {"type": "oauth2", "flows": flows}}
    found = read(
        document(components={"securitySchemes": schemes}, security=[{"o": ["read", "write"]}]),
        client_id="us",
        base_url="https://api.example.com",
    )
    assert found.auth.kind == "oauth2-code"
    assert found.auth.client is not None
    assert found.auth.client.scopes == ("read", "write")
    [remark] = [remark for remark in found.remarks if remark.startswith("Look")]
    assert "https://login.example.net/a is on another host" in remark
    assert connection_changes.checked(found)


def test_a_real_service_and_its_yaml() -> None:
    with outside_service.Service().serving() as service:
        text = yaml.safe_dump(service.document(), sort_keys=False).encode()
        found = openapi.draft(
            text, openapi.Wanted("shop", source=f"{service.url}/openapi.json", client_id="us", pinned=("127.0.0.1",))
        )
        assert found.base_url == f"{service.url}/v1"
        assert found == openapi.draft(
            json.dumps(service.document()).encode(),
            openapi.Wanted("shop", source=f"{service.url}/openapi.json", client_id="us", pinned=("127.0.0.1",)),
        )
    assert lines(found.allow) == ["GET /orders", "GET /orders/{id}"]
    assert found.allow[0].query == ("status",)
    assert lines(found.deny) == ["POST /orders/purge"]
    assert connection_changes.checked(found).auth.kind == "oauth2-client"


CIRCLE = {"$ref": "#/components/x/a"}
HOSTILE: list[tuple[bytes, str]] = [
    (b"", "not an OpenAPI document"),
    (b"\xff\xfe", "neither JSON nor YAML"),
    (b"[1]", "not an OpenAPI document"),
    (b'{"swagger": "2.0"}', "not OpenAPI 3"),
    (b'{"openapi": 3}', "not OpenAPI 3"),
    (b"[" * 200_000, "neither JSON nor YAML"),
    (b'{"openapi":' * 50_000, "neither JSON nor YAML"),
    (b"- " * 5000 + b"a", "nested"),
    (b"{a: " * 500, "neither JSON nor YAML"),
    (b"openapi: !!python/object/apply:os.system [id]", "neither JSON nor YAML"),
    (b"a: &a {x: 1}\nb: &b {<<: [*a, *a]}\nopenapi: 3.0.0", "merge keys"),
    (b"? [a]\n: b", "neither JSON nor YAML"),
    (b"openapi: 9999-99-99", "neither JSON nor YAML"),
    (b"x" * (openapi.MOST_BYTES + 1), "larger"),
    (b"x" * (openapi.MOST_YAML_BYTES + 1), "YAML document"),
    (json.dumps(document(paths={"/a": {"$ref": "https://evil.example.com/x"}})).encode(), "not fetched"),
    (json.dumps(document(paths={"/a": {"$ref": "file:///etc/passwd"}})).encode(), "not fetched"),
    (json.dumps(document(paths={"/a": {"$ref": "other.yaml#/x"}})).encode(), "not fetched"),
    (json.dumps(document(paths={"/a": {"$ref": "#/nowhere"}})).encode(), "not there"),
    (json.dumps(document(paths={"/a": CIRCLE}, components={"x": {"a": CIRCLE}})).encode(), "circle"),
    (json.dumps(document(servers=[])).encode(), "where its server"),
    (json.dumps(document(servers=[{"url": "//evil.example.com"}])).encode(), "where its server"),
    (json.dumps(document(servers=[{"url": "javascript:alert(1)"}])).encode(), "where its server"),
    (json.dumps(document(paths={f"/{n}": {} for n in range(6000)})).encode(), "5000 paths"),
    (json.dumps(document(paths={f"/{n}": {"get": {}} for n in range(3000)})).encode(), "3000 operations"),
]


@pytest.mark.parametrize(("text", "why"), HOSTILE, ids=lambda value: str(value)[:40])
def test_a_hostile_document_is_refused(text: bytes, why: str) -> None:
    with pytest.raises(errors.BadInput, match=why):
        openapi.draft(text, openapi.Wanted("shop"))


def test_shared_parts_cost_nothing() -> None:
    layers = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 60))
    text = (
        f"openapi: 3.0.0\nl0: &l0 [x]\n{layers}\nservers: [{{url: 'https://api.example.com'}}]\n"
        "security: [{a: *l59}]\npaths: {/a: {get: {parameters: *l59}}, /b: {get: {security: *l59}}}\n"
        "components: {securitySchemes: {a: {type: oauth2, flows: {clientCredentials: {tokenUrl: 'https://t.example.com/t'}}}}}"
    )
    with pytest.raises(errors.BadInput, match="not there"):
        openapi.draft(text.encode(), openapi.Wanted("shop"))
    found = openapi.draft(text.replace("parameters: *l59", "x: *l59").encode(), openapi.Wanted("shop"))
    assert lines(found.allow) == ["GET /a", "GET /b"]


def test_an_alias_that_holds_itself_ends() -> None:
    text = b"openapi: 3.0.0\nservers: [{url: 'https://api.example.com'}]\npaths: &p {/a: {get: *p}, /b: *p}\n"
    assert lines(openapi.draft(text, openapi.Wanted("shop")).allow) == ["GET /a"]


def test_what_can_not_be_a_template_is_left_out_and_said() -> None:
    paths = {"/a/../b": {"get": {}}, "/{a}{b}": {"get": {}}, "/ok": {"get": {}}, "/x\u202ey": {"get": {}}}
    paths |= {"/other": {"get": {"servers": [{"url": "https://evil.example.com"}]}}}
    paths |= {"/moved": {"servers": [{"url": "https://evil.example.com"}], "get": {}}}
    found = read(document(paths=paths))
    assert lines(found.allow) == ["GET /ok"]
    assert found.remarks[0].startswith("5 operations can't be allowed")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["#/a", "#/paths", "get", "http"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["$ref", "get", "in", "name", "url", "type", "flows", "parameters", "security", "/a", "a"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON, JSON, JSON, JSON)
def test_whatever_stands_there_it_is_a_draft_or_bad_input(paths: Any, servers: Any, schemes: Any, asked: Any) -> None:
    found = {"openapi": "3.0.0", "paths": paths, "servers": servers, "security": asked}
    for more in ({}, {"paths": {"/a": paths}, "servers": [servers], "security": [asked]}):
        with contextlib.suppress(errors.BadInput):
            read(found | more | {"components": {"securitySchemes": schemes}}, base_url="https://api.example.com")
