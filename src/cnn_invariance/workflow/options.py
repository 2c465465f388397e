"""The options of a Snakemake run: what ``--configfile`` and ``--config`` say."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cnn_invariance.errors import InputError, unknown_name
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

        Errors: InputError for several presets, for an unknown option, and for a value that an option does not take.
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
        folders = {FOLDER_OPTIONS[name]: Path(str(path)) for name, path in options.items() if name in FOLDER_OPTIONS}
        trust = options.get("trust") or ()
        trusted = tuple(map(str, trust if isinstance(trust, list | tuple) else str(trust).split(",")))
        others_given = {name: options[name] for name in others if name in options}
        return cls(paths[0], Folders(**folders), compute, trusted, others_given)


def run_options(others: Iterable[str] = ()) -> tuple[str, ...]:
    """The names of the options that a run may have, ``others`` among them."""
    return (*FOLDER_OPTIONS, "compute", "trust", *others)
