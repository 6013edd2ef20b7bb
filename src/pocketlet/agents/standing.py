"""What the gate itself knows of a run: where its task is bound to, and what the owner allows; no word of a model."""

import re
from collections.abc import Sequence

from pocketlet.agents import effects, mailing, runs
from pocketlet.agents import playbook as playbooks
from pocketlet.db import pool
from pocketlet.policy import calls, core

VALUE = re.compile(r"[\w.@+-]{1,100}")


async def of_run(
    conn: pool.Conn, run: runs.Run, sender: mailing.Sender, playbook: playbooks.Playbook
) -> calls.Standing:
    """Bound are the sender of the mail that started the run and the recipients that the owner listed; nothing that the
    model or a Reply-To header says binds an address.
    """
    people = {sender.task.sender.lower(), *sender.manifest.recipients} - {""}
    owners = sender.task.label == "owner"
    said = [f"{sender.task.subject}\n{sender.task.text}"] if owners else []
    return calls.Standing(
        integrity=run.label,
        owners_task=owners,  # else the owner is asked, whatever was read
        bound=frozenset(mailing.destination(address) for address in people),
        known=frozenset(known([*playbook.files().values(), *said]) | people),
        own=frozenset({sender.address.lower()}),
        rules=(*(_replies(sender)), *await rules(conn, run.agent_id)),
    )


def known(texts: Sequence[str]) -> set[str]:
    """Links, addresses and words of the owner's own texts: whoever reads them learns nothing of anybody."""
    words = {word.strip(".,;:!?()\"'") for text in texts for word in text.split()}
    return (
        core.links(texts) | core.addresses(texts) | words | {found for text in texts for found in VALUE.findall(text)}
    )


def _replies(sender: mailing.Sender) -> list[calls.Rule]:
    allowed = sender.manifest.approvals.get("send_mail") == "allow"
    return [calls.Rule(0, "send_mail")] if allowed else []


async def rules(conn: pool.Conn, agent: int) -> list[calls.Rule]:
    """The owner's standing rules for an agent."""
    rows = await (await conn.execute(effects.Q["rules"], {"agent": agent})).fetchall()
    return [
        calls.Rule(
            row["number"], row["tool"], calls.Destination(row["kind"], row["destination"]), row["left"], row["stale"]
        )
        for row in rows
    ]
