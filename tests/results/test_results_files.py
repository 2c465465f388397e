"""Result files: what was written comes back, and a file that changed is refused by its name."""

import json
import math
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from cnn_invariance.errors import InputError
from cnn_invariance.results import Results, provenance, write_measure, write_training
from cnn_invariance.results.measures import SCHEMA, DamagedResultError
from cnn_invariance.study import (
    DatasetSpec,
    MeasureSpec,
    ModelSpec,
    Recipe,
    SampleSpec,
    SetSpec,
    TrainSpec,
)

NETWORK = TrainSpec(
    dataset=DatasetSpec(name="mnist5k", fingerprint="0" * 64),
    model=ModelSpec(name="SimpleConv", arguments={"width": 8}),
    augmentation=SetSpec(name="rotation", parameters={"n": 9}),
    recipe=Recipe(learning_rate=5e-4, epochs=15),
    seed=0,
)
CELL = MeasureSpec(
    network=NETWORK,
    epoch=15,
    transformations=SetSpec(name="rotation", parameters={"n": 9}),
    samples=SampleSpec(count=200),
    measures=("TV", "SV", "NV"),
)
OTHER = CELL.model_copy(update={"epoch": 14})
RECORD = {"history": [{"epoch": 1, "loss": 0.1 + 0.2}], "accuracies": {"test": {"plain": 0.925}}}
MADE = {"device": "cpu", "wall_s": 1.25}
TYPES = {
    "layer_index": "int16",
    "map": "Int32",
    "value": "float64",
    **dict.fromkeys(["units", "infinite", "dead", "nan"], "Int32"),
}


def table(layers=3, maps=4, measures=("NV", "SV", "TV"), seed=0):
    """A measure's summary: a row a layer and measure, and a row a map for NV."""
    random = np.random.default_rng(seed)
    rows = []
    for measure in measures:
        for index in range(1, layers + 1):
            head = {
                "layer_index": index,
                "layer": f"features.block{index}.conv",
                "kind": ("Conv2d", "ELU", "Linear")[index % 3],
                "measure": measure,
            }
            counts = {"units": 784 * maps, "infinite": index, "dead": 2 * index, "nan": 0}
            rows.append(head | {"value": random.gamma(2, 1)} | counts)
            if measure.startswith("NV"):
                rows += [head | {"map": k, "value": random.gamma(2, 1)} for k in range(maps)]
    return pd.DataFrame(rows, columns=SCHEMA.names).astype(TYPES)


@pytest.fixture
def written(tmp_path):
    results = Results(tmp_path / "quick")
    write_training(results.path(NETWORK), NETWORK, RECORD, MADE)
    write_measure(results.path(CELL), CELL, table(), [1.0, 0.1 + 0.2, 0.5], MADE)
    return results


def test_files_are_named_by_kind_and_key(written):
    found = sorted(path.relative_to(written.root) for path in written.root.rglob("*.*"))
    assert list(map(str, found)) == [
        f"measures/{CELL.key}.parquet",
        f"training/{NETWORK.key}.json",
    ]


def test_a_training_comes_back(written):
    assert written.training(NETWORK) == RECORD
    assert written.provenance(NETWORK) == MADE


def test_a_measure_cell_comes_back(written):
    found = written.measure(CELL)
    assert found.accuracy == [1.0, 0.1 + 0.2, 0.5]
    assert found.provenance == MADE == written.provenance(CELL)
    assert found.spec == CELL
    of_layers = [frame[frame["map"].isna()] for frame in (found.frame, table())]
    pd.testing.assert_frame_equal(*of_layers, check_exact=True)


def test_layer_values_keep_all_their_digits_and_those_of_maps_17_bits(written):
    frame, found = table(), written.measure(CELL).frame
    layers = frame["map"].isna()
    assert (found["map"].isna() == layers).all()
    assert (found["value"][layers] == frame["value"][layers]).all()
    kept, given = found["value"][~layers].to_numpy(float), frame["value"][~layers].to_numpy(float)
    np.testing.assert_allclose(kept, given, rtol=2.0**-17, atol=0)
    mantissas = np.frexp(kept)[0] * 2.0**17
    assert (mantissas == np.round(mantissas)).all()
    assert not (kept == given).all()


def test_writing_again_what_was_read_gives_the_same_bytes(written):
    found, path = written.measure(CELL), written.path(CELL)
    before = path.read_bytes()
    write_measure(path, CELL, found.frame, found.accuracy, found.provenance)
    assert path.read_bytes() == before


def test_a_result_that_was_replaced_is_read_again(written):
    found, path = written.measure(CELL), written.path(CELL)
    write_measure(path, CELL, found.frame, [0.25, 0.5, 0.75], found.provenance)
    assert written.measure(CELL).accuracy == [0.25, 0.5, 0.75]


