"""The pages of Proche's map: ``streamlit run app.py`` or ``proche app``."""

from ui.shell import start

start(["explore", "gaps", "sites", "proposals", "programme", "about"])
