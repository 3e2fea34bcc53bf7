"""What the tests of the pages do with a page."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from ui.layers.packing import unpack

ROOT = Path(__file__).resolve().parents[2]


def opened(app: AppTest, page: str, **query: str) -> AppTest:
    app.query_params.update(query)
    app.run()
    assert not app.exception, app.exception
    if page != "explore":
        app.switch_page(str(ROOT / "ui" / "pages" / f"{page}.py")).run()
    assert not app.exception, app.exception
    return app


def words(app: AppTest) -> str:
    texts = [e.value for kind in ("markdown", "caption", "info", "success", "warning") for e in app.get(kind)]
    tables = [t.value.to_csv() for t in app.table]
    metrics = [f"{m.label} {m.value}" for m in app.metric]
    return "\n".join([*map(str, texts), *tables, *metrics])


def message(app: AppTest) -> tuple[dict, dict]:
    """What the map was told."""
    for element in app.get("bidi_component"):
        if element.proto.bytes:
            return unpack(element.proto.bytes)
    pytest.fail("the page has no map")
