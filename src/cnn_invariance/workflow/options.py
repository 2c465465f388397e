"""The options of a Snakemake run: what ``--configfile`` and ``--config`` say."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cnn_invariance.errors import InputError, shown, unknown_name
from cnn_invariance.workflow.folders import DEFAULT_PRESET, Folders, from_here

FOLDER_OPTIONS = {f"{name}_dir": name for name in ("data", "models", "results", "figures", "report", "verification")}
COMPUTE = ("missing", "cached")
"""What a run does about cells without a result: compute them, or draw what can be drawn without them."""


@dataclass(frozen=True)
class RunOptions:
    """The preset of a run, and how it is run.

    compute:  one of `COMPUTE`, or None: as the preset says
    trust:    packages and folders whose code may be run where the preset names it
    others:   what is for others than the run of the study, such as a verification
    """

    preset: Path = DEFAULT_PRESET
    folders: Folders = field(default_factory=Folders)
    compute: str | None = None
    trust: tuple[str, ...] = ()
    others: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(
        cls, presets: Iterable[Path | str], options: Mapping[str, Any], others: Iterable[str] = ()
    ) -> "RunOptions":
        """Read the options of a run; ``others`` are the names of further options, whose values are not checked here.

        Errors: InputError for several presets, for an unknown option, for a value that an option does not take, and for
        a path that Snakemake would take for a pattern.
        """
        others = tuple(others)
        paths = [from_here(Path(preset)) for preset in presets] or [DEFAULT_PRESET]
        if len(paths) > 1:
            raise InputError(f"one preset at a time; received {', '.join(map(str, paths))}")
        allowed = run_options(others)
        for option in options:
            if option not in allowed:
                raise InputError(
                    f"{unknown_name('--config option', option, allowed)}; to change the study, "
                    f"edit a copy of {paths[0]} and give it with --configfile"
                )
        compute = options.get("compute")
        if compute not in (None, *COMPUTE):
            raise unknown_name("value of the --config option compute:", str(compute), COMPUTE)
        folders = {
            FOLDER_OPTIONS[name]: _folder(name, path) for name, path in options.items() if name in FOLDER_OPTIONS
        }
        _check_characters("the path of the preset", str(paths[0]))
        trust = options.get("trust") or ()
        trusted = tuple(map(str, trust if isinstance(trust, list | tuple) else str(trust).split(",")))
        others_given = {name: options[name] for name in others if name in options}
        return cls(paths[0], Folders(**folders), compute, trusted, others_given)


def run_options(others: Iterable[str] = ()) -> tuple[str, ...]:
    """The names of the options that a run may have, ``others`` among them."""
    return (*FOLDER_OPTIONS, "compute", "trust", *others)


def _folder(name: str, value: Any) -> Path:
    """The folder of an option (InputError for a value that Snakemake has read as a number, a list or another thing)."""
    if not isinstance(value, str) or not value:
        raise InputError(
            f"--config {name}={value}: expected the path of a folder; Snakemake reads this value as "
            f"{type(value).__name__}: write it as a path, {name}=./NAME"
        )
    _check_characters(f"--config {name}", value)
    return Path(value)


def _check_characters(what: str, path: str) -> None:
    """Raise InputError for braces, which are wildcards to Snakemake, and line breaks, which end names in its files."""
    if wrong := [one for one in path if one in "{}" or not one.isprintable()]:
        raise InputError(
            f"{what}: Snakemake cannot take a path with {wrong[0]!r}; expected one without braces and line breaks; "
            f"received {shown(path)}"
        )
