"""From the owner's word to a rule: drafted, tried on the cases that it touches, adopted, and taken back."""

from collections.abc import Awaitable, Callable

import psycopg
import pytest
from scripted_model import Fault, Reply, calls, finishes, mails
from workshop import CUSTOMER, Workshop, mail

from pocketlet import errors
from pocketlet.agents import agent as agents
from pocketlet.agents import revisions
from pocketlet.learning import assertions, cases, feedback, trials

POLICY = "Never promise a delivery date; offer 10 % if it is more than 7 days late."
LATE = {"intent": "late_order"}
ASK = '[learning]\nadopt = "ask"'
Opener = Callable[..., Awaitable[Workshop]]


async def answered(shop: Workshop, body: str = "It is on its way.") -> int:
    """A run on a late order that wants to send `body`."""
    shop.says(mails(CUSTOMER, body), finishes())
    return await shop.run(mail())


def drafting(check: tuple[str, str] = ("contains", "sorry"), **more: object) -> tuple[Reply, ...]:
    """A manager that drafts one lesson."""
    kind, text = check
    lesson = {"topic": "Late orders", "body": "Say sorry.", "when": LATE, "expect": [{"kind": kind, "text": text}]}
    return (calls(("draft_lesson", lesson | more)), finishes("Late orders get an excuse.", "drafted"))


async def drafted(shop: Workshop, run: int, *replies: Reply, said: str = "Say sorry.") -> tuple[int, int]:
    """Feedback on the run that becomes a draft: the feedback's number and the draft's."""
    shop.says(*(replies or drafting()), manager=True)
    number, manager = await shop.feedback(run, "change", said)
    async with shop.database.api() as conn:
        draft = await feedback.draft_of(conn, manager or 0)
    assert draft, (await shop.outcome(number), await shop.steps(manager or 0))
    return number, draft


async def test_a_good_word_keeps_the_run_as_a_case(shop: Workshop) -> None:
    run = await answered(shop)
    number, manager = await shop.feedback(run, "right")
    assert manager is None
    assert await shop.outcome(number) == "kept as a case; nothing to change"
    again, _ = await shop.feedback(run, "right", "Still good.")
    assert again != number
    assert len(await shop.rows("SELECT FROM pocketlet.cases WHERE run_id = %s", run)) == 1


async def test_feedback_that_says_nothing_or_comes_too_early_is_sent_back(shop: Workshop) -> None:
    run = await answered(shop)
    early = await shop.create(b"Later.")
    shop.says(*drafting(), manager=True)
    _, manager = await shop.feedback(run, "wrong", "Bad.")
    for number, verdict, comment, error in (
        (run, "change", " ", errors.BadInput),
        (run, "wrong", "", errors.BadInput),
        (run, "change", "x" * 4001, errors.BadInput),
        (run, "splendid", "Good.", errors.BadInput),
        (early, "right", "", errors.Conflict),
        (manager, "right", "", errors.Conflict),
        (10**9, "right", "", errors.NotFound),
    ):
        with pytest.raises(error):
            await shop.feedback(number or 0, verdict, comment)


async def test_a_lesson_is_drafted_with_its_facts_and_its_checks(shop: Workshop) -> None:
    run = await answered(shop)
    number, draft = await drafted(shop, run)
    assert await shop.outcome(number) is None  # until its draft has been tried
    (lesson,) = (await shop.playbook(draft)).lessons
    assert (lesson.topic, lesson.body, lesson.predicate) == ("Late orders", "Say sorry.", LATE)
    assert (lesson.authority, lesson.feedback, lesson.name) == ("owner", number, "late-orders")
    assert shop.agent.current == 1
    query = "SELECT kind, expected, revision FROM pocketlet.assertion a JOIN pocketlet.cases c ON c.id = a.case_id"
    assert await shop.rows(f"{query} WHERE c.run_id = %s ORDER BY a.id", run) == [
        {"kind": "contains", "expected": {"text": "sorry"}, "revision": draft},
    ]
    diff = revisions.diff(await shop.playbook(1), await shop.playbook(draft))
    assert "+++ after/lessons/late-orders.md" in diff
    assert "+Say sorry." in diff


