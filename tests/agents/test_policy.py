"""The policy as a table, and what holds for every mail whatsoever."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketlet.agents import policy

ANN = "ann@customer.example"
OWN = "shop@shop.example"
ASK = {"send_mail": "ask"}
ALLOW = {"send_mail": "allow"}


def standing(label: str, approvals: dict[str, str], *bound: str, owners: bool = False) -> policy.Standing:
    return policy.Standing(label, owners, frozenset(bound), frozenset({OWN}), approvals)


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
    decision = policy.on_mail(policy.Mail(to, "Hi", body), standing(label, approvals, ANN))
    assert (decision.verdict, decision.rule) == (verdict, rule)
    assert decision.why


@pytest.mark.parametrize("approvals", [ASK, ALLOW, {}])
def test_an_owners_task_that_read_outside_text_asks_and_is_never_allowed_by_itself(approvals: dict[str, str]) -> None:
    mail = policy.Mail("new@partner.example", "Hi", "Ask bob@other.example.")
    assert policy.on_mail(mail, standing("outside", approvals, ANN, owners=True)).verdict == "ask"


def test_a_foreign_address_in_the_subject_counts_too() -> None:
    decision = policy.on_mail(policy.Mail(ANN, "Fw: bob@other.example", "Hi"), standing("outside", ALLOW, ANN))
    assert decision.rule == "foreign-address"


addresses = st.from_regex(r"[a-zA-Z][a-zA-Z0-9.+-]{0,8}@[a-z]{1,8}\.(example|com)", fullmatch=True)
rules = st.sampled_from(({}, ASK, ALLOW))


@given(to=addresses, bound=st.frozensets(addresses), approvals=rules, text=st.text())
def test_what_read_outside_text_never_writes_to_an_unbound_address(
    to: str, bound: frozenset[str], approvals: dict[str, str], text: str
) -> None:
    bound = frozenset(address.lower() for address in bound) - {to.lower()}
    decision = policy.on_mail(
        policy.Mail(to, text, text), policy.Standing("outside", False, bound, frozenset(), approvals)
    )
    assert decision.verdict == "deny"


@given(to=addresses, foreign=addresses, approvals=rules, text=st.text())
def test_what_read_outside_text_never_passes_a_foreign_address_on(
    to: str, foreign: str, approvals: dict[str, str], text: str
) -> None:
    decision = policy.on_mail(
        policy.Mail(to, "Hi", f"{text} {foreign} {text}"),
        policy.Standing("outside", False, frozenset({to.lower()}), frozenset(), approvals),
    )
    assert decision.verdict == "deny" or foreign.lower() == to.lower()


@given(st.lists(st.sampled_from(policy.ORDER), min_size=1))
def test_labels_only_worsen(labels: list[str]) -> None:
    so_far = labels[0]
    for label in labels:
        worse = policy.join(so_far, label)
        assert policy.ORDER.index(worse) >= policy.ORDER.index(so_far)
        so_far = worse
    assert so_far == policy.join(*labels) == policy.join(*reversed(labels))
