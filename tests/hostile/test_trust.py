"""A preset is data: the code that it names is run by few commands, from few places, and is said to be run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cnn_invariance.cli import app
from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.plugins import references, trust
from cnn_invariance.plugins.trust import Trust
from cnn_invariance.workflow.plan import Plan
from helpers_study import TINY

ROOT = Path(__file__).parents[2]
SET = "rotation: {parameters: {n: 3, closed: false}}"
CANARY = """
from pathlib import Path
Path({ran!r}).touch()

def mine(n=2):
    return [lambda images, k=k: images * (1 + k / 4) for k in range(n)]

def build(input_shape, classes, **arguments):
    from torch import nn
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(classes))
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a preset whose set, network and measure are code in a file that leaves a trace when it is run."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config-home"))
    monkeypatch.setattr(trust, "_told", set())
    folder = tmp_path / "study"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "mine.py").write_text(CANARY.format(ran=str(tmp_path / "ran")))
    write(folder / "mine.yaml", "mine.py:mine")
    return folder


def write(path: Path, reference: str, more: str = "", model: str = "") -> None:
    own = f"mine: {{set: {reference!r}, size: 2{more}}}"
    text = TINY.replace(SET, f"{SET}, {own}")
    path.write_text(text.replace("{SimpleConv: {arguments: {width: 4}, ", model) if model else text)


def ran(here: Path) -> bool:
    return (here.parent / "ran").exists()


def cli(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments)])


READING = [
    ["plan"],
    ["plan", "--cells"],
    ["results", "check"],
    ["claims", "--statement"],
    ["costs"],
    ["claims"],
    ["draw", "compare_models"],
    ["overview"],
]


@pytest.mark.filterwarnings("ignore:There are no gridspecs:UserWarning")  # of Matplotlib, for an overview of no results
@pytest.mark.parametrize("command", READING, ids=" ".join)
@pytest.mark.parametrize("reference", ["mine.py:mine", "subprocess:getoutput", "sys:exit", "os:system"])
def test_what_plans_checks_reads_and_draws_imports_nothing(here, command, reference):
    write(here / "mine.yaml", reference, ", parameters: {cmd: 'touch ../ran', command: 'touch ../ran'}")
    done = cli(*command, "--preset", "mine.yaml")
    assert not ran(here)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    if command[0] in ("plan", "results"):
        assert done.exit_code == 0, done.output
        assert (reference in done.output) == (command[0] == "plan")


def test_planning_from_a_program_imports_nothing(here):
    plan = Plan(Programme.load("mine.yaml"))
    assert [cell.transformations.size for cell in plan.measurements] == [3, 2]
    assert len(plan.networks) == 2
    assert not ran(here)


def snakemake(*arguments, **variables):
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"} | variables
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_dry_run_imports_nothing_and_a_run_says_what_it_will(here):
    (here / "mine.py").write_text((here / "mine.py").read_text().replace("def mine(n=2):", "def mine(n=2):\n    1 / 0"))
    done = snakemake("-n", "--configfile", "mine.yaml")
    assert done.returncode == 0, done.stderr
    assert not ran(here)
    done = snakemake("--cores", 1, "--configfile", "mine.yaml")
    assert done.returncode == 1
    assert ran(here)
    assert f"running code outside this package: {here / 'mine.py'} (SHA-256 " in done.stderr
    assert "'mine.py:mine' fails with {}: ZeroDivisionError" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (here / "data").exists()


def with_own_experiment(here):
    path = here / "mine.yaml"
    text = path.read_text().replace("experiments: {", "experiments: {own: {experiment: 'mine.py:Own'}, ")
    path.write_text(text)
    assert "mine.py:Own" in text


@pytest.mark.parametrize("option", ["-n", "-np", "--dry-run"])
def test_a_dry_run_imports_no_experiment_of_one_s_own(here, option):
    """It cannot be planned without running its file: a dry run says so."""
    with_own_experiment(here)
    done = snakemake(option, "--cores", 1, "--configfile", "mine.yaml")
    assert done.returncode == 1
    assert "'mine.py:Own' is not run" in done.stdout + done.stderr
    assert "a dry run runs no code that a preset names" in done.stdout + done.stderr
    assert not ran(here)


