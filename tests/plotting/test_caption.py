import json
from dataclasses import replace

import pytest

from cnn_invariance.plotting import Caption

WHOLE = Caption(
    title="Two lines",
    question="Why?",
    setting=("They fall.", "Values: means."),
    sizes={"mnist": "1 seed", "cifar10": "2 seeds"},
    counts="None is dead.",
    departures={"mnist": ("fewer images", "a; b"), "cifar10": ("JPEG",)},
    experiment="some",
    preset="mine",
    origin="author",
)


def test_the_text_of_a_caption_has_all_parts_in_order():
    assert str(WHOLE) == (
        "Two lines. Why?\n\n- They fall. Values: means.\n- Sizes: mnist, 1 seed; cifar10, 2 seeds.\n- None is dead.\n"
        "- Departures from the author's code on mnist:\n  - fewer images\n  - a; b\n"
        "- Departures from the author's code on cifar10:\n  - JPEG\n"
        "- Replicates experiment 'some' of the author's code (preset mine)."
    )


@pytest.mark.parametrize(
    ("origin", "words"),
    [
        ("package", "Experiment 'some' of this package, beside"),
        ("user", "Experiment 'some' of your own (preset mine)."),
    ],
)
def test_only_the_author_s_experiments_are_called_his(origin, words):
    text = str(replace(WHOLE, origin=origin))
    assert words in text
    assert "Replicates" not in text


def test_the_text_of_a_caption_has_nothing_for_parts_that_are_absent():
    assert str(Caption("A line")) == "A line."
    assert str(Caption.from_text(" Free text: with. Two sentences\n")) == "Free text: with. Two sentences"


def test_a_caption_is_read_back_from_its_json_with_datasets_in_order():
    record = json.loads(WHOLE.to_json(rows=[["a"]]))
    assert record["rows"] == [["a"]]
    again = Caption.from_record(record["caption"])
    assert again == WHOLE
    assert list(again.departures) == list(again.sizes) == ["mnist", "cifar10"]


def test_the_json_of_a_caption_has_sorted_keys():
    assert list(json.loads(WHOLE.to_json(rows=[]))["caption"]) == sorted(vars(WHOLE))
