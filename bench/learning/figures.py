"""Figures: medians, percentiles, and paired confidence intervals over seeds."""

import math
import random
import statistics
from collections.abc import Sequence

from bench.learning import player

RESAMPLES = 10_000
Z = 1.96  # of a normal distribution, at 95 %
TARGET = 2  # matching runs within which a feedback is to be followed


def success_area(played: player.Played) -> float:
    """AUS: the mean score of all items."""
    return statistics.fmean(played.scores) if played.scores else 0.0


def paired(ours: Sequence[float], theirs: Sequence[float], *, seed: int = 1) -> tuple[float, float, float]:
    """Mean difference over the seeds, and its 95 % interval by paired bootstrap: the seed is the unit."""
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    dice = random.Random(seed)
    means = sorted(statistics.fmean(dice.choices(differences, k=len(differences))) for _ in range(RESAMPLES))
    return statistics.fmean(differences), means[int(0.025 * RESAMPLES)], means[int(0.975 * RESAMPLES)]


def wilson(count: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share by Wilson's score: 0 of 8 may well be a third. Of nothing, anything is possible."""
    if not of:
        return 0.0, 1.0
    share, spread = count / of, Z * Z / of
    middle = (share + spread / 2) / (1 + spread)
    half = Z / (1 + spread) * math.sqrt(share * (1 - share) / of + spread / (4 * of))
    return max(0.0, middle - half), min(1.0, middle + half)


def to_fix(played: Sequence[player.Played]) -> dict[str, float | int | None]:
    """Matching runs from a true feedback to the first success: median, 95th percentile and the share `within` TARGET
    runs by Kaplan and Meier.

    A stream that ends before the next success says only "later than that" (censored). Feedback without a later matching
    run is left out.
    """
    told = [given for one in played for given in one.given if given.true and given.rule is not None]
    counted = [given for given in told if given.matching]
    survival, within, quantiles = 1.0, 0.0, {0.5: None, 0.95: None}
    for runs in sorted({given.matching for given in counted}):
        at_risk = sum(given.matching >= runs for given in counted)
        survival *= 1 - sum(given.fixed and given.matching == runs for given in counted) / at_risk
        within = 1 - survival if runs <= TARGET else within
        for share, found in quantiles.items():
            if found is None and survival <= 1 - share + 1e-9:
                quantiles[share] = runs
    return {
        "p50": quantiles[0.5],
        "p95": quantiles[0.95],
        "within": within,
        "counted": len(counted),
        "censored": sum(not given.fixed for given in counted),
    }
