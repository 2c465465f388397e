"""Presets from anybody: each ends in a plan or in one message, in 2 seconds and 200 MB."""

import copy
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.study import document
from cnn_invariance.workflow import status, trials
from cnn_invariance.workflow.folders import Folders
from cnn_invariance.workflow.plan import Plan
from helpers_hostile import flipped, fuzzer, limited, replaced_somewhere
from helpers_study import TINY

ROOT = Path(__file__).parents[2]


def planned(path: Path) -> list[str]:
    plan = Plan(Programme.load(path), Folders(*(path.parent / name for name in ("data", "models", "results"))))
    trials.check(plan, own=False)
    return status.of_plan(plan, cells=True)


def refused(tmp_path, text: str, *, seconds: float = 2.0) -> str:
    """The one message for a preset, which is made in time."""
    path = tmp_path / "preset.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    started = time.monotonic()
    with limited(seconds), pytest.raises(InputError) as caught:
        planned(path)
    assert time.monotonic() - started < 2 * seconds
    assert len(str(caught.value)) < 10**5
    return str(caught.value)


LAUGHS = "a: &a [x, x]\n" + "".join(f"b{i}: &b{i} [{', '.join([f'*b{i - 1}' if i else '*a'] * 9)}]\n" for i in range(9))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAUGHS, "line 5: not YAML: more than 20,000 keys and values, with those that aliases repeat"),
        ("a: &a [*a]", r"line 1: not YAML: the alias \*a stands inside of what it repeats"),
        ("a: &a {b: {c: *a}}", r"line 1: not YAML: the alias \*a stands inside of what it repeats"),
        ("a: &a {<<: *a}", r"line 1: not YAML: the alias \*a stands inside"),
        ("[" * 10**5, "line 1: not YAML: more than 20 levels inside each other"),
        ("{a: " * 50_000, "line 1: not YAML: more than 20 levels inside each other"),
        ("\n".join("  " * k + "- a:" for k in range(200)), "line .*: not YAML: "),
        ("a: " + "x" * 10**7, "has more than 262,144 bytes; no preset is that large"),
        ("a: " + "x" * 10**5, "line 1: not YAML: a text of 100,000 characters; at most 8,000 are read"),
        ("seeds: [" + "1," * 10**5 + "]", "line 1: not YAML: more than 20,000 keys and values"),
        ("a: 0b_", "line 1: not YAML: 0b_ is no whole number"),
        ("a: 0x" + "f" * 5000, "line 1: not YAML: 0xf.* is no whole number of at most 63 bits"),
        ("a: " + "9" * 5000, "line 1: not YAML: 9.* is no whole number of at most 63 bits"),
        ("a: !!binary aGk=", "line 1: not YAML: the tag tag:yaml.org,2002:binary is not read here"),
        ("a: !!python/object/apply:os.system [touch x]", "line 1: not YAML: the tag .*os.system is not read here"),
        ("a: !!timestamp 2001-99-99", "line 1: not YAML: the tag .*timestamp is not read here"),
        ('a: "\\ud800"', "line 1: not YAML: "),
        ('a: "\\x1b]0;title\\a"', r"line 1: not YAML: a text with the character '\\x1b', which is not to be printed"),
        ('a: "\\u202e"', r"line 1: not YAML: a text with the character '\\u202e'"),
        ('a: "\\0"', r"line 1: not YAML: a text with the character '\\x00'"),
        ("a\0b", "not YAML: .*special characters are not allowed"),
        ("a: \ud800", "cannot be read: 'utf-8' codec"),
        ("? [a, b]\n: c", "line 1: not YAML: found unhashable key"),
        ("a: *b", "line 1: not YAML: found undefined alias"),
        ("a: 1\n---\nb: 2", "line 2: not YAML: "),
    ],
)  # fmt: skip
def test_yaml_that_is_an_attack_is_one_message(tmp_path, text, message):
    found = refused(tmp_path, text)
    assert len(found.splitlines()) == 1
    assert re.search(message, found), found


