import pytest

from cnn_invariance.paper.captions import caption, measure_in_words
from cnn_invariance.paper.departures import departures
from cnn_invariance.study import SampleSpec

SETS = ("rotation", "scale", "translation", "combined")
PAPER = {
    "name": "paper",
    "description": "The paper's sizes.",
    "datasets": {"mnist": {"fingerprint": "0" * 64, "accuracy_floor": 0.9}},
    "models": {
        "SimpleConv": {"arguments": {"width": 32, "dense": 64}, "learning_rate": 5e-4, "epochs": 5},
        "AllConvolutional": {"arguments": {"width": 16}, "learning_rate": 1e-3, "epochs": 30},
        "VGG16D": {"arguments": {"width": 16, "dense": 64}, "learning_rate": 1e-4, "epochs": 10},
        "ResNet18": {"arguments": {"width": 64}, "learning_rate": 5e-4, "epochs": 7},
    },
    "transformation_sets": dict.fromkeys(SETS),
    "seeds": [0],
    "samples": {"split": "test", "count": 5000},
    "measures": ["NV[aggregate=mean]"],
    "experiments": {"compare_models": {"transformation_sets": list(SETS)}},
}

HELD_OUT = "5,000 of the training images are held out for validation"

DIGITS = {"source": "mnist5k", "fingerprint": "0" * 64, "accuracy_floor": 0.9}


def found(study):
    cells = study.cells["compare_models"]
    (entry,) = study.preset.datasets.values()
    return departures(entry.source, [cell.network for cell in cells], cells)


def test_the_papers_own_sizes_depart_only_in_the_held_out_images(load):
    assert found(load(PAPER)) == [HELD_OUT]


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        ({"models": {"SimpleConv": {"arguments": {"width": 8}, "learning_rate": 5e-4, "epochs": 5}}},
         "SimpleConv: width 8 (paper 32)"),
        ({"models": {"VGG16D": {"learning_rate": 1e-4, "epochs": 2}}}, "VGG16D: 7–13 epochs (paper 35–68)"),
        ({"models": {"ResNet18": {"learning_rate": 0.01, "epochs": 7}}}, "learning rate 0.01 (paper 0.0005)"),
        ({"training": {"augmentation_epochs": "same"}}, "SimpleConv: 5 epochs (paper 17–34)"),
        ({"training": {"batch_size": 16}}, "batches of 16 (paper 64)"),
        ({"samples": {"count": 250}}, "measured on 250 samples of the test split (paper: half of the test set, 5,000)"),
        ({"samples": {"split": "train", "count": 5000}}, "measured on 5,000 samples of the train split"),
        ({"transformation_sets": {"scale": {"parameters": {"n": 2}}}}, "scale: n 2 (paper 4)"),
        ({"transformation_sets": {"rotation_reference": None}}, "rotation_reference is none of the paper's"),
        ({"datasets": {"digits": DIGITS}},
         "5,000 of the 60,000 training digits"),
        ({"datasets": {"clothes": {"source": "fashion_mnist", "fingerprint": "0" * 64, "accuracy_floor": 0.9}}},
         "the dataset is none of the paper's"),
    ],
)  # fmt: skip
def test_every_departure_is_said(change, phrase, load):
    experiments = {"compare_models": {}} if "transformation_sets" in change else PAPER["experiments"]
    text = "; ".join(found(load({**PAPER, **change, "experiments": experiments})))
    assert phrase in text


def test_a_caption_says_sizes_of_each_dataset(load):
    study = load(PAPER)
    network = study.network(dataset="mnist", model="SimpleConv", seed=0)
    other = study.network(dataset="mnist", model="SimpleConv", augmentation="rotation", seed=1)
    cells = [study.measurement(one, "rotation", samples=SampleSpec(count=1234)) for one in (network, other)]
    made = caption(study, "some", cells, title="Title", question="Why?", setting="So.", counts="None left out.")
    text = str(made)
    assert text.startswith("Title. Why? So. Sizes: mnist, SimpleConv (width 32; dense 64; 5–17 epochs), ")
    assert "measured on 1,234 samples of the test split, under rotation (M = 25), 2 seeds. None left out." in text
    assert "Departures from the paper on mnist: 5,000 of the training images" in text
    assert text.endswith("Replicates the paper's experiment 'some' (preset paper).")


def test_only_usual_cells_are_compared_with_the_paper(load):
    study = load(PAPER)
    network = study.network(dataset="mnist", model="SimpleConv", augmentation="scale")
    few = study.measurement(network, "scale", samples=SampleSpec(count=50))
    texts = {"title": "A figure", "question": "Why?", "setting": "So."}
    assert "(paper: half of the test set" in str(caption(study, "dataset_size", [few], **texts))
    said = str(caption(study, "dataset_size", [few], **texts, usual=[study.measurement(network, "scale")]))
    assert "(paper: half of the test set" not in said
    assert "measured on 50 samples of the test split, under" in said


def test_the_parts_of_a_caption_are_kept_by_dataset_and_sentence(load):
    study = load({**PAPER, "datasets": {**PAPER["datasets"], "digits": DIGITS}})
    cells = [study.network(dataset=name, model="SimpleConv", seed=0) for name in ("mnist", "digits")]
    setting = ["So it is.", "", "And so: on."]
    made = caption(study, "some", cells, title="Title", question="Why?", setting=setting, departures=["more; or less"])
    assert made.setting == ("So it is.", "And so: on.")
    assert list(made.sizes) == ["mnist", "digits"]
    assert made.departures["mnist"] == (HELD_OUT, "more; or less")
    assert made.departures["digits"][0].startswith("mnist5k is 5,000 of the 60,000")
    assert (made.experiment, made.preset, made.counts) == ("some", "paper", "")
    assert str(made).startswith("Title. Why? So it is. And so: on. Sizes: mnist, SimpleConv (")


def test_a_measure_in_words_says_which_values_are_more_invariant():
    assert measure_in_words("NV").endswith("; lower is more invariant.")
    assert "higher is more invariant" in measure_in_words("Goodfellow")
    assert "lower is more invariant" not in measure_in_words("Goodfellow")
