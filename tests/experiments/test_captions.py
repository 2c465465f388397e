import json

import pytest

from cnn_invariance import datasets
from cnn_invariance.datasets.official import VALIDATION
from cnn_invariance.paper.captions import caption, measure_in_words
from cnn_invariance.paper.departures import (
    DATASETS,
    DEGREES,
    HELD_OUT,
    ONCE,
    author_images,
    departures,
    images,
    other_batches,
)
from cnn_invariance.plotting.caption import Caption
from cnn_invariance.study import SampleSpec, SetSpec

SETS = ("rotation", "scale", "translation", "combined")
AUTHOR = {
    "name": "author",
    "description": "The author's sizes.",
    "datasets": {"mnist": {"fingerprint": "0" * 64, "accuracy_floor": 0.9}},
    "models": {
        "SimpleConv": {"arguments": {"width": 32, "dense": 64}, "learning_rate": 5e-4, "epochs": 5},
        "AllConvolutional": {"arguments": {"width": 16}, "learning_rate": 1e-3, "epochs": 30},
        "VGG16D": {"arguments": {"width": 16, "dense": 64}, "learning_rate": 1e-4, "epochs": 10},
        "ResNet18": {"arguments": {"width": 64}, "learning_rate": 5e-4, "epochs": 7},
    },
    "transformation_sets": dict.fromkeys(SETS),
    "training": {"batch_size": 256},
    "seeds": [0],
    "samples": {"split": "test", "count": 5000},
    "measures": ["NV[aggregate=mean]"],
    "experiments": {"compare_models": {"transformation_sets": list(SETS)}},
}

DIGITS = {"source": "mnist5k", "fingerprint": "0" * 64, "accuracy_floor": 0.9}


def found(study):
    cells = study.cells["compare_models"]
    (entry,) = study.preset.datasets.values()
    return departures(entry.source, [cell.network for cell in cells], cells)


def test_the_author_s_own_sizes_depart_only_in_what_is_ours_throughout(load):
    """The images that are held out are not seen, so that there are fewer than his in as many epochs."""
    first, *others = found(load(AUTHOR))
    assert first == HELD_OUT
    assert HELD_OUT.endswith("so that no choice is made on test data")
    assert sorted(others) == sorted(
        [
            ONCE,
            DEGREES,
            *(
                f"{name}: {epochs} epochs of 55,000 images, {ours} images (author: {epochs} epochs of 60,000, {theirs})"
                for name, epochs, ours, theirs in (
                    ("SimpleConv", "17–34", "935,000–1,870,000", "1,020,000–2,040,000"),
                    ("AllConvolutional", "106–205", "5,830,000–11,275,000", "6,360,000–12,300,000"),
                    ("VGG16D", "35–68", "1,925,000–3,740,000", "2,100,000–4,080,000"),
                    ("ResNet18", "24–47", "1,320,000–2,585,000", "1,440,000–2,820,000"),
                )
            ),
        ]
    )


def test_angles_are_named_where_there_are_some(load):
    study = load(AUTHOR)
    networks = {label: study.network(dataset="mnist", model="SimpleConv", augmentation=label) for label in SETS}
    named = {label: DEGREES in departures("mnist", [network], []) for label, network in networks.items()}
    assert named == {"rotation": True, "scale": False, "translation": False, "combined": True}


@pytest.mark.parametrize(
    ("experiment", "split", "count", "words"),
    [
        ("accuracy", "test", 5000, "the whole test set, 10,000"),
        ("accuracy", "test", 10_000, ""),
        ("stratified", "train", 5000, "the training set class by class, and a tenth of it pooled"),
        ("stratified", "train", None, ""),
        ("dataset_size", "test", 500, ""),
        ("dataset_subset", "train", 5000, "half of the test set and a tenth of the training set"),
        ("dataset_subset", "train", 6000, ""),
        ("same_equivariance", "test", 10_000, ""),
        ("heatmap", "test", 10_000, "half of the test set, 5,000"),
        ("mine", "test", 5000, ""),
    ],
)
def test_samples_are_compared_with_those_of_the_author_s_experiment(experiment, split, count, words, load):
    study = load(AUTHOR)
    network = study.network(dataset="mnist", model="SimpleConv")
    cell = study.measurement(network, "scale", samples=SampleSpec(split=split, count=count))
    said = [one for one in departures("mnist", [], [cell], experiment=experiment) if one.startswith("measured on")]
    assert [one.partition("(author: ")[2].removesuffix(")") for one in said] == ([words] if words else [])


