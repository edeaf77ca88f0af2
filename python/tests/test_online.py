"""Online reads: what REST says, in Python's types, and what training says."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from samewise import AsyncFeatureStore, FeatureStore, InvalidRequest, NotFound, OnlineResponse

AT = "2024-01-02T12:00:00Z"
ROWS = [{"customer_id": i, "price": 10.0} for i in (0, 7, 39, 404)]


def rest(url: str, **more: Any) -> Any:
    body = {"entities": ROWS, "at": AT, "full": True, **more}
    return httpx.post(f"{url}/api/v1/services/all_v1/vectors", json=body).raise_for_status().json()


def test_values_are_those_of_rest(store: FeatureStore, url: str) -> None:
    got = store.get_online_features(service="all_v1", entity_rows=ROWS, at=AT)
    said = rest(url)
    assert len(got) == 4
    plain = ("n", "total", "mean", "amount", "ok", "small", "big", "ratio", "label", "bigs", "price_to_mean")
    for name in plain:
        assert got.values[name] == [row[name] for row in said["vectors"]], name
    for name in got.types:
        assert got.statuses[name] == [row[name] for row in said["statuses"]], name
    assert got.statuses["mean"] == ["PRESENT", "PRESENT", "PRESENT", "NOT_FOUND"]
    assert got.values["big"][1] is None or got.values["big"][1] > 2**53
    assert got.at == datetime(2024, 1, 2, 12, tzinfo=UTC)
    assert got.partial is False


def test_types(store: FeatureStore) -> None:
    got = store.get_online_features("all_v1", ROWS, at=AT)
    row = {name: values[0] for name, values in got.values.items()}
    assert type(row["n"]) is int
    assert type(row["ratio"]) is float
    assert isinstance(row["blob"], bytes) and row["blob"].decode().startswith("ü")
    assert isinstance(row["day"], date)
    assert row["seen"].tzinfo is UTC
    assert len(row["embedding"]) == 3
    assert got.event_times["n"][3] is None
    table = got.to_arrow()
    assert {name: str(table.schema.field(name).type) for name in got.types} == {
        "n": "int64",
        "total": "double",
        "mean": "double",
        "last_3": "list<item: double>",
        "bigs": "list<item: int64>",
        "amount": "double",
        "ok": "bool",
        "small": "int32",
        "big": "int64",
        "ratio": "float",
        "label": "string",
        "blob": "binary",
        "day": "date32[day]",
        "seen": "timestamp[us, tz=UTC]",
        "embedding": "fixed_size_list<item: float>[3]",
        "price_to_mean": "double",
    }


def test_online_is_training(store: FeatureStore, labels: pa.Table, trained: pa.Table) -> None:
    """Bit for bit, at the labels' own times."""
    for i in range(0, len(labels), 40):
        label = labels.slice(i, 1).to_pylist()[0]
        at = label["event_timestamp"]
        asked = {"customer_id": label["customer_id"], "price": label["price"]}
        got = store.get_online_features("all_v1", [asked], at=at).to_arrow()
        row = trained.slice(i, 1)
        for name in got.column_names[2:]:
            field = got.schema.field(name)
            want = row[name].to_pylist()[0]
            if isinstance(want, datetime):
                want = want.replace(tzinfo=UTC)
            assert got[name].to_pylist()[0] == want, (i, field)


def test_shapes(store: FeatureStore) -> None:
    by_rows = store.get_online_features("all_v1", ROWS, at=AT)
    columns = {"customer_id": [0, 7, 39, 404], "price": [10.0] * 4}
    frames: list[Any] = [pd.DataFrame(columns), pl.DataFrame(columns), pa.table(columns), columns]
    for frame in frames:
        assert store.get_online_features("all_v1", entity_df=frame, at=AT).to_dict() == by_rows.to_dict()
    assert list(by_rows.to_dict())[:3] == ["customer_id", "price", "n"]
    with_times = by_rows.to_dict(include_event_timestamps=True)
    assert with_times["n__ts"] == by_rows.event_times["n"]
    frame = by_rows.to_df()
    assert frame["small"].dtype == pd.Int32Dtype()
    assert str(frame["seen"].dtype) == "datetime64[us, UTC]"
    assert by_rows.to_polars()["label"].to_list() == by_rows.values["label"]
    assert by_rows.to_df(include_event_timestamps=True)["n__ts"].isna().tolist() == [False] * 3 + [True]


