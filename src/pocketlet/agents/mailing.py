"""Mail as an outside action: what a run's mail is to the policy, its exact bytes, and the way it leaves."""

from dataclasses import dataclass

from pocketlet import clock, errors
from pocketlet.agents import agent as agents
from pocketlet.agents import effects, runs
from pocketlet.agents import manifest as manifests
from pocketlet.agents import task as tasks
from pocketlet.platform import compose
from pocketlet.platform.gateways import submission
from pocketlet.policy import calls

SINK = calls.Sink("send_mail", "irreversible")


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that a run wants to send."""

    to: str
    subject: str
    body: str


@dataclass(frozen=True, slots=True)
class Sender:
    """What a run needs to send mail: who it is, and the server, if there is one. It carries mail (effects.Carrier)."""

    agent: agents.Agent
    manifest: manifests.Manifest
    task: tasks.Task
    server: submission.Submission | None
    instance: str

    @property
    def address(self) -> str:
        """The agent's own address, of agent.toml; never one that a mail names."""
        return self.manifest.mail_address or f"{self.agent.name}@localhost.localdomain"

    def intent(self, run: runs.Run, seq: int, mail: Mail) -> effects.Intent:
        """The mail with its exact bytes. Raises errors.BadInput for what no mail may hold."""
        return effects.Intent(
            kind="mail",
            effect_class="checkable" if self.server and self.server.sent else "unsafe",
            call=calls.Call(SINK, (destination(mail.to),), (mail.subject, mail.body)),
            destination=mail.to,
            request={"to": mail.to, "subject": mail.subject, "body": mail.body},
            message=self.message(run.id, seq, mail),
        )

    def message(self, run: int, seq: int, mail: Mail) -> bytes:
        """The bytes that would be sent for this step. Raises errors.BadInput."""
        answer = mail.to.lower() == self.task.sender.lower() and bool(self.task.message_id)
        return compose.compose(
            compose.Draft(
                sender=self.address,
                sender_name=self.manifest.mail_name,
                to=mail.to,
                subject=mail.subject,
                body=mail.body,
                message_id=message_id(run, seq, self.instance),
                in_reply_to=self.task.message_id if answer else "",
                references=self.task.references if answer else (),
                date=clock.now(),
            )
        )

    async def carry(self, effect: effects.Effect) -> str:
        """Hands the mail to the server; what it said. Raises errors.NoMailServer, errors.MailRejected."""
        if self.server is None or effect.message is None:
            raise errors.NoMailServer("The mail is approved, but no mail server is set.")
        return await self.server.send(effect.message, self.address, effect.destination)

    async def look(self, effect: effects.Effect) -> bool | None:
        """Whether the mail lies in the Sent folder; None if nobody can know."""
        sent_as = message_id(effect.run_id, effect.step_seq, self.instance)
        return await self.server.was_sent(sent_as) if self.server else None


def destination(address: str) -> calls.Destination:
    """A mail address as the policy compares it."""
    return calls.Destination("mail", address.lower())


def message_id(run: int, seq: int, instance: str) -> str:
    """The Message-ID of the mail that this step sends: the same however often it is tried."""
    return f"<effect-{run}-{seq}@{instance}.pocketlet>"
