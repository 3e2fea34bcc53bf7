"""A proposal while it is being drawn: a frozen list of GeoJSON features, each change a new draft."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from engine.errors import InputError
from engine.proposals.edit import Proposal
from engine.proposals.geojson import parse_proposal

LARGEST_UPLOAD_BYTES = 2_000_000
MOST_EDITS = 200
"""A draft on the map is for a meeting; larger proposals are for `proche compare`."""
DECIMALS = 6
_ABOUT = ("author", "description", "cost_eur", "phases")


@dataclass(frozen=True)
class Draft:
    """
    A proposal under way.

    Attributes
    ----------
    name
        What people call it: A, B, C, or the name of the file.
    features
        GeoJSON features of the proposal format, in order.
    about
        What an uploaded file says of the whole: author, description, cost, phases.
    before
        The draft that this one was made from, None for the first: what undo goes back to.
    """

    name: str
    features: tuple[dict[str, Any], ...] = ()
    about: dict[str, Any] = field(default_factory=dict)
    before: Draft | None = None

    def adding(self, feature: dict[str, Any]) -> Draft:
        """
        The draft with one more edit.

        Raises
        ------
        InputError
            The draft is full, or the feature is not an edit.
        """
        if len(self.features) >= MOST_EDITS:
            msg = f"a draft holds at most {MOST_EDITS} edits; compare larger proposals with `proche compare`"
            raise InputError(msg)
        made = replace(self, features=(*self.features, feature), before=self)
        _ = made.proposal
        return made

    def named(self, name: str) -> Draft:
        """The draft under another name."""
        return replace(self, name=name)

    def cleared(self) -> Draft:
        """The draft without edits."""
        return replace(self, features=(), about={}, before=self)

    def undone(self) -> Draft:
        """The draft before the last change; itself where there was none."""
        return self.before or self

    @property
    def geojson(self) -> dict[str, Any]:
        """The draft as a proposal file."""
        return {"type": "FeatureCollection", "name": self.name, **self.about, "features": list(self.features)}

    @property
    def proposal(self) -> Proposal:
        """The draft, checked as a file would be."""
        return parse_proposal(self.geojson, name=self.name, digest=self.digest)

    @property
    def digest(self) -> str:
        """What tells two drafts apart: the edits and what is said of them, not the name."""
        text = json.dumps([self.features, self.about], sort_keys=True, separators=(",", ":"))
        return sha256(text.encode()).hexdigest()


def point_edit(edit: str, lon: float, lat: float, **properties: Any) -> dict[str, Any]:
    """An edit at a point, as a GeoJSON feature."""
    return {
        "type": "Feature",
        "properties": {"edit": edit, **properties},
        "geometry": {"type": "Point", "coordinates": _place(lon, lat)},
    }


def link_edit(start: tuple[float, float], stop: tuple[float, float], **properties: Any) -> dict[str, Any]:
    """A new street or bridge between two points, as a GeoJSON feature."""
    return {
        "type": "Feature",
        "properties": {"edit": "add_street", "connect": "ends", **properties},
        "geometry": {"type": "LineString", "coordinates": [_place(*start), _place(*stop)]},
    }


def draft_from_file(content: bytes, *, name: str) -> Draft:
    """
    A draft from an uploaded proposal file.

    Raises
    ------
    InputError
        The file is too large, not JSON, no proposal, or holds more edits than a draft.
    """
    if len(content) > LARGEST_UPLOAD_BYTES:
        msg = f"the file holds {len(content) / 1e6:.1f} MB; at most {LARGEST_UPLOAD_BYTES / 1e6:.0f} MB can be uploaded"
        raise InputError(msg)
    try:
        value = json.loads(content.decode("utf-8-sig"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        msg = f"the file is not JSON ({type(error).__name__}); a proposal is a GeoJSON FeatureCollection"
        raise InputError(msg) from None
    proposal = parse_proposal(value, name=name)
    if len(proposal.edits) > MOST_EDITS:
        msg = f"the file holds {len(proposal.edits)} edits; a draft holds at most {MOST_EDITS}: use `proche compare`"
        raise InputError(msg)
    about = {key: value[key] for key in _ABOUT if value.get(key) is not None}
    return Draft(proposal.name[:80], tuple(value["features"]), about)


def _place(lon: float, lat: float) -> list[float]:
    return [round(float(lon), DECIMALS), round(float(lat), DECIMALS)]
