"""When a call is made again: only where it may be repeated, with pauses that grow and differ between clients."""

import random
from dataclasses import dataclass

import httpx

from samewise._errors import SamewiseError, TimedOut, Unreachable

_TRY_AGAIN = (429, 503)


@dataclass(frozen=True)
class Retry:
    """At most `attempts` in all. Pauses are drawn up to `first` seconds, then twice that, and so on up to `longest`."""

    attempts: int = 4
    first: float = 0.05
    longest: float = 5.0

    def pause(self, attempt: int, retry_after: str | None = None) -> float | None:
        """Seconds to wait after an attempt (from 0) that failed; None: it was the last."""
        if attempt + 1 >= self.attempts:
            return None
        told = float(retry_after) if retry_after and retry_after.isdecimal() else 0.0
        if told > self.longest:
            return None
        return told + random.uniform(0, min(self.longest, self.first * 2**attempt))


def pause_after_answer(retry: Retry, attempt: int, response: httpx.Response) -> float | None:
    """Seconds until an answer is asked for again; None: it is taken as it is."""
    if response.status_code not in _TRY_AGAIN:
        return None
    return retry.pause(attempt, response.headers.get("retry-after"))


def pause_after_failure(retry: Retry, attempt: int, error: httpx.TransportError) -> float | None:
    """The same where no answer came. What took too long is not asked for again: it would take too long again."""
    slow = isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout)
    return None if slow else retry.pause(attempt)


def failure(error: httpx.TransportError, url: str) -> SamewiseError:
    """The error of a call for which no answer came."""
    if isinstance(error, httpx.TimeoutException):
        return TimedOut("client/timed-out", f"{url} gave no answer in time")
    why = str(error) or type(error).__name__
    return Unreachable("client/unreachable", f"{url} cannot be reached: {why}")
