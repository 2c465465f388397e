"""The test of the tests: with a bug planted in the loops, the comparison with the oracle must fail."""

import ctypes
import inspect
import re
import textwrap

import numpy as np
import platformdirs
import pytest
import torch

from cnn_invariance.measures.backends import c_loops, definitions
from cnn_invariance.measures.backends import torch_operations as ops
from cnn_invariance.measures.backends.interface import MapDistanceSums
from cnn_invariance.measures.engine import run
from cnn_invariance.measures.families import anova
from cnn_invariance.measures.statistics.blocks import BlocksOf, PairsInBlocks
from cnn_invariance.measures.statistics.distances import ForwardDistances, MapDistances, PairDistance
from cnn_invariance.measures.statistics.firing import Exceedances
from cnn_invariance.measures.statistics.moments import Moments
from measures import test_against_oracle as comparison
from measures.test_against_oracle import check_against_oracle

CASE = "rotated and squeezed", 13, 8  # 21 transformations; tiles of 8 and 5 samples
REQUESTS = [
    "ANOVA_F", "ANOVA", "TD[per=unit]", "SD[per=unit]", "DSES", "TD", "SD", "ND[normalize=true]",
    "SD_error[block_size=4]", "SD[order=class,block_size=4]", "TD[order=class,block_size=4]", "DSES[form=forward]",
    "Goodfellow[alpha=0.9,sign=-1]", "Goodfellow_L[alpha=0.9,reference=all]", "TV", "SV", "TVSE", "SVSE",
]  # fmt: skip


@pytest.fixture(autouse=True)
def few_requests(monkeypatch):
    """One for each formula."""
    monkeypatch.setattr(comparison, "REQUESTS", REQUESTS)


@pytest.fixture
def without_compiler(monkeypatch):
    monkeypatch.setattr(c_loops, "available", lambda device: False)


def mutate(monkeypatch, owner, name, old, new):
    """Replace a piece of a function's source, which must be there once."""
    function = getattr(owner, name)
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(old) == 1, f"{name} has changed: plant the bug anew"
    namespace = dict(function.__globals__)
    exec(compile(source.replace(old, new), f"<{name} with a bug>", "exec"), namespace)
    monkeypatch.setattr(owner, name, namespace[name])


PLANTS = {
    "n instead of n - 1 along transformations": (
        ops, "_row_variance", "max(len(tile) - 1, 1)", "len(tile)", "TV",
    ),
    "n instead of n - 1 along samples": (
        Moments, "_sum_along_samples", "max(self.samples - 1, 1)", "self.samples", "ANOVA_F",
    ),
    "std of means instead of mean of stds": (
        Moments, "value", "return total / self.samples",
        "return self.columns[0].std(0)", "TV",
    ),
    "root of the mean variance": (ops, "sum_of_columns", "squares.sqrt_() if root", "squares if root", "SV"),
    "weight of Chan's merge along samples": (
        ops, "_merge_columns", "value=seen * b / (seen + b)", "value=b * b / (seen + b)", "ANOVA_F",
    ),
    "weight of Chan's mean along samples": (
        ops, "_merge_columns", "alpha=b / (seen + b)", "alpha=0.5", "ANOVA_F",
    ),
    "weight of Chan's merge along transformations": (
        ops, "_row_variance", "value=seen * n / (seen + n)", "value=n * n / (seen + n)", "TV",
    ),
    "Bonferroni missing": (
        anova, "combine", 'context.layer.units if request["bonferroni"] else 1', "1", "ANOVA",
    ),
    "groups are not the transformations": (Moments, "_f_ratio", "M, N = self", "N, M = self", "ANOVA_F"),
    "the sign forgotten": (ops, "exceedances", "torch.gt if sign > 0 else torch.lt", "torch.gt", "Goodfellow"),
    "pairs across blocks": (ops, "activation_distances", ".split(block,", ".split(2 * block,", None),
    "a comparator less": (ops, "_sum_of_pair_distances", "network(n).tolist()", "network(n).tolist()[1:]", "per=unit"),
    "one pair too few": (ops, "_sum_of_map_distances", "range(1, len(items))", "range(2, len(items))", "[TS]D"),
    "samples as they are given": (run._Engine, "_shuffled", "np.argsort(draws", "np.argsort(0 * draws", "SD"),
    "not sorted by class": (run._Engine, "_order", ".argsort(stable=True)", ".new_tensor(range(13))", "order=class"),
    "a short block weighs as a whole one": (BlocksOf, "weight", 'n if self.order == "random" else 1', "1", "SD"),
    "blocks by class weigh by their samples": (BlocksOf, "weight", "n < 2 else n", "n < 2 else n * n", "SD"),
    "the error of pairs that are drawn alone": (
        PairsInBlocks, "share", "same - shared / (self.N - 2)", "same", "SD_error",
    ),
    "the error of samples without end": (PairsInBlocks, "error", " * (self.N - 1) / (self.N - 3)", "", "SD_error"),
    "all transformations in one block": (PairDistance, "parts", "else M", "else 2 * self.block", "TD"),
    "the sum of squares for their mean": (ForwardDistances, "value", "self.positions**0.5 * ", "", "DSES"),
    "undone where it is to be done": (run._Engine, "__init__", "inverse=False", "inverse=True", "form=forward"),
    "the threshold from untransformed samples": (
        Exceedances, "prepare", "columns.reshape(1, -1", "columns[:1].reshape(1, -1", "reference=all",
    ),
    "x and y swapped": (ops, "undo", "(x, 0), (y, 1)", "(y, 0), (x, 1)", "SE"),
    "distance of means": (MapDistances, "_add", "self.normalize,", "False,", "normalize"),
}  # fmt: skip


