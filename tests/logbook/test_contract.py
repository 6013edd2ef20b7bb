"""The API does what its document says: each operation is asked for in good ways and bad, and answers as described."""

import asyncio
import sys
from pathlib import Path

import httpx2
import pytest
from desks import Desk

from pocketlet.platform import owners
from pocketlet.surfaces.api import document, table
from pocketlet.surfaces.web import screens

KEPT = Path(__file__).parents[2] / "docs" / "openapi.json"
EXAMPLES = 6  # of each operation and phase


def test_the_document_that_is_kept_is_the_one_that_is_served() -> None:
    """`python -m pocketlet.surfaces.api > docs/openapi.json` writes it anew."""
    assert KEPT.read_text(encoding="utf-8") == document.text()


def test_every_endpoint_says_what_it_does_and_who_may() -> None:
    for one in table.ENDPOINTS:
        assert one.work.__doc__, one.name
        assert one.scope in owners.SCOPES
        assert one.scope == "read" or one.method != "GET", one.name
        assert one.scope != "read" or one.method in ("GET", "POST"), (
            one.name
        )  # a POST: what is asked is too long for a URL
    names = [one.name for one in table.ENDPOINTS]
    assert len(names) == len(set(names))


def test_every_summary_begins_with_what_it_does_and_every_model_has_a_name_of_its_own() -> None:
    for one in table.ENDPOINTS:
        verb = str(one.work.__doc__).split()[0]
        assert verb[0].isupper(), one.name
        assert verb.endswith("s"), one.name
    assert not [name for name in document.made()["components"]["schemas"] if "__" in name]


def test_what_counts_at_once_and_was_not_tried_needs_more_than_approving() -> None:
    scopes = {one.name: one.scope for one in table.ENDPOINTS}
    made = [
        "changes.edit",
        "costs.budget",
        "skills.edit",
        "skills.install",
        "skills.off",
        "skills.on",
        "triggers.put",
        "triggers.remove",
    ]
    assert {scopes[name] for name in made} == {"admin"}
    assert {scopes[name] for name in ("changes.adopt", "chat.accept", "approvals.approve")} == {"approve"}


async def test_a_problem_says_its_code_and_its_run(desk: Desk) -> None:
    run = desk.run_of("known-customer")
    async with desk.client() as client:
        missing = (await client.get("/v1/runs/999999")).json()
        wrong = (await client.get(f"/v1/runs/{run}/quote?model=none")).json()
    assert missing == {
        "type": "urn:pocketlet:problem:notfound",
        "code": "notfound",
        "title": "There is no such thing.",
        "status": 404,
        "detail": "There is no run 999999.",
    }
    assert (wrong["run_id"], wrong["type"].rpartition(":")[2]) == (run, wrong["code"])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *((one.method, "/v1" + one.path) for one in table.ENDPOINTS),
        *((one.method, one.path) for one in screens.SCREENS),
    ],
)
async def test_nobody_gets_anything_without_being_known(desk: Desk, method: str, path: str) -> None:
    fields = {"sec-fetch-site": "same-origin", "cookie": f"pocketlet-{desk.port}=guess"}
    async with httpx2.AsyncClient(base_url=desk.url, headers=fields) as nobody:
        answer = await nobody.request(method, path.replace("{", "").replace("}", ""))
    assert (answer.status_code, answer.headers.get("location", "")[:6]) in ((401, ""), (303, "/login"))


@pytest.mark.timeout(600)
async def test_schemathesis_finds_nothing(expendable: Desk) -> None:
    known = Path(__file__).with_name("schemathesis.toml")
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(known)]
    command += ["run", f"{expendable.url}/v1/openapi.json"]
    command += ["-H", f"Authorization: Bearer {expendable.tokens['owner']}", "--max-examples", str(EXAMPLES)]
    command += ["--phases", "examples,coverage,fuzzing", "--seed", "1", "--continue-on-failure", "--no-color"]
    # What has the right form can still ask for what is not to be had: then 422 says why.
    command += ["--exclude-path-regex", "/events$", "--exclude-checks", "unsupported_method,positive_data_acceptance"]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    told, _ = await process.communicate()
    assert process.returncode == 0, told.decode()[:12_000]
