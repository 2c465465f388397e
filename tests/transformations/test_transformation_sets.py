"""The named sets: members, order, counts, ranges; building them by name; and no torch."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cnn_invariance import transformations
from cnn_invariance.errors import InputError
from cnn_invariance.transformations import (
    AffineSet,
    build,
    combined,
    identity,
    names,
    rotation,
    rotation_reference,
    scale,
    sets,
    translation,
)
from cnn_invariance.transformations.affine import SAME, is_identity
from helpers_extend import add_to_package

EYE = np.eye(2, 3)


def angles_of(matrices: np.ndarray) -> np.ndarray:
    """Counter-clockwise degrees in [0, 360), read back from the entries."""
    return np.degrees(np.arctan2(matrices[:, 0, 1], matrices[:, 0, 0])) % 360


@pytest.mark.parametrize(
    ("built", "count"),
    [
        (identity(), 1),
        (rotation(), 25),
        (rotation(8), 8),
        (scale(), 25),
        (scale(1), 7),
        (translation(), 25),
        (translation(1), 9),
        (combined(), 504),
        (combined(rotation_n=3, scale_n=2, translation_n=2), 3 * 13 * 17),
        (rotation_reference(), 25),
    ],
)
def test_the_counts_of_the_author(built: AffineSet, count: int) -> None:
    assert len(built) == count == len(built.labels) == len(built.matrices)


@pytest.mark.parametrize("built", [identity(), rotation(), scale(), translation(), combined(), rotation_reference()])
def test_the_identity_is_the_first_member_and_exact(built: AffineSet) -> None:
    assert built.identity == 0
    assert (built.matrices[0] == EYE).all()


def test_rotation_is_evenly_spaced_ends_included() -> None:
    members = rotation(25, 360)
    np.testing.assert_allclose(angles_of(members.matrices)[:-1], np.arange(0, 360, 15), atol=1e-12)
    assert (members.matrices[-1] == EYE).all()
    assert members.labels[:2] == ("rotation 0 deg", "rotation 15 deg")
    assert members.labels[-1] == "rotation 360 deg"


def test_without_the_end_of_the_circle_all_angles_differ() -> None:
    members = rotation(4, closed=False)
    np.testing.assert_allclose(angles_of(members.matrices), [0, 90, 180, 270], atol=1e-12)
    assert members.labels[-1] == "rotation 270 deg"
    assert [rotation(n, closed=False).distinct for n in (1, 2, 3, 24, 25)] == [1, 2, 3, 24, 25]
    np.testing.assert_allclose(angles_of(rotation(3, 90, closed=False).matrices), [0, 30, 60], atol=1e-12)
    turned = combined(rotation_n=4, closed=False)
    assert len(turned) == turned.distinct == 4 * 7 * 9
    np.testing.assert_array_equal(turned.matrices[:: 7 * 9], members.matrices)


@pytest.mark.parametrize(
    ("built", "distinct", "said"),
    [
        (rotation(), 24, "2 of 25 members are the identity: 24 different maps; closed=False leaves out the end"),
        (rotation(4), 3, "2 of 4 members are the identity: 3 different maps"),
        (rotation(2), 1, "2 of 2 members are the identity: 1 different map;"),
        (rotation(3, 0, closed=False), 1, "3 of 3 members are the identity: 1 different map"),
        (rotation(25, 359.9), 25, ""),
        (rotation_reference(), 25, ""),
        (combined(), 7 * 7 * 9, "126 of 504 members are the same map as another member: 441 different maps"),
        (combined(low=1, high=1, distance=0, rotation_n=1), 1, "63 of 63 members are the identity: 1 different map"),
        (scale(), 25, ""),
        (scale(low=1), 13, "13 of 25 members are the identity: 13 different maps"),
        (scale(low=1, high=1), 1, "25 of 25 members are the identity: 1 different map"),
        (translation(distance=0), 1, "25 of 25 members are the identity"),
        (translation(), 25, ""),
        (identity(), 1, ""),
    ],
)
def test_members_that_are_one_map_are_counted(built: AffineSet, distinct: int, said: str) -> None:
    assert built.distinct == distinct
    assert built.coincidence().startswith(said)
    assert bool(built.coincidence()) == bool(said)
    if distinct == 1:
        with pytest.raises(InputError, match=r"one map, .* expected at least two different maps"):
            built.check_different()
    else:
        built.check_different()


def test_which_member_is_first_alike() -> None:
    shear = np.array([[1.0, 0.5, 0], [0, 1, 0]])
    half, whole = (
        np.array([[c, s, 0], [-s, c, 0]], dtype=np.float32)
        for c, s in ((np.cos(np.float32(a)), np.sin(np.float32(a))) for a in (np.pi, 2 * np.pi))
    )
    near = np.add(EYE, [[0, 0, 1e-3], [0, 0, 0]])
    mine = AffineSet("mine", {}, np.stack([shear, EYE, whole, half, shear, near]))
    assert mine.first_alike == (0, 1, 1, 3, 0, 5)
    assert mine.coincidence() == "4 of 6 members are the same map as another member: 4 different maps"
    twice = AffineSet("mine", {}, np.stack([shear, EYE, shear]), ("tilt", "still", "tilt again"))
    assert twice.coincidence() == "2 of 3 members are one map (tilt): 2 different maps"


def test_a_share_of_a_half_open_range_is_that_share_of_each_angle() -> None:
    whole, part = (angles_of(rotation(5, angle, closed=False).matrices) for angle in (300, 100))
    np.testing.assert_allclose(part, whole / 3, atol=1e-9)


def test_the_authors_sets_are_known_by_their_members() -> None:
    assert all(sets.is_authors(built) for built in (rotation(), combined(), scale(), rotation(closed=True)))
    assert not any(sets.is_authors(built) for built in (rotation(9), rotation(closed=False), combined(rotation_n=4)))
    assert not sets.is_authors(AffineSet("rotation", {}, EYE[None]))
    assert not sets.is_authors(AffineSet("mine", {}, rotation().matrices))


def test_rotation_of_part_of_the_circle() -> None:
    np.testing.assert_allclose(angles_of(rotation(3, 90).matrices), [0, 45, 90], atol=1e-12)


def test_one_rotation_is_the_identity() -> None:
    assert (rotation(1, 77).matrices == EYE).all()


def test_rotation_reference_takes_the_numbers_as_radians() -> None:
    expected = np.degrees(np.linspace(0, 360, 25)) % 360
    np.testing.assert_allclose(angles_of(rotation_reference(25).matrices), expected, atol=1e-9)
    assert is_identity(rotation_reference().matrices).sum() == 1
    assert rotation_reference().labels[1] == "rotation 15 rad"


def test_scale_members_in_order() -> None:
    members = scale(2, 0.5, 1.5).matrices
    assert (members[:, :, 2] == 0).all()
    factors = np.stack([members[:, 0, 0], members[:, 1, 1]], axis=1)
    expected = [(1, 1)] + [p for s in (0.5, 0.75, 1.25, 1.5) for p in ((1, s), (s, 1), (s, s))]
    np.testing.assert_allclose(factors, expected, atol=1e-15)


def test_the_scales_of_the_author() -> None:
    factors = np.unique(scale().matrices[:, 0, 0])
    np.testing.assert_allclose(factors, [0.5, 0.625, 0.75, 0.875, 1, 1.0625, 1.125, 1.1875, 1.25])


def test_translation_members_in_order() -> None:
    members = translation(2, 0.2)
    assert (members.matrices[:, :, :2] == np.eye(2)).all()
    directions = [(1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1)]
    expected = [(0, 0)] + [(x * d, y * d) for d in (0.1, 0.2) for x, y in directions]
    np.testing.assert_allclose(members.matrices[:, :, 2], expected, atol=1e-15)
    assert members.labels[1] == "translation 0.1, 0"


def test_combined_is_every_product_rotation_outermost() -> None:
    members = combined().matrices.reshape(8, 7, 9, 2, 3)
    np.testing.assert_array_equal(members[:, 0, 0], rotation(8).matrices)
    np.testing.assert_array_equal(members[0, :, 0], scale(1).matrices)
    np.testing.assert_array_equal(members[0, 0], translation(1).matrices)
    turned, scaled = rotation(8).matrices[3, :, :2], scale(1).matrices[2, :, :2]
    np.testing.assert_allclose(members[3, 2, 5, :, :2], scaled @ turned, atol=1e-15)
    np.testing.assert_array_equal(members[3, 2, 5, :, 2], translation(1).matrices[5, :, 2])


def test_members_of_the_sets_without_whole_turns_are_all_different() -> None:
    for built in (rotation(8, 350), scale(), translation(), combined(angle_deg=315)):
        assert len(np.unique(built.matrices, axis=0)) == len(built), built


@pytest.mark.parametrize(("built", "count"), [(rotation(25, 0), 25), (scale(4, 1, 1), 25), (translation(3, 0), 25)])
def test_a_range_of_no_width_keeps_its_members(built: AffineSet, count: int) -> None:
    assert len(built) == count
    assert is_identity(built.matrices).all()
    assert not np.signbit(built.matrices).any()


@pytest.mark.parametrize(
    ("name", "parameters", "said"),
    [
        ("rotation", {"n": 0}, "n must be a whole number, at least 1; received 0"),
        ("rotation", {"n": 2.0}, "n must be a whole number"),
        ("rotation", {"n": True}, "n must be a whole number"),
        ("rotation", {"n": "25"}, "received '25'"),
        ("rotation", {"n": -2}, "at least 1; received -2"),
        ("rotation", {"closed": 0}, "closed must be true or false; received 0"),
        ("combined", {"closed": "no"}, "closed must be true or false; received 'no'"),
        ("rotation", {"angle_deg": -1}, "0 <= angle_deg <= 360; received -1"),
        ("rotation", {"angle_deg": 361}, "angle_deg"),
        ("rotation", {"angle_deg": float("nan")}, "angle_deg"),
        ("rotation", {"angle_deg": "1e-1"}, "received '1e-1'"),
        ("rotation_reference", {"n": -3}, "received -3"),
        ("scale", {"low": 0}, "0 < low <= 1; received 0"),
        ("scale", {"low": 1.1}, "0 < low <= 1"),
        ("scale", {"high": 0.9}, "high >= 1; received 0.9"),
        ("scale", {"high": float("inf")}, "high"),
        ("translation", {"distance": 1}, "0 <= distance < 1; received 1"),
        ("translation", {"distance": -0.1}, "distance"),
        ("translation", {"distance": None}, "distance"),
        ("combined", {"scale_n": 0}, "scale_n must be"),
        ("combined", {"translation_n": 0}, "translation_n must be"),
        ("combined", {"rotation_n": 0}, "rotation_n must be"),
        ("combined", {"distance": 2}, "distance"),
    ],
)
def test_ranges_are_checked(name: str, parameters: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        build(name, **parameters)


def test_names_and_build_agree() -> None:
    assert names() == ["combined", "identity", "rotation", "rotation_reference", "scale", "translation"]
    for name in names():
        built = build(name)
        assert isinstance(built, AffineSet)
        assert built.name == name


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("rotation", {"n": 5, "angle_deg": 120.0}),
        ("rotation", {"n": 5, "closed": False}),
        ("combined", {"rotation_n": 4, "closed": False}),
        ("scale", {"n": 2, "low": 0.7, "high": 1.1}),
        ("translation", {"n": 1, "distance": 0.3}),
        ("combined", {"rotation_n": 2, "low": 0.75}),
    ],
)
def test_a_set_is_rebuilt_from_its_parameters(name: str, parameters: dict[str, float]) -> None:
    built = build(name, **parameters)
    assert isinstance(built, AffineSet)
    assert {key: built.parameters[key] for key in parameters} == parameters
    again = build(built.name, **built.parameters)
    assert isinstance(again, AffineSet)
    np.testing.assert_array_equal(again.matrices, built.matrices)


def test_unknown_names_and_parameters_give_the_nearest() -> None:
    with pytest.raises(InputError, match="unknown transformation set 'rotatoin'; did you mean 'rotation'"):
        build("rotatoin")
    with pytest.raises(InputError, match="unknown parameter of 'rotation' 'angle'; did you mean 'angle_deg'"):
        build("rotation", angle=3)


def test_a_new_set_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "shear_sets.py"
    file.write_text(
        "import numpy as np\n"
        "from cnn_invariance.transformations.affine import AffineSet\n"
        "NAMES = ('shear',)\n"
        "def shear(amount=0.5):\n"
        "    return AffineSet('shear', {'amount': amount}, np.array([[[1, amount, 0], [0, 1, 0]]]))\n"
    )
    add_to_package(monkeypatch, transformations, file)
    assert "shear" in names()
    built = build("shear", amount=0.25)
    assert isinstance(built, AffineSet)
    assert built.matrices[0, 0, 1] == 0.25


OWN = """
import numpy as np
from cnn_invariance.transformations import AffineSet, rotation

