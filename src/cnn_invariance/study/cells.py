"""The cells of a study: a network to train, a network to measure, feature maps to show.

A cell is one unit of work with one result, and its spec determines that result (see `cnn_invariance.study.spec`). Every
kind of cell has

    key          the name of its file: a readable title and ten digits of the hash
    folder       the folder of its result below ``results/<preset>/``, and ``suffix``, the ending of the file
    noun         what it is called in messages and tables
    network      the network that is trained, measured or shown, and ``epoch``, the number of epochs it has trained for
    dataset      the dataset whose samples the cell reads
    measured     the measure cell that it is or is made from; None for a network
    needs        the cells that must be computed before it, in order
    work         a number proportional to the time it takes, among cells of one ``extent``
"""

import re
from abc import abstractmethod
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator

from cnn_invariance.study.canonical import Spec
from cnn_invariance.study.spec import DatasetSpec, ModelSpec, Recipe, SampleSpec, SetSpec, without_unset

TRAIN_REVISION = 2
"""Raise by one when a change of the code changes what a training computes: every network is then trained again."""

MEASURE_REVISION = 2
"""Raise by one when a change of the code changes what a measure cell holds: every cell is then measured again."""

RESPONSE_REVISION = 2
"""Raise by one when a change of the code changes what a response cell holds: every one is then made again."""

CHANGED = {
    ("train", 2): "random numbers derive from the seed and their purpose, the last incomplete batch is dropped, and "
    "AllConvolutional and VGG16D are as in the author's code",
    (
        "measure",
        2,
    ): "sample distances are of all pairs of samples, distances are of maps unless units are asked for, and "
    "images of another dataset are resized as in the author's code",
    ("respond", 2): "the measures that rank the maps are of revision 2, and more maps and samples are shown",
}
"""What came with a revision of a kind of cell, by its stage and number."""

Extent = Literal["none", "some", "all"]
"""How many of the samples of its split a cell reads. The size of a split is not known without its data, so the time of
a cell that reads all of a split is compared with the time of cells that do the same."""


LONGEST_TITLE = 180
"""Characters of a title in a key: no file system takes a name of more than 255."""


class CellSpec(Spec):
    """What the specs of all cells have in common."""

    @property
    @abstractmethod
    def title(self) -> str:
        """The readable part of the key."""

    @property
    def key(self) -> str:
        """The name of the cell's files: the title and ten digits of the hash."""
        return f"{self.title[:LONGEST_TITLE]}-{self.hash[:10]}"


class TrainSpec(CellSpec):
    """One trained network: dataset x model x augmentation x recipe x seed.

    The epochs that are kept as checkpoints are not part of it: a network is trained once for all cells that measure it.
    """

    folder: ClassVar[str] = "training"
    suffix: ClassVar[str] = ".json"
    noun: ClassVar[str] = "network"

    stage: Literal["train"] = "train"
    revision: int = TRAIN_REVISION
    dataset: DatasetSpec
    model: ModelSpec
    augmentation: SetSpec | None
    recipe: Recipe
    seed: int = Field(ge=0)

    @property
    def title(self) -> str:
        """The readable part of the key: ``mnist5k-SimpleConv-rotation-s0``."""
        augmentation = self.augmentation.name if self.augmentation else "plain"
        names = (self.dataset.name, self.model.name, augmentation)
        return "-".join([*map(_readable, names), f"s{self.seed}"])

    @property
    def network(self) -> "TrainSpec":
        """The cell itself."""
        return self

    @property
    def epoch(self) -> int:
        """The last epoch."""
        return self.recipe.epochs

    @property
    def measured(self) -> None:
        """None: nothing is measured."""

    @property
    def needs(self) -> tuple["Cell", ...]:
        """No other cell."""
        return ()

    @property
    def extent(self) -> Extent:
        """The samples of an epoch; an untrained network reads none."""
        return "none" if not self.recipe.epochs else _extent(self.recipe.epoch_samples)

    @property
    def work(self) -> float:
        """Images seen (epochs, where each takes all samples), at least 1."""
        return max(1.0, self.recipe.epochs * (self.recipe.epoch_samples or 1))


