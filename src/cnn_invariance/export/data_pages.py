"""The data appendix: a page for each dataset, with its variables, counts, licence, source and checksum.

What can be counted is counted in the prepared dataset and kept beside the page as JSON. What cannot, such as the
licence, is stated in ``datasets.yaml``. So a test can tell a page that is out of date without the data.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnn_invariance import datasets
from cnn_invariance.datasets import SPLITS, Dataset
from cnn_invariance.errors import unknown_name
from cnn_invariance.storage.files import write_whole
from cnn_invariance.study import document
from cnn_invariance.workflow.folders import Folders


@dataclass(frozen=True)
class Origin:
    """What is known of a dataset beyond its content.

    title:    its name in words
    source:   where the images come from, and how they were made
    licence:  what its distributors say
    splits:   how the samples were divided
    cite:     the publication to cite
    caveats:  what a user must know
    """

    title: str
    source: str
    licence: str
    splits: str
    cite: str
    caveats: str


ORIGINS = {
    name: Origin(**entry) for name, entry in document.read(Path(__file__).with_name("datasets.yaml")).content.items()
}
"""By the name of the source."""


def write(name: str, folders: Folders, into: Path) -> Path:
    """Write the page of a dataset, which is prepared first if it is not yet, and what was counted beside it.

    Errors: InputError for a dataset without an entry in `ORIGINS`, and for raw files that are not there.
    """
    if name not in ORIGINS:
        raise unknown_name("dataset", name, ORIGINS)
    path = folders.dataset(name)
    counts = counted(datasets.load(path) if path.is_file() else datasets.prepare(name, path))
    written = {".json": json.dumps(counts, indent=1) + "\n", ".md": page(name, counts)}
    for ending, text in written.items():
        write_whole(into / f"{name}{ending}", text)
    return into / f"{name}.md"


def counted(dataset: Dataset) -> dict[str, Any]:
    """What is counted: the shape of an image, samples by split and class, mean and standard deviation, checksum."""
    of_class = {
        split: np.bincount(dataset.labels[dataset.indices(split)], minlength=len(dataset.classes)).tolist()
        for split in SPLITS
    }
    return {
        "shape": list(dataset.input_shape),
        "classes": list(dataset.classes),
        "samples": of_class,
        "mean": [round(float(one), 4) for one in dataset.mean],
        "std": [round(float(one), 4) for one in dataset.std],
        "fingerprint": dataset.fingerprint,
    }


def page(name: str, counts: Mapping[str, Any]) -> str:
    """The page of a dataset of which this was counted."""
    origin, (channels, height, width) = ORIGINS[name], counts["shape"]
    samples, classes = counts["samples"], counts["classes"]
    totals = {split: sum(samples[split]) for split in SPLITS}
    rows = [
        [str(label), classes[label], *(f"{samples[split][label]:,}" for split in SPLITS)]
        for label in range(len(classes))
    ]
    rows.append(["", "all", *(f"{totals[split]:,}" for split in SPLITS)])
    colours = "grey" if channels == 1 else "red, green, blue"
    return (
        "\n\n".join(
            [
                f"# Data: {name}, {origin.title}",
                "Written by `cnn-invariance export data-pages` from the data and the code. "
                f"{sum(totals.values()):,} images of {len(classes)} classes.",
                "## Variables",
                _table(
                    ["variable", "type", "values"],
                    [
                        ["image", f"uint8, {channels} × {height} × {width}", f"0 to 255; channels: {colours}"],
                        ["label", "int64", f"0 to {len(classes) - 1}: the classes below"],
                        ["split", "text", ", ".join(f"`{split}`" for split in SPLITS)],
                    ],
                ),
                "Networks see `(x / 255 - mean) / std` by channel, with the mean and standard deviation of the "
                f"training split: mean {_numbers(counts['mean'])}, standard deviation {_numbers(counts['std'])}.",
                "## Samples by class and split",
                _table(["label", "class", *SPLITS], rows),
                origin.splits,
                "## Source, licence, checksum",
                f"- **Source.** {origin.source}",
                f"- **Licence.** {origin.licence}",
                f"- **Cite.** {origin.cite}.",
                f"- **Checksum.** SHA-256 `{counts['fingerprint']}` over images, labels, splits and class names. "
                f"A preset pins it, and `cnn-invariance dataset {name}` prints it.",
                f"- **Note.** {origin.caveats}",
            ]
        )
        .replace("\n\n- **", "\n- **")
        .replace("checksum\n- **", "checksum\n\n- **")
        + "\n"
    )


def _table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _numbers(values: list[float]) -> str:
    return ", ".join(f"{one:.4f}" for one in values)
