"""How far a command has got, for a person at a terminal. Nothing is written where nobody looks."""

import time
from typing import IO

_WIDTH = 30


class Progress:
    """A line that is written over and over: how much is done, how fast, how long it still takes."""

    def __init__(self, stream: IO[str], *, name: str, noun: str) -> None:
        self._stream = stream
        self._name = name
        self._noun = noun
        self._started = time.monotonic()
        self._shown = stream.isatty()

    def show(self, done: int, *, part: float | None) -> None:
        """`done` things are done, which is this part of all, from 0 to 1; None where that is not known."""
        if not self._shown:
            return
        seconds = max(time.monotonic() - self._started, 1e-6)
        text = f"{self._name}: {done} {self._noun}, {done / seconds:.0f} {self._noun}/s"
        if part is not None:
            filled = round(part * _WIDTH)
            left = seconds / part - seconds if part else 0
            text = f"[{'#' * filled}{'.' * (_WIDTH - filled)}] {text}, {left:.0f} s left"
        self._stream.write(f"\r{text}\x1b[K")
        self._stream.flush()

    def end(self) -> None:
        if self._shown:
            self._stream.write("\n")
