"""What model calls cost in USD: an endpoint's price, the cost of a call, and the most one can cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal, localcontext
from typing import TYPE_CHECKING

from pocketlet import clock, errors
from pocketlet.platform.gateways import endpoints, models

if TYPE_CHECKING:
    from genai_prices.types import TieredPrices

    Rate = Decimal | TieredPrices

#: Costs are multiples of this many USD, rounded up; prices with up to 3 decimals need no rounding.
STEP = Decimal("1e-9")

#: Input tokens that a provider may add to what it is sent: role markers, and the prompt that explains tools,
#: which is the largest part (about 300 to 700 tokens at Anthropic).
FRAMING_TOKENS = 2_000

#: Enough digits that no product of a price and a count is rounded.
DIGITS = 60

HINT = "Write it as price = {input = 1.0, output = 3.0} (USD per million tokens); `cached` is optional."


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens, and where that is from.

    `longer`: the price of the whole call if its input has more than `longer_above` tokens (several providers
    ask more for long contexts).
    """

    input: Decimal
    output: Decimal
    cached: Decimal
    version: str
    longer: "Price | None" = None
    longer_above: int = 0


def price_of(endpoint: endpoints.Endpoint, override: Mapping[str, object] | None) -> Price:
    """An endpoint's price: `override` (agent.toml's `price`), else 0 on this machine, else the price table's.

    Raises BadAgent if `override` can't be used and UnknownPrice if nothing knows the model.
    """
    if override is not None:
        return _overridden(override)
    if endpoint.loopback:
        return Price(Decimal(0), Decimal(0), Decimal(0), "loopback")
    return _listed(endpoint)


def cost(price: Price, usage: models.Usage) -> Decimal:
    """What a call cost, in USD; exact, then rounded up to a multiple of STEP."""
    if price.longer is not None and usage.input > price.longer_above:
        return cost(price.longer, usage)
    cached = min(usage.cached, usage.input)
    with localcontext(prec=DIGITS):
        total = price.input * (usage.input - cached) + price.cached * cached + price.output * usage.output
        return (total / 1_000_000).quantize(STEP, ROUND_CEILING)


def worst_case(price: Price, request_bytes: int, max_tokens: int) -> Decimal:
    """The most that a call can cost, in USD: `request_bytes` is the length of `models.canonical`.

    A token stands for at least one byte, so there are at most as many of them, and what the provider adds.
    """
    tokens = request_bytes + FRAMING_TOKENS
    worst = Decimal(0)
    possible: Price | None = price
    while possible is not None:
        rate = max(possible.input, possible.cached)
        dearest = Price(rate, possible.output, rate, possible.version)
        worst = max(worst, cost(dearest, models.Usage(tokens, max_tokens, 0)))
        possible = possible.longer if tokens > possible.longer_above else None
    return worst


def _overridden(override: Mapping[str, object]) -> Price:
    unknown = override.keys() - {"input", "output", "cached"}
    if unknown:
        raise errors.BadAgent(f"`price` in agent.toml has no {', '.join(sorted(unknown))}.", hint=HINT)
    missing = {"input", "output"} - override.keys()
    if missing:
        raise errors.BadAgent(f"`price` in agent.toml lacks {', '.join(sorted(missing))}.", hint=HINT)
    rates = {name: _rate(name, value) for name, value in override.items()}
    return Price(rates["input"], rates["output"], rates.get("cached", rates["input"]), "agent.toml")


def _rate(name: str, value: object) -> Decimal:
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        rate = Decimal(str(value))
        if rate.is_finite() and rate >= 0:
            return rate
    raise errors.BadAgent(f"`price.{name}` in agent.toml must be a number of USD from 0 up, not {value!r}.", hint=HINT)


def _listed(endpoint: endpoints.Endpoint) -> Price:
    import genai_prices
    from genai_prices import data_snapshot

    table = data_snapshot.get_snapshot()
    # The server decides, not the name: `openai:` at another service's base URL has that service's prices.
    for provider, url in ((None, endpoint.url), (endpoint.provider, None)):
        try:
            _, model = table.find_provider_model(endpoint.name, None, provider, url)
        except LookupError:
            continue
        listed = model.get_prices(clock.now())
        fresh, written = listed.input_mtok, listed.output_mtok
        if fresh is not None and written is not None:
            version = f"genai-prices {genai_prices.__version__}"
            return _tiered((fresh, written, listed.cache_read_mtok or fresh), version)
    raise errors.UnknownPrice(f"No price is known for {endpoint.model} at {endpoint.address}.")


def _tiered(rates: "tuple[Rate, Rate, Rate]", version: str, above: int = -1) -> Price:
    """The price of a call with more than `above` input tokens, and behind it those of longer ones."""
    fresh, written, cached = (_at(rate, above + 1) for rate in rates)
    starts = [start for rate in rates for start in _starts(rate) if start > above]
    if not starts:
        return Price(fresh, written, cached, version)
    return Price(fresh, written, cached, version, _tiered(rates, version, min(starts)), min(starts))


def _starts(rate: "Rate") -> list[int]:
    return [] if isinstance(rate, Decimal) else [tier.start for tier in rate.tiers]


def _at(rate: "Rate", tokens: int) -> Decimal:
    """The rate of a call with so many input tokens."""
    if isinstance(rate, Decimal):
        return rate
    return next((tier.price for tier in reversed(rate.tiers) if tokens > tier.start), rate.base)