class MeasureSpec(CellSpec):
    """One measured checkpoint: network at an epoch x transformation set x samples x measures.

    ``dataset`` is the one that is measured on, by default the network's own. The measures are a set: their order and
    repetitions do not count. ``code`` has the SHA-256 of each file of measures that is not part of this package, and
    ``maps`` says whether the result keeps values of feature maps, too, which only figures of single networks show; see
    `without_unset` for both.
    """

    folder: ClassVar[str] = "measures"
    suffix: ClassVar[str] = ".parquet"
    noun: ClassVar[str] = "measure cell"

    stage: Literal["measure"] = "measure"
    revision: int = MEASURE_REVISION
    network: TrainSpec
    epoch: int = Field(ge=0)
    transformations: SetSpec
    dataset: DatasetSpec
    samples: SampleSpec
    measures: tuple[str, ...] = Field(min_length=1)
    code: dict[str, str] = Field(default_factory=dict)
    maps: bool = False

    @model_serializer(mode="wrap")
    def _without_unset(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_unset(serialise(self), "code", "maps")

    @model_validator(mode="before")
    @classmethod
    def _own_dataset(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("dataset") is None and "network" in values:
            network = values["network"]
            own = network["dataset"] if isinstance(network, dict) else network.dataset
            return {**values, "dataset": own}
        return values

    @field_validator("measures")
    @classmethod
    def _as_set(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(sorted(set(names)))

    @model_validator(mode="after")
    def _epoch_was_trained(self) -> Self:
        if self.epoch > (last := self.network.recipe.epochs):
            raise ValueError(f"expected an epoch from 0 to {last}, the last of the network; received {self.epoch}")
        return self

    @property
    def title(self) -> str:
        """The readable part of the key: ``mnist5k-SimpleConv-rotation-s0-e15-on-scale``."""
        other = "" if self.dataset == self.network.dataset else f"{_readable(self.dataset.name)}-"
        return f"{self.network.title}-e{self.epoch}-on-{other}{_readable(self.transformations.name)}"

    @property
    def measured(self) -> "MeasureSpec":
        """The cell itself."""
        return self

    @property
    def needs(self) -> tuple["Cell", ...]:
        """The network."""
        return (self.network,)

    @property
    def extent(self) -> Extent:
        """The samples that are measured."""
        return _extent(self.samples.count)

    @property
    def work(self) -> float:
        """Samples x transformations (transformations, where all samples are measured)."""
        return (self.samples.count or 1) * self.transformations.size


class ResponseSpec(CellSpec):
    """Responses of feature maps to some samples: of the most and the least invariant maps of layers of one kind.

    measured: what ranks the maps: the network, set and samples of this measure cell, which are measured anew
    by:       the measure that ranks them, one of those of the cell
    sample:   which samples are shown; they have a ``count``
    members:  which transformations of the set are shown, by their index
    kind:     the class of the layers
    maps:     how many of the most, and as many of the least invariant maps
    pictures: whether the result keeps the responses themselves, or only how much they vary
    """

    folder: ClassVar[str] = "responses"
    suffix: ClassVar[str] = ".parquet"
    noun: ClassVar[str] = "response cell"

    stage: Literal["respond"] = "respond"
    revision: int = RESPONSE_REVISION
    measured: MeasureSpec
    by: str
    sample: SampleSpec
    members: tuple[int, ...] = Field(min_length=1)
    kind: str
    maps: int = Field(default=1, ge=1)
    pictures: bool = True

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.by not in self.measured.measures:
            allowed = ", ".join(self.measured.measures)
            raise ValueError(f"maps are ranked by a measure of the cell, {allowed}; received {self.by}")
        if self.sample.count is None:
            raise ValueError("responses are of a few samples; give 'sample' a 'count'")
        if not all(0 <= member < self.measured.transformations.size for member in self.members):
            raise ValueError(
                f"expected members from 0 to {self.measured.transformations.size - 1}; received {self.members}"
            )
        return self

    @property
    def title(self) -> str:
        """The readable part of the key: that of the measure cell, followed by ``responses``."""
        return f"{self.measured.title}-responses"

    @property
    def network(self) -> TrainSpec:
        """The network that responds."""
        return self.measured.network

    @property
    def epoch(self) -> int:
        """The epoch of the measured checkpoint."""
        return self.measured.epoch

    @property
    def dataset(self) -> DatasetSpec:
        """The dataset of the network, which the samples are from."""
        return self.network.dataset

    @property
    def needs(self) -> tuple["Cell", ...]:
        """The network."""
        return (self.network,)

    @property
    def extent(self) -> Extent:
        """The samples that are shown."""
        return "some"

    @property
    def work(self) -> float:
        """The same for all."""
        return 1.0


Cell = TrainSpec | MeasureSpec | ResponseSpec
"""One unit of work with one result."""

KINDS: tuple[type[TrainSpec] | type[MeasureSpec] | type[ResponseSpec], ...] = (TrainSpec, MeasureSpec, ResponseSpec)
"""The kinds of cells, in the order in which they are computed."""


def _extent(count: int | None) -> Extent:
    return "all" if count is None else "some"


def _readable(name: str) -> str:
    """A name as part of a file name: ``torchvision:resnet18`` becomes ``torchvision_resnet18``."""
    return re.sub(r"[^A-Za-z0-9_.]+", "_", name).strip("._")
