"""Faults of the machine: disks that are full, folders that cannot be written, signals, locks that a kill leaves."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from PIL import Image
from typer.testing import CliRunner

from cnn_invariance.cli import app, signals
from cnn_invariance.errors import FailedError, InputError
from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.measures.backends import c_loops
from cnn_invariance.storage import faults, files, locks
from cnn_invariance.training import learner, tensorfile
from cnn_invariance.workflow import running
from cnn_invariance.workflow.options import RunOptions
from cnn_invariance.workflow.plan import Plan
from helpers_study import TINY

SMALL = (
    TINY.replace("width: 4", "width: 1")
    .replace("seeds: [0, 1]", "seeds: [0]")
    .replace("count: 50", "count: 10")
    .replace("n: 3,", "n: 2,")
)
LIMIT = 64
"""Bytes that a file may have where there is a limit."""
NOT_ROOT = "mounts a file system, which needs root"
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # the children end soon


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The smallest study, computed: its data, weights, results and figures."""
    root = tmp_path_factory.mktemp("done")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        (root / "tiny.yaml").write_text(SMALL, encoding="utf-8")
        for number in range(10):
            place = root / "leaves" / "ab"[number % 2] / f"{number}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (6, 6), (number, 0, 0)).save(place)
        assert CliRunner().invoke(app, ["dataset", "mnist5k", "--preset", "tiny.yaml"]).exit_code == 0
        for arguments in commands(root):
            done = CliRunner().invoke(app, arguments)
            assert done.exit_code == 0, done.output
    return root


