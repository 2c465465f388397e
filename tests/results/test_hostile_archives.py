"""Archives from anybody: bounded before they are read, refused by name, imported wholly or not at all."""

import gzip
import io
import os
import random
import signal
import tarfile
import time
import tracemalloc
from collections import Counter

import pytest
import yaml

from cnn_invariance.cli.application import plan_of
from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.results import write_training
from cnn_invariance.storage.locks import locked
from cnn_invariance.workflow import archives
from cnn_invariance.workflow.folders import Folders
from cnn_invariance.workflow.plan import Plan
from cnn_invariance.workflow.staging import Staging
from helpers_experiments import PRESET, write_results
from helpers_hostile import fuzzer


@pytest.fixture(scope="module")
def there(tmp_path_factory) -> Plan:
    """A clone with all results."""
    root = tmp_path_factory.mktemp("there")
    (root / "preset.yaml").write_text(yaml.safe_dump(PRESET | {"experiments": {"heatmap": {}}}), encoding="utf-8")
    plan = Plan(Programme.load(root / "preset.yaml"), Folders(results=root / "results", models=root / "models"))
    write_results(plan.study, plan.results.root)
    for network in plan.networks:
        write_training(plan.results.path(network), network, {"history": [{"loss": 0.5}] * 40}, {"wall_s": 1.0})
    return plan


@pytest.fixture
def here(there, tmp_path) -> Plan:
    """A clone without any."""
    return Plan(there.study, Folders(results=tmp_path / "results", models=tmp_path / "models"))


@pytest.fixture(scope="module")
def packed(there, tmp_path_factory) -> bytes:
    (path,) = archives.pack(there.results, there.cells, tmp_path_factory.mktemp("packed"))
    return path.read_bytes()


def files_of(plan: Plan) -> dict[str, bytes]:
    """Every file of results and checkpoints, temporary ones too."""
    roots = (plan.results.root, plan.folders.models)
    return {str(path): path.read_bytes() for root in roots for path in root.rglob("*") if path.is_file()}


def written(path, *members: tarfile.TarInfo | tuple[tarfile.TarInfo, bytes], kind=tarfile.PAX_FORMAT, **options):
    """An archive of these members."""
    with tarfile.open(path, "w:gz", format=kind, **options) as made:
        for one in members:
            member, content = one if isinstance(one, tuple) else (one, b"")
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, **fields) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type = kind
    for field, value in fields.items():
        setattr(made, field, value)
    return made


def refused(plan: Plan, path, message: str) -> None:
    before = files_of(plan)
    with pytest.raises(InputError, match=message):
        archives.load(plan, [path])
    assert files_of(plan) == before


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        (tarfile.SYMTYPE, "a symbolic link"),
        (tarfile.LNKTYPE, "a hard link"),
        (tarfile.CHRTYPE, "a character device"),
        (tarfile.BLKTYPE, "a block device"),
        (tarfile.DIRTYPE, "a folder"),
        (tarfile.FIFOTYPE, "a FIFO"),
        (tarfile.CONTTYPE, "a contiguous file"),
        (tarfile.GNUTYPE_SPARSE, "a sparse file"),
        (b"Z", "an entry of type b'Z'"),
    ],
)
def test_a_header_of_another_kind_is_named(here, tmp_path, kind, named):
    name = f"training/{here.networks[0].key}.json"
    path = written(tmp_path / "a.tar.gz", member(name, kind, linkname="/etc/passwd"))
    refused(here, path, rf"a\.tar\.gz: '{name}' is no result file: it is {named}.*; was it made by 'results pack'\?")


@pytest.mark.parametrize(
    "name", ["/etc/x", "../x", "training/../../x", "./training/x", "training//x", "a\\b", "C:/x", "training/x/", "."]
)
def test_a_name_that_leads_elsewhere_is_named(here, tmp_path, name):
    refused(here, written(tmp_path / "a.tar.gz", member(name)), "is no result file: it")


def test_headers_that_extend_others_give_names_alone(here, tmp_path):
    long = "training/" + "x" * 150
    refused(here, written(tmp_path / "a.tar.gz", member(long)), "no cell of preset synthetic")
    refused(here, written(tmp_path / "b.tar.gz", member(long), kind=tarfile.GNU_FORMAT), "a long name of GNU tar")
    much = member("x", pax_headers={"comment": "y"})
    refused(here, written(tmp_path / "c.tar.gz", much), "an extended header that gives more than a name")
    sparse = member("x", pax_headers={"GNU.sparse.major": "1"})
    refused(here, written(tmp_path / "d.tar.gz", sparse), "an extended header that gives more than a name")
    large = member("x", pax_headers={"comment": "y" * 10**6})
    refused(here, written(tmp_path / "e.tar.gz", large), r"an extended header of 1,000,017 bytes")
    of_all = written(tmp_path / "f.tar.gz", member("x"), pax_headers={"comment": "y"})
    refused(here, of_all, "a pax header for all files")


