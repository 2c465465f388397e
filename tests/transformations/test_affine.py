"""The algebra of affine maps: conventions, composition, inverse, and the checks of a set."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnn_invariance.errors import InputError
from cnn_invariance.transformations.affine import (
    AffineSet,
    as_matrices,
    compose,
    invert,
    is_identity,
    product,
    rotation_matrix,
    scale_matrix,
    translation_matrix,
)
from cnn_invariance.transformations.sets import identity, rotation, scale, translation

EYE = np.eye(2, 3)[None]
numbers = st.floats(-2, 2)
sizes = st.sampled_from([(1, 1), (28, 28), (20, 32), (7, 3)])


@st.composite
def maps(draw: st.DrawFn) -> np.ndarray:
    """An invertible map of three parts, well conditioned: (1, 2, 3)."""
    factor = st.floats(0.25, 2)
    linear = rotation_matrix(draw(st.floats(0, 360)))[:, :2] @ np.diag([draw(factor), draw(factor)])
    linear = linear @ rotation_matrix(draw(st.floats(0, 360)))[:, :2]
    return np.concatenate([linear, [[draw(numbers)], [draw(numbers)]]], axis=1)[None]


def apply(matrix: np.ndarray, point: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The definition: ``A p + (t_x W, t_y H)``."""
    height, width = size
    return matrix[:, :2] @ point + matrix[:, 2] * np.array([width, height])


@settings(deadline=None)
@given(maps(), maps(), sizes)
def test_compose_is_one_map_after_the_other(second: np.ndarray, first: np.ndarray, size: tuple[int, int]) -> None:
    point = np.array([1.7, -0.4])
    expected = apply(second[0], apply(first[0], point, size), size)
    np.testing.assert_allclose(apply(compose(second, first, size)[0], point, size), expected, atol=1e-9)


@settings(deadline=None)
@given(maps(), sizes)
def test_the_inverse_undoes_from_both_sides(matrix: np.ndarray, size: tuple[int, int]) -> None:
    inverse = invert(matrix, size)
    np.testing.assert_allclose(compose(inverse, matrix, size), EYE, atol=1e-12)
    np.testing.assert_allclose(compose(matrix, inverse, size), EYE, atol=1e-12)


@pytest.mark.parametrize("size", [(1, 1), (28, 28), (20, 32)])
def test_the_inverse_of_every_set_is_exact(size: tuple[int, int]) -> None:
    members = product(rotation(7), scale(2), translation(2)).matrices
    np.testing.assert_allclose(compose(invert(members, size), members, size), EYE.repeat(len(members), 0), atol=1e-12)


def test_the_inverse_on_a_non_square_image_is_another_than_on_a_square_one() -> None:
    matrix = compose(rotation_matrix(90)[None], translation_matrix(0.25, 0)[None], (10, 40))
    # 10 pixels to the right, then a quarter turn: 10 pixels up, which is one height
    np.testing.assert_allclose(matrix[0, :, 2], [0, -1], atol=1e-15)
    np.testing.assert_allclose(invert(matrix, (10, 40))[0, :, 2], [-0.25, 0], atol=1e-15)
    assert not np.allclose(invert(matrix), invert(matrix, (10, 40)))


def test_the_inverse_is_not_the_map_of_negated_parameters() -> None:
    """The bug of the author's own code: parameters negated, composed in the order of the map."""
    matrix = compose(scale_matrix(0.5, 1)[None], rotation_matrix(30)[None])
    negated = compose(scale_matrix(1 / 0.5, 1)[None], rotation_matrix(-30)[None])
    assert np.abs(compose(negated, matrix) - EYE).max() > 0.1
    assert np.abs(compose(invert(matrix), matrix) - EYE).max() < 1e-15


def test_negated_parameters_do_serve_a_uniform_scale() -> None:
    """So the two inverses differ by the non-uniform scale alone, not by an error of the test."""
    matrix = compose(scale_matrix(0.5, 0.5)[None], rotation_matrix(30)[None])
    negated = compose(scale_matrix(2, 2)[None], rotation_matrix(-30)[None])
    np.testing.assert_allclose(negated, invert(matrix), atol=1e-15)