def test_values_that_are_not_finite_come_back(tmp_path):
    frame = table()
    frame.loc[0, "value"] = math.inf
    frame.loc[1, "value"] = math.nan
    frame.loc[len(frame) - 1, "value"] = math.nan
    write_measure(tmp_path / "a.parquet", CELL, frame, None, MADE)
    (tmp_path / "measures").mkdir()
    (tmp_path / "a.parquet").rename(Results(tmp_path).path(CELL))
    found = Results(tmp_path).measure(CELL)
    assert found.accuracy is None
    assert found.frame.loc[0, "value"] == math.inf
    assert math.isnan(found.frame.loc[1, "value"])
    assert math.isnan(found.frame["value"].iloc[-1])


def test_a_profile_is_the_rows_of_layers_in_forward_order(tmp_path):
    shuffled = table(layers=12).sample(frac=1, random_state=1).reset_index(drop=True)
    results = Results(tmp_path)
    write_measure(results.path(CELL), CELL, shuffled, None, MADE)
    profile = results.profile(CELL, "NV")
    assert list(profile["layer_index"]) == list(range(1, 13))
    assert profile["map"].isna().all()
    expected = table(layers=12).query("measure == 'NV' and map.isna()")["value"]
    assert list(profile["value"]) == list(expected)
    maps = results.measure(CELL).maps("NV")
    assert list(maps["map"][:5]) == [0, 1, 2, 3, 0]
    with pytest.raises(InputError, match="unknown measure in this result 'NW'; did you mean 'NV'"):
        results.profile(CELL, "NW")
    assert results.measure(CELL).maps("TV").empty


def test_equal_content_gives_equal_bytes(tmp_path):
    for name in ("a", "b"):
        write_measure(tmp_path / f"{name}.parquet", CELL, table(), [0.5], MADE)
        write_training(tmp_path / f"{name}.json", NETWORK, RECORD, MADE)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_anybody_can_read_the_files_without_this_package(written):
    frame = pq.read_table(written.path(CELL)).to_pandas()
    assert len(frame) == len(table())
    metadata = pq.read_metadata(written.path(CELL)).metadata
    assert json.loads(metadata[b"spec"])["network"]["seed"] == 0
    assert json.loads(metadata[b"accuracy"]) == [1.0, 0.1 + 0.2, 0.5]
    assert json.loads(written.path(NETWORK).read_text())["record"] == RECORD


@pytest.mark.parametrize("spec", [NETWORK, CELL], ids=["training", "measure"])
def test_a_flipped_bit_anywhere_is_refused(written, spec):
    path = written.path(spec)
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << (place % 8)
        path.write_bytes(damaged)
        with pytest.raises(DamagedResultError) as caught:
            written.training(spec) if spec is NETWORK else written.measure(spec)
        assert str(path) in str(caught.value)
        with pytest.raises(InputError, match="git checkout --"):
            written.check([spec])
    path.write_bytes(whole)
    written.check([spec])


@pytest.mark.parametrize("spec", [NETWORK, CELL], ids=["training", "measure"])
@pytest.mark.parametrize("keep", [0, 1, 100, -1, -100])
def test_a_file_cut_short_is_refused(written, spec, keep):
    path = written.path(spec)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"damaged: its content does not have its checksum"):
        written.check([spec])


def test_every_damaged_file_is_named_at_once(written):
    for spec in (NETWORK, CELL):
        written.path(spec).write_bytes(b"{}")
    with pytest.raises(InputError) as caught:
        written.check([NETWORK, CELL])
    lines = str(caught.value).splitlines()
    assert lines == [
        f"{written.path(spec)}: damaged: its content does not have its checksum; restore it (git "
        f"checkout -- {written.path(spec)}), or delete it, and it is computed again"
        for spec in (NETWORK, CELL)
    ]


def test_a_result_under_another_name_is_refused(written):
    written.path(CELL).rename(written.path(OTHER))
    with pytest.raises(DamagedResultError, match=f"holds another spec than {OTHER.key}"):
        written.measure(OTHER)
    with pytest.raises(InputError, match="holds another spec"):
        written.check([OTHER])


def test_a_whole_file_of_the_wrong_kind_is_refused(written):
    training, measure = written.path(NETWORK), written.path(CELL)
    contents = training.read_bytes(), measure.read_bytes()
    training.write_bytes(contents[1])
    measure.write_bytes(contents[0])
    with pytest.raises(DamagedResultError, match="not a training record"):
        written.training(NETWORK)
    with pytest.raises(DamagedResultError, match="not a measure table"):
        written.measure(CELL)