async def test_of_an_edited_draft_the_manager_sees_what_the_owner_put_in(shop: Workshop) -> None:
    run = await answered(shop, "It is on its way.")
    shop.says(finishes("Nothing to learn.", "no_change"), manager=True)
    number, _ = await shop.feedback(run, "change", "", "It is on its way.\nSorry about that.")
    said = shop.model.requests[f"{shop.name}#manager"][0]["messages"][-1]["content"]
    assert "edited: the owner's version adds: Sorry about that." in said
    assert "on its way" not in said
    assert await shop.outcome(number) == "no change: Nothing to learn."


SENT_BACK = [
    ({"body": "Write to ann@customer.example."}, "quotes a mail address"),
    ({"topic": "ann@customer.example"}, "quotes a mail address"),
    ({"when": {"mood": "bad"}}, "mood is not a fact; there are trigger, intent"),
    ({"when": {"intent": "rage"}}, "intent is never 'rage'; it is one of late_order, other"),
    ({"body": "x" * 401}, "1 to 400 characters"),
    ({"body": " "}, "1 to 400 characters"),
    ({"expect": [{"kind": "model says"}]}, "`expect` holds"),
    ({"expect": ["sorry"]}, "`expect` holds"),
    ({"body": "Say sorry and give a discount."}, "says what you did not say: discount, giv"),
    ({"body": "Say sorry to Ann."}, "quotes its own case: ann"),
]


@pytest.mark.parametrize(("more", "said"), SENT_BACK, ids=[said[:25] for _, said in SENT_BACK])
async def test_a_lesson_that_can_not_stand_is_sent_back(shop: Workshop, more: dict[str, object], said: str) -> None:
    run = await answered(shop)
    shop.says(*drafting(**more), manager=True)
    number, manager = await shop.feedback(run, "change", "Say sorry.")
    assert said in ((await shop.steps(manager or 0))[1].error or "")
    assert (await shop.outcome(number) or "").startswith("no change: ")


VERDICTS = [
    ("fixed", ("contains", "sorry"), mails(CUSTOMER, "So  SORRY.")),
    ("still-wrong", ("contains", "sorry"), mails(CUSTOMER, "No.")),
    ("fixed", ("absent", "way"), mails(CUSTOMER, "Sorry.")),
    ("still-wrong", ("absent", "never"), mails(CUSTOMER, "It never comes.")),
    ("still-wrong", ("contains", "way"), mails("eve@evil.example", "On its way.")),
]
NO_TRACE = "SELECT e.state FROM pocketlet.effect e JOIN pocketlet.run r ON r.id = e.run_id WHERE r.kind = 'trial'"


@pytest.mark.parametrize(("verdict", "expect", "reply"), VERDICTS)
async def test_the_verdict_of_a_trial(shop: Workshop, verdict: str, expect: tuple[str, str], reply: Reply) -> None:
    run = await answered(shop, "It is on its way.")
    _, draft = await drafted(shop, run, *drafting(expect))
    shop.says(reply, finishes())
    assert await shop.verdicts(draft) == {run: verdict}
    assert shop.mail.connections == 0
    states = {row["state"] for row in await shop.rows(f"{NO_TRACE} AND r.agent_id = %s", shop.agent.id)}
    assert states <= {"captured", "blocked"}
    async with shop.database.login(shop.name) as conn:
        assert await (await conn.execute("SELECT FROM results")).fetchall() == []


@pytest.mark.parametrize(("verdict", "body"), [("same", "It is on its  WAY, sorry."), ("worse", "Sorry.")])
async def test_the_verdict_of_a_trial_on_what_was_right(shop: Workshop, verdict: str, body: str) -> None:
    kept = await shop.stable("It is on its way.", "My parcel is late.")
    run = await answered(shop, "No idea.")
    _, draft = await drafted(shop, run, *drafting(("absent", "idea")))
    async with shop.database.api() as conn:
        case = await cases.of_run(conn, kept)
        await cases.add_assertion(conn, case, assertions.Assertion("contains", {"text": "on its way"}))
    shop.says(mails(CUSTOMER, body), finishes())
    assert await shop.verdicts(draft) == {run: "fixed", kept: verdict}


@pytest.mark.parametrize(("yes", "verdict"), [(True, "still-wrong"), (False, "fixed")])
async def test_a_mail_that_was_refused_after_the_feedback_is_not_asked_for(
    shop: Workshop, *, yes: bool, verdict: str
) -> None:
    run = await answered(shop)
    await shop.feedback(run, "right")
    assert await shop.answer(run, yes=yes) == "done"
    _, draft = await drafted(shop, run, *drafting(("absent", "never")))
    shop.says(finishes("No mail."))
    assert await shop.verdicts(draft) == {run: verdict}