def test_lists_of_features(store: FeatureStore) -> None:
    names = ["newest:big", "spending:n", "context:price_to_mean"]
    got = store.get_online_features(names, ROWS, at=AT)
    whole = store.get_online_features("all_v1", ROWS, at=AT)
    assert list(got.types) == ["big", "n", "price_to_mean"]
    for name in got.types:
        assert got.values[name] == whole.values[name]
    full = store.get_online_features(names, ROWS, at=AT, full_feature_names=True)
    assert list(full.types) == ["newest__big", "spending__n", "context__price_to_mean"]
    assert store.get_online_features(store.get_feature_service("all_v1"), ROWS).types == whole.types


def test_more_entities_than_one_request_takes(store: FeatureStore) -> None:
    rows = [{"customer_id": i % 40} for i in range(5_002)]
    got = store.get_online_features(["spending:n", "newest:amount"], rows)
    assert len(got.values["n"]) == 5_002
    assert got.values["amount"][5_000:] == got.values["amount"][:2]


def test_missing_values_and_infinities_are_sent(store: FeatureStore) -> None:
    frame = pd.DataFrame({"customer_id": [0, 0, 0], "price": [float("nan"), float("inf"), 1.0]})
    got = store.get_online_features(["context:price_to_mean"], entity_df=frame, at=AT)
    first, second, third = got.values["price_to_mean"]
    assert (first, second) == (None, float("inf"))
    assert isinstance(third, float)
    big = store.get_online_features(["newest:big"], [{"customer_id": 2**63 - 1}])
    assert big.statuses["big"] == ["NOT_FOUND"]


def test_deadlines_and_ids(store: FeatureStore) -> None:
    got = store.get_online_features(
        ["spending:n"], [{"customer_id": 0}], at=AT, deadline=timedelta(seconds=20), request_id="mine"
    )
    assert got.partial is False
    naive = store.get_online_features(["spending:n"], [{"customer_id": 0}], at=datetime(2024, 1, 2, 12))
    assert naive.to_dict() == got.to_dict()


def test_errors_have_codes(store: FeatureStore) -> None:
    with pytest.raises(NotFound) as unknown:
        store.get_online_features("all_v7", ROWS)
    assert unknown.value.code == "serving/unknown-service"
    with pytest.raises(InvalidRequest) as misspelt:
        store.get_online_features("all_v1", [{"customer_id": 1, "prise": 2}])
    assert misspelt.value.code in ("serving/unknown-field", "serving/missing-field")
    with pytest.raises(InvalidRequest) as wrong:
        store.get_online_features("all_v1", [{"customer_id": "seven", "price": 2}])
    assert wrong.value.field == "entities[0].customer_id"
    with pytest.raises(NotFound):
        store.get_online_features(["spending:nn"], ROWS)
    with pytest.raises(InvalidRequest, match="entities"):
        store.get_online_features("all_v1", [])
    with pytest.raises(InvalidRequest, match="not both"):
        store.get_online_features("all_v1", ROWS, service="all_v1")
    with pytest.raises(TypeError):
        store.get_online_features("all_v1", [{"customer_id": object()}])


def test_async(url: str, store: FeatureStore) -> None:
    async def read() -> list[OnlineResponse]:
        async with AsyncFeatureStore(url) as asynchronous:
            reads = (asynchronous.get_online_features("all_v1", ROWS, at=AT) for _ in range(20))
            return list(await asyncio.gather(*reads))

    expected = store.get_online_features("all_v1", ROWS, at=AT).to_dict()
    for got in asyncio.run(read()):
        assert got.to_dict() == expected
