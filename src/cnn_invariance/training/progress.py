"""The progress of a training for its user: a bar on a terminal, one plain line per epoch elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


class Silent:
    """Shows nothing but notes."""

    def __init__(self, stream: TextIO) -> None:
        """Notes go to the stream."""
        self.stream = stream

    def note(self, text: str) -> None:
        """Something that the reader should know."""
        print(text, file=self.stream, flush=True)

    def step(self) -> None:
        """A batch is done."""

    def epoch(self, text: str) -> None:
        """An epoch is done; ``text`` sums it up."""


class Lines(Silent):
    """One line per epoch, for logs."""

    def epoch(self, text: str) -> None:
        """Print the summary."""
        print(text, file=self.stream, flush=True)


class Bar(Silent):
    """A bar over all batches of all epochs, followed by the last epoch's summary."""

    def __init__(self, stream: TextIO, progress: Progress, task: TaskID) -> None:
        """``progress`` has been started."""
        super().__init__(stream)
        self._progress = progress
        self._task = task

    def note(self, text: str) -> None:
        """Print above the bar."""
        self._progress.console.print(text, markup=False, highlight=False)

    def step(self) -> None:
        """Move the bar by a batch."""
        self._progress.advance(self._task)

    def epoch(self, text: str) -> None:
        """Show the summary after the bar."""
        self._progress.update(self._task, summary=text)


@contextmanager
def reporter(*, show: bool, title: str, done: int, total: int, stream: TextIO | None = None) -> Iterator[Silent]:
    """The reporter that fits the stream (standard error): a bar if it is a terminal, else lines.

    ``done`` of ``total`` batches were done before a resumed run starts.
    """
    stream = sys.stderr if stream is None else stream
    if not show:
        yield Silent(stream)
    elif not stream.isatty():
        yield Lines(stream)
    else:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[summary]}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(file=stream)) as progress:
            task = progress.add_task(title, total=total, completed=done, summary="")
            yield Bar(stream, progress, task)