async def test_a_trial_that_could_not_run_says_nothing(shop: Workshop) -> None:
    run = await answered(shop)
    _, draft = await drafted(shop, run)
    shop.model.faults[shop.name] += [Fault(401)]
    assert await shop.verdicts(draft) == {run: "unknown"}


async def test_only_cases_whose_briefing_changes_are_tried(shop: Workshop) -> None:
    late = await answered(shop)
    shop.says(mails(CUSTOMER, "Yes, we have tea."), finishes())
    other = await shop.run(mail("Do you have tea?", number=2))
    await shop.feedback(other, "right")
    _, draft = await drafted(shop, late)
    tried = await shop.learn(lambda _: "Sorry.")
    assert [purpose for purpose in tried if purpose != "admission"] == ["trigger", "trigger", "before"]
    async with shop.database.api() as conn:
        report = await trials.report(conn, shop.agent, draft)
    assert {row["case_run"]: row["verdict"] for row in report["trials"]} == {late: "fixed"}
    assert (report["counts"], report["replays"]) == ({"fixed": 1, "unchanged": 1}, 3)
    query = "SELECT DISTINCT t.purpose FROM pocketlet.trial t JOIN pocketlet.cases c ON c.id = t.case_id"
    assert await shop.rows(f"{query} WHERE c.run_id = %s", other) == [{"purpose": "admission"}]


async def test_a_draft_of_an_older_revision_is_not_adopted_over_a_newer_one(open_shop: Opener) -> None:
    shop = await open_shop(ASK)
    run = await answered(shop)
    _, first = await drafted(shop, run)
    await shop.learn(lambda _: "Sorry.")
    _, second = await drafted(shop, run)
    await shop.learn(lambda _: "Sorry.")
    async with shop.database.api() as conn:
        older = await revisions.load(conn, shop.agent, first)
        stray = await revisions.add(conn, shop.agent, older, revisions.Change("by hand", "owner", 1))
    await shop.decide(first, "adopt")
    assert (await shop.states())[second] == "discarded"  # its feedback is taken up again
    with pytest.raises(errors.Conflict, match="drafted from revision 1"):
        await shop.decide(stray, "adopt")
    await shop.learn(lambda _: "Sorry.", (finishes("Nothing.", "no_change"),))
    assert len((await shop.playbook(first)).lessons) == 1
    signs = drafting(topic="A name", body="Sign with a name.", when={})
    _, third = await drafted(shop, run, *signs, said="Sign with a name.")
    await shop.learn(lambda _: "Sorry.")
    await shop.decide(third, "adopt")
    assert len((await shop.playbook(third)).lessons) == 2
    async with shop.database.api() as conn:
        assert await revisions.before(conn, await agents.get(conn, shop.name)) == first


async def test_the_managers_sql_has_a_role_of_its_own(shop: Workshop) -> None:
    run = await answered(shop)
    looks = calls(("sql", {"query": "SELECT summary FROM results"}), ("sql", {"query": "SELECT kind FROM run_log"}))
    shop.says(looks, *drafting(), manager=True)
    _, manager = await shop.feedback(run, "change", "Say sorry.")
    denied, allowed = [step for step in await shop.steps(manager or 0) if step.tool == "sql"]
    assert "permission denied for table results" in (denied.error or "")
    assert allowed.response.startswith("kind\n")


async def test_adopt_discard_and_rollback(open_shop: Opener) -> None:
    shop = await open_shop(ASK)
    run = await answered(shop)
    _, first = await drafted(shop, run)
    await shop.learn(lambda _: "Sorry.")
    _, second = await drafted(shop, run)
    await shop.learn(lambda _: "Sorry.")
    before = await shop.briefing_hash(mail())
    await shop.decide(second, "discard")
    assert await shop.briefing_hash(mail()) == before
    for verdict in ("adopt", "discard"):
        with pytest.raises(errors.Conflict):
            await shop.decide(second, verdict)

    await shop.decide(first, "adopt")
    after = await shop.briefing_hash(mail())
    assert after != before
    with pytest.raises(errors.Conflict):
        await shop.decide(first, "adopt")
    async with shop.database.api() as conn:
        assert await revisions.before(conn, shop.agent) == 1
    await shop.decide(1, "rollback")
    assert await shop.briefing_hash(mail()) == before
    await shop.decide(first, "rollback")
    assert await shop.briefing_hash(mail()) == after
    with pytest.raises(errors.NotFound):
        await shop.decide(99, "adopt")
    query = "SELECT revision, verdict FROM pocketlet.decision WHERE agent_id = %s ORDER BY id"
    assert [(row["revision"], row["verdict"]) for row in await shop.rows(query, shop.agent.id)] == [
        (1, "import"),
        (first, "ask"),
        (second, "ask"),
        (second, "discard"),
        (first, "adopt"),
        (1, "rollback"),
        (first, "rollback"),
    ]