@pytest.fixture
def here(done, tmp_path, monkeypatch):
    """The same in a folder of its own."""
    shutil.copytree(done, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def commands(root, **folders):
    """The commands of the stages, in order; with ``data="x"`` and the like, what each writes goes there."""
    cells = Plan(Programme.load(root / "tiny.yaml")).cells
    network, measured = (next(cell.key for cell in cells if cell.stage == stage) for stage in ("train", "measure"))
    to = {name: (f"--{name}-dir", str(folder)) for name, folder in folders.items()}
    study = ("--preset", "tiny.yaml")
    results, figures = to.get("results", ()), to.get("figures", ())
    return [
        ["dataset", "folder:leaves", *to.get("data", ())],
        ["train", network, *study, *to.get("models", ()), *results],
        ["measure", measured, *study, *results],
        ["draw", "compare_models", *study, *figures],
        ["costs", *study],
        ["results", "pack", str(folders.get("archives", "archives")), *study],
    ]


STAGES = {
    "data": (0, "data", []),
    "state": (1, "models", ["models", "results"]),
    "record": (1, "results", ["results"]),
    "result": (2, "results", ["results/tiny/measures"]),
    "figure": (3, "figures", []),
    "archive": (5, "archives", []),
}
"""Of each stage: its command, the folder that has no room, and what is not there before."""


@contextmanager
def limited(size=LIMIT):
    """Files may not be larger than that."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def mounted(tmp_path):
    """A function that mounts a file system in memory of some options; None where that may not be."""
    places = []

    def mount(options):
        place = tmp_path / "mounted"
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip(NOT_ROOT)
        places.append(place)
        return place

    yield mount
    for place in places:
        subprocess.run(["umount", "-l", str(place)], check=True)


def written(folder):
    """The files of a folder, but for those of locks."""
    return [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]


def told(arguments):
    """What a command says that fails for a fault of the machine."""
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 1, done.output
    assert "Traceback" not in done.output
    assert "run the command again: what was finished before is kept" in done.stderr
    return done.stderr


def emptied(here, stage):
    """What the stage has made is deleted, but for the results that it needs; its command and its folder."""
    number, folder, gone = STAGES[stage]
    for one in (*gone, folder):
        if one != "results":
            shutil.rmtree(here / one, ignore_errors=True)
    if "results" in gone:
        shutil.rmtree(here / "results/tiny/training")
    return number, folder


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage != "record"])  # its state is larger
def test_a_file_that_has_no_room_leaves_nothing_and_is_named(here, stage):
    number, folder = emptied(here, stage)
    before = set(written(here))
    with limited():
        said = told(commands(here)[number])
    assert f"error: {folder}" in said
    assert "File too large" in said
    assert "the file needs" in said
    assert set(written(here)) - before <= set(written(here / "models")), "a training keeps its state"
    assert CliRunner().invoke(app, commands(here)[number]).exit_code == 0
    Plan(Programme.load(here / "tiny.yaml")).check()


@pytest.mark.parametrize("stage", STAGES)
def test_a_full_disk_is_named_with_what_is_needed(here, mounted, stage):
    number, folder = emptied(here, stage)
    full = mounted("size=4k")
    (full / "other").write_bytes(bytes(4096))
    said = told(commands(here, **{folder: full})[number])
    assert f"error: {full}" in said
    assert "No space left on device" in said
    assert "has 0 B free, the file needs " in said
    assert "more than that" not in said
    assert written(full) == [full / "other"]


@pytest.mark.parametrize("stage", STAGES)
def test_a_folder_that_cannot_be_written_is_named(here, mounted, stage):
    number, folder = emptied(here, stage)
    closed = mounted("ro") if os.geteuid() == 0 else here / "closed"
    if os.geteuid():
        closed.mkdir(mode=0o500)
    said = told(commands(here, **{folder: closed / "deep"})[number])
    assert f"error: {closed}" in said
    assert "cannot be written by you" in said


def test_a_full_disk_in_an_import_imports_nothing(here, mounted):
    full = mounted("size=8k")
    archive = next((here / "archives").glob("*.tar.gz"))
    arguments = ["results", "import", str(archive), "--preset", "tiny.yaml", "--results-dir"]
    done = CliRunner().invoke(app, [*arguments, str(full)])
    assert done.exit_code == 1, done.output
    assert "No space left on device" in done.stderr
    assert written(full) == []
    assert CliRunner().invoke(app, [*arguments, str(here / "elsewhere")]).exit_code == 0


def test_the_output_of_a_command_on_a_full_disk_ends_in_a_message():
    with open("/dev/full", "w") as full:  # noqa: PTH123 (a device)
        command = [sys.executable, "-m", "cnn_invariance", "experiments"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode != 0
    assert "error: No space left on device; see to the disks" in done.stderr
    assert "Traceback" not in done.stderr


def test_errors_of_libraries_are_known_by_the_number_they_quote(tmp_path):
    class OtherError(Exception):
        pass

    for text in ("I/O error: No space left on device (os error 28)", "[Errno 28] Error writing bytes to file"):
        with pytest.raises(faults.DiskError, match="No space left on device"), files.atomic_write(tmp_path / "x"):
            raise OtherError(text)
    with pytest.raises(OtherError, match="another"), files.atomic_write(tmp_path / "x"):
        raise OtherError("another")
    with pytest.raises(InputError), files.atomic_write(tmp_path / "x"):
        raise InputError("what is wrong is said already") from FileNotFoundError(2, "No such file")


def test_a_run_needs_room_and_folders_that_can_be_written(tmp_path, mounted):
    (tmp_path / "file").touch()
    wanted = [tmp_path / "a", tmp_path / "b", tmp_path / "file" / "c"]
    with pytest.raises(FailedError) as caught:
        running.check_space(wanted, 2**70)
    first, second, third = str(caught.value).splitlines()
    assert first.startswith(f"{wanted[0]}, {wanted[1]}: ")
    assert "free on the disk, and a run needs" in first
    assert second == f"{wanted[2]}: {wanted[2].parent} is no folder; move it away, or name another folder"
    assert third == "then start it again: what was finished before is kept"
    running.check_space(wanted[:2], 1)
    with pytest.raises(FailedError, match="cannot be written by you; make it writable"):
        running.check_space([mounted("ro") / "x"], 0)


@pytest.mark.parametrize("value", ["a{x}", "a}", "new\nline", "", 7, True, None, ["a"]])
def test_a_folder_that_snakemake_reads_otherwise_is_refused(value):
    with pytest.raises(InputError, match="results_dir"):
        RunOptions.read(["tiny.yaml"], {"results_dir": value})
    if isinstance(value, str) and value:
        with pytest.raises(InputError, match="path of the preset"):
            RunOptions.read([f"{value}.yaml"], {})


def test_loops_in_c_do_without_their_cache(tmp_path, monkeypatch):
    if c_loops.library() is None:
        pytest.skip("no C compiler here")
    (tmp_path / "file").touch()
    monkeypatch.setattr(c_loops.platformdirs, "user_cache_dir", lambda name: str(tmp_path / "file" / name))
    assert c_loops._loaded(("-O0", "-fPIC", "-std=c11", "-Wno-unknown-pragmas")) is not None


def test_a_command_runs_without_a_home_in_another_locale_in_a_folder_of_any_name(tmp_path):
    odd = tmp_path / "o 'd\"d; $(touch ran) {b} %s é"
    odd.mkdir()
    (odd / "tiny.yaml").write_text(SMALL.replace("A study.", "√ of a study, é"), encoding="utf-8")
    bare = {"PATH": os.environ["PATH"], "LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    environment = {**bare, "PYTHONIOENCODING": "latin-1", "HOME": "/nonexistent"}
    command = [sys.executable, "-m", "cnn_invariance", "plan", "--preset", "tiny.yaml"]
    done = subprocess.run(command, cwd=odd, env=environment, capture_output=True, encoding="latin-1", check=False)
    assert done.returncode == 0, done.stderr
    assert r"\u221a of a study, é" in done.stdout
    assert sorted(path.name for path in odd.iterdir()) == ["tiny.yaml"]


class Child:
    """A copy of this process that runs a function and ends with the status that it returns."""

    def __init__(self, run):
        self.process = os.fork()
        if self.process == 0:
            try:
                os._exit(run())
            finally:
                os._exit(99)

    def ended(self, seconds=5.0):
        """Its status, as of a process that a signal may have ended; fails if it takes longer."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            process, status = os.waitpid(self.process, os.WNOHANG)
            if process:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.02)
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)
        return pytest.fail(f"it did not end within {seconds} s")