def test_a_name_that_comes_twice_is_named(here, there, tmp_path):
    name = f"training/{here.networks[0].key}.json"
    content = there.results.path(here.networks[0]).read_bytes()
    path = written(tmp_path / "a.tar.gz", (member(name), content), (member(name), content))
    refused(here, path, f"'{name}' is no result file: it is in the archive twice")


def test_what_unpacks_to_much_is_refused_while_it_is_small(here, tmp_path):
    """1.5 MB that stand for 1.5 GB: as one file, as many, behind the end, and as a header."""
    name = f"training/{here.networks[0].key}.json"
    zeros = gzip.compress(bytes(2**24))
    many = gzip.compress(b"".join(member(f"training/{i}").tobuf() for i in range(40_000)), 1)
    huge = member(name, size=3 * 2**30).tobuf()
    attacks = {
        "one file": gzip.compress(huge) + zeros * 90,
        "behind the end": gzip.compress(bytes(1024)) + zeros * 90,
        "many": many,
        "a header": gzip.compress(member("x", tarfile.XHDTYPE, size=2**31).tobuf()) + zeros * 90,
    }
    for attack, content in attacks.items():
        (tmp_path / "a.tar.gz").write_bytes(content)
        tracemalloc.start()
        started = time.process_time()
        refused(here, tmp_path / "a.tar.gz", "bytes, and at most|unpacks to more than|an extended header of")
        assert time.process_time() - started < 10, attack
        assert tracemalloc.get_traced_memory()[1] < 100 * 2**20, attack
        tracemalloc.stop()


def test_a_path_that_is_no_archive_is_named(here, tmp_path):
    refused(here, tmp_path, "is no file; name the archives themselves")
    os.mkfifo(tmp_path / "fifo")
    refused(here, tmp_path / "fifo", "is no file; name the archives themselves")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    refused(here, tmp_path / "loop", "is no archive of results, or damaged")


def test_what_is_in_the_way_is_named(here, packed, tmp_path):
    (tmp_path / "a.tar.gz").write_bytes(packed)
    network = here.networks[0]
    here.results.path(network).mkdir(parents=True)
    refused(here, tmp_path / "a.tar.gz", rf"training/{network.key}\.json: .* is in its way; move that away")
    here.results.path(network).rmdir()
    here.results.path(network).parent.rmdir()
    here.results.path(network).parent.write_text("a file")
    refused(here, tmp_path / "a.tar.gz", r"training is in its way; move that away")
    here.results.path(network).parent.unlink()
    here.results.path(network).parent.symlink_to(tmp_path / "nowhere")
    refused(here, tmp_path / "a.tar.gz", r"training is in its way; move that away")


def test_of_many_problems_some_are_named_and_all_counted(here, tmp_path):
    path = written(tmp_path / "a.tar.gz", *(member(f"training/{i}.json") for i in range(1000)))
    with pytest.raises(InputError, match="and 980 more\nnothing was imported") as caught:
        archives.load(here, [path])
    assert len(str(caught.value).splitlines()) == 22


