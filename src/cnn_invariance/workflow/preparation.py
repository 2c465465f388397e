"""Preparing the datasets of a study, and checking them against the fingerprints that a preset pins."""

from typing import TYPE_CHECKING

from cnn_invariance.errors import InputError
from cnn_invariance.study import DatasetSpec
from cnn_invariance.workflow.folders import Folders

if TYPE_CHECKING:
    from cnn_invariance.study import Study


def prepare(study: "Study", folders: Folders, label: str) -> None:
    """Prepare a dataset of the preset (InputError if the content is not the pinned one)."""
    from cnn_invariance import datasets

    spec, path = study.dataset(label), folders.dataset(label)
    data = datasets.prepare(study.preset.datasets[label].source, path)
    if data.fingerprint != spec.fingerprint:
        path.unlink()
        advice = "look for a changed or damaged source"
        raise other_content(spec, data.fingerprint, "the source gives", advice)


def prepare_unpinned(source: str, folders: Folders) -> str:
    """Prepare a source that no preset pins yet; returns what to tell, with the fingerprint to pin."""
    from cnn_invariance import datasets

    path = folders.dataset(datasets.name_of(source))
    data = datasets.prepare(source, path)
    return f"{path}: {data}\nfingerprint: {data.fingerprint}"


def other_content(spec: DatasetSpec, found: str, where: str, advice: str) -> InputError:
    """The error for a dataset whose content is not the content that the preset pins."""
    return InputError(
        f"dataset {spec.name}: the preset pins the fingerprint {spec.fingerprint}, {where} {found}; {advice}, or pin "
        "the other fingerprint in a copy of the preset, which then defines other cells"
    )
