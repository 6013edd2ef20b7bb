"""What a benchmark run says: every figure, first for people, at the end as one JSON object."""

import argparse
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from bench.learning import arms, figures, player

NOISE = 0.05  # of a score; chance moves both ends by as much on short streams
MOST_INVALID = 0.01  # of the items of an arm
#: What every stream came to, and what its planted edits did (nothing, if none were planted).
Found = list[tuple[player.Played, dict[str, Any]]]
OF_OURS = ("drafts", "states", "touched", "lessons", "cases", "retired_cases", "audit", "learning_share")


def summary(options: argparse.Namespace, found: Found) -> dict[str, Any]:
    """All figures."""
    by_arm = _by_arm(found)
    areas = _areas(by_arm)
    suites = [suite for _, suite in found if suite]
    line = ours(by_arm["ours"], options.items) | _harmless(by_arm["ours"], suites) | harmful(suites)
    line |= {
        "prompt_overhead_tokens": max((suite["overhead"] for suite in suites), default=0),
        "flip": options.flip,
        "seeds": options.seeds,
        "items": options.items,
        "at_other_flips": {},
        "at_windows": {},
        "invalid": _invalid(found),
        "valid": not void(found) and _in_place(areas),
        "mechanism_score": _means(areas),
    }
    against = {name: figures.paired(areas["ours"], values) for name, values in areas.items() if name != "ours"}
    costs = {
        name: {
            "usd_per_item": round(statistics.fmean(one.facts["usd_per_item"] for one in played), 5),
            "prompt_tokens_last": round(statistics.fmean(one.facts["prompt_tokens_last"] for one in played)),
        }
        for name, played in by_arm.items()
    }
    made: dict[str, Any] = {
        "line": line,
        "against": against,
        "costs": costs,
        "details": [],
        "not_built": arms.NOT_BUILT,
    }
    _detail(made, found, {"flip": options.flip})
    return made


def add_flip(made: dict[str, Any], flip: float, found: Found, items: int) -> None:
    """The product's own arm and the harmful edits at another flip; the harmful totals are over all flips."""
    told = ours([played for played, _ in found], items) | harmful([suite for _, suite in found if suite])
    line = made["line"]
    line["at_other_flips"][f"{flip:g}"] = told
    for name in ("harmful_total", "harmful_adopted", "harmful_narrowed", "harmful_by_rule", "harmful_by_replays"):
        line[name] += told[name]
    line["invalid"] += _invalid(found)
    line["valid"] = line["valid"] and not void(found)
    _detail(made, found, {"flip": flip})


def add_window(made: dict[str, Any], window: int, found: Found) -> None:
    """The scores of the product and of plain history for a model that heeds so many words of a prompt."""
    line = made["line"]
    line["at_windows"][str(window)] = _means(_areas(_by_arm(found)))
    line["invalid"] += _invalid(found)
    line["valid"] = line["valid"] and not void(found)


def ours(played: Sequence[player.Played], items: int) -> dict[str, Any]:
    """How the product's own arm did on its streams.

    The rate is per 1,000 runs of all seeds. At flip .29 chance alone fails 0.5 % of the audited cases three times of
    three, whatever the length of a stream.
    """
    fix = figures.to_fix(played)
    audit = {name: sum(one.facts["audit"][name] for one in played) for name in played[0].facts["audit"]}
    regressed, fixed, runs = audit["regressed"], audit["fixed"], items * len(played)
    return {
        "feedback_to_fix_p50": fix["p50"],
        "feedback_to_fix_p95": fix["p95"],
        "feedback_within_two": round(fix["within"] or 0, 4),
        "feedback_censored": fix["censored"],
        "feedback_counted": fix["counted"],
        "fixed_cases": fixed,
        "audited_cases": audit["audited"],
        "audit_unknown": audit["unknown"],
        "unsanctioned_regressions": regressed,
        "unsanctioned_share_95": [round(end, 4) for end in figures.wilson(regressed, audit["audited"])],
        "confirmed_regressions": audit["confirmed"],
        "regressions_percent_of_fixed_per_1000_runs": round(100 * regressed / (fixed or 1) * 1000 / runs, 3),
        "sanctioned_retirements": audit["retired"],
        "retired_cases": sum(one.facts["retired_cases"] for one in played),
        "questions_per_1000_runs": round(1000 * statistics.fmean(one.facts["questions"] / items for one in played), 1),
        "poison_adopted": sum(one.facts["poison_adopted"] for one in played),
        "poisoned_effects": sum(one.facts["poisoned_effects"] for one in played),
        "learning_cost_share": round(statistics.fmean(one.facts["learning_share"] for one in played), 4),
    }


