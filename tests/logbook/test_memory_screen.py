"""Memory: tables with where rows come from, the owner's own SELECTs, corrections, and forgetting a sender."""

import csv
import io
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from desks import Desk
from remembering import SENDER, Kept, keep


@pytest.fixture
async def kept(desk: Desk, tmp_path: Path) -> Kept:
    """For tests that change something."""
    return await keep(desk, tmp_path)


@pytest.fixture(scope="session")
async def calm(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """For those that only look."""
    return await keep(desk, tmp_path_factory.mktemp("calm"))


async def test_tables_say_what_is_in_them(desk: Desk, calm: Kept) -> None:
    async with desk.client() as client:
        found = {one["name"]: one for one in (await client.get(f"{calm.api}/tables")).json()["items"]}
        crm = [one["name"] for one in (await client.get("/v1/agents/crm/tables")).json()["items"]]
    assert list(found) == ["memories", "results", "loose", "orders", "feedback", "lessons", "runs"]
    assert (found["orders"]["rows"], found["orders"]["comment"]) == (7, "what was ordered")
    assert found["orders"]["columns"][0] == {"name": "no", "type": "text", "comment": "as on the bill"}
    assert found["memories"]["rows"] == 4
    assert {"customers", "sales", "products", "messages"} <= set(crm)


async def test_each_memory_says_where_it_is_from(desk: Desk, calm: Kept) -> None:
    async with desk.client() as client:
        found = (await client.get(f"{calm.api}/tables/memories/rows")).json()
        whole = (await client.get(f"{calm.api}/memories/{calm.hostile}")).json()
    assert [row["origin"] for row in found["items"]] == ["model", "owner", "own", "outside"]
    assert found["items"][3]["run"] == whole["memory"]["run"]
    assert (whole["memory"]["step"], whole["memory"]["counts"], whole["told"]) == (3, True, None)
    assert "tsv" not in found["columns"]


@pytest.mark.parametrize(("table", "first"), [("orders", "A-001"), ("memories", None)])
async def test_parts_leave_nothing_out(desk: Desk, calm: Kept, table: str, first: str | None) -> None:
    seen, cursor = [], ""
    async with desk.client() as client:
        while True:
            asked = {"limit": 2, "cursor": cursor}
            part = (await client.get(f"{calm.api}/tables/{table}/rows", params=asked)).json()
            seen += [row["cells"][0] for row in part["items"]]
            if not part["next"]:
                break
            cursor = part["next"]
    assert len(seen) == len(set(seen)) == (7 if table == "orders" else 4)
    assert first in (None, seen[0])


async def test_a_table_without_a_key_has_no_second_part(desk: Desk, calm: Kept) -> None:
    async with desk.client() as client:
        found = (await client.get(f"{calm.api}/tables/loose/rows", params={"limit": 1})).json()
        strange = await client.get(f"{calm.api}/tables/orders/rows", params={"cursor": "!!"})
        typed = await client.get(f"{calm.api}/tables/memories/rows", params={"cursor": "ImEi"})
    assert (len(found["items"]), found["next"]) == (1, None)
    assert (strange.status_code, typed.status_code) == (422, 422)


async def test_runs_that_were_shown_a_memory_are_named(desk: Desk, kept: Kept) -> None:
    async with desk.database.api() as conn:
        made = await conn.execute(
            "INSERT INTO pocketlet.step (run_id, seq, kind, tool, request, response, label, fence)"
            " SELECT m.origin_run, s.seq, 'tool', s.tool, s.request::jsonb, to_jsonb(s.response), 'outside', 0"
            f"  FROM {kept.name}.memories m, (VALUES (1, 'read', '{{\"table\": \"memories\", \"id\": %(own)s}}', 'x'),"
            "   (2, 'search', '{}', E'source\\tid\\nmemories\\t%(about)s\\t2026\\nresults\\t%(own)s\\t2026'))"
            "   AS s(seq, tool, request, response) WHERE m.id = %(model)s RETURNING run_id".replace(
                "%(own)s", str(kept.own)
            )
            .replace("%(about)s", str(kept.about))
            .replace("%(model)s", str(kept.model)),
        )
        run = (await made.fetchone() or {})["run_id"]
    async with desk.client() as client:
        rows = (await client.get(f"{kept.api}/tables/memories/rows")).json()["items"]
    assert {int(row["cells"][0]): row["used_by"] for row in rows} == {
        kept.own: [run],
        kept.about: [run],
        kept.hostile: [],
        kept.model: [],
    }


async def test_a_select_is_answered(desk: Desk, calm: Kept) -> None:
    query = 'SELECT no, "rate%%" AS rate FROM orders WHERE no LIKE \'A-%%\' AND "rate%%" > %(least)s ORDER BY no;'
    async with desk.client() as client:
        asked = {"query": query.replace("%%", "%"), "parameters": {"least": "5"}}
        found = (await client.post(f"{calm.api}/sql", json=asked)).json()
        lacking = await client.post(f"{calm.api}/sql", json={"query": query})
        rows = (await client.post(f"{calm.api}/sql", json={"query": "TABLE memories"})).json()
    assert [row["cells"] for row in found["rows"]] == [["A-006", "6"], ["A-007", "7"]]
    assert (found["columns"], found["tables"], found["origin"], found["capped"]) == (
        ["no", "rate"],
        ["orders"],
        "own",
        "",
    )
    assert found["cost"] > 0
    assert (lacking.status_code, "least" in lacking.json()["detail"]) == (422, True)
    assert (rows["origin"], {row["origin"] for row in rows["rows"]}) == (
        "outside",
        {"outside", "own", "owner", "model"},
    )


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM memories",
        "WITH gone AS (DELETE FROM memories RETURNING 1) TABLE gone",
        "SELECT 1; DELETE FROM memories",
        "UPDATE orders SET who = 'me'",
        "DROP TABLE orders",
        "COPY memories TO '/x'",
        "SELECT * FROM pocketlet.secret",
        "SELECT * FROM crm.customers",
        "SELECT set_config('a.b', 'c', false)",
        "SELECT 1\x00",
    ],
)
async def test_what_is_no_reading_is_refused_in_a_sentence(desk: Desk, calm: Kept, query: str) -> None:
    async with desk.client() as client:
        refused = await client.post(f"{calm.api}/sql", json={"query": query})
        left = (await client.get(f"{calm.api}/tables/memories/rows")).json()
    assert (refused.status_code, len(left["items"])) == (422, 4)
    assert refused.json()["detail"]
    assert refused.json()["hint"]
    async with await desk.browser() as browser:
        page = await browser.get(f"{calm.page}/sql", params={"q": query.replace("\x00", "")})
    assert page.status_code == (422 if "\x00" not in query else 200)