def test_results_of_a_preset_with_an_experiment_of_one_s_own_are_checked_where_it_is_trusted(here):
    with_own_experiment(here)
    refused = cli("results", "check", "--preset", "mine.yaml")
    assert refused.exit_code == 2
    assert "'mine.py:Own' is not run" in refused.stderr
    assert not ran(here)
    tried = cli("results", "check", "--preset", "mine.yaml", "--trust", "./")
    assert "unknown name in 'mine.py' 'Own'" in tried.stderr
    assert ran(here)


def test_a_file_elsewhere_is_not_run_and_the_message_says_what_trusts_it(here):
    other = here.parent / "other place"
    other.mkdir()
    (here / "mine.py").rename(other / "mine.py")
    write(here / "mine.yaml", f"{other}/mine.py:mine")
    done = cli("plan", "--try", "--preset", "mine.yaml")
    assert (done.exit_code, ran(here)) == (2, False)
    assert "neither beside the preset" in done.stderr
    assert f"--trust '{other}'" in done.stderr
    assert str(trust.own_file()) in done.stderr
    assert cli("plan", "--try", "--preset", "mine.yaml", "--trust", other).exit_code == 0
    assert ran(here)


def test_a_link_beside_the_preset_counts_where_it_leads(here):
    (here / "mine.py").rename(here.parent / "mine.py")
    (here / "mine.py").symlink_to(here.parent / "mine.py")
    assert "neither beside" in cli("plan", "--try", "--preset", "mine.yaml").stderr
    assert not ran(here)


def test_a_line_of_the_user_s_own_file_trusts_a_folder_or_package(here):
    (here / "mine.py").rename(here.parent / "mine.py")
    write(here / "mine.yaml", f"{here.parent}/mine.py:mine")
    own = trust.own_file()
    assert own.is_relative_to(here.parent / "config-home")
    own.parent.mkdir(parents=True)
    own.write_text(f"# my folders\n\n{here.parent}  # all of it\nmy_package\n")
    assert Trust.of(None).packages == ("my_package",)
    assert cli("plan", "--try", "--preset", "mine.yaml").exit_code == 0
    assert ran(here)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("./relative", "is a relative folder; write the whole path"),
        ("/no/such/folder", "is no folder; name a folder or a package"),
        ("two words", "is neither a package nor a folder"),
        ("~nobody-there/x", "home folder that ~ stands for is not known"),
        (b"\xff", "cannot be read"),
    ],
)
def test_a_file_of_trust_that_is_wrong_is_named(here, text, message):
    trust.own_file().parent.mkdir(parents=True)
    trust.own_file().write_bytes(text if isinstance(text, bytes) else text.encode())
    done = cli("plan", "--try", "--preset", "mine.yaml")
    assert done.exit_code == 2
    assert message in done.stderr
    assert not ran(here)


@pytest.fixture
def package(here, monkeypatch):
    """An installed package with a set, which imports a module of the system, as every package does."""
    (here.parent / "site" / "some_package_of_mine").mkdir(parents=True)
    text = (here / "mine.py").read_text()
    (here.parent / "site/some_package_of_mine/__init__.py").write_text("import os, subprocess\n" + text)
    monkeypatch.syspath_prepend(here.parent / "site")
    yield "some_package_of_mine"
    sys.modules.pop("some_package_of_mine", None)


def test_a_package_is_imported_if_it_is_trusted(here, package):
    write(here / "mine.yaml", f"{package}:mine")
    said = cli("plan", "--try", "--preset", "mine.yaml").stderr
    assert f"it names the module {package}, which is neither beside the preset" in said
    assert not ran(here)
    assert cli("plan", "--try", "--preset", "mine.yaml", "--trust", package).exit_code == 0
    assert ran(here)


@pytest.mark.parametrize("name", ["os.system", "subprocess.getoutput", "os"])
def test_a_trusted_package_does_not_lend_what_it_imports(here, package, name):
    write(here / "mine.yaml", f"{package}:{name}", ", parameters: {command: 'touch ../hit', cmd: 'touch ../hit'}")
    said = cli("plan", "--try", "--preset", "mine.yaml", "--trust", package).stderr
    assert f"it names {name!r} of the module" in said
    assert not (here.parent / "hit").exists()


