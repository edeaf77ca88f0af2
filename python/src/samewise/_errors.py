"""What went wrong, with the server's stable code, the field that it is about and what to do."""

import json
from collections.abc import Mapping
from typing import Any


class SamewiseError(Exception):
    """Any failure of a call. `code` is stable (`serving/unknown-service`); match on it or on the class."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int | None = None,
        field: str | None = None,
        hint: str | None = None,
        where: Mapping[str, Any] | None = None,
        request_id: str | None = None,
    ) -> None:
        self.code = code
        self.message = message
        self.status = status
        self.field = field
        self.hint = hint
        self.where: Mapping[str, Any] = where or {}
        self.request_id = request_id
        place = f" ({field})" if field and field not in message else ""
        advice = f"; {hint}" if hint else ""
        super().__init__(f"{message}{place}{advice} [{code}]")


class InvalidRequest(SamewiseError):
    """The request is wrong: a misspelt column, a value of the wrong type, too much at once."""


class NotFound(SamewiseError):
    """Something asked for by its name does not exist."""


class Conflict(SamewiseError):
    """Something of that name exists already."""


class Overloaded(SamewiseError):
    """The server refuses work for now, and did so in every attempt."""


class ServerFailure(SamewiseError):
    """The server failed; its log says more under the request's id."""


class Unreachable(SamewiseError):
    """There is no connection to the server, or it says that it is not ready."""


class TimedOut(SamewiseError):
    """No answer came in time."""


_BY_STATUS: Mapping[int, type[SamewiseError]] = {
    404: NotFound,
    409: Conflict,
    429: Overloaded,
    503: Unreachable,
}


def refusal(status: int, body: bytes, request_id: str | None) -> SamewiseError:
    """The error that an answer other than 2xx says."""
    kind = _BY_STATUS.get(status, ServerFailure if status >= 500 else InvalidRequest)
    try:
        error = json.loads(body)["error"]
        code, message = error["code"], error["message"]
    except (ValueError, KeyError, TypeError):
        # Not ours: a proxy, or another server.
        text = body[:200].decode("utf-8", "replace").strip()
        return kind(f"http/{status}", text or f"HTTP status {status}", status=status)
    return kind(
        code,
        message,
        status=status,
        field=error.get("field"),
        hint=error.get("hint"),
        where=error.get("where"),
        request_id=error.get("request_id", request_id),
    )
