"""A preset as a Workflow Run RO-Crate: from each figure to its cells, from a cell to its spec and its code.

The crate follows the profile Provenance Run Crate 0.5 (https://w3id.org/ro/wfrun/provenance/0.5). Its actions come from
what is recorded in the results: a training that was computed months ago, on another machine, is told as it was then.

- Each finished cell is a ``CreateAction``: its spec, its dataset and the weights that it measures are its objects, and
  its result file is its result. Its instrument is the command of its stage at the commit that was recorded.
- Each experiment that is drawn is one, too, from the result files of its cells to its figures and tables.
- The run as a whole is the ``CreateAction`` of the workflow, and an ``OrganizeAction`` of Snakemake ties all together.

Weights and datasets are named by their SHA-256, because they are not part of a checkout.
"""

import hashlib
import io
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cnn_invariance import __version__
from cnn_invariance.errors import InputError
from cnn_invariance.export.crate_entities import Entities, single
from cnn_invariance.results.provenance import commit
from cnn_invariance.study import Cell, TrainSpec
from cnn_invariance.study.document import read
from cnn_invariance.workflow.plan import Plan
from cnn_invariance.workflow.products import Products
from cnn_invariance.workflow.running import found_snakefile

PACKAGE = Path(__file__).parents[1]
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/ro/wfrun/provenance/0.5": "Provenance Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
TERMS = {name: f"https://w3id.org/ro/terms/workflow-run#{name}" for name in ("sha256", "environment", "resourceUsage")}
"""Terms of the profile that the context of RO-Crate 1.1 does not have."""
MIT = "https://spdx.org/licenses/MIT"
STEPS = {
    "train": "Train a network and record its accuracies",
    "measure": "Measure the activations of a trained network under a transformation set",
    "respond": "Record feature maps of a trained network under a transformation set",
    "draw": "Draw figures and tables from results",
}
MACHINE = ("python", "torch", "numpy", "platform", "cpu", "gpu", "device", "threads")
README = """\
# {title}

{description}

`ro-crate-metadata.json` is a Provenance Run Crate. To go from a figure to the code behind it: find the action whose
`result` is the figure; each of its `object`s is the result of a cell, which `isBasedOn` its spec, and is the `result`
of an action whose `instrument` is a command that `isBasedOn` a revision of the code. Files have their SHA-256. Datasets
and trained weights are not part of the crate, and are named by their SHA-256.
"""


