"""The client is held to what REST answers, as every client is: values, statuses, event times, types, errors."""

import base64
import json
import math
import os
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from samewise import FeatureStore, SamewiseError

CONFORMANCE = json.loads((Path(__file__).parents[2] / "test/golden/conformance.json").read_text())


@pytest.fixture(scope="module")
def held() -> Iterator[FeatureStore]:
    with FeatureStore(os.environ["SAMEWISE_CONFORMANCE_URL"]) as store:
        yield store


def as_json(value: Any) -> Any:
    """A value as REST writes it, but floats, of which a text is not the only one."""
    if isinstance(value, datetime):
        text = value.isoformat().replace("+00:00", "")
        return (text.rstrip("0") if "." in text else text) + "Z"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, float) and math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, list):
        return [as_json(item) for item in value]
    return value


@pytest.mark.parametrize("case", CONFORMANCE["cases"], ids=lambda case: case["name"])
def test_conformance(held: FeatureStore, case: dict[str, Any]) -> None:
    request, answer = case["request"], case["answer"]

    def ask() -> Any:
        options = {name: request[name] for name in ("at", "through") if name in request}
        return held.get_online_features(service=case["service"], entity_rows=request["entities"], **options)

    if "error" in answer:
        with pytest.raises(SamewiseError) as raised:
            ask()
        assert raised.value.code == answer["error"]["code"]
        assert raised.value.field == answer["error"].get("field")
        return
    got = ask()
    types = CONFORMANCE["types"][case["service"].split("@")[0]]["features"]
    assert dict(got.types) == types
    for name, dtype in types.items():
        assert [as_json(value) for value in got.values[name]] == answer["columns"][name], name
        for value in got.values[name]:
            # 1 == 1.0 == True: the types are looked at apart.
            assert value is None or type(value) is not int or dtype in ("int32", "int64")
        assert list(got.statuses[name]) == answer["statuses"][name]
        assert [as_json(time) for time in got.event_times[name]] == answer["event_times"][name]