async def test_a_file_is_harmless_in_a_spreadsheet(desk: Desk, calm: Kept) -> None:
    cells = "'=1+1', '+x', '@x', ' =x', '-5', '-x', 'a'"
    async with desk.client() as client:
        file = await client.post(f"{calm.api}/sql/csv", json={"query": f"VALUES ({cells})"})
        table = await client.get(f"{calm.api}/tables/memories/csv")
    async with await desk.browser() as browser:
        page = await browser.get(f"{calm.page}/file.csv", params={"q": f"VALUES ({cells})"})
    rows = list(csv.reader(io.StringIO(file.text)))
    assert rows[1] == ["'=1+1", "'+x", "'@x", "' =x", "-5", "'-x", "a"]
    assert file.headers["content-type"].startswith("text/csv")
    assert "'=1+1" in table.text
    assert (page.text, page.headers["content-disposition"]) == (file.text, f'attachment; filename="{calm.name}.csv"')


async def test_queries_are_kept_for_their_owner(desk: Desk, kept: Kept) -> None:
    query = "SELECT * FROM orders WHERE who = %(who)s AND no > %(no)s AND who <> %(who)s"
    async with desk.client() as client:
        made = (await client.post(f"{kept.api}/queries", json={"name": " By  name ", "query": query})).json()
        again = (await client.post(f"{kept.api}/queries", json={"name": "By name", "query": query})).json()
        listed = (await client.get(f"{kept.api}/queries")).json()["items"]
        async with await desk.browser() as browser:
            page = (await browser.get(f"{kept.page}/sql", params={"q": query})).text
            run = await browser.get(f"{kept.page}/sql", params={"q": query, "p_who": "<b>", "p_no": "A"})
        gone = await client.delete(f"{kept.api}/queries/{made['id']}")
        left = (await client.get(f"{kept.api}/queries")).json()["items"]
    assert (made["name"], made["parameters"], again["id"]) == ("By name", ["who", "no"], made["id"])
    assert [one["id"] for one in listed] == [made["id"]]
    assert 'name="p_who"' in page
    assert "asks for who, no" in page
    assert 'value="&lt;b&gt;"' in run.text
    assert (gone.status_code, left) == (200, [])


