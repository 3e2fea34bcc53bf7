"""A joint budget: one sum for several kinds of site, divided where it adds most."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engine.sites.joint import KindCurve, split_budget
from engine.sites.selection import FloatArray, relative_gap
from pipelines.config import SiteKind
from pipelines.errors import ConfigError
from pipelines.steps.area import StudyArea
from pipelines.steps.context import Context
from pipelines.steps.sites import SiteSources, SiteTown, plan_sites, site_files
from pipelines.store import Artifact
from pipelines.tables_out import write_json

MOST = 1_000_000
"""New sites of a kind at most."""


def split_artifact(ctx: Context, sources: SiteSources, area: StudyArea) -> Artifact | None:
    """
    ``split.json``: how many sites of each kind the sum pays, and the bound on every division; None without a sum.

    Each kind is solved for all the money and again for its part; both bounds hold for every number of sites, so the
    lower of the two does.

    Raises
    ------
    ConfigError
        A kind has a cost and is not enabled, or its question has no value that can be added to others'.
    """
    asked = ctx.config.sites.budget
    if asked.amount is None:
        return None
    amount = asked.amount
    cost: dict[str, float] = {str(k): v for k, v in asked.cost.items()}
    weight: dict[str, float] = {str(k): v for k, v in asked.weight.items()}
    kinds: dict[str, SiteKind] = {name: _settings(ctx, name) for name in asked.cost}
    files = {name: site_files(ctx, name, settings) for name, settings in kinds.items()}
    needs: dict[str, Any] = {
        "budget": asked.model_dump(mode="json"),
        "settings": {name: settings.model_dump(mode="json") for name, settings in kinds.items()},
        "sources": {name: sources.needs(name) for name in kinds},
        "inputs": {name: {role: f.sha256 for role, f in found.items()} for name, found in files.items()},
        "cells": [str(c) for c in area.cells],
        "area": area.boundary.wkt,
        "income": ctx.config.population.income_column,
        "max_origin_snap_m": ctx.config.scoring.max_origin_snap_m,
    }

    def build(folder: Path) -> dict[str, Any]:
        town = SiteTown(ctx, sources, area)

        def solved(counts: Mapping[str, int]) -> dict[str, KindCurve]:
            found = {}
            for name, settings in kinds.items():
                counted = settings.model_copy(update={"count": counts[name]})
                plan, _ = plan_sites(town, name, counted, files[name], [])
                curve, envelope = plan.selection.curve, plan.selection.envelope
                if envelope is None:
                    msg = f"sites.budget takes kinds that cover people without capacity; change sites.{name}"
                    raise ConfigError(msg)
                found[name] = KindCurve(curve, envelope, cost[name], weight.get(name, 1.0))
            return found

        most = {name: min(MOST, int(amount / cost[name] * (1 + 1e-12))) for name in kinds}
        first = solved(most)
        split = split_budget(first, amount=amount)
        second = solved(split.count)
        both = {
            name: second[name]._replace(envelope=_lower(first[name].envelope, second[name].envelope))
            for name in kinds
        }
        bound = min(split.bound, split_budget(both, amount=amount).bound)
        facts = {"count": split.count, "bound": bound}
        write_json(facts, folder / "split.json")
        return facts

    return ctx.artifact("sites_split", needs, build)


def joint_facts(ctx: Context, split: Artifact, sites: Mapping[str, Artifact]) -> dict[str, Any]:
    """The members of ``sites_budget.json``: what the sum pays, what it is worth, and the bound."""
    asked = ctx.config.sites.budget
    found = json.loads(split.file("split.json").read_text("utf-8"))
    parts = {}
    for name in asked.cost:
        facts = json.loads(sites[name].file(f"sites_{name}.json").read_text("utf-8"))
        built = len(facts["curve"]) - 1
        parts[name] = {
            "count": built,
            "cost": built * asked.cost[name],
            "objective": facts["objective"],
            "baseline": facts["baseline"],
            "unit": facts["unit"],
            "weight": asked.weight.get(name, 1.0),
        }
    objective = sum(p["weight"] * p["objective"] for p in parts.values())
    bound = max(objective, found["bound"])
    gap = relative_gap(objective, bound)
    return {
        "amount": asked.amount,
        "spent": sum(p["cost"] for p in parts.values()),
        "kinds": parts,
        "objective": objective,
        "baseline": sum(p["weight"] * p["baseline"] for p in parts.values()),
        "bound": bound,
        "gap": gap if np.isfinite(gap) else None,
        "method": "each kind's own solver; money goes where it adds most; bound by the kinds' envelopes",
    }


def budget_artifact(ctx: Context, split: Artifact, sites: Mapping[str, Artifact]) -> Artifact:
    """``sites_budget.json``."""
    needs = {
        "split": split.key,
        "sites": {name: sites[name].key for name in ctx.config.sites.budget.cost},
        "budget": ctx.config.sites.budget.model_dump(mode="json"),
    }

    def build(folder: Path) -> dict[str, Any]:
        facts = joint_facts(ctx, split, sites)
        write_json(facts, folder / "sites_budget.json")
        return facts

    return ctx.artifact("sites_budget", needs, build)


def _settings(ctx: Context, name: str) -> SiteKind:
    settings: SiteKind = getattr(ctx.config.sites, name)
    if not settings.enabled:
        msg = f"sites.budget.cost names {name}, and sites.{name}.enabled is false: enable it or leave it out"
        raise ConfigError(msg)
    return settings


def _lower(first: FloatArray, second: FloatArray) -> FloatArray:
    """The lower of two concave bounds; each stays at its last value beyond its end."""
    n = max(len(first), len(second))
    return np.minimum(*(np.pad(e, (0, n - len(e)), mode="edge") for e in (first, second)))
