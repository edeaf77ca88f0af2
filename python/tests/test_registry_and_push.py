"""What is registered, and events."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from samewise import AsyncFeatureStore, FeatureStore, InvalidRequest, NotFound, SamewiseError

T = datetime(2024, 2, 1, tzinfo=UTC)


COLUMNS = ("ok", "small", "big", "ratio", "label", "blob", "day", "seen", "embedding")


def event(number: int, **more: Any) -> dict[str, Any]:
    known = {"id": 100_000 + number, "at": T + timedelta(seconds=number), "customer_id": 777, "amount": 1.5}
    return {**known, **dict.fromkeys(COLUMNS), **more}


def test_browsing(store: FeatureStore) -> None:
    refs = {feature.ref for feature in store.list_features(owner="fraud-team")}
    assert {"spending:n", "spending:total"} <= refs
    (found,) = store.search("money week")
    assert (found.ref, found.dtype, found.entity) == ("spending:total", "float64", "customer")
    details = store.get_feature("context:price_to_mean")
    assert details.entity is None
    assert "spending:mean" in str(details.lineage)
    (service,) = store.list_feature_services()
    assert (str(service), service.model, service.keys) == ("all_v1@1", "tests", {"customer_id": "int64"})
    assert service.request == {"price": "float64"}
    assert service.features["embedding"] == "vector(3)"
    assert store.get_feature_service("all_v1@1") == store.get_feature_service("all_v1") == service
    with pytest.raises(NotFound):
        store.get_feature_service("all_v1@2")
    with pytest.raises(NotFound):
        store.get_feature("spending:nothing")
    with pytest.raises(InvalidRequest):
        store.get_feature("spending")


def seen(store: FeatureStore) -> Any:
    got = store.get_online_features(
        ["spending:n", "newest:big", "newest:blob", "newest:embedding"],
        [{"customer_id": 777}],
        at=T + timedelta(hours=1),
    )
    return {name: values[0] for name, values in got.values.items()}


def test_rows_and_frames(store: FeatureStore) -> None:
    rows = [event(i, big=2**60 + i, blob=b"\x00\xff", embedding=[1, 2.5, -3]) for i in range(3)]
    pushed = store.push("payments", rows, wait="applied")
    assert (pushed.source, pushed.rows, pushed.state) == ("payments", 3, "applied")
    now = {"n": 3, "big": 2**60 + 2, "blob": b"\x00\xff", "embedding": [1.0, 2.5, -3.0]}
    assert seen(store) == now
    # The same events again change nothing, as a frame, too.
    frame = pd.DataFrame(rows)
    frame["at"] = frame["at"].astype("datetime64[ns, UTC]")
    store.push("payments", frame, wait="applied")
    assert seen(store) == now
    store.push("payments", pd.DataFrame([event(3, big=None), event(4, big=7)]).astype({"big": "Int64"}), wait="applied")
    assert seen(store)["n"] == 5
    assert seen(store)["big"] == 7


def test_a_wrong_row_is_named(store: FeatureStore) -> None:
    with pytest.raises(InvalidRequest) as wrong:
        store.push("payments", [event(9), event(10, amount="much")])
    assert (wrong.value.where["row"], wrong.value.field) == (1, "amount")
    with pytest.raises(NotFound):
        store.push("paiments", [event(9)])
    with pytest.raises(SamewiseError) as misspelt:
        store.push("payments", [event(9, amuont=1)])
    assert misspelt.value.hint == 'did you mean "amount"?'


def test_async(url: str) -> None:
    async def work() -> None:
        async with AsyncFeatureStore(url) as store:
            pushed = await store.push("payments", [event(0, customer_id=778)], wait="durable")
            assert pushed.state == "durable"
            assert (await store.search("money"))[0].ref == "spending:total"
            assert (await store.get_feature("spending:n")).dtype == "int64"
            assert [feature.ref for feature in await store.list_features(limit=1)] != []
            assert (await store.get_feature_service("all_v1")).version == 1

    asyncio.run(work())
