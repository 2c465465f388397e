"""SimpleConv without and with batch normalisation."""

from collections.abc import Sequence

from cnn_invariance.experiments.framework.profiles import ProfilePlan
from cnn_invariance.experiments.framework.variants import VariantExperiment, changes
from cnn_invariance.study import Study

LEFT_OUT = "Layers of batch normalisation are left out: so each layer lies on its partner in the other design."
MARKED = "Layers of batch normalisation are marked."


class BatchNormalization(VariantExperiment):
    """Without batch normalisation against with it."""

    question = "Does batch normalisation change the structure of invariance?"
    part, argument, without = "batch normalisation", "batch_norm", "BatchNorm"
    variants = {"without": False, "with": True}
    claims = changes(part)

    def plans(self, study: Study) -> Sequence[ProfilePlan]:
        """Both designs, without the layers that one of them lacks; and that one alone, with these layers marked."""
        (plan,) = super().plans(study)
        alone = {
            dataset: {label: [lines[-1]._replace(without="")] for label, lines in panels.items()}
            for dataset, panels in plan.lines.items()
        }
        title = "profiles of {model} with batch normalisation"
        return [
            self.plan(study, plan.lines, setting=[self.setting, LEFT_OUT]),
            self.plan(study, alone, title=title, setting=[self.setting, MARKED], part="alone", marked=self.without),
        ]
