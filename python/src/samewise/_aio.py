"""The same client for asyncio: calls, retries and answers are those of `FeatureStore`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import httpx
import pyarrow as pa

from samewise import _calls
from samewise._calls import Call, Deadline, Instant, Knowledge, PushResult, TrainingCall, Wait, What
from samewise._errors import refusal
from samewise._online import OnlineResponse
from samewise._progress import Listener, Progress, listener_of
from samewise._registry import Feature, FeatureDetails, FeatureService
from samewise._retry import Retry, failure, pause_after_answer, pause_after_failure
from samewise._store import (
    DEFAULT_TIMEOUT,
    POLL_SECONDS,
    TRAINING_TIMEOUT,
    Requests,
    limits_of,
)
from samewise._training import TrainingSet, training_set

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

T = TypeVar("T")


class AsyncFeatureStore:
    """A feature store behind a URL, to be awaited; see `FeatureStore`. `aclose` it, or use it in an `async with`."""

    def __init__(
        self,
        url: str,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        retry: Retry | None = None,
        connections: int = 100,
        headers: Mapping[str, str] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """See `FeatureStore`."""
        self.url = url
        self._requests = Requests(url, timeout, headers)
        self._retry = retry or Retry()
        self._transport = transport or httpx.AsyncHTTPTransport(limits=limits_of(connections))
        self._http = httpx.AsyncClient(transport=self._transport, headers=self._requests.headers)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Gives back the connections."""
        await self._http.aclose()

    async def get_online_features(
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
        """See `FeatureStore.get_online_features`."""
        what = _calls.chosen(features, service)
        parts = _calls.online_parts(entity_rows, entity_df)
        answers: list[Mapping[str, Any]] = []
        for entities in parts:
            call = _calls.online(
                what,
                entities,
                at=at if not answers else answers[0]["at"],
                through=through,
                full_feature_names=full_feature_names,
                deadline=deadline,
                request_id=request_id,
            )
            answers.append(await self._send(call))
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
    ) -> AsyncTrainingJob:
        """See `FeatureStore.get_historical_features`; the job's rows are awaited."""
        call = _calls.training(
            entity_df,
            _calls.chosen(features, service),
            at=at,
            through=through,
            knowledge=knowledge,
            full_feature_names=full_feature_names,
        )
        return AsyncTrainingJob(self, call, progress)

    async def push(self, source: str, data: object, *, wait: Wait | None = None) -> PushResult:
        """See `FeatureStore.push`."""
        return _calls.pushed([await self._send(call) for call in _calls.pushes(source, data, wait)])

    async def list_features(
        self,
        *,
        entity: str | None = None,
        owner: str | None = None,
        tag: str | None = None,
        limit: int = 1000,
    ) -> list[Feature]:
        """Registered features."""
        return await self._send(_calls.list_features("", entity, owner, tag, limit))

    async def search(self, query: str, *, limit: int = 100) -> list[Feature]:
        """Features by words in name, view, description, tags or owner; the best matches first."""
        return await self._send(_calls.list_features(query, None, None, None, limit))

    async def get_feature(self, ref: str) -> FeatureDetails:
        """One feature, `view:feature`, with its definition and lineage."""
        return await self._send(_calls.get_feature(ref))

    async def list_feature_services(self) -> list[FeatureService]:
        """Every version of every service that is kept."""
        return await self._send(_calls.list_services())

    async def get_feature_service(self, name: str) -> FeatureService:
        """A service by `name` (its current version) or `name@version`."""
        return _calls.service_named(name, await self.list_feature_services())

    async def _send(self, call: Call[T]) -> T:
        started = time.monotonic()
        attempt = 0
        while True:
            try:
                response = await self._transport.handle_async_request(self._requests.attempt(call, started))
                content = await response.aread()
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
            await asyncio.sleep(pause)
            attempt += 1

    async def _train(self, call: TrainingCall, progress: bool | Progress) -> TrainingSet:
        listener = listener_of(progress)
        try:
            attempt = 0
            while True:
                try:
                    made = await self._train_once(call, listener, attempt)
                except httpx.TransportError as error:
                    pause = pause_after_failure(self._retry, attempt, error)
                    if pause is None:
                        raise failure(error, self.url) from error
                else:
                    if isinstance(made, TrainingSet):
                        return made
                    pause = made
                await asyncio.sleep(pause)
                attempt += 1
        finally:
            listener.close()

    async def _train_once(self, call: TrainingCall, listener: Listener, attempt: int) -> TrainingSet | float:
        """The training set, or seconds until another attempt."""
        name, params = call.attempt()
        watch = asyncio.create_task(self._watch(name, listener))
        try:
            async with self._http.stream(
                "POST",
                f"{self._requests.url}/api/v1/training",
                params=params,
                content=_awaited(call.labels.chunks()),
                headers={"content-type": call.labels.content_type},
                timeout=TRAINING_TIMEOUT,
            ) as response:
                watch.cancel()
                if not response.is_success:
                    pause = pause_after_answer(self._retry, attempt, response)
                    if pause is not None:
                        return pause
                    request_id = response.headers.get("x-request-id")
                    raise refusal(response.status_code, await response.aread(), request_id)
                body = bytearray()
                total = int(response.headers["content-length"])
                async for chunk in response.aiter_raw():
                    body += chunk
                    listener("download", len(body), total)
                return training_set(call.labels, response.headers, body)
        finally:
            watch.cancel()

    async def _watch(self, name: str, listener: Listener) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                response = await self._transport.handle_async_request(self._requests.progress(name))
                told = await response.aread()
            except httpx.TransportError:
                continue
            if response.is_success:
                listener(**_calls.read_json(told))


async def _awaited(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


class AsyncTrainingJob:
    """A training set that is made when it is first asked for its rows."""

    def __init__(self, store: AsyncFeatureStore, call: TrainingCall, progress: bool | Progress) -> None:
        self._store = store
        self._call = call
        self._progress = progress
        self._made: TrainingSet | None = None

    async def run(self) -> TrainingSet:
        """The training set, with its manifest and warnings; made once."""
        if self._made is None:
            self._made = await self._store._train(self._call, self._progress)
        return self._made

    async def to_df(self) -> pd.DataFrame:
        """For pandas; see `TrainingSet.to_df`."""
        return (await self.run()).to_df()

    async def to_arrow(self) -> pa.Table:
        """As Arrow; see `TrainingSet.to_arrow`."""
        return (await self.run()).to_arrow()

    async def to_polars(self) -> pl.DataFrame:
        """For polars."""
        return (await self.run()).to_polars()

    async def to_parquet(self, path: str | Path) -> None:
        """Writes it as Parquet."""
        (await self.run()).to_parquet(path)
