"""How far long work is."""

import sys
from collections.abc import Callable
from typing import Any, Protocol

Progress = Callable[[str, int, int | None], None]
"""Called with the phase (`receive`, `scan …`, `join …`, `write`, `download`), what is done, and of how much if that is known."""


class Listener(Protocol):
    """Told of progress, and of the end."""

    def __call__(self, phase: str, done: int, total: int | None) -> None: ...

    def close(self) -> None: ...


class _Silent:
    def __call__(self, phase: str, done: int, total: int | None) -> None:
        pass

    def close(self) -> None:
        pass


class _Told(_Silent):
    def __init__(self, listener: Progress) -> None:
        self._listener = listener

    def __call__(self, phase: str, done: int, total: int | None) -> None:
        self._listener(phase, done, total)


class _Bar:
    """One bar of tqdm that starts anew with each phase."""

    def __init__(self, tqdm: Any) -> None:
        self._bar = tqdm(unit_scale=True, leave=False)
        self._phase = ""

    def __call__(self, phase: str, done: int, total: int | None) -> None:
        if phase != self._phase:
            self._phase = phase
            self._bar.unit = "B" if phase in ("receive", "download") else " rows"
            self._bar.set_description(phase, refresh=False)
            self._bar.reset(total)
        self._bar.total = total
        self._bar.n = done
        self._bar.refresh()

    def close(self) -> None:
        self._bar.close()


def listener_of(progress: bool | Progress) -> Listener:
    """A bar where somebody looks and tqdm is installed; a function is called wherever it is."""
    if callable(progress):
        return _Told(progress)
    seen = sys.stderr.isatty() or "ipykernel" in sys.modules
    if not progress or not seen:
        return _Silent()
    try:
        from tqdm import tqdm
    except ImportError:
        return _Silent()
    return _Bar(tqdm)