def write(plan: Plan, into: Path) -> str:
    """Write the crate of a preset into a new folder; a sentence on what is in it.

    Errors: InputError for a folder that is there already, for a preset of which nothing is finished, for a checkout
    without its Snakefile, without the package ``rocrate``, and for a damaged result.
    """
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise InputError(f"{into}: expected a new or an empty folder for the crate; name another, or delete this one")
    plan.check()
    export = Export(replace(plan, compute="cached"))  # of what is there, also where a run would compute the rest
    if not export.cells:
        raise InputError(f"preset {plan.study.name} has no finished cell in {plan.results.root}; compute some first")
    crate = export.crate()
    part = into.with_name(f"{into.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        crate.write(part)
        if into.exists():
            into.rmdir()
        part.rename(into)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    left = [name for name in export.plan.computed if name not in export.drawn]
    undrawn = f"; left out, because not all of their figures and tables are there: {', '.join(left)}" if left else ""
    return (
        f"{into}: {len(export.cells)} of {len(plan.cells)} cells and {len(export.drawn)} experiments of preset "
        f"{plan.study.name}, as a Provenance Run Crate{undrawn}"
    )


@dataclass
class Export:
    """What is written of a plan."""

    plan: Plan

    @cached_property
    def cells(self) -> list[Cell]:
        """The finished cells, in the order of the plan."""
        return [cell for cell in self.plan.cells if self.plan.results.has(cell)]

    @cached_property
    def drawn(self) -> list[str]:
        """The experiments of which every figure and table is there."""
        products = Products(self.plan)
        return [
            name
            for name in self.plan.computed
            if all(path.is_file() for path in (*products.figures(name), *products.tables(name)))
        ]

    @cached_property
    def _provenance(self) -> Mapping[Cell, Mapping[str, Any]]:
        return {cell: self.plan.results.provenance(cell) for cell in self.cells}

    def crate(self) -> Any:
        """The crate, as ``rocrate`` has it in memory (InputError if that package is not installed)."""
        self._all, self._steps = Entities(TERMS), dict[str, Any]()
        workflow = self._workflow()
        self._describe()
        actions = [self._cell_action(cell) for cell in self.cells]
        actions += [self._drawing_action(name) for name in self.drawn]
        actions += [self._whole_action()] if self._of_whole else []
        self._parameters(workflow)
        self._connect(workflow, actions)
        return self._all.crate

    def _workflow(self) -> Any:
        snakefile = found_snakefile()
        properties = {
            "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
            "name": "cnn_invariance: invariance measures of trained networks",
            "version": self._revision,
            "encodingFormat": "text/x-python",
            "license": {"@id": MIT},
            "conformsTo": {"@id": "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"},
        }
        workflow = self._all.crate.add_workflow(
            snakefile,
            "Snakefile",
            properties=properties,
            main=True,
            lang="snakemake",
            lang_version=version("snakemake"),
        )
        workflow["creator"] = self._authors
        return workflow

    @cached_property
    def _revision(self) -> str:
        return commit(PACKAGE) or __version__

    @property
    def _authors(self) -> Any:
        return self._all.entity("#authors", "Organization", name="The cnn_invariance authors")

    def _describe(self) -> None:
        study, times = self.plan.study, sorted(_ended(one) for one in self._provenance.values())
        self._all.crate.name = f"cnn_invariance, preset {study.name}"
        self._all.crate.description = (
            f"{study.preset.description} {len(self.cells)} of the {len(self.plan.cells)} cells of the preset, the "
            "figures and tables drawn from them, and for each the spec and the code revision that made it. A "
            "replication of F. M. Quiroga, Invariance and Same-Equivariance Measures for Convolutional Neural Networks."
        )
        self._all.crate.datePublished = times[-1][:10]
        self._all.crate.license = self._all.entity(MIT, "CreativeWork", name="MIT License", identifier="MIT", url=MIT)
        self._all.crate.root_dataset["author"] = self._authors
        self._all.crate.root_dataset["conformsTo"] = [
            self._all.entity(url, "CreativeWork", name=name, version=url.rpartition("/")[2])
            for url, name in PROFILES.items()
        ]
        readme = README.format(title=self._all.crate.name, description=self._all.crate.description)
        about = self._all.file("README.md", io.StringIO(readme), readme.encode(), "What this is, and how to read it")
        about["about"] = self._all.crate.root_dataset
        paper = "https://doi.org/10.19153/cleiej.24.1.8"
        title = "Invariance and Same-Equivariance Measures for Convolutional Neural Networks"
        author = self._all.entity("#quiroga", "Person", name="F. M. Quiroga")
        self._all.crate.root_dataset["citation"] = self._all.entity(
            paper, "ScholarlyArticle", name=title, author=author, datePublished="2021"
        )

    def _cell_action(self, cell: Cell) -> Any:
        """The computation of a cell, as it is recorded in the result."""
        facts = self._provenance[cell]
        used = [self._spec(cell), self._dataset(cell.dataset.name, cell.dataset.fingerprint)]
        made = [self._file(self.plan.results.path(cell), f"The result of cell {cell.key}", specified=self._spec(cell))]
        weights = self._weights(cell)
        (made if isinstance(cell, TrainSpec) else used).extend(weights)
        return self._action(
            f"#cell-{cell.key}",
            str(cell.stage),
            str(facts.get("commit") or f"version {facts.get('package', 'not recorded')}"),
            used,
            made,
            name=f"{STEPS[cell.stage].split()[0]} {cell.key}",
            description=f"{STEPS[cell.stage]}: {cell.key}",
            startTime=str(facts["started"]),
            endTime=_ended(facts),
            environment=self._machine(facts),
            resourceUsage=self._usage(cell, facts),
        )

    def _drawing_action(self, experiment: str) -> Any:
        products, name = Products(self.plan), experiment
        used = [self._result(path) for path in products.results_of(experiment)]
        paths = [*products.figures(experiment), *products.tables(experiment)]
        made = [self._file(path, f"Experiment {name}: {path.stem.replace('_', ' ')}") for path in paths]
        question = self.plan.study.experiments[name].question
        return self._drawing(name, used, made, f"Draw the figures and tables of experiment {name}: {question}")

    @cached_property
    def _of_whole(self) -> list[Path]:
        """What is drawn of all experiments, as far as it is there."""
        products = Products(self.plan)
        paths = (*products.claims, *products.specifications, *products.overview, *products.costs)
        return [path for path in paths if path.is_file()]

    def _whole_action(self) -> Any:
        used = [self._result(path) for path in map(self.plan.results.path, self.cells)]
        made = [self._file(path, f"The study as a whole: {path.stem}") for path in self._of_whole]
        said = "Test the claims, draw the overview and tabulate the costs of all finished cells"
        return self._drawing("the-whole", used, made, said)

    def _drawing(self, name: str, used: Sequence[Any], made: Sequence[Any], description: str) -> Any:
        said = (
            f"{description}. A figure records neither when nor by which code it was drawn: the revision is that of the "
            "code that wrote this crate."
        )
        title, objects = f"Draw {name}", [self._preset, *used]
        return self._action(f"#draw-{name}", "draw", self._revision, objects, made, name=title, description=said)

    def _action(
        self, id: str, stage: str, revision: str, used: Sequence[Any], made: Sequence[Any], **properties: Any
    ) -> Any:
        completed = "http://schema.org/CompletedActionStatus"
        action = self._all.entity(
            id, "CreateAction", **properties, instrument=self._tool(stage, revision), agent=self._authors,
            actionStatus=completed, object=list(used), result=list(made),
        )  # fmt: skip
        self._steps[action.id] = self._all[f"Snakefile#{stage}"]
        self._all.crate.root_dataset.append_to("mentions", action)
        return action

    def _connect(self, workflow: Any, actions: Sequence[Any]) -> None:
        """The workflow with its steps and parameters, its run, and Snakemake's part in it."""
        starts = sorted(str(one["started"]) for one in self._provenance.values())
        ends = sorted(map(_ended, self._provenance.values()))
        run = self._all.entity(
            "#run", "CreateAction", name=f"Run of preset {self.plan.study.name}", instrument=workflow,
            description="All cells, from the first that was started to the last that ended, on whatever machine",
            startTime=starts[0], endTime=ends[-1], agent=self._authors,
            object=[self._preset, *self._all.under("#dataset-")],
            result=[self._all[id] for id in ("results/", "figures/") if id in self._all],
        )  # fmt: skip
        self._all.crate.root_dataset.append_to("mentions", run)
        controls = [
            self._all.entity(
                f"{action.id}-step", "ControlAction", name=f"Step: {action['name']}",
                instrument=self._steps[action.id], object=action,
            )
            for action in actions
        ]  # fmt: skip
        engine = self._all.entity(
            "https://snakemake.github.io", "SoftwareApplication", name="Snakemake",
            softwareVersion=version("snakemake"), url="https://snakemake.github.io",
        )  # fmt: skip
        organised = self._all.entity(
            "#organised", "OrganizeAction", name="Snakemake runs the jobs whose results are missing",
            agent=self._authors, instrument=engine, object=controls, result=run,
        )  # fmt: skip
        self._all.crate.root_dataset.append_to("mentions", organised)
        used = [stage for stage in STEPS if f"Snakefile#{stage}" in self._all]
        for position, stage in enumerate(used, 1):
            step = self._all[f"Snakefile#{stage}"]
            step["position"] = str(position)
            step["workExample"] = single(self._all.under(f"#tool-{stage}-"))
            workflow.append_to("step", step)
        workflow["hasPart"] = self._all.under("#tool-")

    def _parameters(self, workflow: Any) -> None:
        datasets = self._all.under("#dataset-")
        results = self._all.folder("results/", f"A file for each cell of preset {self.plan.study.name}; tables; claims")
        figures = self._all.folder("figures/", f"The figures of preset {self.plan.study.name}, and their captions")
        for direction, name, kind, examples, said in (
            ("input", "preset", "File", [self._preset], "The study: what is trained, measured and drawn"),
            ("input", "dataset", "PropertyValue", datasets, "A prepared dataset, by the SHA-256 of its content"),
            ("output", "results", "Dataset", results, "A file for each cell; tables; claims"),
            ("output", "figures", "Dataset", figures, "The figures and their captions"),
        ):
            if examples:
                parameter = self._all.crate.add_formal_parameter(name, kind, f"#parameter-{name}", description=said)
                parameter["workExample"] = single(examples)
                workflow.append_to(direction, parameter)
                for one in examples:
                    one["exampleOfWork"] = parameter

    def _tool(self, stage: str, revision: str) -> Any:
        """The command of a stage at a revision of the code; it becomes an example of the stage's step."""
        self._all.entity(f"Snakefile#{stage}", "HowToStep", name=stage, description=STEPS[stage])
        code = self._all.entity(
            f"#code-{revision}", "SoftwareSourceCode", name=f"cnn_invariance at {revision}", version=revision,
            license={"@id": MIT}, programmingLanguage={"@id": "https://www.python.org"},
        )  # fmt: skip
        self._all.entity("https://www.python.org", "ComputerLanguage", name="Python", url="https://www.python.org")
        return self._all.entity(
            f"#tool-{stage}-{revision}", "SoftwareApplication", name=f"cnn-invariance {stage}",
            description=STEPS[stage], softwareVersion=revision, isBasedOn=code,
        )  # fmt: skip

    def _spec(self, cell: Cell) -> Any:
        path, text = f"specs/{cell.key}.json", cell.model_dump_json(indent=1) + "\n"
        return self._all.file(path, io.StringIO(text), text.encode(), f"The spec of cell {cell.key}")

    @property
    def _preset(self) -> Any:
        path = self.plan.study.path
        return self._all.file(
            f"config/{path.name}", path, path.read_bytes(), f"The preset {read(path).content['name']}"
        )

    def _result(self, path: Path) -> Any:
        return self._all[self._place(path)]

    def _place(self, path: Path) -> str:
        """Where a file of the results or figures is in the crate: below ``results`` or ``figures``."""
        folders = self.plan.folders
        for name, root in (("results", folders.results), ("figures", folders.figures)):
            if path.is_relative_to(root):
                return f"{name}/{path.relative_to(root).as_posix()}"
        raise AssertionError(path)  # all that is exported is in one of them

    def _file(self, path: Path, name: str, specified: Any = None) -> Any:
        made = self._all.file(self._place(path), path, path.read_bytes(), name)
        if specified is not None:
            made["isBasedOn"] = specified
        return made

    def _dataset(self, name: str, fingerprint: str) -> Any:
        return self._all.value(f"#dataset-{name}", f"dataset {name}", "SHA-256 of the content", fingerprint)

    def _weights(self, cell: Cell) -> list[Any]:
        network, digest = cell.network, self.plan.results.read(cell).weights_sha256
        epoch = getattr(cell, "epoch", network.recipe.epochs)
        label = f"weights of {network.key} after epoch {epoch}"
        return [self._all.value(f"#weights-{digest}", label, "SHA-256 of the weights", digest)] if digest else []

    def _machine(self, facts: Mapping[str, Any]) -> list[Any]:
        known = [(name, str(facts[name])) for name in MACHINE if facts.get(name) is not None]
        return [self._all.value(f"#machine-{_slug(name, value)}", name, name, value) for name, value in known]

    def _usage(self, cell: Cell, facts: Mapping[str, Any]) -> list[Any]:
        found = (("wall time", "wall_s", "SEC"), ("peak memory", "peak_memory_bytes", "AD"))
        return [
            self._all.value(
                f"#usage-{key}-{cell.key}", name, f"urn:cnn-invariance:{key}", str(facts[key]), unitCode=unit
            )
            for name, key, unit in found
            if facts.get(key) is not None
        ]


def _ended(facts: Mapping[str, Any]) -> str:
    """When a cell was finished: its start and its wall time."""
    ended = datetime.fromisoformat(str(facts["started"])) + timedelta(seconds=float(facts.get("wall_s", 0)))
    return ended.isoformat(timespec="seconds")


def _slug(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