def until(condition, seconds=60.0):
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_training_that_is_asked_to_end_keeps_its_epochs(here, monkeypatch, number):
    shutil.rmtree(here / "models")
    shutil.rmtree(here / "results")
    network, said = Plan(Programme.load("tiny.yaml")).networks[0], here / "said"
    run_epoch = learner.Learner.run_epoch

    def slow(self, epoch, on_step):
        if epoch == 2:
            (here / "second").touch()
            time.sleep(60)
        return run_epoch(self, epoch, on_step)

    def train():
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)  # in a shell's
        # background SIGINT is ignored, and a command leaves it so
        monkeypatch.setattr(learner.Learner, "run_epoch", slow)
        sys.stderr = said.open("w")
        app(["train", network.key, "--preset", "tiny.yaml"])
        return 0

    child = Child(train)
    until((here / "second").exists)
    os.kill(child.process, number)
    assert child.ended() == 128 + number
    name = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
    assert said.read_text().splitlines()[-2:] == [
        f"{network.key}: 1 of 2 epochs are kept; it goes on from there",
        f"stopped by {name}; what was finished is kept, and the same command goes on",
    ]
    (kept,) = written(here / "models")
    assert tensorfile.read(kept)[1]["epoch"] == 1


def test_a_command_in_a_long_call_of_a_library_ends_too(monkeypatch, tmp_path):
    def compute():
        import hashlib

        monkeypatch.setattr(signals, "SOON", 0.3)
        with signals.ended_soon():
            (tmp_path / "started").touch()
            hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)  # lets no handler in, nor holds the interpreter
        return 0

    child = Child(compute)
    until((tmp_path / "started").exists)
    os.kill(child.process, signal.SIGTERM)
    assert child.ended() == 128 + signal.SIGTERM


def test_a_block_that_ends_in_time_is_not_ended():
    def compute():
        signals.SOON = 0.2
        try:
            with signals.ended_soon():
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(5)
        except signals.StoppedError:
            time.sleep(0.6)
            return 7
        return 0

    assert Child(compute).ended() == 7


def test_a_run_that_is_asked_to_end_takes_its_jobs_with_it(tmp_path):
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    )

    def run():
        running.PATIENCE = 0.5
        running.end_with_jobs()
        jobs = [
            subprocess.Popen(["sh", "-c", "sleep 60; true"]),
            subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE),
        ]
        jobs[1].stdout.readline()
        (tmp_path / "started").touch()
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            return 7 if all(job.wait(2) < 0 for job in jobs) else 8
        return 0

    child = Child(run)
    until((tmp_path / "started").exists)
    os.kill(child.process, signal.SIGTERM)
    assert child.ended() == 7


def locked_by_snakemake():
    running.LOCKS.mkdir(parents=True)
    lock = running.LOCKS / "0.input.lock"
    lock.write_text("data/mnist5k.npz\n")
    return lock


def test_locks_of_a_killed_run_are_deleted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = []

    def killed():
        running.join(said.append)
        locked_by_snakemake()
        os.kill(os.getpid(), signal.SIGKILL)

    child = Child(killed)
    assert child.ended() == -signal.SIGKILL
    running.join(said.append, stay=False)
    assert not running.LOCKS.exists()
    assert f"process {child.process}) was killed: its locks are deleted, and this run goes on" in said[0]
    running.join(said.append, stay=False)
    assert len(said) == 1


def test_locks_of_a_run_that_goes_on_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = []

    def goes_on():
        running.join(said.append)
        locked_by_snakemake()
        (tmp_path / "started").touch()
        time.sleep(60)
        return 0

    child = Child(goes_on)
    until((tmp_path / "started").exists)
    running.join(said.append, stay=False)
    os.kill(child.process, signal.SIGKILL)
    assert child.ended() == -signal.SIGKILL
    assert said[0].startswith("another run is going on in this folder (")
    assert running.LOCKS.exists()


def test_locks_of_another_machine_stay_and_the_command_that_deletes_them_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said, lock = [], locked_by_snakemake()
    running.LOCK.write_text("elsewhere process 7")
    running.join(said.append, stay=False)
    assert lock.exists()
    assert said == [
        f"{running.LOCKS} has the locks of another run; if it has ended, delete them with: snakemake --unlock"
    ]
    running.LOCK.unlink()
    monkeypatch.setattr(locks, "share", lambda *arguments, **options: None)  # a file system without locks
    running.join(said.append)
    assert lock.exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("count: 10", "count: 1001", "'count' of samples: received 1,001, and the test split of mnist5k has 1,000"),
        ("epoch_samples: 100", "epoch_samples: 3501", "received 3,501, and the train split of mnist5k has 3,500"),
    ],
)
def test_a_count_beyond_the_split_is_refused_by_plan(here, old, new, message):
    for folder in ("results", "data"):
        (here / "tiny.yaml").write_text(SMALL.replace(old, new), encoding="utf-8")
        shutil.rmtree(here / folder)  # known by the prepared data, then by its source
        done = CliRunner().invoke(app, ["plan", "--preset", "tiny.yaml"])
        assert done.exit_code == 2, done.output
        assert message in done.stderr
