"""The socket that the dashboard listens on."""

import socket

import pytest

from projector.errors import Misconfigured
from projector.web.serve import _listen


def test_answers_do_not_wait_for_acknowledgements() -> None:
    with (
        _listen("127.0.0.1", 0) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_address_in_use_is_named() -> None:
    with _listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(Misconfigured, match=f"PROJECTOR_DASHBOARD_ADDRESS: 127.0.0.1:{port} cannot be used"):
            _listen("127.0.0.1", port)