def test_numbers_of_members_that_the_author_varies_are_his_in_that_experiment(load):
    study = load(AUTHOR)
    coarse = SetSpec(name="rotation", parameters={"n": 8, "angle_deg": 360})
    network = study.network(dataset="mnist", model="SimpleConv", augmentation=study.set(coarse))
    cells = [study.measurement(network, study.set(coarse))]
    there, elsewhere = (
        "; ".join(departures("mnist", [network], cells, experiment=name))
        for name in ("transformation_samples", "heatmap")
    )
    assert "author: 11 epochs" in there
    assert "n 8" not in there
    assert "author: 17 epochs" in elsewhere
    assert "rotation: n 8 (author 25)" in elsewhere


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        ({"models": {"SimpleConv": {"arguments": {"width": 8}, "learning_rate": 5e-4, "epochs": 5}}},
         "SimpleConv: width 8 (author 32)"),
        ({"models": {"VGG16D": {"learning_rate": 1e-4, "epochs": 2}}},
         "VGG16D: 7–13 epochs of 55,000 images, 385,000–715,000 images (author: 35–68 epochs of 60,000, 2,100,000"),
        ({"models": {"ResNet18": {"learning_rate": 0.01, "epochs": 7}}}, "learning rate 0.01 (author 0.0005)"),
        ({"training": {"batch_size": 256, "augmentation_epochs": "same"}},
         "SimpleConv: 5 epochs of 55,000 images, 275,000 images (author: 17–34 epochs of 60,000, 1,020,000–2,040,000)"),
        ({"training": {"batch_size": 256, "epoch_samples": 3200}},
         "SimpleConv: 17–34 epochs of 3,200 images, 54,400–108,800 images (author: 17–34 epochs of 60,000"),
        ({"training": {"batch_size": 256, "precision": "bf16"}}, ", precision bf16 (author fp32)"),
        ({"models": {"VGG16D": {"arguments": {"batch_norm": True}, "learning_rate": 1e-4, "epochs": 10}},
          "training": {"batch_size": 16}},
         ", batches of 16 (author 64)"),
        ({"models": {"SimpleConv": {"arguments": {"pooling": "stride"}, "learning_rate": 5e-4, "epochs": 5}}},
         "learning rate 0.0005 (author 0.0001)"),
        ({"training": {"batch_size": 16}}, "batches of 16 (author 256)"),
        ({"training": {"batch_size": 256, "weight_decay": 0.1}}, "weight decay 0.1 (author 0.01)"),
        ({"samples": {"count": 250}},
         "measured on 250 samples of the test split (author: half of the test set, 5,000)"),
        ({"samples": {"split": "train", "count": 5000}}, "measured on 5,000 samples of the train split"),
        ({"transformation_sets": {"scale": {"parameters": {"n": 2}}}}, "scale: n 2 (author 4)"),
        ({"transformation_sets": {"rotation_reference": {"parameters": {"n": 12}}}},
         "rotation_reference: n 12 (author 25)"),
        ({"datasets": {"digits": DIGITS}},
         "5,000 of the 60,000 training digits"),
        ({"datasets": {"clothes": {"source": "fashion_mnist", "fingerprint": "0" * 64, "accuracy_floor": 0.9}}},
         "the dataset is none of the author's"),
    ],
)  # fmt: skip
def test_every_departure_is_said(change, phrase, load):
    experiments = {"compare_models": {}} if "transformation_sets" in change else AUTHOR["experiments"]
    text = "; ".join(found(load({**AUTHOR, **change, "experiments": experiments})))
    assert phrase in text


