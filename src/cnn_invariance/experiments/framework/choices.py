"""What the options of several experiments share: choices among what the preset has."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from cnn_invariance.errors import InputError, unknown_name
from cnn_invariance.measures import requests as measure_names
from cnn_invariance.study import MeasureSpec, ResponseSpec, SampleSpec, Scalar, Study
from cnn_invariance.transformations.affine import AffineSet

HEADLINES = measure_names.HEADLINE
HEADLINE = HEADLINES[0]
WITH_DISTANCE = (*HEADLINES, "ND")
label = measure_names.label

Labels = tuple[str, ...] | None


def form(request: str) -> str:
    """A measure as results name it: with those of its options that are not its defaults."""
    return str(measure_names.check(request))


def choose(kind: str, wanted: Sequence[str] | None, available: Sequence[str]) -> Sequence[str]:
    """The wanted labels, checked; all that are available if None."""
    if wanted is None:
        return available
    for label in wanted:
        if label not in available:
            raise unknown_name(f"{kind} in this preset:", label, available)
    if not wanted or len(set(wanted)) < len(wanted):
        raise InputError(f"each {kind} once, and at least one; received {', '.join(wanted) or 'none'}")
    return wanted


def identity(study: Study, label: str) -> int:
    """The index of the identity in a set (InputError if it has none, or none that can be known)."""
    spec = study.set(label)
    if not spec.undoable:
        raise InputError(
            f"accuracy on plain samples needs the identity, and which member of {label!r} it is cannot "
            "be known; use a set given as an AffineSet, and state 'affine: true' with it, or leave it out of "
            "'transformation_sets'"
        )
    if spec.own:
        if spec.identity is None:
            raise InputError(
                f"accuracy on plain samples needs the identity, and {label!r} states no identity member; add "
                "'identity: 0' to the set if it is the first, or leave the set out of 'transformation_sets'"
            )
        return spec.identity
    built = spec.build()
    assert isinstance(built, AffineSet)  # so undoable says
    return built.identity


def normalised(study: Study, dataset: str, model: str, wanted: bool) -> dict[str, Scalar]:
    """The argument that gives a network batch normalisation, if that is wanted and it can have it."""
    return {"batch_norm": True} if wanted and "batch_norm" in study.model(model, dataset).arguments else {}


def kept_for_maps(study: Study, request: str) -> str:
    """A measure as results name it (InputError if results do not keep its values for feature maps)."""
    name = measure(study, request)
    if name not in measure_names.KEPT_FOR_MAPS:
        kept = ", ".join(measure_names.KEPT_FOR_MAPS)
        raise InputError(f"results keep no values of feature maps for {name}; expected one of: {kept}")
    return name


def rising(name: str, values: Sequence[float], needed: Iterable[float] = ()) -> None:
    """Check that there are two values or more, that they rise, and that those are among them which a claim compares."""
    if len(values) < 2 or any(b <= a for a, b in pairwise(values)):
        received = ", ".join(f"{value:g}" for value in values) or "none"
        raise InputError(f"{name!r} must be two numbers or more that rise; received {received}")
    if absent := [f"{value:g}" for value in needed if value not in values]:
        raise InputError(f"{name!r} must hold {' and '.join(absent)}, which the experiment's claims compare")


def seeds(study: Study, count: int) -> Sequence[int]:
    """The first seeds of the preset (InputError if it has fewer)."""
    if count > len(study.seeds):
        raise InputError(f"{count} seeds asked for; the preset has {len(study.seeds)}: add to its 'seeds'")
    return study.seeds[:count]


def measures(study: Study, requests: Labels, usual: Sequence[str] = HEADLINES) -> list[str]:
    """Measures as results name them; None: the usual ones that the preset measures.

    Errors: InputError for one that the preset does not measure, or none.
    """
    if requests is None:
        requests = tuple(name for name in usual if name in study.measures)
    if not requests:
        raise InputError(f"no measure to show: 'measures' is empty, or the preset has none of {', '.join(usual)}")
    return [measure(study, request) for request in requests]


def check_held(measure: str, cells: Iterable[MeasureSpec]) -> None:
    """Refuse a measure (InputError) that one of these cells does not hold, as its set cannot be undone."""
    if absent := next((cell.transformations.name for cell in cells if measure not in cell.measures), None):
        raise InputError(
            f"{measure} cannot be measured under {absent!r}, whose transformations cannot be undone on feature maps; "
            "leave the set out of 'transformation_sets', or choose another measure"
        )


def measure(study: Study, request: str) -> str:
    """A measure as results name it (InputError if the preset does not measure it)."""
    name = str(measure_names.check(request))
    if name not in study.measures:
        raise unknown_name("measure in this preset:", name, study.measures)
    return name


def share_of(usual: SampleSpec, share: float, label: str) -> SampleSpec:
    """A share of twice the samples measured under a set.

    Errors: InputError if they are fewer than two, or their number is not known.
    """
    if usual.count is None:
        raise InputError("a share of the samples needs their number; give the preset's 'samples' a 'count'")
    if (count := round(2 * usual.count * share)) < 2:
        raise InputError(
            f"{100 * share:g} % of {2 * usual.count} samples under {label!r} is {count}, and a measure needs 2; "
            "leave out the share, or measure more"
        )
    return SampleSpec(split=usual.split, count=count, seed=usual.seed)


def by_class(measure: str) -> str:
    """The measure taken of each class by itself, mean over the classes."""
    request = measure_names.check(measure)
    options = ",".join(f"{key}={str(value).lower()}" for key, value in request.options if key != "stratified")
    return str(measure_names.check(f"{request.full_name}[{options},stratified=true]"))


def spread(size: int, shown: int) -> tuple[int, ...]:
    """So many members of a set, evenly spread from the first to the last; all, if it has no more.

    >>> spread(25, 3), spread(2, 3)
    ((0, 12, 24), (0, 1))
    """
    return tuple(dict.fromkeys(round(k * (size - 1) / (shown - 1)) for k in range(shown)))


def several(what: str, labels: Sequence[str]) -> None:
    """Raise InputError for one label alone, where ``what`` is done with two or more."""
    if len(labels) < 2:
        raise InputError(f"{what}: two are needed; received {', '.join(labels)}")


def response(
    measured: MeasureSpec,
    by: str,
    *,
    samples: int,
    seed: int,
    shown: int,
    kind: str,
    maps: int = 1,
    pictures: bool = True,
) -> ResponseSpec:
    """The responses of the maps that a measure ranks to samples of the validation split, which were not measured.

    samples, seed: how many are drawn, and the seed of the draw
    shown:         how many transformations, evenly spread over the set
    kind, maps:    the class of the layers, and how many maps at either end
    pictures:      whether the responses are kept, or only how much they vary

    Errors: InputError if the cell does not hold the measure
    """
    check_held(by, [measured])
    return ResponseSpec(
        measured=measured,
        by=by,
        sample=SampleSpec(split="validation", count=samples, seed=seed),
        members=spread(measured.transformations.size, shown),
        kind=kind,
        maps=maps,
        pictures=pictures,
    )
