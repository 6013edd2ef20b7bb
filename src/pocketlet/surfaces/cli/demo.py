"""`pocketlet demo crm`: the whole story, on this machine, without a key or an account."""

import asyncio
import json
import os
import shutil
import sys

import click

from pocketlet.surfaces.cli import output


@click.group(help="Shows what Pocketlet does, offline.")
def command() -> None:
    """Holds the demos."""


@command.command(help="A shop's mailbox: drafts from SQL, asks, is corrected, and learns. About 10 seconds.")
@click.option("--seed", default=1, show_default=True, help="Makes another shop.")
@output.as_json
def crm(*, seed: int, as_json: bool) -> None:
    """The crm story."""
    from pocketlet import settings
    from pocketlet.demo import story

    config = settings.read()
    facts = asyncio.run(story.tell(config, seed=seed, quiet=as_json))
    if as_json:
        output.document(facts)
    else:
        click.echo()
        done = "All six steps happened" if facts["ok"] else "Some steps did NOT happen: " + ", ".join(_missed(facts))
        kind = "of pretend money" if "stand-in" in facts["model"] else "in the ledger"
        click.secho(f"{done}, in {facts['seconds']} s, for {float(facts['cost_usd']):.4f} USD {kind}.", bold=True)
        program = "pocketlet" if shutil.which("pocketlet") else os.path.relpath(sys.argv[0])
        run, learned = facts["steps"][0]["run"], facts["steps"][2]["facts"].get("revision", 2)
        mails = config.home / "demo" / "mails"
        click.echo(NEXT.format(program=program, run=run, learned=learned, mails=mails, python=sys.executable))
    if not facts["ok"]:
        raise SystemExit(1)


@command.command(help="The story's pages in a browser, with the stand-in for the model; runs until Ctrl-C.")
@click.option("--no-open", is_flag=True, help="Do not open a browser.")
@output.as_json
def pages(*, no_open: bool, as_json: bool) -> None:
    """Looks at what the story left, corrects it, and sees what comes of it."""
    from pocketlet import settings
    from pocketlet.demo import looking
    from pocketlet.surfaces.cli import opening

    def started(url: str) -> None:
        if as_json:
            click.echo(json.dumps({"url": url}))  # in one line, as it runs on
        else:
            output.line(f"The pages of the demo are at {url}/ . The model is a stand-in. Ctrl-C ends it.")
            if not no_open:
                opening.browse(url)
        sys.stdout.flush()

    asyncio.run(looking.serve(settings.read(), started))


def _missed(facts: dict[str, list[dict[str, str]]]) -> list[str]:
    return [step["id"] for step in facts["steps"] if not step["ok"]]


NEXT = """
What to type next:
  {program} demo pages             the same in a browser: read a run, correct it, see the change tried
  {program} runs crm               every run of the story
  {program} show {run}                one of them: briefing, each step, effects, cost
  {program} sql crm "select order_no, promised_on from sales limit 5"
  {program} revisions crm          what it learned, and from which feedback
  {program} adopt crm {learned}            let the lesson count again
  {program} run crm --input FILE   a mail of yours, or one of those in {mails}

The last one needs a model: a real one (OPENAI_API_KEY=… POCKETLET_MODEL=openai:gpt-5-mini {program} run …),
or the stand-in again. Start it in another terminal, and set OPENAI_BASE_URL to the address that it prints:
  {python} -m pocketlet.demo.standin
"""
