"""Home: a sentence per agent, what waits, what is wrong until somebody looked, and what comes."""

import re

import pytest
import reading_ground as ground
from desks import Desk

from pocketlet import errors
from pocketlet.agents import agent as agents
from pocketlet.agents import revisions
from pocketlet.platform import notices
from pocketlet.surfaces.api import home


@pytest.fixture(scope="module")
async def hanna(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> agents.Agent:
    """An agent that nobody else looks at; so is its owner called."""
    return await ground.moved_in(desk, "hanna", tmp_path_factory.mktemp("hanna"))


REPLY = b"""
WITH way AS (INSERT INTO pocketlet.channel (name, kind, address, about) VALUES (%(name)s, 'mail', 'a@example.org', '{}')
             RETURNING id)
INSERT INTO pocketlet.incoming (channel_id, key, state, meaning, words, run_id)
SELECT id, 'x', 'unproven', 'unproven', '<b>Shorter</b>, please.', %(run)s FROM way RETURNING id
"""


async def reply(desk: Desk, name: str, run: int) -> int:
    """An answer on a channel of that name, about the run, that may be anybody's."""
    async with desk.database.api() as conn:
        row = await (await conn.execute(REPLY, {"name": name, "run": run})).fetchone()
    return row["id"] if row else 0


async def notice(desk: Desk, problem: str, agent: int | None) -> int:
    async with desk.database.api() as conn:
        return await notices.report(conn, notices.Notice(problem, f"{problem} is <b>wrong</b>", "Do `this`.", agent))


async def test_what_the_agent_did_is_said_in_a_sentence_out_of_rows(desk: Desk) -> None:
    async with desk.client() as mine:
        found = (await mine.get("/v1/home", params={"hours": 48})).json()
    crm = next(one for one in found["agents"] if one["agent"] == "crm")
    assert re.match(
        r"crm worked on \w+ tasks, sent \w+ mails and learned \w+ things? in the last 48 hours\.", crm["sentence"]
    )
    assert "Policy blocked" in crm["sentence"]
    assert "nothing was sent there" in crm["sentence"]
    assert any(one["trigger"] == "mail" and one["due"] >= 4 for one in found["triggers"])


def test_a_sentence_leaves_out_what_there_was_not() -> None:
    none = dict.fromkeys(("mails", "acts", "learned", "under_way", "failed", "blocked", "unknown", "runs"), 0)
    row = none | {"name": "a", "ever": True}
    assert home.sentence(row, 24) == "a did nothing since yesterday."
    assert home.sentence(row | {"ever": False}, 24) == "a has not worked yet."
    assert home.sentence(row | {"runs": 1, "failed": 1}, 24) == "a worked on one task since yesterday. One task failed."
    told = home.sentence(row | {"runs": 20, "mails": 2, "under_way": 1}, 3)
    assert told == "a worked on 20 tasks and sent two mails in the last 3 hours. One task is under way."


async def test_nobody_sees_what_is_not_hers(desk: Desk, hanna: agents.Agent) -> None:
    own = await notice(desk, "hanna's", hanna.id)
    common = await notice(desk, "the machine", None)
    async with desk.client("second") as theirs, desk.client("hanna") as hers, desk.client() as keeper:
        found = (await theirs.get("/v1/home")).json()
        assert {one["agent"] for one in found["agents"]} == {"foreign"}
        assert not [one for name in ("triggers", "waiting", "failed", "notices") for one in found[name]]
        assert [one["notice"] for one in (await hers.get("/v1/home")).json()["notices"]] == [own]
        seen = {one["notice"] for one in (await keeper.get("/v1/home")).json()["notices"]}
        assert common in seen
        assert own not in seen
        for number, who in ((own, theirs), (own, keeper), (common, hers)):
            other = await who.post(f"/v1/notices/{number}/dismiss")
            missing = await who.post("/v1/notices/987654/dismiss")
            assert (other.status_code, missing.status_code) == (404, 404)
            assert other.text == missing.text.replace("987654", str(number))
            assert (await who.post(f"/v1/notices/{number}/reopen")).status_code == 404
    async with desk.database.api() as conn:
        await notices.dismiss(conn, own)
        await notices.dismiss(conn, common)


async def test_a_notice_is_dismissed_and_brought_back(desk: Desk, hanna: agents.Agent) -> None:
    number = await notice(desk, "the mill", hanna.id)
    async with await desk.browser("hanna") as browser:
        page = (await browser.get("/")).text
        assert "the mill is &lt;b&gt;wrong&lt;/b&gt;" in page
        assert "<code>this</code>" in page
        gone = await browser.post(f"/notices/{number}/dismiss", data={})
        assert gone.headers["location"] == f"/?dismissed={number}"
        page = (await browser.get(gone.headers["location"])).text
        assert "the mill" not in page
        assert f'action="/notices/{number}/reopen"' in page
        assert (await browser.post(f"/notices/{number}/dismiss", data={})).status_code == 404
        assert (await browser.post(f"/notices/{number}/reopen", data={})).status_code == 303
        assert "the mill" in (await browser.get("/")).text
        assert (await browser.post(f"/notices/{number}/reopen", data={})).status_code == 409
        assert (await browser.post("/notices/x/dismiss", data={})).status_code == 404
    async with desk.database.api() as conn:
        await notices.dismiss(conn, number)


@pytest.mark.parametrize(
    ("problem", "hint", "shown", "to"),
    [
        ("trigger:0:late", "It is tried again; `pocketlet slot list` says when.", "It is tried again.", "triggers"),
        ("channel:0:failing", "Log in. `pocketlet channel test x` tries it.", "Log in.", "channels"),
        ("connection:shop", "`pocketlet connect login shop` asks anew.", "", "connections/shop"),
        ("disk:low:x", "Free some: `pocketlet doctor` says where.", "Free some: <code>pocketlet doctor</code>", ""),
    ],
)
async def test_a_page_has_links_where_a_terminal_has_commands(
    desk: Desk, hanna: agents.Agent, problem: str, hint: str, shown: str, to: str
) -> None:
    async with desk.database.api() as conn:
        number = await notices.report(conn, notices.Notice(problem, "Something is wrong.", hint, hanna.id))
    async with desk.client("hanna") as hers, await desk.browser("hanna") as browser:
        [told] = [one for one in (await hers.get("/v1/home")).json()["notices"] if one["notice"] == number]
        page = (await browser.get("/")).text
        await hers.post(f"/v1/notices/{number}/dismiss")
    item = page[page.index("Something is wrong.") : page.index(f"/notices/{number}/dismiss")]
    assert (told["hint"], told["to"]) == (hint, f"/agents/hanna/{to}" if to else "")
    assert shown in item
    assert ("<code>pocketlet" in item, f'href="/agents/hanna/{to}"' in item) == (not to, bool(to))


def test_what_failed_goes_on_from_its_page() -> None:
    row = dict.fromkeys(("run", "agent", "title", "error", "ended_at"))
    hints = [errors.NoModel("x").hint, errors.OverBudget("x").hint]
    told = [home.Failed.model_construct(**row, hint=hint).plain for hint in hints]
    assert told == [
        "Check the provider's variables (base URL and key), then “Go on from the last step”.",
        "A day's budget is whole again at 0:00 UTC: then “Go on from the last step”.",
    ]


async def test_what_came_up_anew_is_not_opened_twice(desk: Desk, hanna: agents.Agent) -> None:
    first = await notice(desk, "the well", hanna.id)
    async with desk.client("hanna") as hers:
        await hers.post(f"/v1/notices/{first}/dismiss")
        second = await notice(desk, "the well", hanna.id)
        assert (await hers.post(f"/v1/notices/{first}/reopen")).status_code == 409
        assert [one["notice"] for one in (await hers.get("/v1/home")).json()["notices"]] == [second]
        await hers.post(f"/v1/notices/{second}/dismiss")


async def test_what_failed_stays_until_it_was_opened(desk: Desk, hanna: agents.Agent) -> None:
    async with desk.database.api() as conn:
        run = await ground.worked(conn, hanna, "The mill burns", "failed", error="The model can't be reached.")
    async with desk.client("hanna") as hers, await desk.browser("hanna") as browser:
        assert [one["title"] for one in (await hers.get("/v1/home")).json()["failed"]] == ["The mill burns"]
        assert f'href="/runs/{run}"' in (await browser.get("/")).text
        assert (await hers.post(f"/v1/runs/{run}/seen")).status_code == 200
        assert (await hers.get("/v1/home")).json()["failed"] == []
        async with desk.database.api() as conn:
            await conn.execute(b"UPDATE pocketlet.run SET ended_at = pocketlet.now() WHERE id = %s", (run,))
        assert [one["run"] for one in (await hers.get("/v1/home")).json()["failed"]] == [run]
        await hers.post(f"/v1/runs/{run}/seen")


async def test_what_waits_and_what_comes(desk: Desk, hanna: agents.Agent) -> None:
    async with desk.database.api() as conn:
        run = await ground.worked(conn, hanna, "May I?", "waiting")
        number = await ground.asked(conn, hanna, run)
    async with desk.client("hanna") as hers, desk.client("second") as theirs, await desk.browser("hanna") as browser:
        found = (await hers.get("/v1/home")).json()
        [one] = found["waiting"]
        assert (one["kind"], one["number"], one["run"], one["about"]) == ("approval", number, run, "ann@example.org")
        [coming] = found["coming"]
        assert (coming["agent"], coming["trigger"]) == ("hanna", "morning")
        assert (await theirs.get("/v1/home")).json()["waiting"] == []
        page = (await browser.get("/")).text
        assert "hanna wants to send a mail to ann@example.org" in page
        assert f"/approvals?open={number}" in page
        assert "hanna · morning" in page
        async with desk.database.api() as conn:
            await conn.execute(b"UPDATE pocketlet.run SET state = 'stopped' WHERE id = %s", (run,))
        assert (await hers.get("/v1/home")).json()["waiting"] == []


async def test_there_is_one_count_of_what_waits(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> None:
    wanda = await ground.moved_in(desk, "wanda", tmp_path_factory.mktemp("wanda"))
    async with desk.database.api() as conn:
        run = await ground.worked(conn, wanda, "May I?", "waiting")
        await ground.asked(conn, wanda, run)
        now = await revisions.load(conn, wanda, 1)
        await revisions.add(conn, wanda, now, revisions.Change("Be kind.", "manager", 1))
        await revisions.decide(conn, wanda, 2, "ask", author="gate", because="It waits for your word.")
    await reply(desk, "wanda", run)
    async with desk.client("wanda") as hers, desk.client("second") as theirs, await desk.browser("wanda") as browser:
        [standing] = (await hers.get("/v1/agents")).json()["items"]
        told = (await hers.get("/v1/home")).json()
        waits = (await hers.get("/v1/waiting")).json()["items"]
        assert {one["kind"] for one in waits} == {"approval", "revision", "reply"}
        assert told["waiting"] == waits
        assert standing["waits"] == told["agents"][0]["waits"] == len(waits) == 3
        assert (await theirs.get("/v1/waiting")).json()["items"] == []
        for path in ("/", "/approvals", "/agents/wanda/runs"):
            page = (await browser.get(path)).text
            assert 'data-waiting="3"' in page
            assert "<title>(3) " in page
        page = (await browser.get("/")).text
        assert 'href="/agents/wanda/playbook/2"' in page
        assert "<p>Be kind.</p>" in page
        page = (await browser.get("/approvals")).text
        assert "<h1>Approvals</h1>" in page
        assert page.index("wants to write to") < page.index("What else waits for you")
        assert 'href="/agents/wanda/playbook/2"' in page
        assert "&lt;b&gt;Shorter&lt;/b&gt;" in page


async def test_the_owner_says_whether_an_answer_was_hers(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> None:
    rolf = await ground.moved_in(desk, "rolf", tmp_path_factory.mktemp("rolf"))
    async with desk.database.api() as conn:
        run = await ground.worked(conn, rolf, "Hello", result="Sent it.")
    own, other = await reply(desk, "rolf's", run), await reply(desk, "rolf's other", run)
    async with await desk.browser("rolf") as browser, await desk.browser("second") as theirs:
        page = (await browser.get("/")).text
        assert f'action="/replies/{own}/confirm"' in page
        assert "pocketlet inbox" not in page
        for act in ("confirm", "ignore"):
            assert (await theirs.post(f"/replies/{own}/{act}", data={"key": "k"})).status_code == 404
            assert (await browser.post(f"/replies/x/{act}", data={"key": "k"})).status_code == 404
        said = [await browser.post(f"/replies/{own}/confirm", data={"key": "once"}) for _ in range(2)]
        assert re.fullmatch(r"/feedback/\d+", said[0].headers["location"])
        assert said[1].headers["location"] == said[0].headers["location"]
        assert (await browser.post(f"/replies/{other}/ignore", data={})).headers["location"] == "/"
        assert "was it you?" not in (await browser.get("/")).text


async def test_what_was_kept_from_acting_is_said_once_and_is_no_failure(desk: Desk) -> None:
    said = "crm wanted to send a mail to collector@evil.example, and policy refused. Nothing was sent."
    async with desk.client() as mine, await desk.browser() as browser:
        found = (await mine.get("/v1/home")).json()
        page = (await browser.get("/")).text
    [told] = [one for one in found["notices"] if one["run"] == desk.run_of("attack")]
    assert (told["title"], told["hint"]) == (said, "")
    assert page.count(said) == 1
    [due] = [one for one in found["triggers"] if (one["agent"], one["trigger"]) == ("crm", "mail")]
    assert due["failed"] == due["held_back"] == 1
    assert '<strong class="bad">' not in page
    assert "unbound-destination" not in page


async def test_who_has_no_session_has_none_to_end(desk: Desk) -> None:
    async with await desk.browser() as browser, desk.client() as token:
        assert "Log out" in (await browser.get("/")).text
        assert "Log out" not in (await token.get("/")).text


async def test_the_page_says_it_without_a_script(desk: Desk) -> None:
    async with await desk.browser() as browser:
        answer = await browser.get("/")
    assert answer.status_code == 200
    assert "crm worked on" in answer.text
    assert "<dt>Spent today</dt>" in answer.text
    assert "style=" not in answer.text
    assert not re.findall(r'class="[^"]*\bprimary\b', answer.text)
