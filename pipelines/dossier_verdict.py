"""The verdict in plain sentences, each of which a figure of the comparison stands behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipelines.comparison import Comparison
from pipelines.dossier_words import Speech

_SURE = 0.8
"""Share of the draws from which the first place is called sure."""


def verdict(comparison: Comparison, words: Speech) -> list[str]:
    """
    Sentences for people who read nothing else.

    Parameters
    ----------
    comparison
        Made by `pipelines.comparison.compare`.
    words
        The language.

    Returns
    -------
    list of str
        Who gains most and how sure that is, who does most per euro, who loses, what is dominated.
    """
    result = comparison.result
    rivals = {p["letter"]: p for p in result["proposals"]}
    idle = [p for p in rivals.values() if not (p["winners"] or p["losers"] or p["person_minutes"])]
    said = [words("v_nothing", letter=p["letter"], name=p["name"]) for p in idle]
    order = [rivals[x] for x in result["ranking"]["gain"] if rivals[x] not in idle]
    if not order:
        return said
    front = order[0]
    lines = _one(comparison, front, words) if len(rivals) == 1 else _first(comparison, order, words)
    lines += _people(comparison, order, words) if len(rivals) > 1 else []
    lines += _losers(comparison, order, words)
    lines += [_outside(p, words) for p in order if _is_outside(p)]
    if len(rivals) > 1:
        lines += [_dominated(p, words) for p in order if p["dominated_by"]]
    return [*lines, *said]


def _values(comparison: Comparison, p: dict[str, Any], words: Speech) -> dict[str, str]:
    return {
        "letter": p["letter"],
        "name": p["name"],
        "gain": words.number(p["gain"], 2, signed=True),
        "newly": words.number(p["newly_within"]),
        "by": words(comparison.result["weighted_by"]),
        "min": words.number(comparison.criteria.threshold_min),
        "low": words.number(p["intervals"]["gain"][0], 2),
        "high": words.number(p["intervals"]["gain"][1], 2),
    }


def _one(comparison: Comparison, p: dict[str, Any], words: Speech) -> list[str]:
    return [words("v_one", **_values(comparison, p, words))]


def _first(comparison: Comparison, order: Sequence[dict[str, Any]], words: Speech) -> list[str]:
    front = order[0]
    lines = []
    if front["gain"] > 0:
        lines.append(words("v_first", **_values(comparison, front, words)))
        share = words.percent(front["rank_probability"][0])
        if front["rank_probability"][0] >= _SURE:
            lines.append(words("v_sure", share=share, weights=words.percent(front["first_in_weightings"])))
        elif len(order) > 1:
            lines.append(words("v_close", second=order[1]["letter"], share=share))
    lines += [words("v_harm", **_values(comparison, p, words)) for p in order if p["gain"] < 0]
    return lines


def _people(comparison: Comparison, order: Sequence[dict[str, Any]], words: Speech) -> list[str]:
    by = words(comparison.result["weighted_by"])
    lines = []
    most = max(order, key=lambda p: p["newly_within"])
    if most is not order[0] and most["newly_within"] > order[0]["newly_within"]:
        lines.append(
            words("v_people", letter=most["letter"], by=by, newly=words.number(most["newly_within"]))
        )
    costed = [p for p in order if p["cost_per_newly_within"]]
    if costed and len(costed) > 1:
        best = min(costed, key=lambda p: p["cost_per_newly_within"])
        one = words("one_" + comparison.result["weighted_by"])
        value = words.money(best["cost_per_newly_within"])
        lines.append(words("v_euro", letter=best["letter"], value=value, by=one))
    free = [p["letter"] for p in order if not p["cost_complete"]]
    if free:
        lines.append(words("v_cost", letters=_list(free, words)))
    return lines


def _losers(comparison: Comparison, order: Sequence[dict[str, Any]], words: Speech) -> list[str]:
    by = words(comparison.result["weighted_by"])
    lines = []
    for p in order:
        if p["losers"] > 0 or p["no_longer_within"] > 0:
            key = "v_left" if p["no_longer_within"] > 0 else "v_losers"
            counts = {k: words.number(p[f]) for k, f in (("losers", "losers"), ("left", "no_longer_within"))}
            least = words.number(comparison.criteria.threshold_min)
            lines.append(words(key, letter=p["letter"], by=by, min=least, **counts))
    harmless = [p["letter"] for p in order if p["losers"] == p["no_longer_within"] == 0]
    if harmless:
        lines.append(words("v_no_losers", letters=_list(harmless, words)))
    return lines


def _is_outside(p: dict[str, Any]) -> bool:
    low, high = p["intervals"]["gain"]
    return bool(round(p["gain"], 2) < round(low, 2) or round(p["gain"], 2) > round(high, 2))


def _outside(p: dict[str, Any], words: Speech) -> str:
    low, high = (words.number(v, 2) for v in p["intervals"]["gain"])
    return words("v_outside", letter=p["letter"], low=low, high=high)


def _dominated(p: dict[str, Any], words: Speech) -> str:
    rivals = p["dominated_by"]
    verb = {"en": ("is", "are each"), "fr": ("fait", "font chacune")}[words.language][len(rivals) > 1]
    return words("v_dominated", letter=p["letter"], by=_list(rivals, words), **{"is": verb})


def _list(letters: Sequence[str], words: Speech) -> str:
    return letters[0] if len(letters) == 1 else ", ".join(letters[:-1]) + words("and") + letters[-1]
