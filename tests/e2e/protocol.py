"""A session without a browser: what a page says to the server and hears from it, over the same WebSocket."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect

from tests.e2e.conftest import PATIENCE_S


@contextmanager
def light_session(url: str, query: str) -> Iterator[LightSession]:
    """Open a session on a server's start page with an address's query."""
    with connect(
        url.replace("http", "ws", 1) + "/_stcore/stream",
        subprotocols=["streamlit"],  # type: ignore[list-item]
        origin=url,  # type: ignore[arg-type]
        max_size=None,
    ) as socket:
        yield LightSession(socket, query)


class LightSession:
    """
    One person's session as the server sees it.

    Attributes
    ----------
    choices
        What each group of buttons offers, by its label.
    query
        The address that the server last asked for.
    """

    def __init__(self, socket: ClientConnection, query: str) -> None:
        self.choices: dict[str, Any] = {}
        self.query = query
        self._page = ""
        self._socket = socket
        self._rerun(BackMsg())

    def choose(self, label: str, option: str) -> float:
        """Press a button of the group called `label`; seconds until the server has said its last word."""
        message = BackMsg()
        state = message.rerun_script.widget_states.widgets.add()
        state.id = self.choices[label].id
        state.string_array_value.data[:] = [option]
        start = time.perf_counter()
        self._rerun(message)
        return time.perf_counter() - start

    def _rerun(self, message: BackMsg) -> None:
        message.rerun_script.query_string = self.query
        message.rerun_script.page_script_hash = self._page
        self._socket.send(message.SerializeToString())
        while True:
            heard = ForwardMsg.FromString(bytes(self._socket.recv(timeout=PATIENCE_S)))  # type: ignore[arg-type]
            if heard.HasField("script_finished"):
                return
            self._listen(heard)

    def _listen(self, heard: ForwardMsg) -> None:
        if heard.HasField("new_session"):
            self._page = heard.new_session.page_script_hash
        if heard.HasField("page_info_changed"):
            self.query = heard.page_info_changed.query_string
        element = heard.delta.new_element
        assert not element.HasField("exception"), element.exception
        if element.HasField("button_group"):
            self.choices[element.button_group.label] = element.button_group