async def test_a_correction_and_the_way_back(desk: Desk, kept: Kept) -> None:
    async with desk.client() as client:
        right = {"text": "Ann is in a hurry"}
        done = (await client.post(f"{kept.api}/memories/{kept.about}/correct", json=right)).json()
        old = (await client.get(f"{kept.api}/memories/{kept.about}")).json()
        new = (await client.get(f"{kept.api}/memories/{done['memory']}")).json()
        late = await client.post(f"{kept.api}/memories/{kept.about}/correct", json=right)
        back = (await client.post(f"{kept.api}/memories/{done['memory']}/undo", json={})).json()
        now = (await client.get(f"{kept.api}/memories/{back['memory']}")).json()
        ended = (await client.get(f"{kept.api}/memories/{done['memory']}")).json()
    assert (old["memory"]["counts"], old["told"]["new"], old["told"]["undo"]) == (False, done["memory"], False)
    assert (new["memory"]["body"], new["memory"]["origin"], new["told"]["undo"]) == ("Ann is in a hurry", "owner", True)
    assert late.status_code == 409
    assert (now["memory"]["subject"], now["memory"]["counts"], now["told"]["act"]) == ("Ann is patient", True, "undo")
    assert (ended["memory"]["counts"], ended["told"]["new"]) == (False, back["memory"])


async def test_by_forms_alone(desk: Desk, kept: Kept) -> None:
    row = f"{kept.page}/rows/{kept.own}"
    async with await desk.browser() as browser:
        first = await browser.get(row)
        gone = await browser.post(f"{row}/forget", data={"text": "ignored"})
        shown = await browser.get(gone.headers["location"])
        back = await browser.post(f"{row}/undo")
        there = await browser.get(back.headers["location"])
        twice = await browser.post(f"{row}/undo")
        corrected = await browser.post(f"{back.headers['location']}/correct", data={"text": "Mondays"})
        kept_query = await browser.post(f"{kept.page}/queries", data={"name": "n", "q": "SELECT 1", "p_a": "2"})
    assert "We ship on Fridays</textarea>" in first.text
    assert (gone.status_code, gone.headers["location"]) == (303, row)
    assert "no run reads it" in shown.text
    assert "Take that back" in shown.text
    assert "is there again" in there.text
    assert (twice.status_code, corrected.status_code) == (409, 303)
    assert kept_query.headers["location"] == f"{kept.page}/sql?q=SELECT+1&p_a=2"


async def test_a_sender_is_forgotten_and_brought_back(desk: Desk, kept: Kept) -> None:
    ask = {"sender": SENDER, "about": "yes"}
    async with await desk.browser() as browser:
        only = (await browser.get(f"{kept.page}/forget", params={"sender": f" {SENDER.upper()} "})).text
        both = (await browser.get(f"{kept.page}/forget", params=ask)).text
        moved = await browser.post(f"{kept.page}/forget", data=ask | {"rows": "7"})
        done = await browser.post(f"{kept.page}/forget", data=ask | {"rows": "2"})
        shown = (await browser.get(done.headers["location"])).text
        row = (await browser.get(f"{kept.page}/rows/{kept.hostile}")).text
        changed = (await browser.get(f"{kept.page}/changes")).text
        async with desk.client() as client:
            left = (await client.get(f"{kept.api}/tables/memories/rows")).json()["items"]
        back = await browser.post(f"{done.headers['location']}/undo")
        twice = await browser.post(f"{done.headers['location']}/undo")
        again = (await browser.get(f"{kept.page}/forget", params=ask)).text
        after = (await browser.get(f"{kept.page}/rows/{kept.hostile}")).text
    assert "Forget it" in only
    assert "Forget these 2" in both
    assert moved.status_code == 409
    assert "Take that back" in shown
    assert done.headers["location"] in row
    assert "− Gone" not in changed  # what came and went in the same days is no difference
    assert [int(one["cells"][0]) for one in left] == [kept.model, kept.own]
    assert (back.status_code, twice.status_code) == (303, 409)
    assert "Forget these 2" in again
    assert "a copy of it is there again" in after