def test_another_accuracy_floor_is_said(load):
    for floor, said in ((0.6, True), (0.9, False)):
        study = load({**AUTHOR, "datasets": {"mnist": {"fingerprint": "0" * 64, "accuracy_floor": floor}}})
        text = caption(study, "x", study.cells["compare_models"], title="T", question="Q?", setting="")
        assert ("accuracy floor 0.6 (author 0.9)" in str(text)) is said


def test_a_caption_says_sizes_of_each_dataset(load):
    study = load(AUTHOR)
    network = study.network(dataset="mnist", model="SimpleConv", seed=0)
    other = study.network(dataset="mnist", model="SimpleConv", augmentation="rotation", seed=1)
    cells = [study.measurement(one, "rotation", samples=SampleSpec(count=1234)) for one in (network, other)]
    made = caption(study, "some", cells, title="Title", question="Why?", setting="So.", counts="None left out.")
    text = str(made)
    assert text.startswith("Title. Why?\n\n- So.\n- Sizes: mnist, SimpleConv (width 32; dense 64; 5–17 epochs), ")
    assert "measured on 1,234 samples of the test split, under rotation (M = 25 members, 24 angles), 2 seeds.\n" in text
    assert "2 seeds.\n- None left out.\n" in text
    assert "- Departures from the author's code on mnist:\n  - 5,000 of the training images" in text
    assert text.endswith("Experiment 'some' of your own (preset author).")


def test_above_a_picture_each_design_stands_once_and_datasets_that_are_shown_alike_together(load):
    variants = {
        "activation": {"model": "SimpleConv", "arguments": {"width": 32, "activation": "relu"}},
        "normalised": {"model": "SimpleConv", "arguments": {"width": 32, "batch_norm": True}},
    }
    rates = {"learning_rate": 5e-4, "epochs": 5}
    models = {**AUTHOR["models"], **{name: {**one, **rates} for name, one in variants.items()}}
    twice = {"mnist": AUTHOR["datasets"]["mnist"], "again": DIGITS}
    chosen = {
        "models": ["SimpleConv", "activation", "normalised", "AllConvolutional"],
        "transformation_sets": ["scale"],
    }
    study = load({**AUTHOR, "datasets": twice, "models": models, "experiments": {"compare_models": chosen}})
    made = caption(study, "compare_models", study.cells["compare_models"], title="t", question="q", setting="s")
    assert made.shown.startswith(
        "again and mnist: SimpleConv (width 32; dense 64) in 3 variants, AllConvolutional (width 16), "
    )
    assert "batch norm; " in made.sizes["mnist"]
    assert "activation relu" in made.sizes["mnist"]
    assert Caption.from_record(json.loads(made.to_json())["caption"]) == made


def test_only_usual_cells_are_compared_with_the_author_s(load):
    study = load(AUTHOR)
    network = study.network(dataset="mnist", model="SimpleConv", augmentation="scale")
    few = study.measurement(network, "scale", samples=SampleSpec(count=50))
    texts = {"title": "A figure", "question": "Why?", "setting": "So."}
    assert "(author: half of the test set" in str(caption(study, "heatmap", [few], **texts))
    said = str(caption(study, "heatmap", [few], **texts, usual=[study.measurement(network, "scale")]))
    assert "(author: half of the test set" not in said
    assert "measured on 50 samples of the test split, under" in said


def test_the_parts_of_a_caption_are_kept_by_dataset_and_sentence(load):
    study = load({**AUTHOR, "datasets": {**AUTHOR["datasets"], "digits": DIGITS}})
    cells = [study.network(dataset=name, model="SimpleConv", seed=0) for name in ("mnist", "digits")]
    setting = ["So it is.", "", "And so: on."]
    made = caption(study, "some", cells, title="Title", question="Why?", setting=setting, departures=["more; or less"])
    assert made.setting == ("So it is.", "And so: on.")
    assert list(made.sizes) == ["mnist", "digits"]
    assert made.departures["mnist"][:2] == (HELD_OUT, ONCE)
    assert made.departures["mnist"][-1] == "more; or less"
    assert made.departures["digits"][0].startswith("mnist5k is 5,000 of the 60,000")
    assert (made.experiment, made.preset, made.counts) == ("some", "author", "")
    assert str(made).startswith("Title. Why?\n\n- So it is. And so: on.\n- Sizes: mnist, SimpleConv (")