def test_compiled_code_beside_a_file_is_not_run_in_its_place(here):
    """A .pyc that is said to be up to date, of other code: the text, whose hash is shown, is what is run."""
    import importlib.util
    import marshal

    evil = compile("import pathlib; pathlib.Path('../evil').touch()", "mine.py", "exec")
    cached = Path(importlib.util.cache_from_source(str(here / "mine.py")))
    cached.parent.mkdir()
    source = (here / "mine.py").stat()
    stamp = int(source.st_mtime).to_bytes(4, "little") + source.st_size.to_bytes(4, "little")
    cached.write_bytes(importlib.util.MAGIC_NUMBER + bytes(4) + stamp + marshal.dumps(evil))
    assert cli("plan", "--try", "--preset", "mine.yaml").exit_code == 0
    assert ran(here)
    assert not (here.parent / "evil").exists()


def test_code_that_ends_the_process_is_an_error_and_no_success(here):
    with (here / "mine.py").open("a") as file:
        file.write("\ndef ends():\n    import sys\n    sys.exit(0)\n")
    write(here / "mine.yaml", "mine.py:ends")
    done = cli("plan", "--try", "--preset", "mine.yaml")
    assert done.exit_code == 2
    assert "'mine.py:ends' fails with {}: SystemExit: 0" in done.stderr
    (here / "mine.py").write_text("raise SystemExit(0)")
    write(here / "mine.yaml", "mine.py:mine")
    done = cli("plan", "--try", "--preset", "mine.yaml")
    assert done.exit_code == 2
    assert "cannot be imported: SystemExit: 0" in done.stderr


def test_a_job_s_file_is_data_too(here):
    plan = Plan(Programme.load("mine.yaml"))
    cell = next(cell for cell in plan.networks if cell.augmentation and cell.augmentation.own)
    plan.job(cell).write(here / "job.json")
    done = cli("train", "job.json")
    assert done.exit_code == 2
    assert not ran(here)


def test_the_size_that_is_stated_is_checked_when_the_code_is_run(here):
    text = (here / "mine.yaml").read_text()
    (here / "mine.yaml").write_text(text.replace("size: 2", "size: 5"))
    said = cli("plan", "--try", "--preset", "mine.yaml").stderr
    assert "'mine.py:mine' is not as the preset states: 'size: 5'; its function gives 2" in said
    (here / "mine.yaml").write_text(text.replace("size: 2", "size: 2, affine: true"))
    said = cli("plan", "--try", "--preset", "mine.yaml").stderr
    assert "not as the preset states: 'affine: true'; its function gives false" in said


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (", size: 2", "", "add 'size: 3' if it has 3 transformations"),
        ("size: 2", "size: 2, identity: 0", "'identity' is the place of a member of an affine set"),
        ("size: 2", "size: 2, identity: 2, affine: true", "'identity' is the place of a member"),
        ("size: 2", "size: 1000000", "expected less than or equal to 10000; received 1000000"),
        ("{n: 3, closed: false}}", "{n: 3, closed: false}, size: 3}", "'size' is for sets of your own; rotation knows"),
    ],
)
def test_what_is_stated_of_a_set_makes_sense(here, old, new, message):
    text = (here / "mine.yaml").read_text()
    assert text.count(old) == 1
    (here / "mine.yaml").write_text(text.replace(old, new))
    with pytest.raises(InputError) as caught:
        Programme.load("mine.yaml")
    assert message in str(caught.value)


def test_a_program_runs_what_it_names(here):
    """Outside of commands: who calls the library names the code himself."""
    assert len(references.resolve("mine.py:mine")()) == 2
    with trust.only(trust.nothing()), pytest.raises(InputError, match="is not run: it names the file"):
        references.resolve("mine.py:mine")


def test_libraries_of_networks_read_no_weights_by_an_argument():
    from cnn_invariance import models

    for argument in ("checkpoint_path", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay"):
        with pytest.raises(InputError, match=f"takes no argument '{argument}' here, which reads weights"):
            models.build("timm:test_resnet", (3, 32, 32), 5, **{argument: "evil.pth"})
    with pytest.raises(InputError, match="unknown timm model 'hf-hub:evil/net'"):
        models.build("timm:hf-hub:evil/net", (3, 32, 32), 5)