def refuted(measure):
    """The comparison with the oracle fails, and at the measure that the bug is in."""
    name = measure if measure is None or measure.startswith("[") else re.escape(measure)
    return pytest.raises(AssertionError, match=name and rf"{name}.* of layer|layer.*{name}")


@pytest.mark.usefixtures("without_compiler")
def test_nothing_planted_passes():
    check_against_oracle(*CASE)


@pytest.mark.parametrize("bug", PLANTS)
@pytest.mark.usefixtures("without_compiler")
def test_bug_in_a_formula(monkeypatch, bug):
    owner, name, old, new, measure = PLANTS[bug]
    mutate(monkeypatch, owner, name, old, new)
    case = ("two", 13, 16) if bug == "pairs across blocks" else CASE
    with refuted(measure):
        check_against_oracle(*case)


def negated(matrices, size):
    """What code makes that negates the parameters: the turn back and the scale back, in the order of the map."""
    inverses = []
    for A, t in zip(matrices[:, :, :2], matrices[:, :, 2], strict=True):
        columns, rows = np.linalg.norm(A, axis=0), np.linalg.norm(A, axis=1)
        first = abs(A[:, 0] @ A[:, 1]) < 1e-9  # A is turn @ scale, else scale @ turn
        turn = A / columns if first else A / rows[:, None]
        back = turn.T @ np.diag(1 / columns) if first else np.diag(1 / rows) @ turn.T
        inverses.append(np.column_stack([back, -t]))
    return np.array(inverses)


@pytest.mark.usefixtures("kernels")
def test_inverse_by_negated_parameters(monkeypatch):
    monkeypatch.setattr(run, "invert", negated)
    check_against_oracle("two", 13, 8)  # turns alone: the same
    with refuted("SE"):
        check_against_oracle(*CASE)


@pytest.mark.usefixtures("kernels")
def test_a_sample_counted_twice(monkeypatch):
    tiles = run._Engine._tiles

    def overlapping(self, group, size, what):
        chunks = list(tiles(self, group, size, what))
        yield from (torch.cat([chunk, chunks[0][:1]]) if what == "measuring" else chunk for chunk in chunks[-1:])
        yield from chunks[:-1]

    monkeypatch.setattr(run._Engine, "_tiles", overlapping)
    with refuted(None):
        check_against_oracle(*CASE)


