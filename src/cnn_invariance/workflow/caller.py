"""Who runs the study: Snakemake by its command line, or a workflow of somebody else that has it as a module.

A workflow that says ``module study: snakefile: ...; config: config`` and ``use rule * from study`` gives the options
of the run and the preset in one mapping, and the preset in one of three forms: the name of its file as ``preset``; all
of a file, which is then that file; or a mapping that the workflow made, which is written into the folder of specs.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cnn_invariance.errors import InputError
from cnn_invariance.storage.files import write_whole
from cnn_invariance.study import document
from cnn_invariance.workflow.folders import DEFAULT_PRESET, Folders, from_here
from cnn_invariance.workflow.options import RunOptions, run_options
from cnn_invariance.workflow.plan import Plan

EXPONENT = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+")
"""A number such as 2e-3, which Snakemake's reader of YAML takes for a text."""


@dataclass(frozen=True)
class Caller:
    """What a run is asked for.

    presets:  the files of ``--configfile``; of a workflow that has the study as a module, the one preset
    options:  those of ``--config``, or those of the module
    module:   whether another workflow has the study as a module
    checkout: the folder of the Snakefile; None where it is not on this machine, or not known
    """

    presets: tuple[Path, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    module: bool = False
    checkout: Path | None = None

    @classmethod
    def of(cls, workflow: Any, config: Mapping[str, Any] | None, others: Iterable[str] = ()) -> "Caller":
        """What Snakemake's ``workflow`` and its ``config`` say; ``others``: names of further options.

        Errors: InputError for a module with a prefix of paths, and for one whose preset is not given or given twice.
        """
        checkout, modifier = _checkout(workflow), getattr(workflow, "modifier", None)
        if modifier is None or modifier.is_main_snakefile():
            settings = workflow.config_settings
            presets = tuple(map(Path, settings.configfiles))
            return cls(presets or _default(checkout), dict(settings.config), checkout=checkout)
        if str(modifier.modify_path("results")) != "results":
            raise InputError(
                "expected a module without 'prefix' and 'replace_prefix', because the commands of its rules name "
                "files, too; give folders in its config instead, such as results_dir: study/results"
            )
        allowed = run_options(others)
        options = {name: value for name, value in (config or {}).items() if name in allowed}
        rest = {name: value for name, value in (config or {}).items() if name not in allowed}
        return cls((_preset(rest, workflow.configfiles, allowed),), options, True, checkout)

    def read(self, others: Iterable[str] = ()) -> RunOptions:
        """The options of the run (errors: as of `RunOptions.read`)."""
        return RunOptions.read(self.presets, self.options, others)

    def check_cache(self, plan: Plan) -> list[str]:
        """A line on where a run looks for finished cells that is not started in the checkout; none if it is.

        Errors: InputError if no cell is finished there, some are in the checkout, and no option says where to look.
        """
        here = plan.results.root
        if self.checkout is None or self.checkout == Path.cwd():
            return []
        found = sum(map(plan.results.has, plan.cells))
        beside = Folders(results=self.checkout / "results").cells(plan.study.name)
        theirs = sum(map(beside.has, plan.cells))
        if theirs and not found and "results_dir" not in self.options:
            raise InputError(
                f"{here.resolve()} has none of the {len(plan.cells)} cells of {plan.study.name}, and {beside.root} has "
                f"{theirs}; to use those, run in the folder of the Snakefile (snakemake --directory {self.checkout}), "
                f"or add --config results_dir={beside.root.parent}; to compute them again here, add "
                "--config results_dir=results (in a module, results_dir is a key of its config)"
            )
        return [f"{found} of {len(plan.cells)} cells of {plan.study.name} are finished in {here.resolve()}"]


def _checkout(workflow: Any) -> Path | None:
    folder = getattr(workflow, "current_basedir", None)
    return Path(folder.get_path_or_uri(secret_free=True)) if folder is not None and folder.is_local else None


def _default(checkout: Path | None) -> tuple[Path, ...]:
    """The default preset of the checkout, for a run that is started in a folder without one."""
    if checkout is None or DEFAULT_PRESET.is_file() or not (checkout / DEFAULT_PRESET).is_file():
        return ()
    return (checkout / DEFAULT_PRESET,)


def _preset(rest: Mapping[str, Any], files: Iterable[Path | str], options: Iterable[str]) -> Path:
    """The file of the preset of a module, which is written unless there is one."""
    if set(rest) == {"preset"}:
        return Path(str(rest["preset"]))
    if "preset" in rest or not rest:
        raise InputError(
            "expected the config of the module to have either 'preset', the file of one, or the content of a preset, "
            f"such as that of config/quick.yaml; received {', '.join(sorted(map(str, rest))) or 'neither'}"
        )
    for file in map(Path, files):
        if file.is_file() and _without(_numbers(document.read(file).content), options) == _numbers(rest):
            return file
    text = yaml.safe_dump(_numbers(rest), sort_keys=False, allow_unicode=True)
    name = rest.get("name")
    stem = name if isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9][\w-]{0,39}", name) else "preset"
    path = from_here(Path.cwd() / Folders().specs / f"{stem}.yaml")
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_whole(path, text)
    return path


def _without(content: Mapping[str, Any], options: Iterable[str]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name not in options}


def _numbers(value: Any) -> Any:
    """The same content, with texts such as ``2e-3`` as the numbers that a preset means by them."""
    if isinstance(value, Mapping):
        return {name: _numbers(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_numbers(one) for one in value]
    return float(value) if isinstance(value, str) and EXPONENT.fullmatch(value) else value
