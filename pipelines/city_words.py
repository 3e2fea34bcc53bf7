"""What the city report says, in English and French, and how each writes numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from pipelines.errors import ConfigError

Language = Literal["en", "fr"]

TEXTS: dict[str, tuple[str, str]] = {
    "title": ("fifteen-minute report", "rapport du quart d'heure"),
    "lead": (
        "What people reach within {within} min of home. {mode}, unless a table says otherwise. Computed {created} by "
        "Proche {version}; map data: {data}.",
        "Ce que l'on atteint en {within} min de chez soi. {mode}, sauf mention contraire. Calculé le {created} par "
        "Proche {version} ; données cartographiques : {data}.",
    ),
    "unknown_date": ("unknown date", "date inconnue"),
    "newest_edit": ("{date} (their newest edit)", "{date} (dernière modification)"),
    "walk": ("On foot", "À pied"),
    "bike": ("By bicycle", "À vélo"),
    "street30": ("By motor vehicle at 30 km/h", "En voiture à 30 km/h"),
    "residents": ("residents", "habitants"),
    "cells": ("cells", "mailles"),
    "tile_all": ("of {by} have every category within {within} min", "des {by} ont tout à {within} min"),
    "tile_score": ("mean score, 0 to 100", "score moyen, de 0 à 100"),
    "tile_minutes": ("minutes, mean over categories", "minutes en moyenne des catégories"),
    "tile_people": ("residents", "habitants"),
    "tile_cells": (
        "cells with streets; the run knows no residents",
        "mailles avec des rues ; population inconnue",
    ),
    "short": ("In short", "En bref"),
    "short_farthest": (
        "What is farthest: {what}. {share} of {by} have it within {within} min; the mean is {mean} min, the worst-off "
        "tenth {worst} min away.",
        "Le plus loin : {what}. {share} des {by} l'ont à {within} min ; la moyenne est de {mean} min, le dixième le "
        "plus mal loti est à {worst} min.",
    ),
    "short_gap": (
        "The heaviest gap: {what}, {who}, {minutes} min away, {over} more than {within}.",
        "Le manque le plus lourd : {what}, {who}, à {minutes} min, soit {over} de plus que {within}.",
    ),
    "on_the_map": ("It is number {rank} on the map.", "C'est le numéro {rank} de la carte."),
    "as_above": ("As above.", "Comme ci-dessus."),
    "short_income": (
        "By income the score has a concentration index of {index}: {reading}.",
        "Selon le revenu, le score a un indice de concentration de {index} : {reading}.",
    ),
    "poor_more": ("poorer residents have more", "les plus modestes ont davantage"),
    "rich_more": ("richer residents have more", "les plus aisés ont davantage"),
    "short_firm": (
        "How firm: with cells from resolution {coarse} to {fine} the mean score moves by {spread} points; with weights "
        "halved or doubled at random the ranking of cells stays alike (rank correlation at least {weights}), and "
        "{firm} of the {worst} cells of the worst tenth stay in it.",
        "Solidité : entre les résolutions {coarse} et {fine}, le score moyen bouge de {spread} points ; avec des poids "
        "divisés ou multipliés par deux au hasard, le classement des mailles se maintient (corrélation de rang d'au "
        "moins {weights}), et {firm} des {worst} mailles du dernier dixième y restent.",
    ),
    "absent": (
        "The data hold no place of this kind: {what}. How far it is, is unknown, and nobody can have every category.",
        "Les données ne contiennent aucun lieu de ce type : {what}. Sa distance est inconnue, et personne ne peut "
        "avoir tout.",
    ),
    "edge": (
        "{edge} of {cells} cells lie near the end of the data: places beyond it are not seen, so their times may be "
        "too long.",
        "{edge} mailles sur {cells} sont près du bord des données : ce qui est au-delà n'est pas vu, leurs temps "
        "peuvent être trop longs.",
    ),
    "score": ("Score", "Score"),
    "map_score": ("Map of {name}: score of each cell", "Carte de {name} : score de chaque maille"),
    "map_minutes": ("Map of {name}: minutes to {what}", "Carte de {name} : minutes jusqu'à {what}"),
    "farthest": ("Minutes to {what}", "Minutes : {what}"),
    "and_more": ("{low} and more", "{low} et plus"),
    "from_to": ("{low} to {high}", "{low} à {high}"),
    "below": ("below {high}", "moins de {high}"),
    "over_min": ("over {low} min", "plus de {low} min"),
    "map_note": (
        "North is up. Cells without streets are white; cells without a way to any place count as over 20 min. Numbered "
        "outlines are the gaps of page two.",
        "Le nord est en haut. Les mailles sans rue sont blanches ; sans accès à aucun lieu, elles comptent plus de "
        "20 min. Les contours numérotés sont les manques de la page deux.",
    ),
    "reach": ("Within reach", "À portée"),
    "reach_note": (
        "Shares of {by} by the mean nearest time of their cell, limits included; confidence from 0 to 1, on foot or "
        "in the first mode.",
        "Parts des {by} selon le temps moyen de leur maille au lieu le plus proche, bornes comprises ; confiance de 0 "
        "à 1, à pied ou dans le premier mode.",
    ),
    "mean_min": ("mean min", "min moy."),
    "confidence": ("confidence", "confiance"),
    "curves": ("Share of {by} by minutes", "Part des {by} selon les minutes"),
    "green": ("Green space, in metres along streets", "Espaces verts, en mètres de rue"),
    "ladder": ("{ha}\u00a0ha within {m}\u00a0m", "{ha}\u00a0ha à {m}\u00a0m"),
    "share": ("share", "part"),
    "mean_m": ("mean m", "m moyens"),
    "after": ("after", "d'après"),
    "kinds": ("Kinds of neighbourhood", "Types de quartier"),
    "behind": ("Who is left behind", "Qui est laissé de côté"),
    "behind_note": (
        "Gini and Theil: 0 all alike. Palma: the tenth with the most over the 40 % with the least, 0.25 all alike; of "
        "minutes the most is the worst. Worst tenth: their mean. Over: share beyond {within} min, and how deep "
        "(1: twice as far).",
        "Gini et Theil : 0 si égalité. Palma : le dixième qui a le plus sur les 40 % qui ont le moins, 0,25 si "
        "égalité ; en minutes, le plus est le pire. Dernier dixième : sa moyenne. Au-delà : part à "
        "plus de {within} min, et profondeur (1 : deux fois plus loin).",
    ),
    "minutes_to": ("Minutes: {what}", "Minutes : {what}"),
    "worst_decile": ("worst tenth", "dernier dixième"),
    "fgt0": ("share over", "part au-delà"),
    "fgt1": ("depth over", "profondeur"),
    "concentration": ("conc. by income", "conc. par revenu"),
    "palma_income": ("Palma by income", "Palma par revenu"),
    "neighbourhoods": ("Neighbourhoods by score", "Quartiers selon le score"),
    "rank_band": ("rank, and its 5–95 % band", "rang, et son intervalle 5–95 %"),
    "gaps": ("Gaps, by {by} × minutes over", "Manques, par {by} × minutes de trop"),
    "no_gap": ("No cell is over the threshold.", "Aucune maille n'est au-delà du seuil."),
    "gap": ("gap", "manque"),
    "who": ("who", "qui"),
    "away": ("min away", "à (min)"),
    "over": ("min over", "de trop"),
    "caution": ("caution", "réserve"),
    "at_edge": ("at the edge of the data", "au bord des données"),
    "unreachable": ("no way to any", "sans accès"),
    "sizes": (
        "Larger and smaller cells",
        "Mailles plus grandes, plus petites",
    ),
    "resolution": ("res. {r}", "rés. {r}"),
    "spread": ("spread", "écart"),
    "all_share": ("every category within {within} min", "tout à {within} min"),
    "mean_of": ("mean min: {what}", "min moy. : {what}"),
    "published": ("Beside published figures", "À côté des chiffres publiés"),
    "published_head": ("published", "publié"),
    "here": ("here", "ici"),
    "why": ("by whom, and why the two may differ", "par qui, et pourquoi les deux peuvent différer"),
    "to": ("{low} to {high}", "{low} à {high}"),
    "measured": ("How it was measured", "Comment c'est mesuré"),
    "method": (
        "Times run along streets that the mode may use, from every point of the streets of a cell to the nearest place "
        "of a category; a cell has their mean weighted by length. Cells are H3 hexagons of resolution {resolution}. "
        "Parks are reached at their entrances; green distances are metres, never converted from minutes. The score is "
        "the weighted mean over categories of a decay ({decay}) of the nearest time. Confidence is the smallest of "
        "completeness, snap, age, edge and support, where known. Definitions, formulas and references: docs/method.md.",
        "Les temps suivent les rues permises au mode, de chaque point des rues d'une maille au lieu le plus proche "
        "d'une catégorie ; la maille en a la moyenne par longueur. Les mailles sont des hexagones H3 de résolution "
        "{resolution}. Les parcs s'atteignent à leurs entrées ; leurs distances sont des mètres, jamais convertis de "
        "minutes. Le score est la moyenne pondérée d'une décroissance ({decay}) du temps minimal. La confiance est "
        "la plus faible de : exhaustivité, accrochage, âge, bord, appui. Définitions et formules : docs/method.md.",
    ),
    "piecewise": ("piecewise linear", "linéaire par morceaux"),
    "step": ("a step", "en marche"),
    "linear": ("linear", "linéaire"),
    "logistic": ("logistic", "logistique"),
    "exponential": ("exponential", "exponentielle"),
    "gaussian": ("Gaussian", "gaussienne"),
    "power": ("a power", "en puissance"),
    "counted": ("Places counted: {places}.", "Lieux comptés : {places}."),
    "too_far": ("{n} too far from a street", "{n} trop loin d'une rue"),
    "no_entrance": (
        "Parks without an entrance that could be found, not counted: {n}.",
        "Parcs sans entrée trouvée, non comptés : {n}.",
    ),
    "data": (
        "Data: {inputs}; their hashes are in manifest.json. Configuration {digest}. {attribution}.",
        "Données : {inputs} ; leurs empreintes sont dans manifest.json. Configuration {digest}. {attribution}.",
    ),
}


@dataclass(frozen=True)
class Words:
    """
    Texts and numbers of one language: ``words("score")``, ``words.number(1234.5, 1)``.

    Raises
    ------
    ConfigError
        The language is neither ``en`` nor ``fr``.
    """

    language: Language = "en"

    def __post_init__(self) -> None:
        if self.language not in get_args(Language):
            msg = f"no language {self.language!r}; the report speaks {', '.join(get_args(Language))}"
            raise ConfigError(msg)

    def __call__(self, key: str, **values: object) -> str:
        """The text of a key, its ``{names}`` filled in."""
        return TEXTS[key][self.language == "fr"].format(**values)

    def mode(self, mode: str) -> str:
        """Name of a mode at the start of a sentence; of a mode of your own its key."""
        return self(mode) if mode in ("walk", "bike", "street30") else mode

    def number(self, value: float | None, digits: int = 0) -> str:
        """A number; a dash where it is missing or infinite."""
        if value is None or not np.isfinite(value):
            return "–"
        text = f"{value:,.{digits}f}".replace(",", "\u202f")
        return text.replace(".", ",") if self.language == "fr" else text

    def count(self, n: float, what: str) -> str:
        """So many cells or residents."""
        return f"{self.number(n)} {self(what)[: -1 if round(n) == 1 else None]}"

    def percent(self, share: float | None) -> str:
        """A share as a percentage; a dash where it is missing."""
        return "–" if share is None else f"{self.number(100 * share)}\u00a0%"