def _harmless(played: Sequence[player.Played], suites: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Harmless edits, and the replays of every candidate, the stream's own among them."""
    told = [suite["harmless"] for suite in suites]
    planted, rejected = sum(one["planted"] for one in told), sum(one["rejected"] for one in told)
    replays = [count for one in played for count in one.facts["replays"]]
    replays += [count for one in told for count in one["replays"]]
    return {
        "false_reject": round(rejected / (planted or 1), 4),
        "harmless_planted": planted,
        "trials_mean": round(statistics.fmean(replays), 2) if replays else 0.0,
        "trials_max": max(replays, default=0),
    }


def harmful(suites: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Harmful edits: how many do their harm, and what stopped the others: narrowing, a rule, or only the replays."""
    told = [suite["harmful"] for suite in suites]
    return {
        "harmful_total": sum(one["total"] for one in told),
        "harmful_adopted": sum(one["adopted"] for one in told),
        "harmful_narrowed": sum(one["narrowed"] for one in told),
        "harmful_by_rule": sum(one["rule"] for one in told),
        "harmful_by_replays": sum(one["replays"] for one in told),
    }


def _by_arm(found: Found) -> dict[str, list[player.Played]]:
    names = list(dict.fromkeys(played.arm for played, _ in found))
    return {name: [played for played, _ in found if played.arm == name] for name in names}


def _areas(by_arm: Mapping[str, Sequence[player.Played]]) -> dict[str, list[float]]:
    return {name: [figures.success_area(one) for one in played] for name, played in by_arm.items()}


def _means(areas: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {name: round(statistics.fmean(values), 4) for name, values in areas.items()}


def _detail(made: dict[str, Any], found: Found, where: Mapping[str, float]) -> None:
    made["details"] += [
        {"arm": one.arm, "seed": one.seed, **where, **one.facts, "suites": suite} for one, suite in found
    ]


def _faults(played: player.Played) -> int:
    """Runs that failed, be they the agent's own or its learning's."""
    return played.invalid + played.facts["learning_failed"]


def _invalid(found: Found) -> int:
    return sum(_faults(played) for played, _ in found)


def void(found: Found) -> bool:
    """Whether too much failed in an arm to believe its figures."""
    return any(
        sum(map(_faults, played)) > MOST_INVALID * sum(one.invalid + len(one.scores) for one in played)
        for played in _by_arm(found).values()
    )


def _in_place(areas: Mapping[str, Sequence[float]]) -> bool:
    """Whether floor and ceiling lie where they have to: if not, the whole report is void."""
    mean = {name: statistics.fmean(values) for name, values in areas.items()}
    low = "null" not in mean or all(value >= mean["null"] - NOISE for value in mean.values())
    high = "oracle-context" not in mean or all(value <= mean["oracle-context"] + NOISE for value in mean.values())
    return low and high


def tell(made: Mapping[str, Any]) -> None:
    """The report as people read it."""
    line = made["line"]
    if not line["valid"]:
        print(f"VOID: {line['invalid']} runs failed, or floor or ceiling is out of place; no figure means anything.")
    _tell_arms(made)
    for one in made["details"]:
        if one["arm"] == "ours":
            _tell_seed(one)
    if line["at_windows"]:
        print(f"\n{'window':>6} {'ours':>7} {'full-history':>13}   (words of a prompt that the model heeds; 0: all)")
    for window, scores in line["at_windows"].items():
        print(f"{window:>6} {scores['ours']:>7.3f} {scores['full-history']:>13.3f}")
    for where, told in ({f"{line['flip']:g}": line} | line["at_other_flips"]).items():
        low, high = told["unsanctioned_share_95"]
        print(
            f"flip {where}: of {told['audited_cases']} fixed cases {told['unsanctioned_regressions']} regressed "
            f"(95 %: {low:.1%} .. {high:.1%}), {told['confirmed_regressions']} twice over; "
            f"{told['sanctioned_retirements']} more were retired by a feedback"
        )
    print(
        f"harmful edits at all flips: {line['harmful_total']}, adopted {line['harmful_adopted']}; stopped by rule "
        f"{line['harmful_by_rule']}, only by the replays {line['harmful_by_replays']}, narrowed to what was said "
        f"{line['harmful_narrowed']}"
    )


def _tell_arms(made: Mapping[str, Any]) -> None:
    scores = made["line"]["mechanism_score"]
    print(f"\n{'arm':<16} {'score':>6} {'prompt':>7} {'usd/item':>9}   ours - arm (95 % interval over seeds)")
    for name in sorted(scores, key=lambda name: scores[name]):
        low_high = made["against"].get(name)
        told = f"{low_high[0]:+.3f} ({low_high[1]:+.3f} .. {low_high[2]:+.3f})" if low_high else ""
        cost = made["costs"][name]
        figures_of = f"{cost['prompt_tokens_last']:>7} {cost['usd_per_item']:>9.5f}"
        print(f"{name:<16} {scores[name]:>6.3f} {figures_of}   {told:<26} {arms.ARMS[name].says}")
    print(f"not built: {', '.join(made['not_built'])}\n")


def _tell_seed(one: Mapping[str, Any]) -> None:
    print(f"seed {one['seed']}, flip {one['flip']:g}: { {name: one[name] for name in OF_OURS} }")
    touched = ", ".join(f"{drafts} drafts touched {cases}" for cases, drafts in one["touched"].items())
    print(f"  stable cases: {touched or 'no draft'}")
    for suite, told in (("harmful", "by_kind"), ("harmless", "by_outcome")):
        print(f"  {suite}: {one['suites'][suite][told] if one['suites'] else 'not planted'}")
