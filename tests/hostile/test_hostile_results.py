"""Results that anybody can seal anew: each ends in a result or in one message that names it."""

import contextlib
import io
import json
import os
import shutil
import subprocess

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from cnn_invariance.cli import app
from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.results import DamagedResultError, audit, others, write_training
from cnn_invariance.storage import checksum
from cnn_invariance.workflow import costs, status
from cnn_invariance.workflow.folders import Folders
from cnn_invariance.workflow.jobs import Job
from cnn_invariance.workflow.plan import Plan
from cnn_invariance.workflow.speeds import Speeds
from cnn_invariance.workflow.staging import Staging
from helpers_experiments import PRESET, write_results
from helpers_hostile import ODD_VALUES, flipped, fuzzer, limited, replaced_somewhere

VERSIONS = dict.fromkeys(("package", "python", "torch", "numpy"), "0.1.0")
MADE = VERSIONS | {
    "commit": None, "platform": "Linux", "cpu": "A", "device": "cpu", "started": "2026-01-01T00:00:00+00:00",
    "wall_s": 1.0, "peak_memory_bytes": 10**9, "threads": 1, "gpu_peak_memory_bytes": None, "resumed_after": [],
}  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A preset with all its results."""
    root = tmp_path_factory.mktemp("whole")
    preset = PRESET | {"experiments": {"compare_models": {}}}
    (root / "preset.yaml").write_text(yaml.safe_dump(preset), encoding="utf-8")
    plan = Plan(Programme.load(root / "preset.yaml"), Folders(results=root / "results", figures=root / "figures"))
    write_results(plan.study, plan.results.root)
    for network in plan.networks:  # as trainings leave them, so that every key is there to be changed
        write_training(plan.results.path(network), network, record_of(network), MADE)
    for cell in plan.measurements:
        table, facts = parts_of(plan.results.path(cell))
        made = MADE | {"weights_sha256": record_of(cell.network)["weights_sha256"]}
        seal_parquet(plan.results.path(cell), table, facts | {"provenance": json.dumps(made)})
    assert audit.audit(plan.results, plan.cells).faults == []
    return plan


@pytest.fixture
def here(whole, tmp_path):
    """The same in a folder of its own."""
    shutil.copytree(whole.results.root, tmp_path / "results" / whole.study.name)
    return Plan(
        whole.study, Folders(data=tmp_path / "data", results=tmp_path / "results", figures=tmp_path / "figures")
    )


def record_of(network) -> dict:
    """A record as a training leaves it."""
    epochs = network.recipe.epochs
    history = [{"epoch": k, "loss": 1.5, "validation_accuracy": 0.5, "seconds": 2.0} for k in range(epochs)]
    accuracies = {split: {"plain": 0.9, "augmented": 0.9} for split in ("train", "validation", "test")}
    counts = {"epochs": epochs, "classes": 10, "parameters": 9818, "samples": {"train": 9, "validation": 5, "test": 8}}
    return {"history": history, "accuracies": accuracies, "weights_sha256": network.hash, **counts}


def seal(path, document) -> None:
    """Write a document as whoever changes a result can: with the checksum of what it holds now."""
    if isinstance(document, dict):
        document[checksum.NAME] = checksum.BLANK
    content = json.dumps(document).encode()
    path.write_bytes(checksum.close(content) if isinstance(document, dict) else content)


def seal_parquet(path, table: pa.Table, facts: dict[str, str], content: bytes | None = None) -> None:
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, table.schema, compression="zstd") as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({**facts, checksum.NAME: checksum.BLANK})
    path.write_bytes(checksum.close(sink.getvalue()))


def parts_of(path) -> tuple[pa.Table, dict[str, str]]:
    source = pq.ParquetFile(path)
    held = {key.decode(): value.decode() for key, value in source.metadata.metadata.items()}
    return source.read().replace_schema_metadata(None), {key: held[key] for key in ("spec", "accuracy", "provenance")}


def used(plan, cell) -> None:
    """All that reads a result without drawing it."""
    plan = plan.anew()
    plan.check()
    status.of_plan(plan)
    audit.audit(plan.results, plan.cells)
    found = plan.results.read(cell)
    if cell.stage == "measure":
        for measure in cell.measures:
            found.profile(measure)
            found.maps(measure)
    costs.table(plan.results, plan.cells)


def test_no_sealed_record_gets_through(request, here):
    """A value of a training's record is replaced, removed or doubled, and the file is sealed anew."""
    fuzz, cell = fuzzer("sealed records", request, 0.5), here.networks[0]
    path = here.results.path(cell)
    good = path.read_bytes()
    for trial in fuzz.trials():
        document = json.loads(good)
        if trial % 4:
            place = fuzz.random.choice(["record", "record", "provenance"])
            document[place] = replaced_somewhere(document[place], fuzz.random)
        else:
            document = replaced_somewhere(document, fuzz.random)
        try:
            seal(path, document)
        except (ValueError, TypeError, UnicodeEncodeError):
            continue
        found = fuzz.attempt(path.read_bytes()[-2000:], lambda: (used(here, cell), True))
        if found is None and trial % 16 == 1:
            fuzz.attempt(document, lambda: others.why(path, here.cells))
    fuzz.check(least=20, refused=0.3)


