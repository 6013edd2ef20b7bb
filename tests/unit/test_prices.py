"""What calls cost, and that no call can cost more than was reserved for it."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketlet import errors
from pocketlet.platform import prices
from pocketlet.platform.gateways import endpoints, models

REMOTE = endpoints.Endpoint("openai", "gpt-5-mini", None, "key", loopback=False)
LOCAL = endpoints.Endpoint("ollama", "qwen3:8b", "http://127.0.0.1:11434/v1", "key", loopback=True)


def test_an_override_wins_even_on_this_machine() -> None:
    price = prices.price_of(LOCAL, {"input": 0.25, "output": 2})
    assert (price.input, price.output, price.cached) == (Decimal("0.25"), Decimal(2), Decimal("0.25"))
    assert price.version == "agent.toml"


def test_this_machine_is_free() -> None:
    price = prices.price_of(LOCAL, None)
    assert (price.input, price.output, price.cached, price.version) == (0, 0, 0, "loopback")
    assert prices.worst_case(price, 10**6, 10**6) == 0


def test_the_table_knows_the_usual_models() -> None:
    price = prices.price_of(REMOTE, None)
    assert price.version.startswith("genai-prices ")
    assert Decimal(0) < price.cached < price.input < price.output


def test_the_server_decides_over_the_name() -> None:
    router = endpoints.Endpoint("openai", "openai/gpt-5-mini", "https://openrouter.ai/api/v1", "key", loopback=False)
    assert prices.price_of(router, None).output > 0
    with pytest.raises(errors.UnknownPrice):
        prices.price_of(endpoints.Endpoint("openai", "openai/gpt-5-mini", None, "key", loopback=False), None)


@pytest.mark.parametrize(
    ("provider", "name"), [("openai", "my-own-model"), ("ollama", "qwen3:8b"), ("anthropic", "gpt-5-mini")]
)
def test_an_unknown_model_is_refused_with_a_hint(provider: str, name: str) -> None:
    endpoint = endpoints.Endpoint(provider, name, "https://models.example.org/v1", "key", loopback=False)
    with pytest.raises(errors.UnknownPrice, match=f"{provider}:{name}") as raised:
        prices.price_of(endpoint, None)
    assert "price = {input" in raised.value.hint


@pytest.mark.parametrize(
    "override",
    [
        {},
        {"input": 1},
        {"output": 1},
        {"input": -1, "output": 1},
        {"input": "1", "output": 1},
        {"input": True, "output": 1},
        {"input": float("nan"), "output": 1},
        {"input": float("inf"), "output": 1},
        {"input": 1, "output": 1, "outptu": 1},
    ],
)
def test_an_override_that_can_not_be_used(override: dict[str, object]) -> None:
    with pytest.raises(errors.BadAgent, match="price"):
        prices.price_of(REMOTE, override)


def test_a_call_costs_what_its_tokens_cost() -> None:
    price = prices.Price(Decimal(1), Decimal(3), Decimal("0.1"), "test")
    assert prices.cost(price, models.Usage(input=1000, output=100, cached=400)) == Decimal("0.00094")
    assert prices.cost(price, models.Usage(input=10, output=0, cached=99)) == Decimal("0.000001")


def test_fractions_are_rounded_up() -> None:
    price = prices.Price(Decimal("0.0001"), Decimal(0), Decimal(0), "test")
    assert prices.cost(price, models.Usage(1, 0, 0)) == Decimal("1e-9")
    assert prices.cost(price, models.Usage(11, 0, 0)) == Decimal("2e-9")


def test_long_contexts_have_their_own_price() -> None:
    price = prices.price_of(endpoints.Endpoint("google", "gemini-2.5-pro", None, "key", loopback=False), None)
    assert price.longer is not None
    assert price.longer.input > price.input
    at, above = (models.Usage(price.longer_above + more, 0, 0) for more in (0, 1))
    assert prices.cost(price, at) == price.input * at.input / 1_000_000
    assert prices.cost(price, above) == price.longer.input * above.input / 1_000_000


RATES = st.decimals(min_value=0, max_value=500, places=4)
COUNTS = st.integers(min_value=0, max_value=400_000)


@given(st.tuples(RATES, RATES, RATES), st.tuples(RATES, RATES, RATES), COUNTS, COUNTS, COUNTS, COUNTS)
def test_settled_is_never_more_than_reserved(
    rates: tuple[Decimal, ...], longer: tuple[Decimal, ...], size: int, limit: int, tokens: int, cached: int
) -> None:
    long_price = prices.Price(longer[0], longer[1], longer[2], "test")
    price = prices.Price(rates[0], rates[1], rates[2], "test", long_price, 100_000)
    usage = models.Usage(min(tokens, size + prices.FRAMING_TOKENS), limit, cached)
    assert prices.cost(price, usage) <= prices.worst_case(price, size, limit)
