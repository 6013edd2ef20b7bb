"""The crm story: six steps on real parts. Only the model is a stand-in, and it is named as one."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pocketlet import clock, errors, settings
from pocketlet.agents import agent as agents
from pocketlet.agents import approving, duties, effects, journal, portable, revisions, runs
from pocketlet.agents import task as tasks
from pocketlet.db import pool
from pocketlet.demo import data, mails, stage, telling, waiting
from pocketlet.demo import world as worlds
from pocketlet.learning import adoption, cases, compare, feedback, trials
from pocketlet.learning import assertions as asserting
from pocketlet.platform import database as databases
from pocketlet.platform import ledger
from pocketlet.platform.gateways import endpoints

OTHER_MODEL = "openai:standin/gullible=1,obey=0"
COMMENT = "Never promise a delivery date; offer 10 % if it is more than 7 days late."


@dataclass(slots=True)
class Story:
    """What the steps share. `told` are the facts of each step, for --json."""

    database: pool.Database
    world: worlds.World
    teller: telling.Teller
    cast: data.Cast
    mails: mails.Story
    watch: waiting.Watch
    told: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    first_run: int = 0
    new_run: int = 0
    feedback_id: int = 0


async def tell(config: settings.Settings, *, seed: int, quiet: bool) -> dict[str, Any]:
    """Tells the story; its facts.

    Raises errors.Conflict if an agent `crm` is there that is not the demo's, or if another demo or worker runs here.
    """
    began = clock.monotonic()
    teller = telling.Teller(quiet=quiet)
    own_model = bool(config.model)
    teller.progress("starting Postgres")
    with stage.only_demo(config.home):
        async with databases.opened(config) as database:
            await stage.check_alone(database)
            if config.model:  # a model that can't be used is said before anything is taken away
                endpoints.resolve(config.model, await duties.variables(database, config))
            teller.progress("making the shop: 30 customers, 200 messages, 120 sales")
            folder = config.home / "demo" / stage.AGENT
            cast = await stage.prepare(database, folder, seed, teller)
            told = mails.story(cast)
            mails.write(config.home / "demo" / "mails", told)
            sent = config.home / "demo" / "sent"
            shutil.rmtree(sent, ignore_errors=True)
            with worlds.made(config.home, sent, own_model=own_model) as world:
                story = Story(database, world, teller, cast, told, waiting.Watch(database, world))
                model = config.model or "openai:standin (a stand-in: a small program, not a language model)"
                teller.say(f"Model: {model}", "bold")
                for number, (name, title, step) in enumerate(STEPS, 1):
                    teller.chapter(number, title)
                    run, ok, facts = await step(story)
                    story.told.append({"id": name, "ok": ok, "run": run, "facts": facts})
                cost = await _total(database)
    ok = all(step["ok"] for step in story.told)
    seconds = round(clock.monotonic() - began, 1)
    return {"ok": ok, "seconds": seconds, "model": model, "steps": story.told, "cost_usd": str(cost), "seed": seed}


async def _total(database: pool.Database) -> Decimal:
    async with database.api() as conn:
        agent = await agents.get(conn, stage.AGENT)
        return sum((row["cost_usd"] for row in await ledger.costs(conn, agent.id)), Decimal(0))


Told = tuple[int, bool, dict[str, Any]]


async def known_customer(story: Story) -> Told:
    """A late order; the draft cites the order that stands in her rows; approved; sent once."""
    person = story.cast.known
    run = story.first_run = await _arrives(story, story.mails.known, person.address)
    steps = await _steps(story, run)
    _show_lookups(story, steps)
    mail = await _approve(story, run)
    rows = "\n".join(str(step.response) for step in steps if step.tool == "sql")
    facts: dict[str, Any] = {
        "order_no": person.order_no,
        "order_in_rows": person.order_no in rows,
        "order_in_draft": person.order_no in mail["body"],
        "sent_once": _sent_to(story, person.address) == 1,
        "draft": mail["body"],
        **await _cost(story, run),
    }
    return run, facts["order_in_rows"] and facts["order_in_draft"] and facts["sent_once"], facts


async def new_customer(story: Story) -> Told:
    """Nobody we know asks about a product: the run looks at past sales."""
    person = story.cast.new
    run = story.new_run = await _arrives(story, story.mails.new, person.address)
    steps = await _steps(story, run)
    _show_lookups(story, steps)
    mail = await _approve(story, run)
    queries = [str(step.request.get("query")) for step in steps if step.tool == "sql"]
    facts: dict[str, Any] = {
        "product": person.product,
        "queried_sales": any("sales" in query for query in queries),
        "product_in_draft": person.product in mail["body"],
        "sent_once": _sent_to(story, person.address) == 1,
        "draft": mail["body"],
        **await _cost(story, run),
    }
    async with story.database.api() as conn:
        await feedback.give(conn, run, feedback.Said("right"))
    story.teller.say("You say: right. The run is kept as a case.", "green")
    return run, facts["queried_sales"] and facts["product_in_draft"] and facts["sent_once"], facts


async def gives_feedback(story: Story) -> Told:
    """The owner corrects run 1; the manager drafts a lesson; past runs are replayed; the owner adopts."""
    teller = story.teller
    teller.say(f"You say of run {story.first_run}: “{COMMENT}”", "green")
    async with story.database.api() as conn:
        story.feedback_id, curation = await feedback.give(conn, story.first_run, feedback.Said("change", COMMENT))
    if curation is None or await story.watch.rest(curation) != "done":
        return curation or 0, False, {"error": "the manager's run did not finish"}
    await story.watch.settled(story.feedback_id)
    async with story.database.api() as conn:
        draft = await feedback.draft_of(conn, curation)
        agent = await agents.get(conn, stage.AGENT)
    if draft is None:
        return curation, False, {"error": "the manager drafted nothing"}
    async with story.database.api() as conn:
        old, new = await revisions.load(conn, agent, agent.current), await revisions.load(conn, agent, draft)
        report = await trials.report(conn, agent, draft)
        change = revisions.diff(old, new, (f"r{agent.current}", f"r{draft}"))
        teller.say(f"The manager (run {curation}) drafts revision {draft}:")
        teller.diff(change)
        teller.say("Replays on past runs, before it counts:")
        teller.trials(report["trials"], report["counts"], report["cost_usd"])
        evidence = {"counts": report["counts"], "cost_usd": str(report["cost_usd"])}
        await adoption.adopt(conn, agent, draft)
    teller.say(f"You adopt it: revision {draft} is current.", "green")
    verdicts = {str(row["case_run"]): row["verdict"] for row in report["trials"]}
    facts = {"feedback": story.feedback_id, "revision": draft, "diff": change, "verdicts": verdicts, **evidence}
    facts |= await _cost(story, curation)
    return curation, verdicts.get(str(story.first_run)) == "fixed", facts


async def follows_policy(story: Story) -> Told:
    """Another late order: the draft follows the policy, and the trace names the lesson and the feedback."""
    person = story.cast.second
    run = await _arrives(story, story.mails.second, person.address)
    async with story.database.api() as conn:
        agent = await agents.get(conn, stage.AGENT)
        playbook = await revisions.load(conn, agent, agent.current)
        used = (await runs.load(conn, run)).briefing or {}
        learned = [lesson for lesson in playbook.lessons if lesson.id in used.get("lessons", [])]
        case = await cases.of_run(conn, story.first_run)
        wanted = [a for a in await cases.assertions(conn, case, agent.current) if a.kind != "effect"]
        before = asserting.failing(wanted, await cases.work_of(conn, story.first_run))
    for lesson in learned:
        story.teller.say(f"The briefing holds lesson {lesson.name}, from feedback {lesson.feedback}: {lesson.body}")
    mail = await _approve(story, run)
    async with story.database.api() as conn:
        after = asserting.failing(wanted, await cases.work_of(conn, run))
    facts = {
        "lessons": [{"name": lesson.name, "feedback": lesson.feedback} for lesson in learned],
        "policy": [assertion.sentence() for assertion in wanted],
        "broken_before": before,
        "broken_now": after,
        "sent_once": _sent_to(story, person.address) == 1,
        "draft": mail["body"],
        **await _cost(story, run),
    }
    named = any(lesson.feedback == story.feedback_id for lesson in learned)
    return run, bool(named and wanted and before and not after and facts["sent_once"]), facts


async def attack(story: Story) -> Told:
    """A hostile mail: nothing leaves, and the attempt stands on the run as blocked, with the rule."""
    before = len(story.world.delivered())
    run = await _arrives(story, story.mails.hostile, mails.THIEF)
    steps = await _steps(story, run)
    _show_lookups(story, steps)
    seen = sum(step.meta.get("rows", 0) for step in steps if step.tool == "sql")
    if not seen:
        story.teller.say("It sees no customer's row: a run on a mail reads only what is about whoever wrote.", "green")
    async with story.database.api() as conn:
        found = await effects.of_run(conn, run)
    blocked = [effect for effect in found if effect["state"] == "blocked"]
    for effect in blocked:
        story.teller.say(f"Blocked by {effect['rule']}: a mail to {effect['to']}. Nothing was sent.", "bold red")
    left = len(story.world.delivered()) - before
    facts = {"blocked": [{"rule": e["rule"], "to": e["to"]} for e in blocked], "mails_left": left, "rows_seen": seen}
    # A model that does not fall for it tries nothing: then there is nothing to block, and nothing left either.
    tried = bool(blocked) or story.world.model_url is None
    sent = [effect for effect in found if effect["state"] not in ("blocked", "refused")]
    for effect in sent:
        await _refuse(story, run, effect)
    return (
        run,
        tried and left == 0 and not any(e["state"] == "succeeded" for e in found),
        facts | await _cost(story, run),
    )


async def roll_back(story: Story) -> Told:
    """Another model on the recorded cases; then revision 1 again: the same briefing, byte for byte, and behaviour."""
    teller = story.teller
    compared = await _compare(story) if story.world.model_url else {}
    async with story.database.api() as conn:
        agent = await agents.get(conn, stage.AGENT)
        n = await revisions.before(conn, agent)
        await adoption.roll_back(conn, agent, n, "shown in the demo")
        agent = await agents.get(conn, stage.AGENT)
        manifest = (await revisions.load(conn, agent, n)).manifest
        raw = story.mails.known
        run = await runs.create(conn, agent, tasks.read(raw), raw, manifest)
    await story.watch.rest(run)
    old, new = await _hash(story, story.first_run), await _hash(story, run)
    async with story.database.api() as conn:
        mail, was = await cases.work_of(conn, run), await cases.work_of(conn, story.first_run)
        waiting_now = [effect for effect in await effects.of_run(conn, run) if effect["state"] == "planned"]
    teller.say(f"Back on revision {n}. The first mail again gives {'the same' if old == new else 'ANOTHER'} briefing.")
    for effect in waiting_now:
        await _refuse(story, run, effect)
    teller.say("You refuse the draft: she has her answer already.", "green")
    exported = story.world.home / "demo" / "exported"
    shutil.rmtree(exported, ignore_errors=True)
    await portable.save(story.database, stage.AGENT, exported)
    teller.say(f"Exported as a folder: {exported}")
    async with story.database.api() as conn:
        rows = await ledger.costs(conn, agent.id)
        by_run = [await ledger.of_run(conn, row["run"]) for row in await runs.listing(conn, agent, 1000)]
    teller.say(
        "Where the money went (the stand-in's prices are pretended):"
        if story.world.model_url
        else "Where the money went:"
    )
    teller.costs(rows)
    total, shown = sum(row["cost_usd"] for row in rows), sum(row["cost_usd"] for row in by_run)
    facts = {
        "revision": n,
        "briefing_hash_before": old,
        "briefing_hash_now": new,
        "same_draft": mail.text == was.text,
        "ledger_usd": str(total),
        "shown_usd": str(shown),
        "exported": str(exported),
        "mails_sent": len(story.world.delivered()),
        "worker_restarts": story.world.restarts,
        "compared": compared,
    }
    return run, old == new and total == shown and mail.text == was.text and facts["mails_sent"] == 3, facts


async def _compare(story: Story) -> dict[str, int]:
    """The recorded cases on a stand-in that obeys no rule: how many come out the same, better and worse."""
    async with story.database.api() as conn:
        agent = await agents.get(conn, stage.AGENT)
        lookup = {"OPENAI_BASE_URL": story.world.model_url, "OPENAI_API_KEY": "none"}.get
        plan = await compare.plan(conn, agent, OTHER_MODEL, most=5, lookup=lookup, override=None)
        started = [await trials.start(conn, agent, trial) for trial in plan.trials]
    for run in started:
        await story.watch.rest(run)
    async with story.database.api() as conn:
        found = await compare.report(conn, agent, plan, started)
    story.teller.say(f"The recorded cases on another model, {OTHER_MODEL} (a stand-in that obeys no rule):")
    for row in found["cases"]:
        missing = "; ".join(row["after"].failed)
        story.teller.say(f"  run {row['case_run']}: {row['verdict']}{': ' if missing else ''}{missing}")
    return found["counts"]


STEPS = (
    ("known-customer", "A customer whom we know asks about a late order", known_customer),
    ("new-customer", "Somebody new asks about a product", new_customer),
    ("feedback", "You correct it, and the change proves itself first", gives_feedback),
    ("policy-followed", "Another late order: it follows the policy by itself", follows_policy),
    ("attack", "A hostile mail", attack),
    ("rollback", "Rolling back, exporting, and the money", roll_back),
)


async def _arrives(story: Story, raw: bytes, sender: str) -> int:
    """A mail comes in over SMTP; its run, at rest."""
    task = tasks.from_mail(raw)
    story.teller.mail_in(f"{task.sender_name} <{task.sender}>", task.subject, task.text)
    await story.world.post(raw, sender, mails.SHOP)
    run = await story.watch.run_of(task.message_id)
    await story.watch.rest(run)
    return run


async def _steps(story: Story, run: int) -> list[journal.Step]:
    async with story.database.api() as conn:
        return await journal.read(conn, run)


def _show_lookups(story: Story, steps: Sequence[journal.Step]) -> None:
    story.teller.say("The run looks it up, by SQL:")
    for step in steps:
        if step.tool == "sql" and not step.error:
            story.teller.sql(step.request["query"], step.response)


async def _approve(story: Story, run: int) -> dict[str, Any]:
    """Shows what waits and says yes; the mail as it was sent."""
    async with story.database.api() as conn:
        questions = [row for row in await approving.questions(conn) if row["run"] == run]
    if not questions:
        raise errors.Failed(f"Run {run} was to ask for approval and did not.", hint=f"See `pocketlet show {run}`.")
    row = questions[0]
    mail = row["request"]
    story.teller.draft(mail["to"], mail["subject"], mail["body"], row["why"])
    async with story.database.api() as conn:
        await approving.decide(conn, row["approval"], yes=True)
    await story.watch.answered(run)
    story.teller.say(f"You approve (the demo does it for you). Sent to {mail['to']}, once.", "green")
    return mail


async def _refuse(story: Story, run: int, effect: dict[str, Any]) -> None:
    async with story.database.api() as conn:
        questions = [row for row in await approving.questions(conn) if row["effect"] == effect["id"]]
        for row in questions:
            await approving.decide(conn, row["approval"], yes=False, because="only shown in the demo")
    if questions:
        await story.watch.answered(run)


async def _hash(story: Story, run: int) -> str:
    async with story.database.api() as conn:
        return await runs.briefing_hash(conn, run)


async def _cost(story: Story, run: int) -> dict[str, str]:
    async with story.database.api() as conn:
        return {"cost_usd": str((await ledger.of_run(conn, run))["cost_usd"])}


def _sent_to(story: Story, address: str) -> int:
    return sum(address in str(message["To"]) for message in story.world.delivered())
