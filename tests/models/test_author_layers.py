"""Profiles on the layers that the author's library observes: their number, order and names, and their values."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import cnn_invariance as ci
from cnn_invariance import activations, models
from cnn_invariance.errors import InputError
from cnn_invariance.measures import MeasureResult
from cnn_invariance.models.layers import GlobalMean
from cnn_invariance.results import Results, write_measure
from cnn_invariance.study import DatasetSpec, MeasureSpec, ModelSpec, Recipe, SampleSpec, SetSpec, TrainSpec
from cnn_invariance.transformations import rotation

TURNS = rotation(n=4, closed=False)
MEASURES = ["NV", "NV[aggregate=mean]", "ND[per=map]", "Goodfellow", "NVSE"]


def resnet(**arguments: object) -> nn.Module:
    torch.manual_seed(0)
    return models.build("ResNet18", (1, 8, 8), 4, width=2, **arguments).eval()


def measured(network: nn.Module, **options: object) -> MeasureResult:
    images = torch.randn(24, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    return ci.measure(network, images, TURNS, MEASURES, **options)


def test_resnet18_has_the_authors_54_layers_in_his_order() -> None:
    result = measured(resnet())
    ours, his = result.profile("NV"), result.profile("NV", layers=models.author_layers("ResNet18"))
    assert len(ours) == 48
    assert his["layer_index"].tolist() == list(range(1, 55))
    block = ["Conv2d", "ELU", "Conv2d", "Identity", "Add", "ELU"]
    changes = ["Conv2d", "ELU", "Conv2d", "Conv2d", "Add", "ELU"]
    expected = [
        "Conv2d",
        "ELU",
        *block,
        *block,
        *(changes + block) * 3,
        "GlobalMean",
        "Flatten",
        "Linear",
        "LogSoftmax",
    ]
    assert his["kind"].tolist() == expected
    handed_on = [name for name in his["layer"] if name not in set(ours["layer"])]
    assert handed_on == [f"block{k}.identity" for k in ("1_1", "1_2", "2_2", "3_2", "4_2")] + ["flatten"]
    assert his[["layer_index", "layer"]].iloc[[5, 11, 23, 35, 47, 51]].to_numpy().tolist() == [
        [6, "block1_1.identity"],
        [12, "block1_2.identity"],
        [24, "block2_2.identity"],
        [36, "block3_2.identity"],
        [48, "block4_2.identity"],
        [52, "flatten"],
    ]
    assert [name for name in his["layer"] if name not in handed_on] == ours["layer"].tolist()
    assert (his.dtypes == ours.dtypes).all()


class WithModules(nn.Module):
    """A ResNet18 of ours whose identity shortcuts, and a flattening after its mean, are modules that are called."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        for name, child in network.named_children():
            if name.startswith("block") and child.shortcut is None:
                child.shortcut = nn.Identity()
            self.add_module(name, child)
            if isinstance(child, GlobalMean):
                self.add_module("flatten", nn.Flatten())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for child in self.children():
            x = child(x)
        return x


@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_values_are_those_of_a_network_in_which_these_layers_are_modules(batch_norm: bool) -> None:
    observed = measured(WithModules(resnet(batch_norm=batch_norm)).eval())
    result = measured(resnet(batch_norm=batch_norm))
    assert len(observed.layers) == (74 if batch_norm else 54)
    for measure in MEASURES:
        laid = result.profile(measure, layers=models.author_layers("ResNet18"))
        named = laid["layer"].str.replace(".identity", ".shortcut")
        pd.testing.assert_frame_equal(laid.assign(layer=named), observed.profile(measure))


def test_a_measure_without_a_value_on_some_layers_keeps_the_authors_numbers() -> None:
    result = measured(resnet())
    laid = result.profile("NVSE", layers=models.author_layers("ResNet18"))
    assert laid["layer_index"].tolist() == list(range(1, 51))  # the mean, the flattening and all after have no maps
    assert laid["layer"].iloc[-1] == "block4_2.act2"


def test_a_stored_result_is_laid_as_a_live_one(tmp_path: Path) -> None:
    result, layout = measured(resnet()), models.author_layers("ResNet18")
    network = TrainSpec(
        dataset=DatasetSpec(name="mnist5k", fingerprint="0" * 64),
        model=ModelSpec(name="ResNet18", arguments={"width": 2}),
        augmentation=None,
        recipe=Recipe(learning_rate=1e-3, epochs=1),
        seed=0,
    )
    cell = MeasureSpec(
        network=network,
        epoch=1,
        transformations=SetSpec(name="rotation", parameters={"n": 4, "closed": False}),
        samples=SampleSpec(count=24),
        measures=tuple(result.measures),
    )
    results = Results(tmp_path)
    write_measure(results.path(cell), cell, result.summary(), None, {"device": "cpu"})
    for measure in result.measures:
        stored, live = results.profile(cell, measure, layers=layout), result.profile(measure, layers=layout)
        assert (
            stored[["layer_index", "layer", "kind"]].values.tolist()
            == live[["layer_index", "layer", "kind"]].values.tolist()
        )
        np.testing.assert_array_equal(stored["value"], live["value"])
    assert len(results.profile(cell, "NV")) == 48
    saved = tmp_path / "result.parquet"
    result.save(saved)
    again = MeasureResult.load(saved).profile("NV", layers=layout)
    pd.testing.assert_frame_equal(again, result.profile("NV", layers=layout))


def test_ti_pooling_has_the_authors_17_layers() -> None:
    torch.manual_seed(0)
    arguments = {"width": 2, "dense": 3, "transformations": "rotation[n=4,closed=false]"}
    result = measured(models.build("TIPoolingSimpleConv", (1, 8, 8), 4, **arguments).eval())
    ours, his = result.profile("NV"), result.profile("NV", layers=models.author_layers("TIPoolingSimpleConv"))
    assert (len(ours), len(his)) == (18, 17)
    assert his["layer"].tolist() == [name for name in ours["layer"] if name != "flatten"]
    assert his["layer_index"].tolist() == list(range(1, 18))


@pytest.mark.parametrize(("name", "count"), [("SimpleConv", 17), ("AllConvolutional", 19), ("VGG16D", 33)])
def test_of_the_other_networks_the_author_observes_the_layers_that_we_do(name: str, count: int) -> None:
    layers, _ = activations.find_layers(models.build(name, (1, 28, 28), 4, width=2).eval(), torch.zeros(2, 1, 28, 28))
    names = [layer.name for layer in layers]
    assert models.author_layers(name).places(names) == list(zip(names, names, strict=True))
    assert len(names) == count


def test_a_result_of_some_layers_cannot_be_laid_on_all() -> None:
    result = measured(resnet(), layers=["block1*"])
    with pytest.raises(InputError, match=r"not all layers of ResNet18: there is no 'act1' among .* without a filter"):
        result.profile("NV", layers=models.author_layers("ResNet18"))
    with pytest.raises(InputError, match="unknown model 'ResNet17'; did you mean 'ResNet18'"):
        models.author_layers("ResNet17")


def test_the_authors_layers_are_known_without_torch() -> None:
    code = (
        "import sys; from cnn_invariance import models\n"
        "assert len(models.author_layers('ResNet18').handed_on) == 6\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
