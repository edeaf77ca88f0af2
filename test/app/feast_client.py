"""Feast's own client, unmodified, against a server that is not Feast's: argv is the server's URL and a folder."""

import sys
from datetime import datetime, timedelta, timezone

import pandas as pd
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, PushSource, RepoConfig
from feast.data_source import PushMode
from feast.errors import (
    FeastError,
    FeastObjectNotFoundException,
    FeatureNameCollisionError,
    FeatureServiceNotFoundException,
    FeatureViewNotFoundException,
    RequestDataNotFoundInEntityRowsException,
)
from feast.types import Array, Bool, Float32, Float64, Int32, Int64, String, UnixTimestamp
from feast.value_type import ValueType

url, folder = sys.argv[1:]
config = RepoConfig(
    project="samewise",
    provider="local",
    registry=f"{folder}/registry.db",
    online_store={"type": "remote", "path": url},
    offline_store={"type": "dask"},
    entity_key_serialization_version=3,
)
BIG = 4611686018427387905  # 2^62 + 1
types = {"i": Int64, "d": Float64, "s": String, "b": Bool}
names = ["i0", "i1", "i2", "d0", "d1", "d2", "d3", "s0", "s1", "b0"]
kinds = {
    "small": Int32,
    "big": Int64,
    "half": Float32,
    "whole": Float64,
    "text": String,
    "flag": Bool,
    "moment": UnixTimestamp,
    "ints": Array(Int64),
    "floats": Array(Float64),
    "texts": Array(String),
    "flags": Array(Bool),
}
one = Entity(name="one", join_keys=["entity_id"], value_type=ValueType.INT64)


def view(name, dtypes):
    files = FileSource(
        path=f"{folder}/{name}.parquet", timestamp_field="event_timestamp", created_timestamp_column="created"
    )
    return FeatureView(
        name=name,
        entities=[one],
        schema=[Field(name=name, dtype=dtype) for name, dtype in dtypes.items()],
        source=PushSource(name=f"{name}_push", batch_source=files),
        ttl=timedelta(0),
    )


def frame(key, **row):
    at = pd.Timestamp("2025-03-01T00:00:00.123456Z")
    return pd.DataFrame([dict(entity_id=key, event_timestamp=at, created=at, **row)])


def fv_frame(key):
    return frame(key, i0=7, i1=8, i2=BIG, d0=1.5, d1=2.0, d2=0.1, d3=None, s0="gold", s1="é", b0=True)


def raised(error, read):
    try:
        read()
    except FeastError as problem:
        assert type(problem) is error, repr(problem)
        return str(problem)
    raise AssertionError(f"no {error.__name__}")


moment = datetime(2025, 3, 1, 12, 30, 15, tzinfo=timezone.utc)
kind_row = dict(
    small=-7,
    big=-(2**63),
    half=0.25,
    whole=7.0,
    text='é "quoted"\n',
    flag=False,
    moment=moment,
    ints=[2**53 + 1, -1],
    floats=[1.0, 0.1],
    texts=["a", "日本"],
    flags=[True, False],
)
store = FeatureStore(config=config)
fv_frame(0).to_parquet(f"{folder}/fv.parquet")
frame(0, **kind_row).to_parquet(f"{folder}/kinds.parquet")
store.apply([one, view("fv", {name: types[name[0]] for name in names}), view("kinds", kinds)])

# Three ways in; the third is the server's own history, in which is key 31.
store.push("fv_push", fv_frame(21), to=PushMode.ONLINE)
store.write_to_online_store("fv", fv_frame(22))
store.materialize(datetime(2025, 1, 1), datetime(2025, 4, 1), feature_views=["fv"])
store.write_to_online_store("kinds", frame(21, **kind_row))

# What was written is read, by any name, with its type.
refs = [f"fv:{name}" for name in names]
keys = [21, 22, 31, 999]
answer = store.get_online_features(features=refs, entity_rows=[{"entity_id": key} for key in keys])
read = answer.to_dict()
assert read["entity_id"] == keys, read
assert read["i2"] == [BIG] * 3 + [None], read
assert read["d1"] == [2.0] * 3 + [None] and type(read["d1"][0]) is float, read
assert read["d3"] == [None] * 4, read
assert read["s1"] == ["é"] * 3 + [None] and read["b0"] == [True] * 3 + [None], read
assert list(answer.to_df()["i0"])[:3] == [7] * 3
status = answer.proto.results[list(answer.proto.metadata.feature_names.val).index("i2")].statuses
assert list(status) == [1, 1, 1, 3], status  # PRESENT and NOT_FOUND

full = store.get_online_features(features=refs[:2], entity_rows=[{"entity_id": 21}], full_feature_names=True)
assert full.to_dict() == {"entity_id": [21], "fv__i0": [7], "fv__i1": [8]}, full.to_dict()
service = store.get_online_features(FeatureService(name="svc", features=[]), entity_rows=[{"entity_id": 21, "add": 0.5}])
assert service.to_dict() == {"entity_id": [21], "i2": [BIG], "s0": ["gold"], "more": [2.0]}, service.to_dict()
computed = store.get_online_features(features=["sum:more"], entity_rows=[{"entity_id": 22, "add": 0.25}])
assert computed.to_dict() == {"entity_id": [22], "more": [1.75]}, computed.to_dict()

# Of the types of JSON: it has no int32, no float32 and no instants, here as there.
answer = store.get_online_features([f"kinds:{name}" for name in kinds], [{"entity_id": 21}])
expected = {**kind_row, "moment": int(moment.timestamp())}
assert answer.to_dict() == {"entity_id": [21], **{name: [value] for name, value in expected.items()}}, answer.to_dict()
carried = [result.values[0].WhichOneof("val") for result in answer.proto.results]
assert carried[1:] == [
    f"{kind}_val"
    for kind in "int64 int64 double double string bool int64 int64_list double_list string_list bool_list".split()
], carried
# An empty list of another entity: its client would raise if it came as one.
assert store.get_online_features(["kinds:ints"], [{"entity_id": 999}]).to_dict()["ints"] == [None]

# Mistakes are Feast's own exceptions, at once.
rows = [{"entity_id": 21}]
raised(FeatureViewNotFoundException, lambda: store.get_online_features(["nope:i0"], rows))
raised(FeatureServiceNotFoundException, lambda: store.get_online_features(FeatureService(name="no", features=[]), rows))
raised(FeastObjectNotFoundException, lambda: store.get_online_features(["fv:i00"], rows))
raised(FeatureNameCollisionError, lambda: store.get_online_features(["fv:i0", "fv:i0"], rows))
raised(RequestDataNotFoundInEntityRowsException, lambda: store.get_online_features(["sum:more"], rows))
assert "types/wrong-type" in raised(FeastError, lambda: store.get_online_features(["fv:i0"], [{"entity_id": "x"}]))
assert "serving/missing-field" in raised(FeastError, lambda: store.get_online_features(["fv:i0"], [{"id": 1}]))