NAME = "a" * 300


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: tiny", f"name: {NAME}", "line 1: name: expected 40 characters at most, as names of files are made of"),
        ("{SimpleConv: {", f"{{{NAME}: {{model: SimpleConv, ", "expected 40 characters at most"),
        ("epochs: 2", "epochs: 1000000000", "expected less than or equal to 10000; received 1000000000"),
        ("width: 4", "width: 1000000000", "width of SimpleConv: expected 8,192 at most, received 1,000,000,000"),
        ("seeds: [0, 1]", "seeds: [99999999999]", "expected less than 4294967296; received 99999999999"),
        ("seeds: [0, 1]", f"seeds: [{', '.join(map(str, range(1001)))}]", "seeds: .*at most 1000 items"),
        ("epoch_samples: 100", "batch_size: 1000000000", "expected less than or equal to 65536; received 1000000000"),
        ("count: 50", "count: 1000000000", "expected less than or equal to 100000000; received 1000000000"),
        ("n: 3,", "n: 1000000,", "n must be 10,000 at most, members of one set; received 1,000,000"),
        (
            "rotation: {parameters: {n: 3, closed: false}}",
            "translation: {parameters: {n: 1250}}",
            "the number of members, 8 n \\+ 1, must be 10,000 at most, members of one set; received 10,001",
        ),
        (
            "rotation: {parameters: {n: 3, closed: false}}",
            "combined: {parameters: {rotation_n: 1000, scale_n: 1000, translation_n: 1000}}",
            "the number of members must be 10,000 at most",
        ),
        ("learning_rate: 1e-3", "learning_rate: 1e999", "expected a finite number; received inf"),
        ("width: 4", "width: .nan", "expected a finite number; received nan"),
        ("width: 4", "dense: 1e400", "expected a finite number; received inf"),
        ("SimpleConv: {arguments", "SimpleConv: {weights: ~nobody-there/w, arguments", "home folder that ~ stands for"),
        ('["NV[aggregate=mean]"]', "['~nobody-there/x.py:X']", "home folder that ~ stands for is not known"),
        ('["NV[aggregate=mean]"]', f"['NV[{' ' * 290}x']", "cannot read the measure"),
        ('["NV[aggregate=mean]"]', f"['NV[{' ' * 3000}x']", "at most 300 characters"),
        ("{mnist5k: {", "{mnist5k: {source: 'folder:~nobody-there/x', ", None),
        ("{compare_models: {}}", "{random_weights: {networks: 1000000000}}", "expected less than or equal to 1000"),
        ("{compare_models: {}}", "{compare_models: {seeds: 1000000000}}", "1000000000 seeds asked for"),
    ],
)  # fmt: skip
def test_a_number_or_name_that_makes_no_sense_is_named_before_anything_runs(tmp_path, old, new, message):
    assert TINY.count(old) == 1
    text = TINY.replace(old, new)
    if message is None:  # it is met when the dataset is prepared
        (tmp_path / "preset.yaml").write_text(text)
        assert planned(tmp_path / "preset.yaml")
        return
    found = refused(tmp_path, text)
    assert re.search(message, found), found
    assert max(map(len, found.splitlines())) < 2500


