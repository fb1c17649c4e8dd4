"""Probes are answered whatever other clients do, and none of it reaches the log."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack

import pytest

from venuewise.kafka import http
from venuewise.kafka.metrics import READY_SECONDS, Metrics


@pytest.fixture(scope="module")
def port() -> int:
    metrics = Metrics()
    metrics.heard = time.monotonic()
    return metrics.serve(0)


def ask(port: int, request: bytes, seconds: float = 10) -> bytes:
    """Send bytes; return what comes back until the other side closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as client:
        client.sendall(request)
        answer = b""
        try:
            while part := client.recv(65536):
                answer += part
        except ConnectionResetError:
            pass
        return answer


def healthy(port: int) -> bool:
    return ask(port, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 2).startswith(b"HTTP/1.1 200 OK\r\n")


def test_half_sent_requests_hold_nobody_up(port: int) -> None:
    with ExitStack() as stack:
        for _ in range(3 * http.CONNECTIONS):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
            client.sendall(b"GET /healthz HT")
        for _ in range(5):
            began = time.monotonic()
            assert healthy(port)
            assert time.monotonic() - began < 1


def test_a_request_that_does_not_end_is_cut_off(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "REQUEST_SECONDS", 0.3)
    began = time.monotonic()
    assert ask(port, b"GET /metrics HTTP/1.1\r\n") == b""
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /healthz HTTP/1.1\r\n\r\n", b"200 OK"),
        (b"HEAD /metrics HTTP/1.0\r\n\r\n", b"200 OK"),
        (b"GET /healthz?x=1 HTTP/1.1\r\n\r\n", b"200 OK"),
        (b"GET /nothing HTTP/1.1\r\n\r\n", b"404 Not Found"),
        (b"GET /\xff\x9b HTTP/1.1\r\n\r\n", b"404 Not Found"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", b"405 Method Not Allowed"),
        (b"\x16\x03\x01\x02\r\n\r\n", b"400 Bad Request"),
        (b"GET /healthz\r\n\r\n", b"400 Bad Request"),
        (b"A" * 20_000, b"400 Bad Request"),
    ],
)
def test_whatever_is_asked_gets_an_answer_and_no_line_in_the_log(
    port: int, request_: bytes, status: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = ask(port, request_)
    # A client that still sends may see its connection reset before it reads why.
    assert answer.startswith(b"HTTP/1.1 " + status) or (len(request_) > http.REQUEST_BYTES and not answer)
    assert healthy(port)
    assert capfd.readouterr() == ("", "")


def test_ready_means_that_a_broker_was_heard_of_lately() -> None:
    metrics = Metrics()
    port = metrics.serve(0)
    ask_ready = b"GET /readyz HTTP/1.1\r\n\r\n"
    metrics.ready = True
    assert b"503" in ask(port, ask_ready)
    metrics.heard = time.monotonic()
    assert b"200 OK" in ask(port, ask_ready)
    metrics.heard -= READY_SECONDS
    assert b"503" in ask(port, ask_ready)
