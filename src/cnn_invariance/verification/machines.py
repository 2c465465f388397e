"""Whether two computations must give the same bits: the same kind of machine, versions and code, and one thread."""

from collections.abc import Mapping
from typing import Any

from cnn_invariance.results.code import same_code

KIND = {"device": "device", "gpu": "GPU", "platform": "platform", "cpu": "CPU", "torch": "torch", "numpy": "NumPy"}
"""What tells kinds of machines apart, of what a result records, and what it is called."""


def why_different(cached: Mapping[str, Any], again: Mapping[str, Any]) -> str | None:
    """Why two computations need not agree to the last bit; None if they must.

    A result that does not record the generation of its CPU was made on no kind of machine that is known.
    """
    for name, title in KIND.items():
        if cached.get(name) != again.get(name):
            return f"another {title}: {cached.get(name)}, {again.get(name)}"
    if cached.get("cpu_id") is None or again.get("cpu_id") is None:
        return f"the generation of the CPU ({cached.get('cpu')}) was not recorded"
    if cached["cpu_id"] != again["cpu_id"]:
        return f"another CPU: {cached['cpu_id']}, {again['cpu_id']}"
    if again["device"] != "cpu":
        return "computed on a GPU"
    if not cached.get("threads") == again.get("threads") == 1:
        return f"not one thread: {cached.get('threads')}, {again.get('threads')}"
    if not same_code(cached.get("commit"), again.get("commit")):
        return f"code that may be another: {_short(cached.get('commit'))}, {_short(again.get('commit'))}"
    return None


def name(made: Mapping[str, Any]) -> str:
    """The machine of a result in a table."""
    generation = f" ({made['cpu_id']})" if made.get("cpu_id") else ""
    processor = made.get("gpu") or f"{made.get('cpu')}{generation}"
    return f"{processor}, torch {made.get('torch')}, {made.get('threads')} thread, {_short(made.get('commit'))}"


def _short(commit: str | None) -> str:
    return "no commit" if commit is None else commit[:7] + ("-dirty" if commit.endswith("-dirty") else "")