def test_a_measure_in_words_says_which_values_are_more_invariant():
    assert measure_in_words("NV").endswith("; lower is more invariant.")
    assert "higher is more invariant" in measure_in_words("Goodfellow")
    assert "lower is more invariant" not in measure_in_words("Goodfellow")


def test_fewer_members_than_the_author_s_do_not_lessen_his_epochs(load):
    """10 epochs are right by his rule for a set of 7; his set has 25 members, and his networks 17 epochs."""
    study = load(
        {
            **AUTHOR,
            "transformation_sets": {"scale": {"parameters": {"n": 1}}},
            "experiments": {"accuracy": {"seeds": 1}},
        }
    )
    network = study.network(dataset="mnist", model="SimpleConv", augmentation="scale")
    (phrase,) = [one for one in departures("mnist", [network], []) if one.startswith("SimpleConv")]
    assert phrase == ("SimpleConv: 10 epochs of 55,000 images, 550,000 images (author: 17 epochs of 60,000, 1,020,000)")


def test_what_pools_over_a_set_has_the_epochs_of_that_set(load):
    entry = {"arguments": {"width": 16, "dense": 64}, "learning_rate": 1e-3, "epochs": 17}
    study = load({**AUTHOR, "models": {"TIPoolingSimpleConv": entry}, "experiments": {"accuracy": {"seeds": 1}}})
    network = study.network(dataset="mnist", model="TIPoolingSimpleConv")
    *_, phrase = departures("mnist", [network], [])
    assert phrase == (
        "TIPoolingSimpleConv: 17 epochs of 55,000 images, 935,000 images (author: 17 epochs of 60,000, 1,020,000)"
    )


def test_either_batch_of_the_author_s_is_no_departure_where_a_design_has_no_batch_normalisation(load):
    for size in (64, 256):
        study = load({**AUTHOR, "training": {"batch_size": size}})
        network = study.network(dataset="mnist", model="AllConvolutional")
        assert "batches" not in "; ".join(departures("mnist", [network], []))


def test_the_number_of_training_images_is_that_of_the_source(tmp_path):
    digits = datasets.prepare("mnist5k", tmp_path / "mnist5k.npz")
    ours = DATASETS["mnist5k"]
    assert [len(digits.indices(split)) for split in ("train", "validation")] == [ours.train, ours.validation]
    for name in ("mnist", "cifar10", "cifar10_jpeg"):
        assert DATASETS[name].validation == VALIDATION
        assert DATASETS[name].train + VALIDATION == author_images(DATASETS[name].family)


def test_a_network_that_is_trained_on_all_images_departs_in_no_number_of_images(load):
    study = load(AUTHOR)
    network = study.network(dataset="mnist", model="SimpleConv", recipe={"images": "all"})
    assert departures("mnist", [network], []) == [ONCE]
    assert images(network, "mnist") == 60_000


def test_other_batches_than_those_of_the_author_s_comparison_are_said(load):
    study = load(AUTHOR)
    same, other = (
        study.network(dataset="mnist", model="SimpleConv", recipe={"batch_size": size}) for size in (64, 256)
    )
    assert other_batches([same]) == []
    assert other_batches([same, other]) == ["accuracies of networks trained in batches of 256 (the author's: 64)"]


@pytest.mark.parametrize(
    ("experiment", "words"),
    [
        ("heatmap", "Replicates experiment 'heatmap' of the author's code"),
        ("structure", "Experiment 'structure' of this package"),
        ("mine", "Experiment 'mine' of your own"),
    ],
)
def test_a_caption_says_whose_experiment_it_is(experiment, words, load):
    study = load(AUTHOR)
    network = study.network(dataset="mnist", model="SimpleConv")
    assert words in str(caption(study, experiment, [network], title="T", question="Why?", setting="So."))
