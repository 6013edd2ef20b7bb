"""The policy as a table, and what holds for every mail whatsoever."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketlet.agents import mailing
from pocketlet.policy import calls, core, labels

ANN = "ann@customer.example"
OWN = "shop@shop.example"
ASK = {"send_mail": "ask"}
ALLOW = {"send_mail": "allow"}


def on_mail(to: str, *texts: str) -> calls.Call:
    """A mail as the policy sees it."""
    return calls.Call(mailing.SINK, (mailing.destination(to),), texts)


def standing(label: str, approvals: dict[str, str], *bound: str, owners: bool = False) -> calls.Standing:
    return calls.Standing(
        label,
        owners_task=owners,
        bound=frozenset(mailing.destination(address) for address in bound),
        own=frozenset({OWN}),
        rules=(calls.Rule(0, "send_mail"),) if approvals == ALLOW else (),
    )


TABLE = [
    # label, approvals, to, body -> verdict, rule
    ("outside", ASK, ANN, "Hello.", "ask", "send-mail-asks"),
    ("outside", {}, ANN, "Hello.", "ask", "send-mail-asks"),
    ("outside", ALLOW, ANN, "Hello.", "allow", "bound-destination"),
    ("outside", ALLOW, "Ann@Customer.example", "Hello.", "allow", "bound-destination"),
    ("outside", ALLOW, "eve@evil.example", "Hello.", "deny", "unbound-destination"),
    ("outside", ASK, "eve@evil.example", "Hello.", "deny", "unbound-destination"),
    ("outside", ALLOW, ANN, "Ask bob@other.example.", "deny", "foreign-address"),
    ("outside", ASK, ANN, "Ask BOB@OTHER.EXAMPLE.", "deny", "foreign-address"),
    ("outside", ALLOW, ANN, f"Write to {OWN} or {ANN.upper()}.", "allow", "bound-destination"),
    ("own-data", ASK, "new@partner.example", "Ask bob@other.example.", "ask", "send-mail-asks"),
    ("own-data", ALLOW, "new@partner.example", "Hello.", "ask", "send-mail-asks"),
    ("owner", ALLOW, ANN, "Ask bob@other.example.", "allow", "bound-destination"),
    ("owner", {}, ANN, "Hello.", "ask", "send-mail-asks"),
]


@pytest.mark.parametrize(("label", "approvals", "to", "body", "verdict", "rule"), TABLE)
def test_the_decision_on_a_mail(
    label: str, approvals: dict[str, str], to: str, body: str, verdict: str, rule: str
) -> None:
    decision = core.decide(on_mail(to, "Hi", body), standing(label, approvals, ANN))
    assert (decision.verdict, decision.rule) == (verdict, rule)
    assert decision.why


@pytest.mark.parametrize("approvals", [ASK, ALLOW, {}])
def test_an_owners_task_that_read_outside_text_asks_and_is_never_allowed_by_itself(approvals: dict[str, str]) -> None:
    mail = on_mail("new@partner.example", "Hi", "Ask bob@other.example.")
    assert core.decide(mail, standing("outside", approvals, ANN, owners=True)).verdict == "ask"


def test_a_foreign_address_in_the_subject_counts_too() -> None:
    decision = core.decide(on_mail(ANN, "Fw: bob@other.example", "Hi"), standing("outside", ALLOW, ANN))
    assert decision.rule == "foreign-address"


addresses = st.from_regex(r"[a-zA-Z][a-zA-Z0-9.+-]{0,8}@[a-z]{1,8}\.(example|com)", fullmatch=True)
rules = st.sampled_from(({}, ASK, ALLOW))


@given(to=addresses, bound=st.frozensets(addresses), approvals=rules, text=st.text())
def test_what_read_outside_text_never_writes_to_an_unbound_address(
    to: str, bound: frozenset[str], approvals: dict[str, str], text: str
) -> None:
    bound = frozenset(address.lower() for address in bound) - {to.lower()}
    decision = core.decide(on_mail(to, text, text), standing("outside", approvals, *bound))
    assert decision.verdict == "deny"


@given(to=addresses, foreign=addresses, approvals=rules, text=st.text())
def test_what_read_outside_text_never_passes_a_foreign_address_on(
    to: str, foreign: str, approvals: dict[str, str], text: str
) -> None:
    decision = core.decide(on_mail(to, "Hi", f"{text} {foreign} {text}"), standing("outside", approvals, to))
    assert decision.verdict == "deny" or foreign.lower() == to.lower()


@given(st.lists(st.sampled_from(labels.INTEGRITY), min_size=1))
def test_labels_only_worsen(found: list[str]) -> None:
    so_far = found[0]
    for label in found:
        worse = labels.join(so_far, label)
        assert labels.INTEGRITY.index(worse) >= labels.INTEGRITY.index(so_far)
        so_far = worse
    assert so_far == labels.join(*found) == labels.join(*reversed(found))
