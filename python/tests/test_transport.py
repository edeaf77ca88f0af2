"""What happens when the network or the server does not do as it should: against a server that is told what to do."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from samewise import (
    AsyncFeatureStore,
    FeatureStore,
    Overloaded,
    SamewiseError,
    ServerFailure,
    TimedOut,
    Unreachable,
)
from samewise._retry import Retry

ANSWER = {
    "at": "2024-01-01T00:00:00Z",
    "columns": {"n": [1]},
    "statuses": {"n": ["PRESENT"]},
    "event_times": {"n": [None]},
    "types": {"n": "int64"},
}
QUICK = Retry(attempts=4, first=0.001)
Reply = Callable[[BaseHTTPRequestHandler], None]


def answers(status: int, body: object = None, headers: dict[str, str] | None = None) -> Reply:
    content = body if isinstance(body, bytes) else json.dumps(body or {}).encode()

    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"content-length": str(len(content)), **(headers or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)

    return reply


def hangs_up(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True


class Scripted:
    """A server that gives these replies one after the other, and keeps what it was asked."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                scripted.asked.append((self.path, headers, body))
                scripted.replies.pop(0)(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    server = Scripted()
    yield server
    server.server.shutdown()
    server.server.server_close()


def read(url: str, asynchronous: bool, **more: Any) -> Any:
    if not asynchronous:
        with FeatureStore(url, retry=QUICK, timeout=more.pop("timeout", 20)) as store:
            return store.get_online_features("s", [{"k": 1}], **more).to_dict()

    async def work() -> Any:
        async with AsyncFeatureStore(url, retry=QUICK, timeout=more.pop("timeout", 20)) as store:
            return (await store.get_online_features("s", [{"k": 1}], **more)).to_dict()

    return asyncio.run(work())


both = pytest.mark.parametrize("asynchronous", [False, True])


@both
def test_what_may_pass_is_tried_again(scripted: Scripted, asynchronous: bool) -> None:
    scripted.replies = [answers(503), hangs_up, answers(429, headers={"retry-after": "0"}), answers(200, ANSWER)]
    assert read(scripted.url, asynchronous) == {"k": [1], "n": [1]}
    assert len(scripted.asked) == 4
    assert len({body for _, _, body in scripted.asked}) == 1


@both
def test_what_does_not_pass_is_told(scripted: Scripted, asynchronous: bool) -> None:
    refusal = {"error": {"code": "serving/overloaded", "message": "too much", "hint": "wait"}}
    scripted.replies = [answers(429, refusal)] * 4
    with pytest.raises(Overloaded) as refused:
        read(scripted.url, asynchronous)
    assert (refused.value.code, refused.value.hint) == ("serving/overloaded", "wait")
    # A server that says to come back much later is believed.
    scripted.replies = [answers(429, refusal, {"retry-after": "3600"})]
    with pytest.raises(Overloaded):
        read(scripted.url, asynchronous)
    scripted.replies = [answers(502, b"<html>bad gateway")]
    with pytest.raises(ServerFailure) as foreign:
        read(scripted.url, asynchronous)
    assert foreign.value.code == "http/502"
    assert scripted.replies == []


@both
def test_nobody_there(asynchronous: bool) -> None:
    with pytest.raises(Unreachable) as refused:
        read("http://127.0.0.1:9", asynchronous)
    assert refused.value.code == "client/unreachable"


@both
def test_silence_ends_by_a_timeout(scripted: Scripted, asynchronous: bool) -> None:
    release = threading.Event()
    scripted.replies = [lambda _: release.wait() and None] * 2
    try:
        with pytest.raises(TimedOut):
            read(scripted.url, asynchronous, timeout=0.2)
    finally:
        release.set()
    # What was too slow once is not asked again.
    assert len(scripted.asked) <= 1


@both
def test_a_deadline_goes_along_and_shrinks(scripted: Scripted, asynchronous: bool) -> None:
    scripted.replies = [answers(503), answers(200, ANSWER)]
    read(scripted.url, asynchronous, deadline=30, request_id="mine")
    first, second = (int(headers["x-deadline-ms"]) for _, headers, _ in scripted.asked)
    assert 30_000 >= first >= second > 0
    assert {headers["x-request-id"] for _, headers, _ in scripted.asked} == {"mine"}
    with pytest.raises(TimedOut):
        read(scripted.url, asynchronous, deadline=0)


def test_pauses_grow_and_differ() -> None:
    retry = Retry(attempts=10, first=1, longest=8)
    for attempt in range(9):
        drawn = [retry.pause(attempt) or 0 for _ in range(200)]
        assert min(drawn) >= 0 and max(drawn) <= min(8, 2**attempt)
        assert len(set(drawn)) > 100
    assert retry.pause(9) is None
    assert (retry.pause(0, "3") or 0) >= 3


def test_errors_say_what_to_do() -> None:
    error = SamewiseError("area/what", "no column amuont", field="row", hint="did you mean amount?")
    assert str(error) == "no column amuont (row); did you mean amount? [area/what]"