def test_a_missing_result_says_so(tmp_path):
    results = Results(tmp_path)
    results.check([NETWORK, CELL])
    assert not results.has(CELL)
    with pytest.raises(InputError, match=f"{CELL.key}.parquet: not computed yet; run snakemake"):
        results.measure(CELL)
    with pytest.raises(InputError, match="not computed yet"):
        results.training(NETWORK)


@pytest.mark.parametrize("change", ["drop", "rename", "empty"])
def test_another_table_is_not_written(tmp_path, change):
    frame = {
        "drop": table().drop(columns="units"),
        "rename": table().rename(columns={"value": "mean"}),
        "empty": table().iloc[:0],
    }[change]
    with pytest.raises(InputError, match="expected rows with the columns layer_index, layer, kind"):
        write_measure(tmp_path / "a.parquet", CELL, frame, None, MADE)
    assert not list(tmp_path.iterdir())


def test_numbers_that_are_not_finite_are_not_written_as_json(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_training(tmp_path / "a.json", NETWORK, {"loss": math.nan}, MADE)
    assert not list(tmp_path.iterdir())


def test_a_large_cell_stays_small(tmp_path):
    """A deep network, twenty measures, feature maps of two of them: the cache must fit in git."""
    names = (f"M{number}" for number in range(18))
    frame = table(layers=60, maps=33, measures=("NV", "NVSE", *names))
    assert len(frame) == 60 * 20 + 2 * 60 * 33
    made = {"package": "0.1.0", "commit": "0" * 40, "cpu": "A processor with a long name"}
    write_measure(tmp_path / "a.parquet", CELL, frame, [0.5] * 504, made)
    assert (tmp_path / "a.parquet").stat().st_size <= 100_000


def test_checking_a_thousand_cells_takes_seconds(tmp_path):
    results = Results(tmp_path)
    write_measure(results.path(CELL), CELL, table(layers=60, maps=33), [0.5] * 25, MADE)
    start = time.perf_counter()
    results.check([CELL] * 1000)
    assert time.perf_counter() - start < 5


WRITER = """
import os, signal, sys
from pathlib import Path
import cnn_invariance.storage.files as files
sys.path.insert(0, sys.argv[1])
import test_results_files as here
real = files._sync
def kill(path):
    if path.is_file():
        os.truncate(path, path.stat().st_size // 2)
        os.kill(os.getpid(), signal.SIGKILL)
files._sync = kill
here.write_measure(Path(sys.argv[2]), here.CELL, here.table(seed=1), None, here.MADE)
"""


def test_a_kill_in_the_middle_of_writing_leaves_the_old_file_or_none(written, tmp_path):
    for path in (written.path(CELL), written.path(OTHER)):
        before = path.read_bytes() if path.exists() else None
        command = [sys.executable, "-c", WRITER, str(Path(__file__).parent), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert (path.read_bytes() if path.exists() else None) == before
    written.check([CELL, OTHER])
    assert not written.has(OTHER)


def test_provenance_names_no_host_person_or_folder(tmp_path, monkeypatch):
    made = provenance.provenance(provenance.Clock(), device="cpu", threads=1)
    assert platform.node() not in made.values()
    for secret in (str(Path.home()), str(Path.cwd())):
        assert secret not in json.dumps(made)
    assert made["torch"]
    assert made["device"] == "cpu"
    assert made["peak_memory_bytes"] > 10**6
    assert made["started"].endswith("+00:00")


def test_the_commit_says_when_the_code_was_changed(tmp_path):
    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    package = tmp_path / "src"
    package.mkdir()
    assert provenance.commit(package) is None
    git("init")
    assert provenance.commit(package) is None
    (package / "a.py").write_text("1")
    git("add", ".")
    git("commit", "-m", "a")
    head = git("rev-parse", "HEAD")
    assert provenance.commit(package) == head
    (tmp_path / "result.json").write_text("a result is no change of the code")
    assert provenance.commit(package) == head
    (package / "a.py").write_text("2")
    assert provenance.commit(package) == f"{head}-dirty"


def test_an_archive_of_the_project_knows_its_commit(tmp_path):
    (tmp_path / "COMMIT").write_text("$Format:%H$\n")  # as in a checkout
    assert provenance.commit(tmp_path) is None
    (tmp_path / "COMMIT").write_text("a" * 40 + "\n")  # as git archive writes it
    assert provenance.commit(tmp_path) == "a" * 40


def test_the_commit_is_that_of_the_whole_package(monkeypatch):
    asked = []
    monkeypatch.setattr(provenance, "commit", asked.append)
    provenance.provenance(provenance.Clock())
    assert asked == [Path(provenance.__file__).parents[1]]
    assert (asked[0] / "cli").is_dir()