@pytest.mark.parametrize(
    ("angle", "place"), [(90, (0, -1)), (180, (-1, 0)), (270, (0, 1)), (30, (np.sqrt(0.75), -0.5))]
)
def test_a_positive_angle_turns_counter_clockwise_as_seen(angle: float, place: tuple[float, float]) -> None:
    np.testing.assert_allclose(rotation_matrix(angle)[:, :2] @ [1, 0], place, atol=1e-15)


@pytest.mark.parametrize("angle", [-360, -90, 0, 90, 180, 270, 360, 720, 360 * (1 + 1e-14)])
def test_quarter_turns_have_exact_entries(angle: float) -> None:
    assert set(rotation_matrix(angle).ravel().tolist()) <= {-1.0, 0.0, 1.0}


def test_an_angle_near_a_quarter_turn_is_not_snapped() -> None:
    assert not is_identity(rotation_matrix(0.001)[None])[0]


def test_the_inverse_of_the_identity_has_no_negative_zeros() -> None:
    assert not np.signbit(invert(EYE)).any()


def test_product_nests_from_the_left_and_applies_from_the_left() -> None:
    both = product(rotation(2, 90), scale(1))
    assert len(both) == 2 * 7
    turned_then_widened = both.matrices[7 + 2]  # second rotation, third scale (0.5, 1)
    np.testing.assert_array_equal(turned_then_widened[:, :2], np.diag([0.5, 1]) @ [[0, 1], [-1, 0]])
    assert both.labels[7 + 2] == "rotation 90 deg, scale 0.5 x 1"


def test_product_of_one_set_is_that_set() -> None:
    np.testing.assert_array_equal(product(scale()).matrices, scale().matrices)
    assert product(scale()).labels == scale().labels


def test_product_that_ends_with_the_translation_moves_by_exact_shares() -> None:
    moved = product(rotation(5, 80), scale(1), translation(1, 0.15)).matrices[..., 2]
    assert set(np.unique(moved).tolist()) == {-0.15, 0.0, 0.15}


def test_product_of_nothing() -> None:
    with pytest.raises(InputError, match="at least one"):
        product()


def test_the_identity_member() -> None:
    assert scale().identity == 0
    assert AffineSet("x", {}, np.concatenate([rotation_matrix(9)[None], EYE])).identity == 1


def test_no_identity_member() -> None:
    with pytest.raises(InputError, match=r"tilt.*no identity member"):
        _ = AffineSet("tilt", {}, rotation_matrix(9)[None]).identity


def test_a_set_keeps_its_own_copy_and_says_what_it_is() -> None:
    given_matrices = EYE.astype(np.float32)
    own = AffineSet("mine", {"n": 1}, given_matrices)
    given_matrices[0, 0, 0] = 5
    assert own.matrices.dtype == np.float64
    assert own.matrices[0, 0, 0] == 1
    assert repr(own) == "<AffineSet mine(n=1): 1 transformations>"
    assert own.labels == ("mine 0",)


@pytest.mark.parametrize(
    ("matrices", "said"),
    [
        (np.zeros((0, 2, 3)), r"received \(0, 2, 3\)"),
        (np.eye(3)[None], r"received \(1, 3, 3\)"),
        (np.eye(2, 3), r"received \(2, 3\)"),
        (np.concatenate([EYE, EYE * np.nan]), "member 1 has values not finite"),
        (np.concatenate([EYE, EYE * 0]), "member 1 cannot be inverted"),
    ],
)
def test_bad_matrices_are_refused(matrices: np.ndarray, said: str) -> None:
    with pytest.raises(InputError, match=said):
        as_matrices(matrices)
    with pytest.raises(InputError, match=said):
        AffineSet("bad", {}, matrices)


def test_labels_must_fit() -> None:
    with pytest.raises(InputError, match="1 matrices and 2 labels"):
        AffineSet("x", {}, identity().matrices, ("a", "b"))


def test_turns_are_closed_under_composition_and_other_sets_are_not() -> None:
    assert rotation(n=8, angle_deg=360).closed_under_composition
    assert identity().closed_under_composition
    for other in (rotation(n=8, angle_deg=180), scale(n=1, low=0.5, high=2.0), translation(n=1, distance=0.1)):
        assert not other.closed_under_composition
