"""Starting the map: which file Streamlit is given."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_no_folder_of_pages_lies_beside_the_script_where_it_is_installed() -> None:
    """Streamlit would show its own list of the files there to whoever opens a link to a page."""
    built = (ROOT / ".ci" / "wheel_data.py").read_text(encoding="utf-8")
    [place] = re.findall(r'"app\.py": "([^"]+)"', built)
    folder = Path(place).parent
    assert folder != Path()
    assert not (ROOT / folder / "pages").exists()
    launch = (ROOT / "ui" / "launch.py").read_text(encoding="utf-8")
    assert 'here / "script" / "app.py"' in launch
    assert Path(place) == Path("ui", "script", "app.py")
