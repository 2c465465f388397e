"""The stages of the study, each for one cell: what the commands of the same names do."""

import sys
from typing import Any

from cnn_invariance.errors import InputError
from cnn_invariance.results import responses, write_measure, write_training
from cnn_invariance.results.provenance import Clock, provenance
from cnn_invariance.study.spec import DatasetSpec, MeasureSpec, ResponseSpec, TrainSpec
from cnn_invariance.workflow.folders import Folders
from cnn_invariance.workflow.plan import Plan, other_content


class FailedError(RuntimeError):
    """A stage ran and failed; the message says why and what may be changed."""


HOW_IT_WAS_MADE = ("device", "threads", "resumed_after", "wall_s")


def prepare(plan: Plan, label: str) -> None:
    """Prepare a dataset of the preset; what is not the pinned content is an InputError."""
    from cnn_invariance import datasets

    spec = plan.study.dataset(label)
    path = plan.folders.dataset(label)
    data = datasets.prepare(plan.study.preset.datasets[label].source, path)
    if data.fingerprint != spec.fingerprint:
        path.unlink()
        advice = "look for a changed or damaged source"
        raise other_content(spec, data.fingerprint, "the source gives", advice)


def prepare_unpinned(source: str, folders: Folders) -> None:
    """Prepare a source that no preset pins yet, and print the fingerprint to pin."""
    from cnn_invariance import datasets

    name = datasets.name_of(source)
    data = datasets.prepare(source, folders.dataset(name))
    print(f"{folders.dataset(name)}: {data}\nfingerprint: {data.fingerprint}")


def train(plan: Plan, network: TrainSpec, *, threads: int | None = None) -> None:
    """Train a network: checkpoints at the epochs that the study measures, then its record.

    A record that is there already stays: what was measured before came from those weights.
    """
    from cnn_invariance import training

    clock = Clock()
    checkpoints = {epoch: plan.folders.checkpoint_under_way(network, epoch) for epoch in plan.epochs(network)}
    data, state = _data(plan, network.dataset), plan.folders.state(network)
    try:
        pretrained = plan.study.weights(network.model)
        record = training.train(
            network, data, checkpoints=checkpoints, state=state, weights=pretrained, threads=threads
        )
    except training.TrainingError as error:
        raise FailedError(str(error)) from error
    for epoch, written in checkpoints.items():
        written.replace(plan.folders.checkpoint(network, epoch))
    path = plan.results.path(network)
    if plan.results.has(network):
        kept = plan.results.training(network)["weights_sha256"] == record["weights_sha256"]
        weights = "the same weights" if kept else "other weights (another machine or version)"
        print(f"{weights} as in {path}, which stays as it is", file=sys.stderr)
        return
    made = {name: record.pop(name) for name in HOW_IT_WAS_MADE}
    made["gpu_peak_memory_bytes"] = record.pop("peak_memory_bytes")
    write_training(path, network, record, provenance(clock, **_gpu(made["device"]), **made))


def measure(plan: Plan, cell: MeasureSpec, *, threads: int | None = None) -> None:
    """Measure a checkpoint, as anybody would, and keep the summary."""
    import torch

    import cnn_invariance as ci
    from cnn_invariance.measures.engine.inputs import placement
    from cnn_invariance.training import input_shape, load_network
    from cnn_invariance.training.tensorfile import digest

    clock = Clock()
    if threads is not None:
        torch.set_num_threads(threads)
    model = load_network(plan.checkpoint_of(cell), cell.network, epoch=cell.epoch, device=None)
    data = _data(plan, cell.dataset)
    foreign = cell.dataset != cell.network.dataset
    if foreign:
        data = data.adapted(input_shape(plan.checkpoint_of(cell)))
    chosen = data.subset(cell.samples.split, cell.samples.count, cell.samples.seed)
    device, _ = placement(model, None)
    result = ci.measure(
        model,
        data.normalise(torch.from_numpy(data.images[chosen])),
        cell.transformations.build(),
        cell.measures,
        labels=torch.from_numpy(data.labels[chosen]),
    )
    made = {
        "device": device.type,
        "threads": torch.get_num_threads(),
        "gpu_peak_memory_bytes": (torch.cuda.max_memory_allocated() if device.type == "cuda" else None),
        "weights_sha256": digest(model.state_dict()),
        **_gpu(device.type),
    }
    accuracy = None if result.accuracy is None or foreign else result.accuracy.tolist()  # its labels are others
    path, frame = plan.results.path(cell), result.summary()
    write_measure(path, cell, frame, accuracy, provenance(clock, **made))


def respond(plan: Plan, cell: ResponseSpec, *, threads: int | None = None) -> None:
    """Show one sample under transformations to a network, and keep what the ranked feature maps respond."""
    import torch

    from cnn_invariance.measures.engine.inputs import placement
    from cnn_invariance.measures.responses import ranked, respond
    from cnn_invariance.training import load_network
    from cnn_invariance.training.tensorfile import digest

    clock = Clock()
    if threads is not None:
        torch.set_num_threads(threads)
    data = _data(plan, cell.network.dataset)
    chosen = data.subset(cell.sample.split, 1, cell.sample.seed)
    model = load_network(plan.checkpoint_of(cell), cell.network, epoch=cell.measured.epoch, device=None)
    frame = respond(
        model,
        data.normalise(torch.from_numpy(data.images[chosen])),
        cell.measured.transformations.build(),
        cell.members,
        ranked(plan.results.measure(cell.measured).maps(cell.by)),
    )
    device, _ = placement(model, None)
    made = {"device": device.type, "threads": torch.get_num_threads(), **_gpu(device.type)}
    weights = digest(model.state_dict())
    responses.write(plan.results.path(cell), cell, frame, provenance(clock, weights_sha256=weights, **made))


def draw(plan: Plan, experiment: str) -> None:
    """Draw the figures and tables of an experiment from its results."""
    from cnn_invariance.plotting import Canvas

    chosen = plan.study.experiment(experiment)
    canvas = Canvas(
        plan.folders.figure_folder(plan.study.name, experiment),
        plan.folders.table_folder(plan.study.name),
    )
    chosen.module.draw(plan.study, chosen.options, plan.results, canvas)
    announced = (*plan.figures(experiment), *plan.tables(experiment))
    if absent := [str(path) for path in announced if not path.is_file()]:
        raise InputError(f"{experiment} announces outputs that it does not draw: {absent}")


def _data(plan: Plan, spec: DatasetSpec) -> Any:
    """A prepared dataset that is the pinned one."""
    from cnn_invariance import datasets

    path = plan.folders.dataset(spec.name)
    data = datasets.load(path)
    if data.fingerprint != spec.fingerprint:
        raise other_content(spec, data.fingerprint, f"{path} holds", f"delete {path} and run again")
    return data


def _gpu(device: str) -> dict[str, str]:
    """The model of the GPU, if the cell ran on one."""
    if not device.startswith("cuda"):
        return {}
    import torch

    return {"gpu": torch.cuda.get_device_name()}