def tilts(n, angle_deg=10.0):
    return rotation(n, angle_deg)

def flips():
    return [lambda images: images, lambda images: images[..., ::-1]]

def anything(**options):
    return rotation(len(options) + 1)

def nothing():
    return []

NUMBER = 3
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own_sets.py"
    path.write_text(OWN)
    return path


def test_a_users_set(own: Path) -> None:
    assert len(build(f"{own}:tilts", n=3)) == 3
    assert len(build(f"{own}:anything", a=1, b=2)) == 3


def test_a_users_callables_come_as_a_tuple(own: Path) -> None:
    built = build(f"{own}:flips")
    assert isinstance(built, tuple)
    np.testing.assert_array_equal(built[1](np.arange(3)), [2, 1, 0])


@pytest.mark.parametrize(
    ("name", "parameters", "said"),
    [
        ("tilts", {}, "needs the parameter 'n'"),
        ("tilts", {"n": 1, "angle": 3}, "did you mean 'angle_deg'"),
        ("nothing", {}, "returned list; expected an AffineSet"),
        ("NUMBER", {}, "is no function"),
        ("tilt", {}, "did you mean 'tilts'"),
    ],
)
def test_a_users_mistakes(own: Path, name: str, parameters: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        build(f"{own}:{name}", **parameters)


def test_importing_the_sets_never_imports_torch() -> None:
    code = (
        "import sys, cnn_invariance.transformations as t\n"
        "t.combined(); t.build('rotation'); t.names(); dir(t)\n"
        "assert 'torch' not in sys.modules, 'torch was imported'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_attribute_is_refused_as_usual() -> None:
    with pytest.raises(AttributeError, match="no attribute 'transform_some'"):
        _ = transformations.transform_some  # type: ignore[attr-defined]


def test_everything_promised_is_there() -> None:
    assert all(hasattr(transformations, name) for name in transformations.__all__)
    assert set(transformations.__all__) <= set(dir(transformations))


def test_directions_agree_with_the_reference_library() -> None:
    """Rotations turn, and scales draw, as the author's own library does (its angles apart)."""
    torch = pytest.importorskip("torch")
    affine = pytest.importorskip("tmeasures.pytorch.transformations.affine")
    parameters = pytest.importorskip("tmeasures.transformations.affine")
    images = torch.rand(2, 1, 12, 12, generator=torch.Generator().manual_seed(1))
    ours = transformations.transform_all(images, transformations.product(rotation(2, 20), scale(1)).matrices)
    pairs = [(1, 1)] + [p for s in (0.5, 1.25) for p in ((1, s), (s, 1), (s, s))]
    # it multiplies its angle by 180 and takes the result as radians
    theirs = [
        affine.AffineTransformation(parameters.AffineParameters(np.radians(angle) / 180, pair, (0, 0)))
        for angle in (0, 20)
        for pair in pairs
    ]
    for member, transformation in zip(ours, theirs, strict=True):
        expected = torch.stack([transformation(image) for image in images])
        torch.testing.assert_close(member, expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize(
    "given", [sets.rotation(n=5, angle_deg=90.5, closed=False), sets.scale(), sets.combined(rotation_n=2)]
)
def test_a_set_is_read_back_from_its_text(given):
    read = sets.parse(sets.text_of(given.name, given.parameters))
    assert dict(read.parameters) == dict(given.parameters)
    np.testing.assert_array_equal(read.matrices, given.matrices)


def test_a_name_alone_is_a_set_of_the_author_s_size():
    assert len(sets.parse(" rotation ")) == len(sets.parse("rotation[]")) == 25


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rotation[n=2", "cannot read the transformation set 'rotation\\[n=2'"),
        ("", "cannot read the transformation set ''"),
        ("rotation[n=2,n=3]", "parameter 'n' is given twice"),
        ("rotation[n=two]", "parameter 'n' in .* must be a number, true or false; received 'two'"),
        ("rotation[m=2]", "unknown parameter of 'rotation'"),
        ("rotatoin", "did you mean 'rotation'"),
    ],
)
def test_a_text_that_is_no_set_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        sets.parse(text)


def test_first_alike_is_the_first_of_all_earlier_members_that_are_the_same() -> None:
    random = np.random.default_rng(0)
    for _ in range(60):
        count = int(random.integers(1, 30))
        matrices = random.normal(size=(count, 2, 3)) * 10.0 ** random.integers(-3, 7)
        for _ in range(count):
            one, other = random.integers(0, count, 2)
            matrices[one] = matrices[other] + random.uniform(-1.2, 1.2, (2, 3)) * random.choice([0, SAME, SAME / 2])
        firsts: list[int] = []
        for index, matrix in enumerate(matrices):
            alike = [k for k in firsts if k == firsts[k] and np.abs(matrices[k] - matrix).max() <= SAME]
            firsts.append(min(alike, default=index))
        assert AffineSet("x", {}, matrices).first_alike == tuple(firsts)
