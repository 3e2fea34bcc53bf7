"""The words of the dossier in English and French, and numbers as each language writes them."""

from __future__ import annotations

from typing import Any, Literal, get_args

Language = Literal["en", "fr"]
LANGUAGES: tuple[str, ...] = get_args(Language)

_THIN = " "

WORDS: dict[str, dict[str, str]] = {
    "en": {
        "title": "{n} proposals for {city}, compared",
        "title_one": "A proposal for {city}, measured",
        "lead": "Every one of the city's {cells} cells is re-scored exactly under each proposal: on every street, in "
        "every mode, for every category. What is not known is declared under “{sure}”.",
        "no_people": "The run knows no residents: every cell with streets counts as one.",
        "verdict": "The verdict",
        "side_by_side": "Side by side",
        "proposal": "Proposal",
        "gain": "mean score",
        "newly": "newly within {min} min",
        "left": "no longer within",
        "winners": "winners",
        "losers": "losers",
        "worst": "worst tenth",
        "gini": "Gini",
        "cost": "cost, €",
        "per_million": "newly within per M€",
        "gain_per_million": "points per M€",
        "first": "ranks first",
        "first_weights": "first in weightings",
        "table_note": "Score: 0 to 100, mean over {by} and modes; in brackets, what 90 % of the draws hold. Newly within: "
        "{by} who come within {min} minutes of some category in some mode. Winners and losers: {by} whose score in some "
        "mode rises or falls by a tenth of a point or more. Worst tenth: mean score of the tenth that is served worst. "
        "Gini: minus means more equal. Ranks first: share of the draws in which the proposal has the greatest gain.",
        "where": "Where it changes",
        "change_key": "points of score, mean over modes",
        "built": "What is built",
        "what": "edit",
        "does": "what it does on the network",
        "phase": "phase",
        "before": "Before",
        "after": "After",
        "difference": "Difference",
        "maps_of": "{mode}: minutes to {category}, where this proposal moves most",
        "detail": "Detail of the city; the numbers are those of the edits.",
        "by_mode": "By mode and category",
        "mode_category": "",
        "mean": "mean min",
        "p90": "p90 min",
        "worst_min": "worst tenth, min",
        "gini_min": "Gini of minutes",
        "cut_off": "cut off",
        "score": "score",
        "groups_neighbourhood": "By neighbourhood",
        "groups_sector": "By part of the city",
        "group": "",
        "residents": "residents",
        "cells": "cells",
        "points": "points",
        "person_minutes": "person-minutes saved",
        "groups_more": "Where most changes; the other {n} are in comparison.json.",
        "nobody": "Nothing changes anywhere.",
        "phases": "As the phases are built",
        "after_phase": "after phase {phase}",
        "all_phases": "all of it",
        "sure": "How sure is the ranking?",
        "rank": "rank {k}",
        "rank_note": "Probability of each rank by gain of score, from {draws} draws that all proposals share (seed {seed}).",
        "rank_euro": "The same per euro.",
        "unknown": "Declared as not known",
        "unknown_speed": "speed of each mode: ±{value}, uniform, all streets at once",
        "unknown_snap": "each cell's own time: standard deviation {value} min",
        "unknown_gone": "mapped places that are not there any more: {value} of them, at random",
        "unknown_unmapped": "places that are on no map: up to {value} of those that are, around them (±{spread} m)",
        "weights": "If the weights were others",
        "weights_note": "The modes and categories weighted in {n} ways, drawn evenly from all that are possible; "
        "and which proposal would be first if one alone counted.",
        "weighting_first": "first in",
        "mean_rank": "mean rank",
        "only": "only {what}",
        "none": "none",
        "method": "Method",
        "method_text": "Times are those of the shortest way along the streets in whole milliseconds, from every point of "
        "every street of a cell (H3 hexagons) to the nearest place; a cell's time is their mean, weighted by length. An "
        "edited city is brought up to date by changing only what hangs on the edit, which gives the same numbers as "
        "computing it anew. Where people start is the same in every proposal. A place out of reach counts as {limit} "
        "minutes. The score is 100 × the weighted mean over categories of a decay of the nearest time ({decay}). A "
        "change of less than six seconds or a tenth of a point is counted as none.",
        "decay_piecewise": "1 up to {full} min, ½ at {half}, 0 from {zero}",
        "weights_are": "Weights: {weights}.",
        "calm": "“{calm}” is cycling by people who push the bicycle where traffic stress exceeds level 2: it is a mode "
        "of its own here because a proposal changes that stress.",
        "data": "Data and hashes",
        "input": "input",
        "date": "date",
        "sha": "SHA-256",
        "osm_date": "Map data of {date}.",
        "recompute": "To recompute all of this from the run and the proposal files, and see that it is the same to the "
        "last byte: {command}",
        "made": "Proche {version}. Run configuration {digest}.",
        "run_cells": "cells of the run",
        "file_of": "proposal {letter}",
        "author": "by {author}",
        "page": "page",
        "notes": "How the edits were understood",
        "ignored": "Properties of the file that mean nothing here: {names}.",
        "unknown_date": "an unknown date",
        "cost_partly": "not every edit states its cost",
        "v_first": "{letter} ({name}) gains most: {gain} points of mean score, and {newly} {by} come within {min} minutes "
        "of something that they lacked.",
        "v_sure": "It stays first in {share} of the draws of what is not known, and in {weights} of the weightings.",
        "v_close": "The lead over {second} is not sure: it stays first in only {share} of the draws.",
        "v_euro": "Per euro, {letter} does most: {value} more {by} within reach for every million.",
        "v_people": "{letter} brings more {by} within reach than any other ({newly}).",
        "v_losers": "{letter} takes something from {losers} {by}.",
        "v_left": "{letter} takes something from {losers} {by}; {left} {by} no longer reach within {min} minutes what "
        "they do today.",
        "v_no_losers": "Nobody loses a tenth of a point under {letters}.",
        "v_nothing": "{letter} ({name}) changes nothing.",
        "v_harm": "{letter} ({name}) makes the city worse: {gain} points of mean score.",
        "v_dominated": "{letter} is dominated: {by} {is} at least as good in everything that is judged, and better in "
        "something.",
        "v_outside": "The figure of {letter} lies outside what nine in ten draws give ({low} to {high}): much of it rests "
        "on what is not known.",
        "v_one": "{letter} ({name}) moves the mean score by {gain} points ({low} to {high} in nine of ten draws), and "
        "{newly} {by} come within {min} minutes of something that they lacked.",
        "v_cost": "No cost is stated for {letters}: nothing can be said of them per euro.",
        "and": " and ",
        "walk": "On foot",
        "bike": "By bicycle",
        "street30": "By motor vehicle",
        "bike_calm": "By bicycle, calm streets",
        "NW": "north-west", "N": "north", "NE": "north-east", "W": "west", "C": "centre", "E": "east",
        "SW": "south-west", "S": "south", "SE": "south-east",
        "AddAmenity": "New place", "RemoveAmenity": "Place removed", "ResizeAmenity": "Place resized",
        "OpenSchoolyard": "Schoolyard opened", "AddStreet": "New street", "RemoveStreet": "Street closed",
        "ChangeStreet": "Street changed", "SpeedArea": "Speed limit for an area",
        "gained": "gains", "same": "no change", "lost": "loses",
    },
    "fr": {
        "title": "{n} propositions pour {city}, comparées",
        "title_one": "Une proposition pour {city}, mesurée",
        "lead": "Chacune des {cells} mailles de la ville est recalculée exactement sous chaque proposition : sur chaque "
        "rue, pour chaque mode et chaque catégorie. Ce qui n’est pas connu est déclaré sous « {sure} ».",
        "no_people": "Le calcul ne connaît pas d’habitants : chaque maille pourvue de rues compte pour un.",
        "verdict": "Le verdict",
        "side_by_side": "Côte à côte",
        "proposal": "Proposition",
        "gain": "score moyen",
        "newly": "désormais à moins de {min} min",
        "left": "n’y sont plus",
        "winners": "gagnants",
        "losers": "perdants",
        "worst": "dernier dixième",
        "gini": "Gini",
        "cost": "coût, €",
        "per_million": "désormais à portée par M€",
        "gain_per_million": "points par M€",
        "first": "au premier rang",
        "first_weights": "premier selon les poids",
        "table_note": "Score : de 0 à 100, moyenne sur les {by} et les modes ; entre crochets, ce que contiennent 90 % des "
        "tirages. Désormais à moins de : {by} qui passent à moins de {min} minutes d’une catégorie dans un mode. Gagnants "
        "et perdants : {by} dont le score dans un mode monte ou baisse d’un dixième de point au moins. Dernier dixième : "
        "score moyen du dixième le moins bien servi. Gini : négatif veut dire plus égal. Au premier rang : part des "
        "tirages où la proposition a le plus grand gain.",
        "where": "Où cela change",
        "change_key": "points de score, moyenne des modes",
        "built": "Ce qui est construit",
        "what": "modification",
        "does": "ce qu’elle fait sur le réseau",
        "phase": "phase",
        "before": "Avant",
        "after": "Après",
        "difference": "Différence",
        "maps_of": "{mode} : minutes jusqu’à {category}, là où cette proposition change le plus",
        "detail": "Détail de la ville ; les numéros sont ceux des modifications.",
        "by_mode": "Par mode et catégorie",
        "mode_category": "",
        "mean": "min, moyenne",
        "p90": "min, p90",
        "worst_min": "dernier dixième, min",
        "gini_min": "Gini des minutes",
        "cut_off": "coupés",
        "score": "score",
        "groups_neighbourhood": "Par quartier",
        "groups_sector": "Par partie de la ville",
        "group": "",
        "residents": "habitants",
        "cells": "mailles",
        "points": "points",
        "person_minutes": "minutes-personnes gagnées",
        "groups_more": "Là où cela change le plus ; les {n} autres sont dans comparison.json.",
        "nobody": "Rien ne change nulle part.",
        "phases": "Au fil des phases",
        "after_phase": "après la phase {phase}",
        "all_phases": "le tout",
        "sure": "Le classement est-il sûr ?",
        "rank": "rang {k}",
        "rank_note": "Probabilité de chaque rang selon le gain de score, sur {draws} tirages communs à toutes les "
        "propositions (graine {seed}).",
        "rank_euro": "De même par euro.",
        "unknown": "Déclaré comme non connu",
        "unknown_speed": "vitesse de chaque mode : ±{value}, uniforme, toutes les rues ensemble",
        "unknown_snap": "temps propre de chaque maille : écart type de {value} min",
        "unknown_gone": "lieux de la carte qui n’existent plus : {value} d’entre eux, au hasard",
        "unknown_unmapped": "lieux absents de la carte : jusqu’à {value} de ceux qui y sont, autour d’eux (±{spread} m)",
        "weights": "Si les poids étaient autres",
        "weights_note": "Modes et catégories pesés de {n} façons, tirées également parmi toutes ; et la proposition qui "
        "serait première si un seul mode ou une seule catégorie comptait.",
        "weighting_first": "première dans",
        "mean_rank": "rang moyen",
        "only": "{what} seulement",
        "none": "aucune",
        "method": "Méthode",
        "method_text": "Les temps sont ceux du plus court chemin le long des rues, en millisecondes entières, depuis chaque "
        "point de chaque rue d’une maille (hexagones H3) jusqu’au lieu le plus proche ; le temps d’une maille est leur "
        "moyenne pondérée par la longueur. Une ville modifiée est mise à jour en ne changeant que ce qui tient à la "
        "modification, ce qui donne les mêmes nombres qu’un calcul complet. Les points de départ sont les mêmes dans "
        "chaque proposition. Un lieu hors d’atteinte compte pour {limit} minutes. Le score vaut 100 × la moyenne "
        "pondérée sur les catégories d’une fonction décroissante du temps ({decay}). Moins de six secondes ou d’un "
        "dixième de point ne compte pas comme un changement.",
        "decay_piecewise": "1 jusqu’à {full} min, ½ à {half}, 0 dès {zero}",
        "weights_are": "Poids : {weights}.",
        "calm": "« {calm} » : le vélo de qui pousse sa bicyclette là où le stress du trafic dépasse le niveau 2 ; c’est un "
        "mode à part ici parce qu’une proposition change ce stress.",
        "data": "Données et empreintes",
        "input": "donnée",
        "date": "date",
        "sha": "SHA-256",
        "osm_date": "Carte du {date}.",
        "recompute": "Pour tout recalculer depuis le calcul et les fichiers des propositions, et voir que c’est identique "
        "au dernier octet : {command}",
        "made": "Proche {version}. Configuration du calcul {digest}.",
        "run_cells": "mailles du calcul",
        "file_of": "proposition {letter}",
        "author": "par {author}",
        "page": "page",
        "notes": "Comment les modifications ont été comprises",
        "ignored": "Propriétés du fichier sans effet ici : {names}.",
        "unknown_date": "date inconnue",
        "cost_partly": "toutes les modifications n’indiquent pas leur coût",
        "v_first": "{letter} ({name}) gagne le plus : {gain} points de score moyen, et {newly} {by} passent à moins de "
        "{min} minutes de ce qui leur manquait.",
        "v_sure": "Elle reste première dans {share} des tirages de ce qui n’est pas connu, et dans {weights} des "
        "pondérations.",
        "v_close": "L’avance sur {second} n’est pas sûre : elle ne reste première que dans {share} des tirages.",
        "v_euro": "Par euro, {letter} fait le plus : {value} {by} de plus à portée par million.",
        "v_people": "{letter} met plus de {by} à portée que toute autre ({newly}).",
        "v_losers": "{letter} enlève quelque chose à {losers} {by}.",
        "v_left": "{letter} enlève quelque chose à {losers} {by} ; {left} {by} n’atteignent plus en {min} minutes ce "
        "qu’ils atteignent aujourd’hui.",
        "v_no_losers": "Personne ne perd un dixième de point avec {letters}.",
        "v_nothing": "{letter} ({name}) ne change rien.",
        "v_harm": "{letter} ({name}) dégrade la ville : {gain} points de score moyen.",
        "v_dominated": "{letter} est dominée : {by} {is} au moins aussi bien en tout ce qui est jugé, et mieux en quelque "
        "chose.",
        "v_outside": "Le chiffre de {letter} sort de ce que donnent neuf tirages sur dix ({low} à {high}) : il tient "
        "beaucoup à ce qui n’est pas connu.",
        "v_one": "{letter} ({name}) déplace le score moyen de {gain} points ({low} à {high} dans neuf tirages sur dix), et "
        "{newly} {by} passent à moins de {min} minutes de ce qui leur manquait.",
        "v_cost": "Aucun coût n’est indiqué pour {letters} : rien ne peut en être dit par euro.",
        "and": " et ",
        "walk": "À pied",
        "bike": "À vélo",
        "street30": "En véhicule motorisé",
        "bike_calm": "À vélo, rues calmes",
        "NW": "nord-ouest", "N": "nord", "NE": "nord-est", "W": "ouest", "C": "centre", "E": "est",
        "SW": "sud-ouest", "S": "sud", "SE": "sud-est",
        "AddAmenity": "Nouveau lieu", "RemoveAmenity": "Lieu supprimé", "ResizeAmenity": "Lieu redimensionné",
        "OpenSchoolyard": "Cour d’école ouverte", "AddStreet": "Nouvelle rue", "RemoveStreet": "Rue fermée",
        "ChangeStreet": "Rue modifiée", "SpeedArea": "Limite de vitesse d’un secteur",
        "gained": "gagne", "same": "inchangé", "lost": "perd",
    },
}  # fmt: skip


class Speech:
    """
    Words and numbers in one language.

    Parameters
    ----------
    language
        ``en`` or ``fr``.
    """

    def __init__(self, language: Language) -> None:
        self.language = language
        self._words = WORDS[language]

    def __call__(self, key: str, **values: Any) -> str:
        """The words of a key, with values filled in."""
        return self._words[key].format(**values)

    def known(self, key: str) -> str:
        """The words of a key, the key itself where there are none."""
        return self._words.get(key, key)

    def number(self, value: float | None, digits: int = 0, *, signed: bool = False) -> str:
        """A number; a dash where it is unknown."""
        if value is None or value != value:  # noqa: PLR0124 - NaN
            return "–"
        rounded = round(value, digits) + 0.0
        sign = "−" if rounded < 0 else "+" if signed and rounded > 0 else ""
        text = f"{abs(rounded):,.{digits}f}"
        if self.language == "fr":
            text = text.replace(",", _THIN).replace(".", ",")
        return sign + text

    def percent(self, share: float) -> str:
        """A share as a percentage."""
        return f"{self.number(100 * share)} %"
