"""The OpenAPI 3.1 document of the API, made from the signatures that serve it."""

import json
from typing import Any, Literal

import pydantic
from pydantic.json_schema import models_json_schema

from pocketlet.surfaces.api import endpoint, table

WHERE = "#/components/schemas/{model}"
PROBLEM = {"$ref": "#/components/responses/Problem"}
#: What may be wrong with a request; each with a problem document. 429: too much at once, as there is no limit of rate.
REFUSALS = ("400", "401", "403", "404", "409", "422", "429", "500", "503")
Part = tuple[type[pydantic.BaseModel], Literal["validation", "serialization"]]


def text() -> str:
    """As it is served and kept in `docs/openapi.json`: sorted, with a line end."""
    return json.dumps(made(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def made() -> dict[str, Any]:
    """The document."""
    names, defined = models_json_schema(_models(), ref_template=WHERE)
    paths: dict[str, dict[str, Any]] = {}
    for one in table.ENDPOINTS:
        paths.setdefault(endpoint.PREFIX + one.path, {})[one.method.lower()] = _operation(one, names)
    token = {"type": "http", "scheme": "bearer", "description": "A token of `pocketlet token create`."}
    problem = {"description": "What is wrong, and what to do next (RFC 9457).", "content": _problem()}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Pocketlet", "version": "1", "summary": "What an owner can see and do."},
        "paths": paths,
        "security": [{"token": []}],
        "components": {
            "schemas": defined.get("$defs", {}),
            "responses": {"Problem": problem},
            "securitySchemes": {"token": token},
        },
    }


def _models() -> list[Part]:
    found: dict[Part, None] = {}
    for one in table.ENDPOINTS:
        if _is_model(one):
            found[(one.answer, "serialization")] = None
        if one.body_model:
            found[(one.body_model, "validation")] = None
    return list(found)


def _is_model(one: endpoint.Endpoint) -> bool:
    return not one.streams and one.answer is not endpoint.Text


def _operation(one: endpoint.Endpoint, names: Any) -> dict[str, Any]:
    said = " ".join((one.work.__doc__ or "").split())
    made: dict[str, Any] = {
        "operationId": one.name,
        "tags": [one.name.partition(".")[0]],
        "summary": said.partition(". ")[0].rstrip("."),
        "description": f"{said} Scope: {one.scope}.",
        "parameters": [*_parameters(one.path_model, "path"), *_parameters(one.query_model, "query"), *_key(one)],
        "responses": {str(one.status): _answer(one, names)} | dict.fromkeys(REFUSALS, PROBLEM),
    }
    if one.body_model:
        schema = names[(one.body_model, "validation")]
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return made


def _answer(one: endpoint.Endpoint, names: Any) -> dict[str, Any]:
    if one.streams:
        schema: object = {"type": "string"}
        return {
            "description": "Events, for as long as it goes on.",
            "content": {"text/event-stream": {"schema": schema}},
        }
    schema = names[(one.answer, "serialization")] if _is_model(one) else {"type": "string"}
    return {"description": "Done.", "content": {one.media: {"schema": schema}}}


def _parameters(model: type[pydantic.BaseModel], place: str) -> list[dict[str, Any]]:
    schema = model.model_json_schema(ref_template=WHERE)
    found: list[dict[str, Any]] = []
    for name, part in schema.get("properties", {}).items():
        kept = {key: value for key, value in part.items() if key not in ("title", "description")}
        given = {"name": name, "in": place, "required": place == "path", "schema": kept}
        found.append(given | ({"description": part["description"]} if "description" in part else {}))
    return found


def _key(one: endpoint.Endpoint) -> list[dict[str, Any]]:
    if one.method != "POST" or one.scope == "read":  # what changes nothing may be asked again
        return []
    schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"}
    said = "Asked again with the same one within 24 hours, it is not done twice."
    return [{"name": "Idempotency-Key", "in": "header", "required": one.keyed, "schema": schema, "description": said}]


def _problem() -> dict[str, Any]:
    schema = {
        "type": "object",
        "required": ["type", "code", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string", "description": "`urn:pocketlet:problem:` and the code."},
            "code": {"type": "string", "description": "What a program looks at."},
            "title": {"type": "string", "description": "What is wrong in general, the same for each code."},
            "status": {"type": "integer"},
            "detail": {"type": "string", "description": "What happened this time."},
            "run_id": {"type": "integer", "description": "The run that was asked for, where there is one."},
            "hint": {"type": "string", "description": "What to do next."},
        },
    }
    return {"application/problem+json": {"schema": schema}}
