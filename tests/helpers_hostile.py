"""Fuzzing: random faults by a seed, of which each must end in a result or in one message, and soon."""

import copy
import random
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cnn_invariance.errors import InputError

HUNG_SECONDS = 2.0


class Hung(BaseException):
    """A call took longer than it may."""


@contextmanager
def limited(seconds: float = HUNG_SECONDS) -> Iterator[None]:
    """Raise `Hung` in a block that takes longer, or twice as long where the machine is busy."""

    def stop(*_: Any) -> None:
        raise Hung

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 2 * seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Fuzzer:
    """What became of the faults of one family; prints it at the end.

    random:  the source of all its faults: a seed of its own for each family
    """

    def __init__(self, family: str, seed: int, seconds: float) -> None:
        self.family, self.seconds = family, seconds
        self.random = random.Random(f"{family} {seed}")
        self.outcomes = Counter[str]()
        self.named = Counter[str]()

    def trials(self, most: int = 10**9) -> Iterator[int]:
        """Numbers of trials, until the time is over."""
        end = time.monotonic() + self.seconds
        for trial in range(most):
            if time.monotonic() > end:
                return
            yield trial

    def attempt(self, what: Any, call: Callable[[], Any], *, allowed: tuple[type[Exception], ...] = ()) -> Any:
        """Call, and count the outcome; ``what`` describes the fault where it gets through. None: it was refused."""
        self.outcomes["tried"] += 1
        try:
            with limited():
                found = call()
        except (InputError, *allowed) as error:
            self.outcomes["refused"] += 1
            text = str(error)
            if not text.strip() or any("Traceback" in line for line in text.splitlines()) or len(text) > 10**5:
                self._through("tracebacks", what, error)
            return None
        except Hung as error:
            self._through("hung", what, error)
            return None
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            self._through("tracebacks", what, error)
            return None
        self.outcomes["accepted"] += 1
        return found

    def _through(self, outcome: str, what: Any, error: BaseException) -> None:
        self.outcomes[outcome] += 1
        if self.outcomes[outcome] <= 5:
            print(f"{self.family}: {outcome}: {what}", file=sys.stderr)
            print("".join(traceback.format_exception(error)[-6:]), file=sys.stderr)

    @property
    def summary(self) -> str:
        """The line that each family prints."""
        names = ("refused", "accepted", "tracebacks", "hung")
        return f"{self.family}: {self.outcomes['tried']} tried, " + ", ".join(f"{self.outcomes[x]} {x}" for x in names)

    def check(self, least: int, refused: float = 0.0) -> None:
        """Print the summary; fail if a fault got through, if few were tried, or if few were refused."""
        print(self.summary)
        assert self.outcomes["tracebacks"] == 0, self.summary
        assert self.outcomes["hung"] == 0, self.summary
        assert self.outcomes["tried"] >= least, self.summary
        assert self.outcomes["refused"] >= refused * self.outcomes["tried"], self.summary


def fuzzer(family: str, request: pytest.FixtureRequest, share: float = 1.0) -> Fuzzer:
    """A fuzzer with the seed and a share of the time that the options give."""
    options = request.config
    return Fuzzer(family, options.getoption("--fuzz-seed"), share * options.getoption("--fuzz-seconds"))


def flipped(content: bytes, random_: random.Random, most: int = 4) -> bytes:
    """Bytes of which some bits are changed, some are cut out, doubled or replaced."""
    changed = bytearray(content)
    match random_.randrange(5):
        case 0 | 1:
            for _ in range(random_.randint(1, most)):
                changed[random_.randrange(len(changed))] ^= 1 << random_.randrange(8)
        case 2:
            del changed[random_.randrange(len(changed)) :]
        case 3:
            start, end = sorted(random_.randrange(len(changed)) for _ in range(2))
            changed[start:end] = random_.choice([b"", bytes(changed[start:end]) * 2, random_.randbytes(end - start)])
        case _:
            at = random_.randrange(len(changed))
            extra = random_.choice([b"\0", b"\xff", b"{", b"[", b'"']) * random_.randint(1, 64)
            changed[at : at + random_.randrange(8)] = extra
    return bytes(changed)


ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**70), 10**9, 0.5, -0.0, 1e308, float("inf"), float("nan"), "", " ",
    "a", "x" * 300, "../../x", "/etc/passwd", "a\nb", "é\u202e", "$(touch x)", "~nobody-there/x", "NV", "NV[", "a:b",
    "sys:exit", "os:system", "subprocess:getoutput", [], [[]], {}, {"a": {}}, [None], [1, 2, 3], list(range(100)),
    {"size": 3}, "1e999", "0x", "2001-99-99", "null", "{}", "*a", "&a", "!!python/name:os.system", "-", "[", "%",
)  # fmt: skip


def replaced_somewhere(value: Any, random_: random.Random) -> Any:
    """A document with one value replaced, removed, doubled or moved, at a random place in it."""
    places = list(_places(value, ()))
    place = random_.choice(places)
    if not place:
        return copy.deepcopy(random_.choice(ODD_VALUES))
    holder = value
    for key in place[:-1]:
        holder = holder[key]
    key = place[-1]
    match random_.randrange(6):
        case 0 | 1 | 2:
            holder[key] = copy.deepcopy(random_.choice(ODD_VALUES))
        case 3:
            other = value
            for one in random_.choice(places):
                other = other[one]
            holder[key] = copy.deepcopy(other)
        case 4 if isinstance(holder, dict):
            holder[random_.choice(["x", "", "size", 3, "é" * 50, "name", "spec"])] = holder.pop(key)
        case _:
            del holder[key]
    return value


def _places(value: Any, place: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    yield place
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from _places(inner, (*place, key))


def write(path: Path, content: bytes) -> Path:
    """A file with this content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
