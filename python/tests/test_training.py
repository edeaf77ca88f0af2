"""Training sets: the same rows as the command line's, whatever the labels come as."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from samewise import AsyncFeatureStore, FeatureStore, InvalidRequest, NotFound, TrainingSet

TEST_FEATURES = ["spending:n", "spending:mean", "newest:big"]


def bits(column: pa.ChunkedArray) -> list[Any]:
    """Values that are equal only if all their bits are."""

    def exact(value: Any) -> Any:
        if isinstance(value, float):
            return value.hex()
        return [exact(item) for item in value] if isinstance(value, list) else value

    return [exact(value) for value in column.to_pylist()]


def assert_features_equal(made: TrainingSet, trained: pa.Table) -> None:
    raw = made.answer
    for name in made.feature_names:
        assert raw.schema.field(name).type == trained.schema.field(name).type, name
        assert bits(raw[name]) == bits(trained[name]), name


def test_rows_are_those_of_the_command_line(store: FeatureStore, labels: pa.Table, trained: pa.Table) -> None:
    made = store.get_historical_features(labels, service="all_v1").run()
    assert len(made) == len(labels)
    assert made.answer.column_names == trained.column_names
    assert len(made.feature_names) == 16
    assert_features_equal(made, trained)
    assert made.answer.equals(trained.cast(made.answer.schema))
    assert made.manifest == f"training-{made.id}.arrow.manifest.json"


def test_pandas_keeps_labels_as_they_are(store: FeatureStore, labels: pa.Table, trained: pa.Table) -> None:
    frame = labels.to_pandas()
    frame["event_timestamp"] = frame["event_timestamp"].astype("datetime64[ns]").dt.tz_localize("Europe/Berlin")
    frame["event_timestamp"] = (
        frame["event_timestamp"].dt.tz_localize(None).dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin")
    )
    frame["kind"] = pd.Categorical.from_codes(np.arange(len(frame)) % 3, ["a", "b", "c"])
    frame["tiny"] = np.arange(len(frame), dtype="int8")
    frame.index = pd.Index([f"row {i}" for i in range(len(frame))], name="row")
    job = store.get_historical_features(frame, service="all_v1")
    made = job.to_df()
    pd.testing.assert_frame_equal(made[frame.columns.tolist()], frame)
    assert_features_equal(job.run(), trained)
    # Beyond 2^53, with nulls.
    assert made["big"].dtype == pd.Int64Dtype()
    assert made["big"].tolist() == [pd.NA if v is None else v for v in trained["big"].to_pylist()]
    assert made["n"].dtype == np.int64
    assert str(made["seen"].dtype) == "datetime64[us, UTC]"


def test_polars_and_dicts(store: FeatureStore, labels: pa.Table, trained: pa.Table) -> None:
    frame = pl.from_arrow(labels)
    assert isinstance(frame, pl.DataFrame)
    job = store.get_historical_features(frame, "all_v1")
    made = job.to_polars()
    assert made.columns == trained.column_names
    assert made.select(frame.columns).equals(frame)
    assert made["big"].to_list() == trained["big"].to_pylist()
    assert_features_equal(job.run(), trained)
    few = store.get_historical_features(labels.slice(0, 3).to_pydict(), service="all_v1").to_arrow()
    assert few["total"].to_pylist() == trained["total"].to_pylist()[:3]


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".feather", ".arrow"])
def test_files_are_sent_as_they_are(
    store: FeatureStore, labels: pa.Table, trained: pa.Table, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"labels{suffix}"
    if suffix == ".parquet":
        pq.write_table(labels, path)
    elif suffix == ".csv":
        pyarrow.csv.write_csv(labels, path)
    else:
        pyarrow.feather.write_feather(labels, str(path))
    job = store.get_historical_features(path, service="all_v1")
    assert_features_equal(job.run(), trained)
    assert job.to_df()["is_fraud"].tolist() == labels["is_fraud"].to_pylist()
    job.to_parquet(tmp_path / "training.parquet")
    assert pq.read_table(tmp_path / "training.parquet")["n"].to_pylist() == trained["n"].to_pylist()


def test_lists_of_features(store: FeatureStore, labels: pa.Table, trained: pa.Table) -> None:
    made = store.get_historical_features(labels, features=TEST_FEATURES).run()
    assert made.feature_names == ["n", "mean", "big"]
    assert_features_equal(made, trained)
    full = store.get_historical_features(labels, TEST_FEATURES, full_feature_names=True).run()
    assert full.feature_names == ["spending__n", "spending__mean", "newest__big"]
    service = store.get_feature_service("all_v1")
    assert store.get_historical_features(labels, service).run().feature_names == list(service.features)


def test_at_through_and_no_rows(store: FeatureStore, labels: pa.Table) -> None:
    row = {"customer_id": [0], "when": ["2024-01-01T00:00:00Z"]}
    before = store.get_historical_features(row, ["newest:blob"], at="when")
    upto = store.get_historical_features(row, ["newest:blob"], at="when", through=True)
    assert before.to_arrow()["blob"].to_pylist() == [None]
    assert upto.to_arrow()["blob"].to_pylist() == ["ü0".encode()]
    none = store.get_historical_features(labels.slice(0, 0), service="all_v1").to_df()
    assert len(none) == 0
    assert none.columns.tolist()[-1] == "price_to_mean"


def test_progress_is_told(store: FeatureStore, labels: pa.Table) -> None:
    told: list[tuple[str, int, int | None]] = []
    store.get_historical_features(labels, service="all_v1", progress=lambda *now: told.append(now)).run()
    phase, done, total = told[-1]
    assert (phase, done) == ("download", total)


def test_errors_have_codes(store: FeatureStore, labels: pa.Table, tmp_path: Path) -> None:
    with pytest.raises(NotFound) as unknown:
        store.get_historical_features(labels, service="all_v2").run()
    assert (unknown.value.code, unknown.value.status) == ("serving/unknown-service", 404)
    with pytest.raises(InvalidRequest) as missing:
        store.get_historical_features(labels, service="all_v1", at="event_timestmp").to_df()
    assert (missing.value.code, missing.value.field) == ("offline/bad-labels", "event_timestmp")
    assert missing.value.hint == "did you mean event_timestamp?"
    nested = labels.append_column("odd", pa.array([{"a": 1}] * len(labels)))
    with pytest.raises(InvalidRequest, match="odd"):
        store.get_historical_features(nested, service="all_v1").run()
    with pytest.raises(InvalidRequest, match="not both"):
        store.get_historical_features(labels)
    with pytest.raises(InvalidRequest, match="format"):
        store.get_historical_features(tmp_path / "labels.xlsx", service="all_v1").run()
    with pytest.raises(TypeError):
        store.get_historical_features(7, service="all_v1")


def test_async(url: str, labels: pa.Table, trained: pa.Table) -> None:
    import asyncio

    async def both() -> list[TrainingSet]:
        async with AsyncFeatureStore(url) as store:
            jobs = [store.get_historical_features(labels, service="all_v1") for _ in range(2)]
            assert (await jobs[0].to_df())["big"].tolist() == (await jobs[0].to_arrow())["big"].to_pandas(
                types_mapper={pa.int64(): pd.Int64Dtype()}.get
            ).tolist()
            return list(await asyncio.gather(*(job.run() for job in jobs)))

    for made in asyncio.run(both()):
        assert_features_equal(made, trained)
