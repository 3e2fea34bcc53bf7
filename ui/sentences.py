"""What the engine says of edits, in the language of the page: sentences are known by their form."""

from __future__ import annotations

import re
from collections.abc import Callable

from ui.language import Translator, inside

_WHERE = r'feature (?P<where>\d+(?: \(".*?"\))?)'
_FORMS = tuple(
    (key, re.compile(form, re.DOTALL))
    for key, form in {
        "place_added": r"a place of (?P<category>\w+) added",
        "place_removed": r"(?P<name>.+) removed",
        "street_added": r"a street added",
        "streets_closed": r"streets closed: (?P<counts>.+)",
        "streets_changed": r"streets changed: (?P<counts>.+)",
        "far_for_modes": _WHERE + r": farther than (?P<metres>\d+) m from any street of (?P<modes>.+)",
        "joins_no_street": _WHERE + r": joins no street of (?P<modes>.+); left out there",
        "far": _WHERE + r": it lies farther than (?P<metres>\d+) m from every street; move it to a street",
        "no_ends": _WHERE + r": its ends join no two points of the networks of (?P<modes>.+?);"
        r" draw both ends to within (?P<metres>\d+) m of a street",
        "no_street": _WHERE + r": no street of the run is meant; .*",
        "no_place_near": _WHERE + r": no place of (?P<category>\w+) within (?P<metres>\d+) m; the nearest is"
        r" (?P<away>\d+) m away; .*",
        "no_place": _WHERE + r": no place of (?P<category>\w+) within (?P<metres>\d+) m; .*",
        "draft_full": r"a draft holds at most (?P<count>\d+) edits; .*",
        "file_too_large": r"the file holds (?P<size>[\d.]+) MB; at most (?P<most>\d+) MB .*",
        "file_too_many": r"the file holds (?P<count>\d+) edits; a draft holds at most (?P<most>\d+): .*",
        "file_not_json": r"the file is not JSON .*",
        "file_no_proposal": r"found .*; a proposal is a GeoJSON object of type 'FeatureCollection'",
    }.items()
)


def in_words(sentence: str, t: Translator, *, name: Callable[[str], str]) -> str:
    """
    A sentence of the engine in the language of the page.

    Parameters
    ----------
    sentence
        As the engine says it. One of a form that is not known here comes back as it is.
    t
        Texts ``sentence.{form}``.
    name
        What a category is called.
    """
    for key, form in _FORMS:
        found = form.fullmatch(sentence)
        if found is not None:
            return t(f"sentence.{key}", **_parts(found.groupdict(), t, name))
    return sentence


def _parts(groups: dict[str, str], t: Translator, name: Callable[[str], str]) -> dict[str, str]:
    def mode(key: str) -> str:
        return inside(t.known("mode", key))

    parts = dict(groups)
    if "category" in parts:
        parts["category"] = inside(name(parts["category"]))
    if "modes" in parts:
        parts["modes"] = ", ".join(mode(m) for m in parts["modes"].split(", "))
    if "counts" in parts:
        counts = (c.split(" ", 1) for c in parts["counts"].split(", "))
        parts["counts"] = ", ".join(
            f"{mode(m)} {t('sentence.share', part=n.split(' of ')[0], whole=n.split(' of ')[1]) if ' of ' in n else n}"
            for m, n in counts
        )
    if "size" in parts:
        parts["size"] = t.number(float(parts["size"]), 1)
    return parts
