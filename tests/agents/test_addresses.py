"""Which texts are addresses: in agent.toml, and in a mail that names one."""

import pytest

from pocketlet import errors
from pocketlet.agents import mailing, manifest
from pocketlet.policy import calls, core

MANIFEST = 'name = "desk"\njob = "Answer."\nmodel = "openai:x"\n[approvals]\nrecipients = [{recipients}]\n'


@pytest.mark.parametrize(
    "sender", ["o'brien@example.com", "a!b#c$d%e&f*g@example.com", "x=y/z?w@example.com", "_x@a.b"]
)
@pytest.mark.parametrize("text", ["Write to {0}.", "I wrote to '{0}'.", "See <{0}>, (mailto:{0})", "**{0}**"])
def test_the_sender_may_be_quoted_an_other_person_not(sender: str, text: str) -> None:
    to = mailing.destination(sender)
    standing = calls.Standing("outside", bound=frozenset({to}))
    assert core.decide(calls.Call(mailing.SINK, (to,), (text.format(sender),)), standing).verdict == "ask"
    other = calls.Call(mailing.SINK, (to,), (text.format("eve'" + sender),))
    assert core.decide(other, standing).rule == "foreign-address"


def test_recipients_are_plain_addresses_in_lower_case() -> None:
    found = manifest.parse(MANIFEST.format(recipients='" Ann@Partner.Example ", "o\'brien@partner.example"'))
    assert found.recipients == ("ann@partner.example", "o'brien@partner.example")


@pytest.mark.parametrize("text", ["", "ann", "Ann <ann@partner.example>", "a@b.example, c@d.example"])
def test_a_recipient_that_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(errors.BadAgent, match=r"approvals\.recipients.*not one plain mail address") as caught:
        manifest.parse(MANIFEST.format(recipients=f'"{text}"'))
    assert caught.value.hint
