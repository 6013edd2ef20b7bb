"""`pocketlet demo crm`: the whole story, on this machine, without a key or an account."""

import asyncio

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
        click.secho(f"{done}, in {facts['seconds']} s, for {facts['cost_usd']} USD of pretend money.", bold=True)
        click.echo(NEXT.format(mails=config.home / "demo" / "mails"))
    if not facts["ok"]:
        raise SystemExit(1)


def _missed(facts: dict[str, list[dict[str, str]]]) -> list[str]:
    return [step["id"] for step in facts["steps"] if not step["ok"]]


NEXT = """
What to type next:
  pocketlet runs crm                  every run of the story
  pocketlet show 1                    one of them: briefing, each step, effects, cost
  pocketlet sql crm "select order_no, promised_on from sales limit 5"
  pocketlet revisions crm             what it learned, and from which feedback
  pocketlet adopt crm 2               let the lesson count again
  pocketlet run crm --input FILE      one of the mails in {mails}, or any mail of yours

That needs a model: OPENAI_API_KEY=… POCKETLET_MODEL=openai:gpt-5-mini, or the stand-in again, which is started by
  python -m pocketlet.demo.standin    (it prints its address: set OPENAI_BASE_URL to it)
"""