@pytest.mark.parametrize("loop", ["grid_moments", "activation_distances", "map_distances"])
@pytest.mark.usefixtures("without_compiler")
def test_axes_swapped(monkeypatch, loop):
    right = getattr(ops, loop)

    def swapped(values, *arguments, **form):
        M, b = values.shape[:2]
        if loop == "activation_distances":
            arguments = max(arguments[0], M), *arguments[1:]  # still one block
        if loop == "map_distances":
            form["block"] = max(form["block"], M)
        return right(values.reshape(b, M, *values.shape[2:]).transpose(0, 1).contiguous(), *arguments, **form)

    monkeypatch.setattr(ops, loop, swapped)
    with refuted(None):
        check_against_oracle(*CASE)


COMPILED = {
    "nothing": ("", "", None),
    "n instead of n - 1": ("1.0f / (float)(M - 1)", "1.0f / (float)M", "TV"),
    "weight of Chan's merge along samples": (
        "(float)((double)seen * (double)rows / (double)(seen + rows))", "(float)rows", "ANOVA_F",
    ),
    "weight of Chan's merge along transformations": ("delta * delta * across", "delta * delta", "TV"),
    "the sign forgotten": ("count[u] += sign * value[u]", "count[u] += value[u]", "Goodfellow"),
    "one pair twice": ("for (; k < i; k++) s0", "for (; k <= i; k++) s0 += absolute(value - v[0]), s0", "per=unit"),
    "x and y swapped": ("x = fraction[0], y = fraction[1]", "x = fraction[1], y = fraction[0]", "SE"),
    "norm not rooted": ("1.0f / sqrtf(square[u])", "1.0f / square[u]", "normalize"),
    "halves that are quarters": ("half = block / 2,", "half = block / 4,", "SD_error"),
    "half of the simple distances": ("(k != reference || n == 1)", "(k % 2 || n == 1)", "DSES"),
}  # fmt: skip


def plant(monkeypatch, tmp_path, old, new):
    """Compile the loops with a piece of their source replaced, and have them used."""
    if c_loops.library() is None:
        pytest.skip("no C compiler here")
    text = c_loops.SOURCE.read_text()
    assert not old or text.count(old) == 1, "c_loops.c has changed: plant the bug anew"
    source = tmp_path / "c_loops.c"
    source.write_text(text.replace(old, new) if old else text)
    monkeypatch.setattr(c_loops, "SOURCE", source)
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name: str(tmp_path))
    flags = tuple("-O1" if flag == "-O3" else flag for flag in c_loops.FLAGS)
    loaded = c_loops._declare(ctypes.CDLL(str(c_loops._build(flags, tmp_path))))
    monkeypatch.setattr(c_loops, "library", lambda: loaded)


@pytest.mark.parametrize("bug", COMPILED)
def test_bug_in_the_compiled_loops(monkeypatch, tmp_path, bug):
    old, new, measure = COMPILED[bug]
    plant(monkeypatch, tmp_path, old, new)
    if measure is None:
        check_against_oracle(*CASE)
        return
    with refuted(measure):
        check_against_oracle(*CASE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", ""),
        ("if (fold > 1) sum += swapped(sum, 8)", "if (fold > 2) sum += swapped(sum, 8)"),
        ("return first_of(*(const lanes *)from, w);", "return *(const lanes *)from;"),
        ("(form->positions - v * form->fold) * form->C", "LANES"),
    ],
)
def test_bug_in_positions_side_by_side(monkeypatch, tmp_path, old, new):
    """With 8 channels a vector holds two of the 17 positions, and the last vector one."""
    plant(monkeypatch, tmp_path, old, new)
    maps = torch.randn(3, 9, 17, 8, generator=torch.Generator().manual_seed(0))
    form = {"M": 3, "block": 4, "reference": 0, "normalize": False, "pivot": torch.zeros(8)}
    found = MapDistanceSums(*(torch.zeros(*shape, 8, dtype=torch.float64) for shape in ((), (3,), (3,), ())))
    c_loops.map_distances(maps, found, **form)
    agree = [
        torch.allclose(ours, theirs, rtol=1e-5)
        for ours, theirs in zip(found, definitions.map_distances(maps, **form), strict=True)
    ]
    assert all(agree) if not old else not any(agree)
