"""The client, and how it sends calls."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import httpx
import pyarrow as pa

from samewise import _calls
from samewise._calls import Call, Deadline, Instant, Knowledge, PushResult, TrainingCall, Wait, What
from samewise._errors import TimedOut, refusal
from samewise._online import OnlineResponse
from samewise._progress import Listener, Progress, listener_of
from samewise._registry import Feature, FeatureDetails, FeatureService
from samewise._retry import Retry, failure, pause_after_answer, pause_after_failure
from samewise._training import TrainingSet, training_set
from samewise._version import __version__

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

T = TypeVar("T")

DEFAULT_TIMEOUT = 30.0
POLL_SECONDS = 0.5
_KEPT_URLS = 1000
# Connecting is quick or hopeless; how long a training set takes nobody knows.
TRAINING_TIMEOUT = httpx.Timeout(None, connect=10.0)


def limits_of(connections: int) -> httpx.Limits:
    """Connections that are kept between calls."""
    return httpx.Limits(max_connections=connections, max_keepalive_connections=connections)


class Requests:
    """
    Makes the requests of calls. They go to the transport itself: what httpx's clients add (cookies, redirects, merging of URLs and
    headers for each request) costs as much as all the rest of a call.
    """

    def __init__(self, url: str, timeout: float, headers: Mapping[str, str] | None) -> None:
        self.url = url.rstrip("/")
        self.headers = {
            "user-agent": f"samewise-python/{__version__}",
            "accept-encoding": "gzip, deflate",
            "connection": "keep-alive",
            **(headers or {}),
        }
        self._timeout = timeout
        self._urls: dict[str, httpx.URL] = {}

    def attempt(self, call: Call[Any], started: float) -> httpx.Request:
        """The request of an attempt. Throws TimedOut where the deadline has passed."""
        headers = {**self.headers, **call.headers}
        timeout = self._timeout
        if call.deadline is not None:
            left = call.deadline - (time.monotonic() - started)
            if left <= 0:
                raise TimedOut("client/timed-out", f"{call.path} gave no answer in time")
            # The server answers by then, with what it has; the answer needs its time to come.
            headers["x-deadline-ms"] = str(max(1, int(left * 1000)))
            timeout = max(timeout, left)
        return httpx.Request(
            call.method,
            self._url(call),
            headers=headers,
            content=call.content,
            extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), timeout)},
        )

    def progress(self, name: str) -> httpx.Request:
        """The question how far a training set is."""
        return self.attempt(Call("GET", f"/api/v1/training/{name}", _calls.read_json), 0)

    def _url(self, call: Call[Any]) -> httpx.URL:
        if call.params:
            return httpx.URL(self.url + call.path, params=call.params)
        url = self._urls.get(call.path)
        if url is None:
            if len(self._urls) == _KEPT_URLS:
                self._urls.clear()
            url = self._urls[call.path] = httpx.URL(self.url + call.path)
        return url


class FeatureStore:
    """A feature store behind a URL. Connections are kept and shared by threads; `close` it, or use it in a `with`."""

    def __init__(
        self,
        url: str,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        retry: Retry | None = None,
        connections: int = 100,
        headers: Mapping[str, str] | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """
        `timeout`: seconds that an answer may take, apart from training sets. `headers` go with each request. A `transport` of httpx
        with settings of your own for TLS or proxies takes the place of `connections`.
        """
        self.url = url
        self._requests = Requests(url, timeout, headers)
        self._retry = retry or Retry()
        self._transport = transport or httpx.HTTPTransport(limits=limits_of(connections))
        self._http = httpx.Client(transport=self._transport, headers=self._requests.headers)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Gives back the connections."""
        self._http.close()

    def get_online_features(
        self,
        features: What | None = None,
        entity_rows: object = None,
        *,
        service: What | None = None,
        entity_df: object = None,
        at: Instant | None = None,
        through: bool = False,
        full_feature_names: bool = False,
        deadline: Deadline | None = None,
        request_id: str | None = None,
    ) -> OnlineResponse:
        """
        Features of entities, now or `at` any past time.

        `entity_rows` is a list of dicts or a dict of lists, `entity_df` a frame: the key columns and the request data of
        on-demand features. However many there are, all are read at one time. What has not come by `deadline` is None and
        TIMED_OUT, and the answer is `partial`.
        """
        what = _calls.chosen(features, service)
        parts = _calls.online_parts(entity_rows, entity_df)
        answers: list[Mapping[str, Any]] = []
        for entities in parts:
            # The first answer says at which time it was read.
            call = _calls.online(
                what,
                entities,
                at=at if not answers else answers[0]["at"],
                through=through,
                full_feature_names=full_feature_names,
                deadline=deadline,
                request_id=request_id,
            )
            answers.append(self._send(call))
        return OnlineResponse([row for part in parts for row in part], answers)

    def get_historical_features(
        self,
        entity_df: object,
        features: What | None = None,
        *,
        service: What | None = None,
        at: str = "event_timestamp",
        through: bool = False,
        knowledge: Knowledge = "final",
        full_feature_names: bool = False,
        progress: bool | Progress = True,
    ) -> TrainingJob:
        """
        A training set: one row for each label in `entity_df`, in the same order, with features as of the time in its column
        `at`. Labels are a frame of pandas, polars or pyarrow, or the path of a file.

        Nothing is sent until the job is asked for its rows. `knowledge="as-served"` counts only what had arrived by then.
        """
        call = _calls.training(
            entity_df,
            _calls.chosen(features, service),
            at=at,
            through=through,
            knowledge=knowledge,
            full_feature_names=full_feature_names,
        )
        return TrainingJob(self, call, progress)

    def push(self, source: str, data: object, *, wait: Wait | None = None) -> PushResult:
        """
        Pushes events: a frame, or rows as dicts in the columns of the source. The same events again change nothing, so a push that
        failed may be repeated. Those of one request are taken all or none; more than 100,000 rows or 8 MiB are several.
        `wait="applied"` comes back when reads see them; the default is the source's.
        """
        return _calls.pushed([self._send(call) for call in _calls.pushes(source, data, wait)])

    def list_features(
        self,
        *,
        entity: str | None = None,
        owner: str | None = None,
        tag: str | None = None,
        limit: int = 1000,
    ) -> list[Feature]:
        """Registered features."""
        return self._send(_calls.list_features("", entity, owner, tag, limit))

    def search(self, query: str, *, limit: int = 100) -> list[Feature]:
        """Features by words in name, view, description, tags or owner; the best matches first."""
        return self._send(_calls.list_features(query, None, None, None, limit))

    def get_feature(self, ref: str) -> FeatureDetails:
        """One feature, `view:feature`, with its definition and lineage."""
        return self._send(_calls.get_feature(ref))

    def list_feature_services(self) -> list[FeatureService]:
        """Every version of every service that is kept."""
        return self._send(_calls.list_services())

    def get_feature_service(self, name: str) -> FeatureService:
        """A service by `name` (its current version) or `name@version`."""
        return _calls.service_named(name, self.list_feature_services())

    def _send(self, call: Call[T]) -> T:
        started = time.monotonic()
        attempt = 0
        while True:
            try:
                response = self._transport.handle_request(self._requests.attempt(call, started))
                content = response.read()
            except httpx.TransportError as error:
                pause = pause_after_failure(self._retry, attempt, error)
                if pause is None:
                    raise failure(error, self.url) from error
            else:
                pause = pause_after_answer(self._retry, attempt, response)
                if response.is_success:
                    return call.read(_calls.read_json(content))
                if pause is None:
                    raise refusal(response.status_code, content, response.headers.get("x-request-id"))
            time.sleep(pause)
            attempt += 1

    def _train(self, call: TrainingCall, progress: bool | Progress) -> TrainingSet:
        listener = listener_of(progress)
        try:
            attempt = 0
            while True:
                try:
                    made = self._train_once(call, listener, attempt)
                except httpx.TransportError as error:
                    pause = pause_after_failure(self._retry, attempt, error)
                    if pause is None:
                        raise failure(error, self.url) from error
                else:
                    if isinstance(made, TrainingSet):
                        return made
                    pause = made
                time.sleep(pause)
                attempt += 1
        finally:
            listener.close()

    def _train_once(self, call: TrainingCall, listener: Listener, attempt: int) -> TrainingSet | float:
        """The training set, or seconds until another attempt."""
        name, params = call.attempt()
        answered = threading.Event()
        watch = threading.Thread(target=self._watch, args=(name, listener, answered), daemon=True)
        watch.start()
        try:
            with self._http.stream(
                "POST",
                f"{self._requests.url}/api/v1/training",
                params=params,
                content=call.labels.chunks(),
                headers={"content-type": call.labels.content_type},
                timeout=TRAINING_TIMEOUT,
            ) as response:
                answered.set()
                watch.join()
                if not response.is_success:
                    pause = pause_after_answer(self._retry, attempt, response)
                    if pause is not None:
                        return pause
                    request_id = response.headers.get("x-request-id")
                    raise refusal(response.status_code, response.read(), request_id)
                body = bytearray()
                total = int(response.headers["content-length"])
                for chunk in response.iter_raw():
                    body += chunk
                    listener("download", len(body), total)
                return training_set(call.labels, response.headers, body)
        finally:
            answered.set()

    def _watch(self, name: str, listener: Listener, answered: threading.Event) -> None:
        while not answered.wait(POLL_SECONDS):
            try:
                response = self._transport.handle_request(self._requests.progress(name))
                told = response.read()
            except httpx.TransportError:
                continue
            # Another process of the server may have been asked, which knows nothing of it.
            if response.is_success:
                listener(**_calls.read_json(told))


class TrainingJob:
    """A training set that is made when it is first asked for its rows."""

    def __init__(self, store: FeatureStore, call: TrainingCall, progress: bool | Progress) -> None:
        self._store = store
        self._call = call
        self._progress = progress
        self._made: TrainingSet | None = None

    def run(self) -> TrainingSet:
        """The training set, with its manifest and warnings; made once."""
        if self._made is None:
            self._made = self._store._train(self._call, self._progress)
        return self._made

    def to_df(self) -> pd.DataFrame:
        """For pandas; see `TrainingSet.to_df`."""
        return self.run().to_df()

    def to_arrow(self) -> pa.Table:
        """As Arrow; see `TrainingSet.to_arrow`."""
        return self.run().to_arrow()

    def to_polars(self) -> pl.DataFrame:
        """For polars."""
        return self.run().to_polars()

    def to_parquet(self, path: str | Path) -> None:
        """Writes it as Parquet."""
        self.run().to_parquet(path)
