"""Replies that may be anybody's, for programs: whose they are, and what comes of the owner's word."""

import pytest
from desks import Desk

PUT = """
WITH way AS (
  INSERT INTO pocketlet.channel (name, kind, address, about)
  VALUES ('letters', 'mail', 'owner@shop.example', '{approval}') ON CONFLICT (name) DO UPDATE SET kind = 'mail'
  RETURNING id
) INSERT INTO pocketlet.incoming (channel_id, key, state, meaning, words, run_id)
  SELECT id, %(key)s, 'unproven', 'unproven', 'Shorter.', %(run)s FROM way RETURNING id
"""


async def put(desk: Desk, key: str, run: int | None) -> int:
    """The number of a reply that waits."""
    async with desk.database.setup() as conn:
        row = await (await conn.execute(PUT, {"key": key, "run": run})).fetchone()
    assert row is not None
    return row["id"]


async def test_the_owner_says_whose_they_are(expendable: Desk) -> None:
    run = expendable.run_of("known-customer")
    first, second = await put(expendable, "a", run), await put(expendable, "b", run)
    async with expendable.client() as client:
        part = (await client.get("/v1/replies?limit=1")).json()
        rest = (await client.get("/v1/replies", params={"cursor": part["next"]})).json()
        assert [one["reply"] for one in part["items"] + rest["items"]] == [first, second]
        [shown] = part["items"]
        assert (shown["agent"], shown["run"], shown["words"]) == ("crm", run, "Shorter.")
        given = await client.post(f"/v1/replies/{first}/confirm", headers={"idempotency-key": "first"})
        told = (await client.get(f"/v1/feedback/{given.json()['feedback']}")).json()["given"]
        assert (told["source"], told["comment"], told["run"]) == ("reply", "Shorter.", run)
        assert (await client.post(f"/v1/replies/{second}/ignore")).status_code == 200
        assert (await client.post(f"/v1/replies/{second}/ignore")).status_code == 404
        assert (await client.get("/v1/replies")).json()["items"] == []


@pytest.mark.parametrize("about_a_run", [True, False])
async def test_another_owner_sees_none_and_decides_none(expendable: Desk, about_a_run: bool) -> None:
    run = expendable.run_of("known-customer") if about_a_run else None
    number = await put(expendable, f"hers-{about_a_run}", run)
    headers = {"idempotency-key": f"try-{number}"}
    async with expendable.client("second") as second:
        assert (await second.get("/v1/replies")).json()["items"] == []
        for word in ("confirm", "ignore"):
            refused = await second.post(f"/v1/replies/{number}/{word}", headers=headers if word == "confirm" else {})
            nobody = await second.post(f"/v1/replies/999999/{word}", headers={"idempotency-key": f"{word}-{number}"})
            assert (refused.status_code, refused.json()["title"]) == (404, nobody.json()["title"])
            assert refused.json()["detail"].replace(str(number), "N") == nobody.json()["detail"].replace("999999", "N")
    async with expendable.client() as client:
        assert number in [one["reply"] for one in (await client.get("/v1/replies")).json()["items"]]
