"""The dossier on the page Proposals: asked for, waited for, taken away."""

from __future__ import annotations

import streamlit as st

from ui.dossiers import Language, dossiers, key_of, steps_of
from ui.drafting import Draft
from ui.sentences import in_words
from ui.session import Context
from ui.views.mapping import name_of
from ui.views.text import plain
from ui.work import foreseen

_POLL_S = 0.5


def dossier_files(context: Context, drafts: dict[str, Draft]) -> None:
    """The dossier of all drafts that hold edits: asked for, waited for, taken away."""
    t, run = context.t, context.run
    if not any(d.features for d in drafts.values()):
        return
    language: Language = "fr" if t.language == "fr" else "en"
    key = key_of(run, drafts, language)

    def ask() -> None:
        st.session_state.dossier = key

    def stop() -> None:
        st.session_state.dossier = None
        dossiers().stop(key)

    st.markdown(f"### {t('dossier.heading')}")
    st.caption(t("dossier.note"))
    if st.session_state.get("dossier") != key:
        st.button(t("dossier.make"), key="dossier_make", type="primary", on_click=ask)
        return
    job = dossiers().submit(run, drafts, language)
    if job.waiting:
        dossier_progress(context, drafts, language)
        st.button(t("dossier.stop"), key="dossier_stop", on_click=stop)
        return
    error = job.future.exception()
    if error is not None:
        if foreseen(error):
            sentence = in_words(str(error), t, name=lambda category: name_of(context, category))
            st.error(f"{t('proposals.fault')} {plain(sentence)}")
        else:
            st.error(t("proposals.broke"))
            st.button(t("proposals.again"), key="dossier_again", on_click=lambda: dossiers().stop(key))
        return
    made = job.future.result()
    stem = f"proche-{run.name}-{''.join(x for x, d in drafts.items() if d.features)}"
    with st.container(horizontal=True):
        st.download_button(t("dossier.html"), made.html, f"{stem}-dossier.html", "text/html",
                           key="dossier_html", on_click="ignore", type="primary")  # fmt: skip
        st.download_button(t("dossier.csv"), made.csv, f"{stem}-comparison.csv", "text/csv",
                           key="dossier_csv", on_click="ignore")  # fmt: skip


def dossier_progress(context: Context, drafts: dict[str, Draft], language: Language) -> None:
    """How far the dossier is, looked up again until it is done."""
    most = steps_of(context.run, drafts)

    @st.fragment(run_every=_POLL_S)
    def poll() -> None:
        job = dossiers().submit(context.run, drafts, language)
        if not job.waiting:
            st.rerun(scope="app")
        st.progress(min(1.0, (0.5 + job.progress.steps) / (most + 1)), text=context.t("dossier.working"))

    poll()