async def test_a_manager_that_fails_is_tried_again_and_drafts_once(shop: Workshop) -> None:
    run = await answered(shop)
    shop.says(*drafting(), manager=True)
    shop.model.faults[f"{shop.name}#manager"] += [None, *[Fault(500)] * 4]
    number, manager = await shop.feedback(run, "change", "Say sorry.")
    said = await shop.outcome(number) or ""
    assert said.startswith("not taken up: ")
    assert said.endswith(f"`pocketlet retry {manager}` tries again.")
    assert (await shop.ending(manager or 0))["state"] == "failed"
    assert await shop.retry(manager or 0) == "done"
    await shop.learn(lambda trial: "No." if trial["purpose"] == "before" else "Sorry.")
    assert (await shop.outcome(number) or "").startswith("adopted as revision 2 (proven): ")
    assert len(await shop.rows("SELECT FROM pocketlet.revision WHERE agent_id = %s", shop.agent.id)) == 2


@pytest.mark.parametrize("table", ["revision", "lesson", "step", "decision", "assertion"])
async def test_what_is_written_once_can_not_be_changed(shop: Workshop, table: str) -> None:
    run = await answered(shop)
    await drafted(shop, run)
    column = {"step": "run_id", "assertion": "case_id"}.get(table, "agent_id")
    for statement in (f"UPDATE pocketlet.{table} SET {column} = {column}", f"DELETE FROM pocketlet.{table}"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await shop.change(statement)
        for role in (shop.name, f"{shop.name}_ro", f"{shop.name}_mgr"):
            async with shop.database.login(role) as conn:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    await conn.execute(statement.encode())


async def test_the_story_of_the_demo(crm) -> None:
    shop, story = crm
    first = await shop.run(story.known)
    assert "It will be with you by" in (await shop.effect(first))["request"]["body"]
    assert await shop.answer(first) == "done"
    kept = await shop.run(story.new)
    assert await shop.answer(kept) == "done"
    await shop.feedback(kept, "right")
    before = await shop.briefing_hash(story.second)

    number, manager = await shop.feedback(first, "change", POLICY)
    await shop.learn()
    said = await shop.outcome(number)
    assert said == "asked, revision 2 waits for your word: This agent's changes wait for your word.", manager
    async with shop.database.api() as conn:
        report = await trials.report(conn, shop.agent, 2)
    assert report["counts"] == {"fixed": 1, "unchanged": 1}
    await shop.decide(2, "adopt")
    assert await shop.outcome(number) == "adopted as revision 2"
    second = await shop.run(story.second)
    body = (await shop.effect(second))["request"]["body"]
    assert "It will be with you by" not in body
    assert "10 % off" in body
    assert await shop.answer(second) == "done"
    assert len(shop.mail.taken()) == 3

    # The rule is in the lesson and nowhere else.
    await shop.decide(1, "rollback")
    assert await shop.briefing_hash(story.second) == before
    third = await shop.run(story.second)
    assert "It will be with you by" in (await shop.effect(third))["request"]["body"]

    hostile = await shop.run(story.hostile)
    assert (await shop.ending(hostile))["state"] == "done"
    assert {
        row["state"] for row in await shop.rows("SELECT state FROM pocketlet.effect WHERE run_id = %s", hostile)
    } <= {"blocked"}
    assert len(shop.mail.taken()) == 3


async def test_the_same_input_twice_gives_the_same_bytes(crm) -> None:
    shop, story = crm
    numbers = [await shop.run(story.known) for _ in range(2)]
    for number in numbers:
        assert await shop.answer(number) == "done"
    first, second = [await shop.steps(number) for number in numbers]
    for steps in (first, second):
        for step in steps:
            assert step.meta.pop("seconds") >= 0  # the one thing that differs
    assert first == second
    hashes = {(await shop.ending(number))["briefing_hash"] for number in numbers}
    assert len(hashes) == 1
    assert hashes == {first[0].request["hash"]}
