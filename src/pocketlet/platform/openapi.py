"""An OpenAPI 3.x document as a proposal for a connection. The document is hostile input: it is read, never followed.

Nothing is fetched, only references inside the document count, each chain of them is short and ends, and the tree is
never walked as a whole, so that no part of it is looked at twice.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import yaml

from pocketlet import errors
from pocketlet.platform import connection_changes, connections, oauth

MOST_BYTES = 15_000_000
MOST_YAML_BYTES = 3_000_000
MOST_PATHS = 5000
MOST_OPERATIONS = 2000
MOST_SECRETS = 4
MOST_SCOPES = 50
MOST_QUERY = 50
LONGEST_CHAIN = 20
DEEPEST = 100
QUERY_NAME = re.compile(r"[A-Za-z0-9_.\[\]$:-]{1,64}")
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Node = Mapping[Any, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the owner says besides the document.

    `base_url` replaces the document's servers, `source` is where it came from; `allow` are operations besides the GETs;
    `only` is what paths begin with; `client_id` and `scopes` are for OAuth2.
    """

    name: str
    base_url: str = ""
    source: str = ""
    allow: tuple[connections.Operation, ...] = ()
    only: str = ""
    client_id: str = ""
    scopes: tuple[str, ...] = ()
    pinned: tuple[str, ...] = ()


def draft(text: bytes, wanted: Wanted) -> connections.Draft:
    """A connection with the document's server, its GETs and its way to log in. Raises errors.BadInput."""
    document = read(text)
    remarks: list[str] = []
    known = [one for one in _operations(document, remarks) if one.path.startswith(wanted.only)]
    if len(known) > MOST_OPERATIONS:
        raise errors.BadInput(
            f"The document has {len(known)} operations; {MOST_OPERATIONS} is the most.",
            hint="Take a part of it: --only /PATH",
        )
    said = {one.line: one for one in wanted.allow}
    documented = {one.line: one for one in known}
    for line in sorted(said.keys() - documented.keys()):
        remarks.append(f"{line} is not in the document; it is allowed as you said.")
    allow = [one for one in known if one.effect == "read" and one.line not in said]
    allow += [replace(one, query=documented[line].query if line in documented else ()) for line, one in said.items()]
    rest = [one for one in known if one.effect != "read" and one.line not in said]
    if rest:
        names = ", ".join(one.line for one in rest[:10]) + (" …" if len(rest) > 10 else "")
        remarks.append(f"{len(rest)} other operations are not allowed: {names}.")
    base_url = wanted.base_url or _server(document, wanted.source)
    auth = _auth(document, wanted, remarks)
    if auth.client is not None:
        remarks += _elsewhere(auth.client, base_url)
    return connections.Draft(
        name=wanted.name,
        base_url=base_url,
        auth=auth,
        allow=tuple(allow),
        deny=tuple(connection_changes.shadowed([*known, *allow], rest)),
        pinned=wanted.pinned,
        remarks=tuple(remarks),
    )


def read(text: bytes) -> Node:
    """The document, from JSON or YAML. Raises errors.BadInput."""
    if len(text) > MOST_BYTES:
        raise errors.BadInput(f"The document is larger than {MOST_BYTES // 1_000_000} MB.")
    try:
        found = _parsed(text)
    except (ValueError, RecursionError, TypeError, OverflowError, AttributeError, yaml.YAMLError):
        raise errors.BadInput("The document is neither JSON nor YAML that can be read.") from None
    if not isinstance(found, dict):
        raise errors.BadInput("The document is not an OpenAPI document.")
    document = cast(Node, found)
    version = document.get("openapi")
    if not isinstance(version, str) or not version.startswith("3."):
        raise errors.BadInput(
            "The document is not OpenAPI 3.x.", hint="A Swagger 2.0 document has to be converted to OpenAPI 3 first."
        )
    return document


