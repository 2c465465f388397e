"""Finding a model by its name, and refusing what is not allowed."""

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from torch import nn

import cnn_invariance
from cnn_invariance import models
from cnn_invariance.errors import InputError

IMAGE = (3, 32, 32)


def python(code: str, path: Path) -> str:
    """What a fresh interpreter prints, with a folder of packages first on its path."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_names_and_checks_need_no_torch() -> None:
    code = """
        import sys
        from cnn_invariance import models
        own = ["AllConvolutional", "C4Conv", "ResNet18", "SimpleConv", "TIPoolingSimpleConv", "VGG16D"]
        assert models.names() == own
        models.check_arguments("SimpleConv", {"width": 8, "pooling": "stride"})
        models.check_arguments("torchvision:resnet18", {})
        assert models.defaults("ResNet18") == {"width": 64, "batch_norm": False}
        try:
            models.check_arguments("SimpleConv", {"widht": 8})
        except ValueError as error:
            print(error)
        assert "torch" not in sys.modules
    """
    printed = python(code, Path(cnn_invariance.__file__).parents[1])
    assert "unknown argument of SimpleConv 'widht'; did you mean 'width'?" in printed


def test_one_file_adds_a_model(tmp_path: Path) -> None:
    package = tmp_path / "cnn_invariance"
    shutil.copytree(Path(cnn_invariance.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "models" / "flat.py").write_text(
        textwrap.dedent(
            '''
            """A dense network."""
            from torch import nn
            NAME = "Flat"
            CHOICES = {"activation": ("relu", "tanh")}
            def build(input_shape, classes, *, width: int = 3, activation: str = "relu"):
                units = input_shape[0] * input_shape[1] * input_shape[2]
                return nn.Sequential(
                    nn.Flatten(), nn.Linear(units, width), nn.ReLU(), nn.Linear(width, classes)
                )
            '''
        )
    )
    code = """
        from cnn_invariance import models
        assert "Flat" in models.names()
        print(models.build("Flat", (1, 4, 4), 2, width=5)[1].out_features)
        for bad in ({"width": 0}, {"activation": "elu"}, {"colour": 1}):
            try:
                models.build("Flat", (1, 4, 4), 2, **bad)
            except models.InputError as error:
                print(error)
    """
    assert python(code, tmp_path).splitlines() == [
        "5",
        "width of Flat: expected 1 or more, received 0",
        "unknown activation of Flat 'elu'; did you mean 'relu'? allowed: relu, tanh",
        "unknown argument of Flat 'colour'; allowed: activation, width",
    ]


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("SimpelConv", {}, "unknown model 'SimpelConv'; did you mean 'SimpleConv'"),
        ("SimpleConv", {"activation": "relU2"}, "did you mean 'relu'? allowed: elu, prelu, relu,"),
        ("SimpleConv", {"kernel": 4}, "unknown kernel of SimpleConv 4; allowed: 3, 5, 7"),
        ("SimpleConv", {"pooling": "mean"}, "allowed: max, stride"),
        ("SimpleConv", {"width": "8"}, "width of SimpleConv: expected int, received '8'"),
        ("SimpleConv", {"width": True}, "expected int, received True"),
        ("SimpleConv", {"width": 8.0}, "expected int, received 8.0"),
        ("SimpleConv", {"dense": -1}, "expected 1 or more, received -1"),
        ("SimpleConv", {"batch_norm": 1}, "expected bool, received 1"),
        ("AllConvolutional", {"dense": 3}, "unknown argument of AllConvolutional 'dense'"),
        ("VGG16D", {"with": 3}, "did you mean 'width'"),
        ("ResNet18", {"batchnorm": True}, "did you mean 'batch_norm'"),
    ],
)
def test_what_is_not_allowed_is_named(name: str, arguments: dict, message: str) -> None:
    for check in (models.check_arguments, lambda n, a: models.build(n, IMAGE, 10, **a)):
        with pytest.raises(InputError) as caught:
            check(name, arguments)
        assert message in str(caught.value)


@pytest.mark.parametrize(("shape", "classes"), [((0, 8, 8), 2), ((1, 8, -8), 2), ((1, 8, 8), 0)])
def test_impossible_shapes_are_refused(shape: tuple[int, int, int], classes: int) -> None:
    with pytest.raises(InputError, match="1 or more"):
        models.build("AllConvolutional", shape, classes)


def write(path: Path, body: str) -> str:
    path.write_text("from torch import nn\n" + textwrap.dedent(body))
    return f"{path}:make"


def test_a_function_in_a_file_is_a_model(tmp_path: Path) -> None:
    name = write(
        tmp_path / "mine.py",
        """
        def make(input_shape, classes, *, width=3):
            frozen = nn.BatchNorm2d(width).eval()
            return nn.Sequential(nn.Conv2d(input_shape[0], width, 1), frozen,
                nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(width, classes))
        """,
    )
    models.check_arguments(name, {"width": 5})
    model = models.build(name, (2, 8, 8), 4, width=5)
    assert model(torch.zeros(3, 2, 8, 8)).shape == (3, 4)
    assert [m.training for m in model] == [True, False, True, True, True]  # as they were made
    assert torch.equal(model[1].running_mean, torch.zeros(5))  # the trial left no trace
    with pytest.raises(InputError, match=r"unexpected keyword argument 'depth'.*signature"):
        models.build(name, (2, 8, 8), 4, depth=5)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("make = 3", "is of type int, which cannot be called"),
        ("def make(shape, classes): return 3", "returned an object of type int; expected a torch nn.Module"),
        (
            "def make(shape, classes): return nn.Flatten()",
            r"to \(2, 128\); expected a tensor of shape \(2, 4\)",
        ),
        (
            "def make(shape, classes): return nn.Conv2d(5, classes, 1)",
            r"does not take samples of shape \(2, 8, 8\): RuntimeError",
        ),
    ],
)
def test_a_function_that_makes_no_fitting_network_is_refused(tmp_path: Path, body: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        models.build(write(tmp_path / "mine.py", body), (2, 8, 8), 4)


def test_a_function_of_an_installed_package_is_a_model() -> None:
    with pytest.raises(InputError, match="cannot be called"):
        models.build("math:pi", IMAGE, 10)
    with pytest.raises(InputError, match="no module 'no_such_package"):
        models.build("no_such_package.networks:make", IMAGE, 10)


def test_torchvision_networks_are_found_by_name() -> None:
    model = models.build("torchvision:resnet18", IMAGE, 10)
    assert isinstance(model, nn.Module)
    assert model(torch.zeros(2, *IMAGE)).shape == (2, 10)


@pytest.mark.parametrize(
    ("name", "shape", "arguments", "message"),
    [
        ("torchvision:resnet81", IMAGE, {}, "unknown torchvision model 'resnet81'; did you mean"),
        ("torchvision:resnet18", (1, 28, 28), {}, "takes images of 3 channels, received 1"),
        ("torchvision:resnet18", IMAGE, {"depth": 1}, "unexpected keyword argument 'depth'"),
        ("torchvision:alexnet", IMAGE, {}, r"does not take samples of shape \(3, 32, 32\)"),
    ],
)
def test_torchvision_networks_that_do_not_fit_are_refused(
    name: str, shape: tuple[int, int, int], arguments: dict, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        models.build(name, shape, 10, **arguments)
