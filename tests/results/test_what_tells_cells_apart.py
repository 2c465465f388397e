"""What a missing cell is most like, and what tells cells of one title apart."""

from pathlib import Path

from cnn_invariance.results import Results, others, write_training
from cnn_invariance.study import DatasetSpec, MeasureSpec, ModelSpec, Recipe, SampleSpec, SetSpec, TrainSpec

NETWORK = TrainSpec(
    dataset=DatasetSpec(name="mnist5k", fingerprint="0" * 64),
    model=ModelSpec(name="SimpleConv", arguments={"width": 8, "activation": "elu"}),
    augmentation=None,
    recipe=Recipe(epochs=5, learning_rate=1e-3),
    seed=0,
)
CELL = MeasureSpec(
    network=NETWORK,
    epoch=5,
    transformations=SetSpec(name="rotation", parameters={"n": 9}),
    samples=SampleSpec(count=200),
    measures=("NV", "SV", "TV"),
)


def changed(**settings: object) -> TrainSpec:
    recipe = NETWORK.recipe.model_copy(update=settings)
    return NETWORK.model_copy(update={"recipe": recipe})


def test_the_result_with_the_fewest_other_settings_is_named() -> None:
    longer, other = changed(epochs=7), changed(epochs=7, learning_rate=0.1, batch_size=8)
    found = others.nearest([NETWORK], [other, longer], [])[NETWORK]
    assert (found.key, found.differences, found.another_seed) == (longer.key, ["recipe.epochs 7, not 5"], False)


def test_cells_are_compared_with_those_of_their_kind_and_of_lists_what_is_there_or_lacks_is_said() -> None:
    more = CELL.model_copy(update={"measures": ("ND", "NV", "SV")})
    found = others.nearest([NETWORK, CELL], [more], [])
    assert found.keys() == {CELL}
    assert found[CELL].differences == ["measures with ND, without TV"]


def test_files_of_no_cell_are_read(tmp_path: Path) -> None:
    """A preset that was edited: its results are still there."""
    results, before = Results(tmp_path), changed(weight_decay=0.5)
    write_training(results.path(before), before, {}, {})
    damaged = tmp_path / "training" / "damaged.json"
    damaged.write_text("{")
    found = others.nearest([NETWORK], [], [results.path(before), damaged])[NETWORK]
    assert (found.key, found.differences) == (before.key, ["recipe.weight_decay 0.5, not 0.01"])


def test_another_seed_is_said_to_be_one() -> None:
    sibling = NETWORK.model_copy(update={"seed": 1})
    assert others.nearest([NETWORK], [sibling], [])[NETWORK].another_seed
    samples = CELL.model_copy(update={"samples": SampleSpec(count=200, seed=3)})
    assert not others.nearest([CELL], [samples], [])[CELL].another_seed  # of the draw of samples


def test_namesakes_are_told_apart_by_what_most_of_them_have_not() -> None:
    tanh = NETWORK.model_copy(
        update={"model": ModelSpec(name="SimpleConv", arguments={"width": 8, "activation": "tanh"})}
    )
    other = NETWORK.model_copy(update={"seed": 1})
    found = others.told_apart([NETWORK, tanh, changed(batch_size=8), other])
    assert found[tanh] == "model.arguments.activation 'tanh'"
    assert found[changed(batch_size=8)] == "recipe.batch_size 8"
    assert found[NETWORK] == ""
    assert other not in found