def _parsed(text: bytes) -> object:
    plain = text.decode("utf-8-sig")
    if plain.lstrip()[:1] in ("{", "["):
        return json.loads(plain)
    if len(text) > MOST_YAML_BYTES:
        raise errors.BadInput(
            f"A YAML document may have {MOST_YAML_BYTES // 1_000_000} MB.", hint="Convert it to JSON first."
        )
    _check_events(plain)
    loader = cast(yaml.SafeLoader, LOADER(plain))
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def _check_events(plain: str) -> None:
    """Refuses, before anything is built, nesting that would end in recursion and merges, which can fill the memory."""
    depth = 0
    for event in yaml.parse(plain, Loader=LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            raise errors.BadInput(f"The document is nested more than {DEEPEST} deep.")
        if isinstance(event, yaml.ScalarEvent) and (event.value == "<<" or str(event.tag).endswith("merge")):
            raise errors.BadInput("The document holds YAML merge keys (<<), which are not read.")


def resolved(document: Node, node: object) -> Node:
    """A node, or what its local `$ref` refers to. Raises errors.BadInput for any other one, and for a circle."""
    for _ in range(LONGEST_CHAIN):
        if not isinstance(node, dict):
            raise errors.BadInput("The document refers to something that is not there.")
        found = cast(Node, node)
        if "$ref" not in found:
            return found
        node = _referred(document, found["$ref"])
    raise errors.BadInput("The document's references go in a circle.")


def _referred(document: Node, reference: object) -> object:
    if not isinstance(reference, str) or not reference.startswith("#/") or len(reference) > 1000:
        raise errors.BadInput("The document refers to another document, which is not fetched.")
    node: object = document
    for part in reference[2:].split("/"):
        name = unquote(part).replace("~1", "/").replace("~0", "~")
        node = cast(Node, node).get(name) if isinstance(node, dict) else None
    return node


def _mapping(node: object) -> Node:
    return cast(Node, node) if isinstance(node, dict) else {}


def _list(node: object) -> Sequence[Any]:
    return cast(list[Any], node) if isinstance(node, list) else []


def _operations(document: Node, remarks: list[str]) -> list[connections.Operation]:
    paths = _mapping(document.get("paths"))
    if len(paths) > MOST_PATHS:
        raise errors.BadInput(f"The document has more than {MOST_PATHS} paths.")
    found: dict[str, connections.Operation] = {}
    left_out: list[str] = []
    for path, item in paths.items():
        if not isinstance(path, str) or not path.startswith("/"):
            continue
        for method, operation, shared in _of_path(document, item):
            line = f"{method} {path}"[:200]
            if "servers" in operation:
                left_out.append(f"{line} (it is on another server)")
                continue
            try:
                made = connections.operation(f"{method} {path}")
            except errors.BadInput:
                left_out.append(line)
                continue
            parameters = [*shared, *_list(operation.get("parameters"))]
            found[made.line] = replace(made, query=_query(document, parameters))
    if left_out:
        names = ", ".join(left_out[:5]) + (" …" if len(left_out) > 5 else "")
        remarks.append(f"{len(left_out)} operations can't be allowed as they are written: {names}.")
    return list(found.values())


def _of_path(document: Node, item: object) -> Iterator[tuple[str, Node, Sequence[Any]]]:
    whole = resolved(document, item)
    servers = {"servers": whole["servers"]} if "servers" in whole else {}
    for method in connections.METHODS:
        operation = whole.get(method.lower())
        if isinstance(operation, dict):
            yield method, {**servers, **cast(Node, operation)}, _list(whole.get("parameters"))


def _query(document: Node, parameters: Sequence[Any]) -> tuple[str, ...]:
    names: list[str] = []
    for parameter in parameters[:MOST_QUERY]:
        found = resolved(document, parameter)
        name = found.get("name")
        if found.get("in") == "query" and isinstance(name, str) and QUERY_NAME.fullmatch(name) and name not in names:
            names.append(name)
    return tuple(names)


def _server(document: Node, source: str) -> str:
    """The first server's URL, its variables at their defaults. Raises errors.BadInput if there is none."""
    server = _mapping(next(iter(_list(document.get("servers"))), None))
    url = server.get("url", "/")
    text = url if isinstance(url, str) else ""
    for name, variable in list(_mapping(server.get("variables")).items())[:20]:
        default = _mapping(variable).get("default")
        if isinstance(name, str) and isinstance(default, str):
            text = text.replace(f"{{{name}}}", default)[:2000]
    if text.startswith("/") and not text.startswith("//") and source:
        parts = urlsplit(source)
        return f"{parts.scheme}://{parts.netloc}{text}".rstrip("/")
    if not text.startswith(("https://", "http://")):
        raise errors.BadInput("The document does not say where its server is.", hint="Give it: --base-url URL")
    return text


def _auth(document: Node, wanted: Wanted, remarks: list[str]) -> connections.Auth:
    """The first way to log in that can be used, of those that the document asks for."""
    schemes = _mapping(_mapping(document.get("components")).get("securitySchemes"))
    asked = _requirements(document, schemes)
    if not asked:
        return connections.Auth()
    for requirement in asked:
        auth = _by_requirement(document, schemes, requirement, wanted)
        if auth is not None:
            if auth.client is not None and not auth.client.scopes:
                remarks.append("No scopes are asked for: --scope SCOPE names one.")
            return auth
    remarks.append("The document's ways to log in can't be used; give one with --auth.")
    return connections.Auth()


def _requirements(document: Node, schemes: Node) -> list[Node]:
    """What requests need: for all of them, else for single ones, else any scheme that is described."""
    asked = [_mapping(one) for one in _list(document.get("security"))]
    if not asked:
        for item in list(_mapping(document.get("paths")).values())[:MOST_PATHS]:
            for operation in _mapping(item).values():
                asked += [_mapping(one) for one in _list(_mapping(operation).get("security"))[:5]]
    asked = [one for one in asked if one] or [{name: []} for name in schemes]
    # By their names alone: what else stands there may be endless.
    unique = {frozenset(map(hash, one)): one for one in asked[:1000] if len(one) <= MOST_SECRETS}
    return list(unique.values())[:50]


def _by_requirement(document: Node, schemes: Node, requirement: Node, wanted: Wanted) -> connections.Auth | None:
    found = [(resolved(document, schemes.get(name)), _list(scopes)) for name, scopes in requirement.items()]
    own = connections.prefix(wanted.name)
    if len(found) == 1 and found[0][0].get("type") == "oauth2":
        return _oauth(found[0][0], found[0][1], wanted)
    places = [_place(scheme, own) for scheme, _ in found]
    certain = [place for place in places if place is not None]
    if not certain or len(certain) < len(places):
        return None
    if len(certain) > 1:
        certain = [replace(place, secret=f"{own}KEY_{number}") for number, place in enumerate(certain, 1)]
    return connections.Auth(certain[0].kind, tuple(certain))


def _place(scheme: Node, own: str) -> connections.Place | None:
    name = scheme.get("name")
    where = scheme.get("scheme") if scheme.get("type") == "http" else scheme.get("in")
    match (scheme.get("type"), where.lower() if isinstance(where, str) else ""):
        case ("http", "bearer"):
            return connections.Place("bearer", f"{own}TOKEN")
        case ("http", "basic"):
            return connections.Place("basic", f"{own}LOGIN")
        case ("apiKey", "header" | "query" as kind) if isinstance(name, str):
            return connections.Place(kind, f"{own}KEY", name)
        case _:
            return None


def _oauth(scheme: Node, scopes: Sequence[Any], wanted: Wanted) -> connections.Auth | None:
    flows = _mapping(scheme.get("flows"))
    for flow, kind in (("clientCredentials", "oauth2-client"), ("authorizationCode", "oauth2-code")):
        urls = _mapping(flows.get(flow))
        token_url, authorize_url = urls.get("tokenUrl"), urls.get("authorizationUrl", "")
        if isinstance(token_url, str) and isinstance(authorize_url, str):
            asked = wanted.scopes or tuple(scope for scope in scopes[:MOST_SCOPES] if isinstance(scope, str))
            secret = f"{connections.prefix(wanted.name)}CLIENT_SECRET"
            return connections.Auth(kind, (), oauth.Client(token_url, wanted.client_id, secret, authorize_url, asked))
    return None


def _elsewhere(client: oauth.Client, base_url: str) -> list[str]:
    """Hosts of OAuth2 that are not the service's: usual, and what a forged document would do, too."""
    host = urlsplit(base_url).hostname
    urls = [url for url in (client.token_url, client.authorize_url) if url]
    return [
        f"Look: {url} is on another host than the service, and would be given the client's secret or your login."
        for url in urls
        if urlsplit(url).hostname != host
    ]
