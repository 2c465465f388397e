"""Results packed, carried and imported: all or nothing, and every fault by name."""

import io
import tarfile

import pytest
import yaml

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.results import Results, write_training
from cnn_invariance.study import Study
from cnn_invariance.workflow import archives
from cnn_invariance.workflow.folders import Folders
from cnn_invariance.workflow.plan import Plan
from helpers_experiments import PRESET, write_results


@pytest.fixture
def study(tmp_path) -> Study:
    path = tmp_path / "preset.yaml"
    path.write_text(yaml.safe_dump(PRESET | {"experiments": {"heatmap": {}}}), encoding="utf-8")
    return Programme.load(path)


@pytest.fixture
def there(study, tmp_path) -> Plan:
    """A clone with all results."""
    plan = Plan(study, Folders(results=tmp_path / "there"))
    write_results(study, plan.results.root)
    for network in plan.networks:
        write_training(plan.results.path(network), network, {"history": [{"loss": 0.5}] * 40}, {"wall_s": 1.0})
    return plan


@pytest.fixture
def here(study, tmp_path) -> Plan:
    """A clone without any."""
    return Plan(study, Folders(results=tmp_path / "here"))


def files_of(plan: Plan) -> dict[str, bytes]:
    root = plan.results.root
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_what_is_packed_is_imported_to_the_byte(there, here, tmp_path):
    packed = archives.pack(there.results, there.cells, tmp_path / "out")
    assert [path.name for path in packed] == ["synthetic-1.tar.gz"]
    done = archives.load(here, packed)
    assert done == archives.Imported(new=len(there.cells), known=0)
    assert files_of(here) == files_of(there)
    here.check()
    assert archives.load(here, packed) == archives.Imported(new=0, known=len(there.cells))


def test_archives_stay_below_the_limit_and_are_the_same_each_time(there, here, tmp_path):
    limit = 60_000
    packed = archives.pack(there.results, there.cells, tmp_path / "a", limit)
    assert len(packed) > 1
    assert all(path.stat().st_size <= limit for path in packed)
    again = archives.pack(there.results, there.cells, tmp_path / "b", limit)
    assert [path.read_bytes() for path in packed] == [path.read_bytes() for path in again]
    assert archives.load(here, packed).new == len(there.cells)


def test_a_part_can_be_packed(there, here, tmp_path):
    archives.load(here, archives.pack(there.results, there.networks, tmp_path / "out"))
    assert here.todo("measure") == there.measurements
    assert all(here.results.has(network) for network in there.networks)


def test_packing_nothing_or_onto_something_is_refused(there, here, tmp_path):
    with pytest.raises(InputError, match="there is nothing to pack"):
        archives.pack(here.results, here.cells, tmp_path)
    archives.pack(there.results, there.cells, tmp_path)
    with pytest.raises(InputError, match=r"synthetic-1\.tar\.gz is there already"):
        archives.pack(there.results, there.cells, tmp_path)
    with pytest.raises(InputError, match="alone is larger than the limit of 42,000 bytes"):
        archives.pack(there.results, there.cells, tmp_path / "small", 42_000)


def archive(path, members: dict[str, bytes]):
    with tarfile.open(path, "w:gz") as made:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))
    return path


def refused(plan: Plan, path, message: str) -> None:
    before = files_of(plan)
    with pytest.raises(InputError, match=message):
        archives.load(plan, [path])
    assert files_of(plan) == before


def test_another_result_of_a_cell_is_a_conflict_by_name(there, here, tmp_path):
    packed = archives.pack(there.results, there.cells, tmp_path / "out")
    network = there.networks[0]
    write_training(here.results.path(network), network, {"history": [{"loss": 0.25}]}, {"wall_s": 1.0})
    refused(here, packed[0], rf"training/{network.key}\.json: conflict, another result .*\nnothing was imported")


def test_a_changed_byte_or_another_cells_file_is_named(there, here, tmp_path):
    first, second = there.networks[:2]
    names = {cell: f"training/{cell.key}.json" for cell in (first, second)}
    content = there.results.path(first).read_bytes()
    changed = content.replace(b"0.5", b"0.6", 1)
    assert changed != content
    whole = {names[second]: there.results.path(second).read_bytes()}
    refused(here, archive(tmp_path / "a.tar.gz", whole | {names[first]: changed}), rf"{first.key}\.json: damaged")
    refused(here, archive(tmp_path / "b.tar.gz", {names[second]: content}), rf"{second.key}\.json: holds another spec")


def test_what_is_no_cell_of_the_preset_is_named(there, here, tmp_path):
    refused(here, archive(tmp_path / "a.tar.gz", {"training/x.json": b""}), r"a\.tar\.gz: training/x\.json: no cell of")
    refused(here, archive(tmp_path / "b.tar.gz", {"../x.json": b""}), r"'\.\./x\.json' is no result file")
    refused(here, tmp_path / "c.tar.gz", "no archive")
    (tmp_path / "d.tar.gz").write_bytes(b"no archive at all")
    refused(here, tmp_path / "d.tar.gz", r"d\.tar\.gz is no archive of results, or damaged")


def test_a_cut_archive_is_refused(there, here, tmp_path):
    (packed,) = archives.pack(there.results, there.cells, tmp_path / "out")
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(packed.read_bytes()[:-2000])
    refused(here, cut, r"cut\.tar\.gz is no archive of results, or damaged")


def test_results_of_another_root_have_the_same_names(there):
    assert archives._name(Results(there.results.root), there.networks[0]).startswith("training/mnist5k-")