async def test_what_changed_between_two_times(desk: Desk, kept: Kept) -> None:
    async with desk.database.api() as conn:
        early = await (await conn.execute("SELECT pocketlet.now() AS at")).fetchone()
    since = (early or {})["at"].isoformat()
    async with desk.client() as client:
        before = (await client.get(f"{kept.api}/memory/changes")).json()
        await client.post(f"{kept.api}/memories/{kept.own}/correct", json={"text": "Mondays"})
        after = (await client.get(f"{kept.api}/memory/changes", params={"since": since})).json()
        wrong = await client.get(f"{kept.api}/memory/changes", params={"since": since, "until": since})
        naive = await client.get(f"{kept.api}/memory/changes", params={"since": "2026-01-01T00:00:00"})
    assert {one["counts"] for one in before["items"]} == {True}
    assert [(one["counts"], one["id"] == kept.own) for one in after["items"]] == [(False, True), (True, False)]
    assert (wrong.status_code, naive.status_code) == (422, 422)


@pytest.mark.parametrize(
    "path",
    ["", "?table=memories", "/sql?q=TABLE+memories", "/rows/{hostile}", "/forget?sender=" + quote(SENDER), "/changes"],
)
async def test_hostile_words_are_shown_and_do_nothing(desk: Desk, calm: Kept, path: str) -> None:
    async with await desk.browser() as browser:
        page = await browser.get(calm.page + path.format(hostile=calm.hostile))
    assert page.status_code == 200
    assert "&lt;img src=x onerror" in page.text
    assert not re.search(r"<img src=x|<script>window|\son\w+=\"|style=", page.text)
    assert "\u202e" not in page.text
    assert "from-outside" in page.text


async def test_outside_words_are_not_put_into_the_owners_mouth(desk: Desk, calm: Kept) -> None:
    async with await desk.browser() as browser:
        page = (await browser.get(f"{calm.page}/rows/{calm.hostile}")).text
    assert re.search(r"<textarea name=\"text\"[^>]*></textarea>", page)


@pytest.mark.parametrize(
    "path", ["?table=none", "?table=secret", "/rows/x", "/rows/999999", "/forget/1", "/changes?since=x"]
)
async def test_what_is_not_there_says_so(desk: Desk, calm: Kept, path: str) -> None:
    async with await desk.browser() as browser:
        page = await browser.get(calm.page + path)
    assert page.status_code == (422 if "since" in path else 404)
    assert 'class="rail"' in page.text


async def test_another_owner_finds_nothing(desk: Desk, kept: Kept) -> None:
    async with desk.client() as mine:
        query = (await mine.post(f"{kept.api}/queries", json={"name": "mine", "query": "SELECT 1"})).json()["id"]
        gone = {"sender": SENDER, "rows": 1}
        swept = (await mine.post(f"{kept.api}/forgetting", json=gone)).json()["feedback"]
    asked: list[tuple[str, str, dict[str, Any] | None]] = [
        ("GET", "/tables", None),
        ("GET", "/tables/memories/rows", None),
        ("GET", "/tables/memories/csv", None),
        ("POST", "/sql", {"query": "SELECT 1"}),
        ("POST", "/sql/csv", {"query": "SELECT 1"}),
        ("GET", "/queries", None),
        ("POST", "/queries", {"name": "a", "query": "SELECT 1"}),
        ("DELETE", f"/queries/{query}", None),
        ("GET", f"/memories/{kept.own}", None),
        ("POST", f"/memories/{kept.own}/correct", {"text": "x"}),
        ("POST", f"/memories/{kept.own}/forget", {}),
        ("POST", f"/memories/{kept.own}/undo", {}),
        ("GET", "/forgetting?sender=a@b.example", None),
        ("POST", "/forgetting", {"sender": "a@b.example", "rows": 1}),
        ("GET", f"/forgetting/{swept}", None),
        ("POST", f"/forgetting/{swept}/undo", None),
        ("GET", "/memory/changes", None),
    ]
    async with desk.client("second") as theirs:
        for method, path, body in asked:
            hers = await theirs.request(method, kept.api + path, json=body)
            nobodys = await theirs.request(method, "/v1/agents/nobody" + path, json=body)
            assert (hers.status_code, nobodys.status_code) == (404, 404), (method, path)
            assert hers.text == nobodys.text.replace("nobody", kept.name)
        others = await theirs.delete(f"/v1/agents/foreign/queries/{query}")
        assert others.status_code == 404
    async with await desk.browser("second") as browser:
        for path in (
            "",
            "/sql?q=SELECT+1",
            f"/rows/{kept.own}",
            "/forget",
            f"/forget/{swept}",
            "/changes",
            "/file.csv?q=SELECT+1",
        ):
            assert (await browser.get(kept.page + path)).status_code == 404, path
