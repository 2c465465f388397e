"""Timing a few steps of training, and a few samples of measuring, on this processor."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from cnn_invariance.errors import FailedError, InputError
from cnn_invariance.machine import emulates_bf16
from cnn_invariance.study import Cell, ResponseSpec, TrainSpec
from cnn_invariance.workflow import preparation, speeds
from cnn_invariance.workflow.plan import Plan

if TYPE_CHECKING:
    from cnn_invariance.datasets import Dataset

LONG_ENOUGH = 2.0
"""Seconds of steps, or of one measuring, that are enough to know their cost."""
STEPS = 20
"""Steps at most; the first are not counted where others follow, as memory is taken and a GPU's graph recorded then."""
ASIDE = {"cpu": 1, "cuda": 4}
SAMPLES = (8, 16, 32)
"""Samples that are measured: more, until it takes long enough."""


class _EnoughError(Exception):
    """Ends an epoch of which enough steps were timed."""


def processor() -> str:
    """The GPU that cells are computed on, else the processor: as `costs.processor_of` names that of a result."""
    import torch

    from cnn_invariance.workflow.costs import processor_here

    return torch.cuda.get_device_name() if torch.cuda.is_available() else processor_here()


def training(network: TrainSpec, data: "Dataset") -> float:
    """Seconds for an image of a training, of its real batches under its augmentation, on one thread of a CPU."""
    from cnn_invariance import devices
    from cnn_invariance.training.learner import Learner

    device = devices.choose(None)
    batch = min(network.recipe.batch_size, len(data.indices("train")))
    recipe = network.recipe.model_copy(update={"epoch_samples": min(STEPS * batch, len(data.indices("train")))})
    aside, moments = ASIDE.get(device.type, 1), [0.0]

    def on_step() -> None:
        if device.type == "cuda":
            import torch

            torch.cuda.synchronize(device)
        moments.append(time.perf_counter())
        if moments[-1] - moments[min(aside, len(moments) - 2)] > LONG_ENOUGH:
            raise _EnoughError

    with devices.repeatable(device, 1), devices.memory_kept():
        learner = Learner(network.model_copy(update={"recipe": recipe}), data, device)
        moments[0] = time.perf_counter()
        with suppress(_EnoughError):
            learner.run_epoch(1, on_step)
    counted = moments[aside:] if len(moments) > aside + 1 else moments
    return (counted[-1] - counted[0]) / (len(counted) - 1) / learner.batch_size


def measuring(cell: Cell, data: "Dataset") -> float:
    """Seconds for a sample under a transformation, with the set and the measures of a cell, on one thread of a CPU.

    The network is untrained: what it computes takes the same time.
    """
    import torch

    from cnn_invariance import devices, models
    from cnn_invariance.measures.engine.run import measure

    measured, model = cell.measured, cell.network.model
    assert measured is not None
    device, transformations = devices.choose(None), measured.transformations.build()
    names = [cell.by] if isinstance(cell, ResponseSpec) else measured.measures
    network = models.build(model.name, data.input_shape, len(data.classes), **model.arguments).to(device).eval()
    seconds, work = 0.0, 1
    with devices.repeatable(device, 1):
        for place, count in enumerate((2, 2, *SAMPLES)):  # the first is a warm-up, in which code is compiled, too
            chosen = data.subset("test", min(count, len(data.indices("test"))), 0)
            images = data.normalise(torch.from_numpy(data.images[chosen]))
            labels = torch.from_numpy(data.labels[chosen])
            started = time.perf_counter()
            measure(network, images, transformations, names, labels=labels)
            seconds, work = time.perf_counter() - started, len(chosen) * len(transformations)
            if place and seconds > LONG_ENOUGH:
                break
    return seconds / work


def fill(plan: Plan, cells: list[Cell], seconds: float, say: Callable[[str], None]) -> speeds.Speeds:
    """Time the designs of cells that were not timed on this processor, and keep what each costs as soon as it is known.

    seconds: what this may take; each model on each dataset and at each precision is timed all the same

    Datasets that are needed are prepared. A design that cannot be timed, as its data is missing or its network fails,
    is named.
    """
    path = speeds.file(plan.folders, processor())
    known, data = speeds.Speeds.read(path), _Data(plan, say)
    end = time.monotonic() + seconds
    for cell, needed in list(speeds.to_time(cells, known.seconds)):
        if not needed and time.monotonic() > end:
            break
        if (one := data.of(cell.network.dataset.name)) is None:
            continue
        try:
            unit = training(cell, one) if isinstance(cell, TrainSpec) else measuring(cell, one)
        except Exception as error:  # it may be anyone's code
            said = str(error) if isinstance(error, InputError | FailedError) else f"{type(error).__name__}: {error}"
            say(f"{cell.key} could not be timed: {said}")
            continue
        if isinstance(cell, TrainSpec) and needed and (slow := emulated(cell, one)):
            say(slow)
        known = known.with_speed(cell, unit, _sizes(one))
        known.write(path)
        say(f"{' '.join(speeds.design(cell)[:5])}: {_in_words(cell, unit)}")
    return known


def emulated(network: TrainSpec, data: "Dataset") -> str | None:
    """What is to be said before a network is trained at a precision that this processor emulates; None: it does not.

    A few steps are timed at both. On a GPU, and where it is not known what a processor does, nothing is said.
    """
    from cnn_invariance import devices

    if network.recipe.precision != "bf16" or not emulates_bf16() or devices.choose(None).type != "cpu":
        return None
    recipe = network.recipe.model_copy(update={"precision": "fp32"})
    asked, plain = (1 / training(one, data) for one in (network, network.model_copy(update={"recipe": recipe})))
    return (
        f"{network.title}: the preset asks for bf16, which this processor emulates, as it has neither AVX-512 BF16 nor "
        f"AMX: {asked:,.0f} images a second, and {plain:,.0f} in fp32; 'precision: fp32' in the preset is another cell"
    )


class _Data:
    """The datasets of a plan, prepared when they are first asked for."""

    def __init__(self, plan: Plan, say: Callable[[str], None]) -> None:
        self.plan, self.say = plan, say
        self.found: dict[str, Dataset | None] = {}

    def of(self, name: str) -> "Dataset | None":
        """A dataset; None if it cannot be had, which is said once."""
        if name not in self.found:
            try:
                self.found[name] = self._read(name)
            except InputError as error:
                self.say(str(error))
                self.found[name] = None
        return self.found[name]

    def _read(self, name: str) -> "Dataset":
        from cnn_invariance import datasets

        path = self.plan.folders.dataset(name)
        if not path.is_file():
            preparation.prepare(self.plan.study, self.plan.folders, name)
        return datasets.load(path)


def _sizes(data: "Dataset") -> Mapping[str, int]:
    """The samples of each split, and how many of them a training looks at."""
    from cnn_invariance.training.learner import EVALUATED, VALIDATED

    sizes = {split: len(data.indices(split)) for split in ("train", "validation", "test")}
    looked_at = {f"evaluated {split}": min(count, sizes[split]) for split, count in EVALUATED.items()}
    return {**sizes, **looked_at, "validated": min(VALIDATED, sizes["validation"])}


def _in_words(cell: Any, unit: float) -> str:
    what = "images" if isinstance(cell, TrainSpec) else "samples x transformations"
    return f"{1 / unit:,.0f} {what} a second" if unit < 1 else f"{unit:.1f} s for each of {what}"
