"""The map as a Streamlit component: one message of packed bytes a rerun, one trigger a click."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from ui.assets import Served

# The scripts are files of their own, fetched once by the browser; only these few lines travel with a rerun.
_LOADER = """
const loaded = new Map();
export default function mount(component) {
  const address = new URL("component/SCRIPTS/map.js", document.baseURI).href;
  if (!loaded.has(address)) loaded.set(address, import(address));
  let stop = null, gone = false;
  loaded.get(address).then((module) => { if (!gone) stop = module.ENTRY(component); });
  return () => { gone = true; stop?.(); };
}
"""


def _component(name: str, *, entry: str, served: Served) -> Any:
    script = _LOADER.replace("SCRIPTS", served.scripts).replace("ENTRY", entry)
    return st.components.v2.component(name, js=script, isolate_styles=True)


def _nothing() -> None:
    """Streamlit names a component's events after its callbacks; what they say is read from the result."""


def show_map(
    message: bytes,
    *,
    served: Served,
    key: str,
    on_chosen: Callable[[], None] = _nothing,
    on_cutoff: Callable[[], None] = _nothing,
) -> Any:
    """
    Put the map on the page.

    Parameters
    ----------
    message
        What `ui.map.message.map_message` made.
    served
        Names of the served folders.
    key
        Identity of the map on the page: the same key keeps the same map, its camera and its geometry.
    on_chosen, on_cutoff
        Called before the rerun that follows a click or a new cutoff.

    Returns
    -------
    streamlit.components.v2.types.ComponentResult
        ``chosen`` (cell, lon, lat) and ``cutoff`` (minutes), each None unless it has just happened.
    """
    mount = _component("proche_map", entry="default", served=served)
    return mount(data=message, key=key, on_chosen_change=on_chosen, on_cutoff_change=on_cutoff)


def show_legend(*, served: Served, key: str) -> None:
    """
    Put the legend of the map named `key` on the page.

    The map fills it in the browser: the cutoff moves there, and the counts move with it.
    """
    mount = _component("proche_legend", entry="mountLegend", served=served)
    mount(data={"name": key}, key=f"{key}-legend")


def show_curve(
    data: dict[str, Any], *, served: Served, key: str, on_count: Callable[[], None] = _nothing
) -> Any:
    """
    Put the curve of sites of the map named `key` on the page.

    Parameters
    ----------
    data
        ``language``, ``texts``, ``curve`` (value after 0, 1, 2 … sites), ``total``, ``count``, ``key``.
    served
        Names of the served folders.
    key
        The map whose sites follow the slider.
    on_count
        Called before the rerun that follows a new number of sites.
    """
    mount = _component("proche_curve", entry="mountCurve", served=served)
    return mount(data={**data, "name": key}, key=f"{key}-curve", on_count_change=on_count)
