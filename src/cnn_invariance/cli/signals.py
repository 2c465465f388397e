"""Commands that are asked to end, by Ctrl-C (SIGINT), SIGTERM or a terminal that is closed (SIGHUP), end soon."""

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from cnn_invariance.machine import ENDING, leave

SOON = 4.0
"""Seconds that a command may take to end; after that its process is ended, as by SIGKILL. Files are whole or absent."""


class StoppedError(KeyboardInterrupt):
    """The process was asked to end by a signal."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def __str__(self) -> str:
        name = "Ctrl-C" if self.number == signal.SIGINT else signal.Signals(self.number).name
        return f"stopped by {name}; what was finished is kept, and the same command goes on"

    def leave(self) -> NoReturn:
        """End the process with the status that shells give to a signal."""
        leave(128 + self.number)


@contextmanager
def ended_soon() -> Iterator[None]:
    """Raise `StoppedError` in the block when a signal asks for an end; end it if that lasts longer than `SOON`.

    The exception unwinds the block, so temporary files are deleted. A long call of a library does not let it in: a
    thread then ends the process. SIGHUP stays ignored where it is, as under ``nohup``. Outside the main thread, where
    no signal arrives, and on Windows, the block just runs.
    """
    if threading.current_thread() is not threading.main_thread() or sys.platform == "win32":
        yield
        return

    def stop(number: int, _: FrameType | None) -> None:
        for one in heard:  # a second signal must not break what the first one deletes
            signal.signal(one, signal.SIG_IGN)
        raise StoppedError(number)

    waiting, told = os.pipe()
    os.set_blocking(told, False)
    before = {one: signal.getsignal(one) for one in ENDING}
    heard = [one for one, handler in before.items() if handler is not signal.SIG_IGN]
    woken = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    threading.Thread(target=_end, args=(waiting,), daemon=True).start()
    try:
        for one in heard:
            signal.signal(one, stop)
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, signal.SIG_DFL if handler is None else handler)
        signal.set_wakeup_fd(woken)
        os.close(told)


def _end(waiting: int) -> None:
    """End the process some seconds after a signal that asks for it; return when the other end of the pipe is closed."""
    with os.fdopen(waiting, "rb", buffering=0) as numbers:
        while (number := numbers.read(1)) and number[0] not in ENDING:
            pass
        end = time.monotonic() + SOON
        while number and (left := end - time.monotonic()) > 0:
            if select.select([numbers], [], [], left)[0] and not numbers.read(1):
                return
        if number:
            os._exit(128 + number[0])