def odd_array(field: pa.Field, length: int, random_) -> pa.Array:
    """A column of the type of the file, with odd values in it."""
    if pa.types.is_dictionary(field.type):
        values = random_.choices(["", "x" * 2000, "conv1", "NV", "é"], k=length)
        return pa.array(values).dictionary_encode().cast(field.type)
    if pa.types.is_floating(field.type):
        return pa.array(random_.choices([np.nan, np.inf, -np.inf, 1e308, -1.0, 0.0], k=length), field.type)
    bits = field.type.bit_width - 1
    return pa.array(random_.choices([0, 1, -1, 2**bits - 1, -(2**bits), None], k=length), field.type)


def test_no_sealed_table_gets_through(request, here):
    """A column, a fact or the pages of a measure cell are changed, and the file is sealed anew."""
    fuzz, cell = fuzzer("sealed tables", request, 0.5), here.measurements[0]
    path = here.results.path(cell)
    table, facts = parts_of(path)
    good = path.read_bytes()
    assert used(here, cell) is None
    for trial in fuzz.trials():
        random_, changed, said = fuzz.random, table, dict(facts)
        match random_.randrange(6):
            case 0:  # the bytes of pages and of the footer, whose checksum is then made to fit
                content = flipped(good, random_)
                places = list(checksum._PLACE.finditer(content))
                if len(places) != 1:
                    continue
                content = content.replace(places[0][1], checksum.BLANK.encode())
                path.write_bytes(checksum.close(content))
            case 1:
                name = random_.choice(["accuracy", "provenance", "spec"])
                value = replaced_somewhere(json.loads(said[name]), random_)
                said[name] = random_.choice([json.dumps(value), "[" * 5000, "nul", str(value)])
            case 2:
                column = random_.randrange(table.num_columns)
                field = table.schema.field(column).with_nullable(True)
                changed = table.set_column(column, field, odd_array(field, len(table), random_))
                changed = changed.cast(table.schema) if not changed.column(column).null_count else changed
            case 3:
                rows = random_.choices(range(len(table)), k=random_.choice([0, 1, 5, len(table)]))
                changed = table.take(pa.array(rows, pa.int64()))
            case 4:
                changed = table.drop_columns([random_.choice(table.column_names)])
            case _:
                said[random_.choice(["spec", "accuracy", "provenance"])] = json.dumps(random_.choice(ODD_VALUES))
        if changed is not table or said != facts:
            try:
                seal_parquet(path, changed, said)
            except (pa.ArrowException, ValueError):
                continue
        fuzz.attempt(trial, lambda: (used(here, cell), True))
    fuzz.check(least=20, refused=0.3)


def command(plan, *arguments):
    figures = () if arguments[0] == "results" else ("--figures-dir", plan.folders.figures)
    folders = ["--results-dir", plan.folders.results, *figures]
    return CliRunner().invoke(app, [*map(str, (*arguments, "--preset", plan.study.path, *folders))])


def test_results_that_contradict_each_other_are_named_where_they_are_drawn(here):
    """One network has a layer less than its sisters: nothing that a single file shows."""
    cell = here.measurements[0]
    table, facts = parts_of(here.results.path(cell))
    last = max(table["layer_index"].to_pylist())
    seal_parquet(here.results.path(cell), table.filter(pa.compute.less(table["layer_index"], last)), facts)
    for arguments in (["draw", "compare_models"], ["claims"]):
        done = command(here, *arguments)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        assert "Traceback" not in done.output


def test_a_missing_key_is_named_with_its_file(here):
    network = here.networks[0]
    path = here.results.path(network)
    document = json.loads(path.read_bytes())
    del document["record"]["classes"]
    seal(path, document)
    with pytest.raises(DamagedResultError, match=rf"{network.key}\.json: lacks 'classes', which is needed here"):
        here.results.training(network)["classes"]