def test_what_is_no_file_is_named(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name, message in (("fifo", "is no file"), (".", "is no file"), ("loop", "cannot be read|no such file")):
        with limited(), pytest.raises(InputError, match=message):
            document.read(tmp_path / name)
    with limited(), pytest.raises(InputError, match="is no file"):
        document.read(Path("/dev/zero"))


HUGE = 10**12


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (HUGE, "1,000,000,000,000 bytes"),
        (b"", r"has 0 bytes; expected a file with content|names no measure"),
        (b"MEASURES = " + b"+".join([b"1"] * 20_000), "it cannot be parsed|width"),
        (b"\0", "cannot be read as Python|width"),
    ],
)
@pytest.mark.parametrize("of", ["weights", "model", "measure", "set"])
def test_files_that_a_preset_names_are_bounded_before_they_are_read(tmp_path, monkeypatch, content, message, of):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / ("w.safetensors" if of == "weights" else "own.py")
    path.write_bytes(b"" if content == HUGE else content)
    if content == HUGE:
        os.truncate(path, HUGE)
    named = {
        "weights": ("{SimpleConv: {arguments", "{SimpleConv: {weights: w.safetensors, arguments"),
        "model": ("{SimpleConv: {arguments", "{SimpleConv: {model: 'own.py:build', arguments"),
        "measure": ('["NV[aggregate=mean]"]', '["own.py:X"]'),
        "set": ("rotation: {parameters: {n: 3, closed: false}}", "rotation: {set: 'own.py:f', size: 3}"),
    }
    (tmp_path / "preset.yaml").write_text(TINY.replace(*named[of]), encoding="utf-8")
    if isinstance(content, bytes) and content and of != "measure":  # what is in it is not looked at by a plan
        assert planned(tmp_path / "preset.yaml")
        return
    with limited(), pytest.raises(InputError, match=message):
        planned(tmp_path / "preset.yaml")


def test_a_set_of_as_many_members_as_may_be_is_planned_soon(tmp_path):
    (tmp_path / "preset.yaml").write_text(TINY.replace("n: 3,", "n: 10000,"), encoding="utf-8")
    with limited(4):
        assert planned(tmp_path / "preset.yaml")


def test_the_worst_that_is_read_takes_little_time_and_memory(tmp_path):
    """The largest files that pass the limits, in a process of their own, in 2 seconds of its own and 200 MB more."""
    texts = {
        "flat": "seeds: [" + ", ".join(map(str, range(19_900))) + "]",
        "labels": "models: {" + ", ".join(f"a{k}: {{x: {k}}}" for k in range(6000)) + "}",
        "measures": "measures: [" + ", ".join(f"NV[a{k}=1]" for k in range(9000)) + "]",
        "experiments": "experiments: {" + ", ".join(f"compare_model{k}: {{}}" for k in range(6000)) + "}",
        "aliases": "a: &a [" + "x, " * 4000 + "x]\nb: [*a, *a, *a, *a]",
        "spaces": "measures: [" + ", ".join(f"'NV{' ' * 250}['" for _ in range(900)) + "]",
    }
    code = (
        "import resource, sys, time\n"
        "from cnn_invariance.errors import InputError\n"
        "from cnn_invariance.experiments.framework.programme import Programme\n"
        "from cnn_invariance.experiments.framework import registry\n"
        "[registry.load(name) for name in registry.names()]\n"
        "before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()\n"
        "try: Programme.load(sys.argv[1])\n"
        "except InputError as error: print(len(str(error)) < 200_000, end=' ')\n"
        "print(time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    for name, text in texts.items():
        path = tmp_path / f"{name}.yaml"
        path.write_text(text)
        assert path.stat().st_size < document.Limits.bytes
        done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
        short, seconds, kilobytes = done.stdout.split()
        assert short == "True"
        assert float(seconds) < 2, name
        assert float(kilobytes) < 200_000, name


def mutated(random_) -> bytes:
    """A preset with a fault of a random kind: in its text, or in one value or key."""
    source = random_.choice([TINY, TINY, (ROOT / "config/quick.yaml").read_text(encoding="utf-8")])
    if random_.random() < 0.25:
        return flipped(source.encode(), random_)
    content = copy.deepcopy(yaml.safe_load(source))
    for _ in range(random_.choice([1, 1, 1, 2, 5])):
        changed = replaced_somewhere(content, random_)
        content = changed if isinstance(changed, dict) else content
    return yaml.safe_dump(content, allow_unicode=random_.random() < 0.5).encode("utf-8", "replace")


def test_no_preset_gets_through(request, tmp_path):
    """Random faults end in a plan or in one message; prints how many."""
    fuzz = fuzzer("presets", request)
    for _ in fuzz.trials():
        content = mutated(fuzz.random)
        path = tmp_path / "preset.yaml"
        path.write_bytes(content)
        fuzz.attempt(content, lambda path=path: planned(path))
    fuzz.check(least=50, refused=0.3)