def mutated(packed: bytes, random_: random.Random) -> bytes:
    """An archive with a fault of a random kind, in its compressed bytes, its headers or its contents."""
    plain = bytearray(gzip.decompress(packed))
    heads = [at for at in range(0, len(plain), 512) if plain[at : at + 9] in (b"training/", b"measures/")]
    head = random_.choice(heads)
    match random_.randrange(9):
        case 0:  # bits of the compressed archive
            content = bytearray(packed)
            for _ in range(random_.randint(1, 4)):
                content[random_.randrange(len(content))] ^= 1 << random_.randrange(8)
            return bytes(content)
        case 1:
            return packed[: random_.randrange(len(packed))]
        case 2:  # anything in a header, whose checksum fits
            for _ in range(random_.randint(1, 3)):
                plain[head + random_.randrange(512)] = random_.randrange(256)
        case 3:
            plain[head + 156] = random_.choice(b"0123456789gxLKSXDMNVA\0")
        case 4:  # a size: octal, negative, or in base 256
            sizes = [b"77777777777\0", b"\xff" * 12, b"\x80" + b"\xff" * 11, b"-1         \0", b"00000000000\0"]
            plain[head + 124 : head + 136] = random_.choice(sizes)
        case 5:
            names = [b"/etc/passwd", b"../../x", b"training/", b"\xff\xfe", b"", b"measures/\n\x1b[2J", b"a" * 100]
            plain[head : head + 100] = random_.choice(names).ljust(100, b"\0")
        case 6:  # bits of the contents
            for _ in range(random_.randint(1, 8)):
                plain[random_.randrange(len(plain))] ^= 1 << random_.randrange(8)
        case 7:  # blocks that are cut out, or come again
            start, end = sorted(512 * random_.randrange(len(plain) // 512) for _ in range(2))
            plain[start:end] = random_.choice([b"", plain[start:end] * 2])
        case _:
            plain[head:head] = random_.randbytes(512 * random_.randint(1, 3))
    block = plain[head : head + 512]
    block[148:156] = b" " * 8
    plain[head + 148 : head + 156] = f"{sum(block):06o}\0 ".encode()
    return gzip.compress(bytes(plain), 1, mtime=0)


def test_no_archive_gets_through(request, there, packed, tmp_path):
    """Archives with random faults are refused, or give files that are whole; prints how many."""
    fuzz = fuzzer("archives of results", request, 0.6)
    whole = {path.relative_to(there.results.root): path.read_bytes() for path in there.results.root.rglob("*.*")}
    path = tmp_path / "a.tar.gz"
    for trial in fuzz.trials():
        here = Plan(there.study, Folders(results=tmp_path / str(trial), models=tmp_path / "models"))
        path.write_bytes(mutated(packed, fuzz.random))
        found = fuzz.attempt(trial, lambda here=here: archives.load(here, [path]))
        files = files_of(here)
        assert found is not None or files == {}, trial
        for name, content in files.items():
            assert whole[(tmp_path / name).relative_to(here.results.root)] == content, trial
    fuzz.check(least=30, refused=0.5)


forks = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # the child imports, and is killed


def killed_import(plan: Plan, path, after: float) -> None:
    """Import in a process that is killed after some seconds, if it has not ended by then."""
    child = os.fork()
    if not child:
        try:
            archives.load(plan, [path])
        finally:
            os._exit(0)
    ends = time.monotonic() + after
    while time.monotonic() < ends:
        if os.waitpid(child, os.WNOHANG)[0]:
            return
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


@forks
def test_an_import_that_is_killed_leaves_all_or_nothing(there, packed, tmp_path):
    """At once, at random moments and long after its end; the next command finishes it or deletes what it left."""
    path, random_, outcomes = tmp_path / "a.tar.gz", random.Random(5), Counter[str]()
    path.write_bytes(packed)
    started = time.monotonic()
    archives.load(Plan(there.study, Folders(results=tmp_path / "first", models=tmp_path / "models")), [path])
    usual = time.monotonic() - started
    moments = [0.0, *(random_.uniform(0, 1.5 * usual) for _ in range(23)), 100 * usual]
    for trial, moment in enumerate(moments):
        folders = {"results": tmp_path / f"r{trial}", "models": tmp_path / f"m{trial}"}
        here = Plan(there.study, Folders(**folders))
        killed_import(here, path, moment)
        found = files_of(plan_of(there.study.path, **folders))
        outcomes[str(len(found))] += 1
        assert len(found) in (0, len(there.cells))
        assert [name for name in found if "/." in name] == []
        assert archives.load(here.anew(), [path]).new == len(there.cells) - len(found)
    assert len(outcomes) == 2, "nothing and all"


@forks
@pytest.mark.parametrize("moved", [0, 1, 5])
def test_an_import_that_is_killed_while_files_are_moved_is_finished_by_the_next_command(there, packed, tmp_path, moved):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(packed)
    folders = {"results": tmp_path / "results", "models": tmp_path / "models"}
    here = Plan(there.study, Folders(**folders))
    child = os.fork()
    if not child:
        count = 0

        def kill(name):
            nonlocal count
            count += 1
            if count > moved:
                os.kill(os.getpid(), signal.SIGKILL)

        commit = Staging.commit
        Staging.commit = lambda self, names: commit(self, names, kill)
        archives.load(here, [path])
        os._exit(0)
    os.waitpid(child, 0)
    there_now = sum(here.results.has(cell) for cell in here.cells)
    assert there_now == moved + 1
    assert plan_of(there.study.path, **folders).to_compute == ()
    assert [name for name in files_of(here) if "/." in name] == []


def test_two_imports_at_once_are_refused_and_one_that_runs_is_left_alone(here, there, packed, tmp_path):
    (tmp_path / "a.tar.gz").write_bytes(packed)
    staging = Staging.of(here.folders, here.study.name)
    with locked(staging.lock, "an import into this folder", "wait for its end"):
        left = staging.staged("training/x.json")
        left.parent.mkdir(parents=True)
        left.write_text("under way")
        with pytest.raises(InputError, match="an import into this folder is running already"):
            archives.load(here, [tmp_path / "a.tar.gz"])
        plan_of(there.study.path, results=here.folders.results, models=here.folders.models)
        assert left.is_file()
    plan_of(there.study.path, results=here.folders.results, models=here.folders.models)
    assert files_of(here) == {}


@pytest.mark.parametrize("content", ["", "{}", '{"models": 3, "names": []}', '{"models": ".", "names": ["../../x"]}'])
def test_a_journal_that_is_none_is_named(here, content):
    here.results.root.mkdir(parents=True)
    (here.results.root / ".import.json").write_text(content)
    with pytest.raises(InputError, match=r"\.import\.json: expected the journal of an import; delete it"):
        Staging.of(here.folders, here.study.name).recover()


def test_a_packing_that_was_killed_leaves_nothing_for_long(there, tmp_path):
    left = tmp_path / ".synthetic-1.tar-0123456789abcdef.gz"
    left.write_bytes(b"half")
    archives.pack(there.results, there.cells, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["synthetic-1.tar.gz"]