def test_a_table_that_says_it_is_endless_is_refused_before_it_is_decoded(here, monkeypatch):
    from cnn_invariance.results import columns

    monkeypatch.setattr(columns, "MOST_ROWS", 10)
    with pytest.raises(DamagedResultError, match=r"larger than any result: .* rows in 1 groups"):
        here.results.read(here.measurements[0])


@pytest.mark.parametrize("content", [b"", b"{}", b"[" * 10**5, b"PAR1", b"PAR1" * 100, b"\0" * 1000])
def test_files_of_anything_in_the_place_of_results(here, content):
    for cell in (here.networks[0], here.measurements[0]):
        other = here.results.path(cell).with_name(f"other{cell.suffix}")
        other.write_bytes(content)
        assert "no spec can be read from it" in others.why(other, here.cells)
        here.results.path(cell).write_bytes(content)
        with pytest.raises(DamagedResultError, match="damaged: its content does not have its checksum"):
            here.results.read(cell)


@pytest.mark.parametrize("kind", ["pipe", "huge", "loop"])
def test_what_is_no_document_is_neither_waited_for_nor_read(here, tmp_path, kind):
    def put(path):
        path.unlink(missing_ok=True)
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "loop":
            path.symlink_to(path.name)
        else:
            path.touch()
            os.truncate(path, 10**12)
        return path

    job = put(tmp_path / "job.json")
    with limited(), pytest.raises(InputError, match=r"job\.json: expected the JSON of a job, as a run writes it"):
        Job.read(job)
    put(here.results.path(here.networks[0]).with_name("other.json"))
    here.results.path(here.measurements[0]).unlink()
    with limited():
        status.of_plan(here.anew())
        assert Speeds.read(put(tmp_path / "speeds.json")) == Speeds()
    put(here.results.root / ".import.json")
    with limited(), contextlib.suppress(InputError):
        Staging.of(here.folders, here.study.name).recover()


@pytest.fixture
def keys(tmp_path):
    """A key of the author's and a file of allowed signers that names it."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("no ssh-keygen here")
    made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "author", "-f", str(tmp_path / "key")]
    subprocess.run(made, check=True)
    public = (tmp_path / "key.pub").read_text(encoding="ascii")
    (tmp_path / "signers").write_text(f"author@example.org {public}", encoding="ascii")
    return tmp_path


def test_a_signature_finds_what_a_new_seal_hides(here, keys):
    done = command(here, "results", "sign", "--key", keys / "key")
    assert done.exit_code == 0, done.output
    checking = ("results", "check-signature", "--signers", keys / "signers")
    said = f"{len(here.cells)} results of synthetic are as author@example.org signed them"
    assert said in command(here, *checking).output
    network = here.networks[0]
    path = here.results.path(network)
    good = path.read_bytes()
    document = json.loads(good)
    document["record"]["accuracies"]["test"]["augmented"] = 0.91
    seal(path, document)
    assert command(here, "results", "check").exit_code == 0, "the seal is whole"
    assert f"training/{network.key}.json: changed since it was signed" in command(here, *checking).stderr
    path.unlink()
    assert f"training/{network.key}.json: signed, and no longer there" in command(here, *checking).stderr
    path.write_bytes(good)
    assert command(here, *checking).exit_code == 0
    listed = here.results.root / "SHA256SUMS"
    listed.write_bytes(listed.read_bytes().replace(b"a", b"b", 1))
    assert "ssh-keygen verify: " in command(here, *checking).stderr


def test_a_signature_of_somebody_else_is_refused(here, keys):
    checking = ("results", "check-signature", "--signers", keys / "signers")
    assert "the results are not signed" in command(here, *checking).stderr
    other = keys / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)], check=True)
    assert command(here, "results", "sign", "--key", other).exit_code == 0
    for more in ((), ("--signer", "author@example.org")):
        done = command(here, *checking, *more)
        assert (done.exit_code, "ssh-keygen " in done.stderr) == (2, True)
    (keys / "huge").touch()
    os.truncate(keys / "huge", 10**12)
    assert (
        "1,000,000,000,000 bytes; expected a private key"
        in command(here, "results", "sign", "--key", keys / "huge").stderr
    )
    assert "no such private key" in command(here, "results", "sign", "--key", keys / "absent").stderr
