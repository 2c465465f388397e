"""A training that is broken off under Snakemake, which then removes every output that is there."""

import pytest
import yaml

from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.training import learner
from cnn_invariance.workflow import preparation, stages
from cnn_invariance.workflow.plan import Plan

PRESET = {
    "name": "tiny",
    "description": "A network of which early epochs are measured.",
    "datasets": {
        "mnist5k": {
            "fingerprint": "431ccb07ecd1af0274b77e08cda92d8c7c33d4feec3c76007dfacee4ea4406aa",
            "accuracy_floor": 0,
        }
    },
    "models": {"SimpleConv": {"arguments": {"width": 1, "dense": 2}, "learning_rate": 1e-3, "epochs": 10}},
    "transformation_sets": {"rotation": {"parameters": {"n": 2, "closed": False}}},
    "training": {"epoch_samples": 64, "augmentation_epochs": "same"},
    "seeds": [0],
    "samples": {"count": 10},
    "measures": ["NV[aggregate=mean]"],
    "experiments": {"during_training": {}},
}


def test_it_goes_on_from_its_last_epoch_with_its_early_checkpoints(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(PRESET), encoding="utf-8")
    plan = Plan(Programme.load("tiny.yaml"))
    network = plan.networks[0]
    assert plan.epochs(network) == (0, 1, 3, 5, 10)
    outputs = [plan.results.path(network), *(plan.folders.checkpoint(network, epoch) for epoch in (0, 1, 3, 5, 10))]
    preparation.prepare(plan.study, plan.folders, "mnist5k")
    run_epoch = learner.Learner.run_epoch

    def killed(self, epoch, on_step):
        if epoch == 4:
            raise KeyboardInterrupt
        return run_epoch(self, epoch, on_step)

    monkeypatch.setattr(learner.Learner, "run_epoch", killed)
    with pytest.raises(KeyboardInterrupt):
        stages.compute(plan.job(network), plan.folders, threads=1)
    for path in outputs:
        path.unlink(missing_ok=True)
    monkeypatch.setattr(learner.Learner, "run_epoch", run_epoch)
    stages.compute(plan.job(network), plan.folders, threads=1)
    assert plan.results.provenance(network)["resumed_after"] == [3]
    assert [path.name for path in outputs if not path.is_file()] == []
    assert {path.suffix for path in plan.folders.models.iterdir()} == {".safetensors"}
