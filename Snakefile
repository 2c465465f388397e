# The study: prepare each dataset, train the networks on it, measure the trained networks, draw.
#
#     snakemake --cores all                                        the quick preset
#     snakemake --cores all --configfile config/mine.yaml          another preset
#     snakemake --cores all --config compute=cached                draw what needs nothing computed
#     snakemake --cores all --config compute=missing               compute all that is missing, too
#     snakemake --cores all --config trust=my_package              run code that the preset names in this package, too
#     snakemake -n                                                 only say what is missing
#     snakemake --cores all report                                 all of it as one HTML page
#     snakemake verify --cores all                                 compute some cached cells again, and compare
#     snakemake --report report/snakemake.html                     what a run drew, as Snakemake's own report
#
# Another workflow can have this one as a module, with its own config: see docs/workflow.md.
#
# The result of a finished cell is a file that is named by the hash of everything that determines it. A finished cell has
# no rule below, so neither a newer file, nor a fresh clone, nor -F can compute it again. Each cell that is to be computed
# has a job, specs/<preset>/<key>.json, which is all that its command reads of the study.

import sys

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

from cnn_invariance.errors import FailedError, InputError
from cnn_invariance.machine import put_own_commands_first
from cnn_invariance.verification.run import VerificationRun
from cnn_invariance.verification.sampling import SAMPLING_OPTIONS, Sampling
from cnn_invariance.workflow.failures import draw_the_rest
from cnn_invariance.workflow.run import Run
from cnn_invariance.workflow.running import asked_to_end, end_with_jobs

min_version("9.0")

try:
    run = Run.of(workflow, SAMPLING_OPTIONS, config)
    again = VerificationRun(run, Sampling.of_run(run.options.others))
    if run.starts_at_once:
        run.start()
except (InputError, FailedError) as error:
    raise WorkflowError(error)

DATA, MODELS, RESULTS = run.folders.data, run.folders.models, run.results
JOBS = run.jobs.folder
LOGS = f"logs/{run.name}"
CELL = run.resources(workflow)
ASKS = run.asks(workflow)

put_own_commands_first()


report: "workflow/report.rst"


localrules:
    all,
    dataset,
    claims,
    specifications,
    overview,
    costs,
    report,
    verify,


onstart:
    try:
        run.start()
        again.start()
        end_with_jobs()
    except (InputError, FailedError) as error:
        raise WorkflowError(error)


onsuccess:
    print(*run.closing_lines, sep="\n", file=sys.stderr)


# A network below its accuracy floor is not measured, and the jobs that would measure it fail. All else is drawn.
onerror:
    print(
        *run.failing_lines,
        *([] if asked_to_end() else draw_the_rest(run)),
        sep="\n",
        file=sys.stderr,
    )


rule all:
    input:
        run.every(),
    message:
        f"Results, figures and tables of {run.name}"


rule dataset:
    output:
        data=DATA / "{dataset}.npz",
    log:
        f"{LOGS}/dataset/{{dataset}}.log",
    benchmark:
        f"{LOGS}/dataset/{{dataset}}.tsv"
    wildcard_constraints:
        dataset=run.datasets,
    conda:
        "envs/environment.yaml"
    params:
        options=run.study_options("data"),
    message:
        "Prepare {wildcards.dataset}"
    shell:
        "cnn-invariance dataset {wildcards.dataset} {params.options} > {log:q} 2>&1"


# A training leaves a record, the trained weights, and the weights after each earlier epoch that the study measures. There
# is one rule for all networks of which the same epochs are kept. A record that is there already stays: then a training
# only leaves the weights, for cells that are still to be measured.
for training in run.trainings:

    rule:
        name:
            training.rule
        input:
            data=run.data,
        output:
            **({"record": RESULTS / "training/{cell}.json"} if training.record else {}),
            **{
                f"epoch_{epoch}": MODELS / f"{{cell}}-e{epoch}.safetensors"
                for epoch in training.epochs
            },
            weights=MODELS / "{cell}.safetensors",
        log:
            f"{LOGS}/train/{{cell}}.log",
        benchmark:
            f"{LOGS}/train/{{cell}}.tsv"
        wildcard_constraints:
            cell=training.keys,
        conda:
            "envs/environment.yaml"
        threads: 1
        resources:
            **CELL,
        params:
            job=f"{JOBS}/{{cell}}.json",
            options=run.command_options("data", "models", "results"),
        message:
            f"Train {{wildcards.cell}}{ASKS}"
        shell:
            "cnn-invariance train {params.job:q} --threads {threads} {params.options} > {log:q} 2>&1"


# A measured network: its layer profiles under one transformation set.
rule measure:
    input:
        data=run.data,
        weights=run.weights,
    output:
        table=RESULTS / "measures/{cell}.parquet",
    log:
        f"{LOGS}/measure/{{cell}}.log",
    benchmark:
        f"{LOGS}/measure/{{cell}}.tsv"
    wildcard_constraints:
        cell=run.keys("measure"),
    conda:
        "envs/environment.yaml"
    threads: 1
    resources:
        **CELL,
    params:
        stage="measure",
        job=f"{JOBS}/{{cell}}.json",
        options=run.command_options("data", "models", "results"),
    message:
        f"Measure {{wildcards.cell}}{ASKS}"
    shell:
        "cnn-invariance {params.stage} {params.job:q} --threads {threads} {params.options} > {log:q} 2>&1"


# Responses of feature maps to some samples.
use rule measure as respond with:
    input:
        data=run.data,
        weights=run.weights,
    output:
        table=RESULTS / "responses/{cell}.parquet",
    log:
        f"{LOGS}/respond/{{cell}}.log",
    benchmark:
        f"{LOGS}/respond/{{cell}}.tsv"
    wildcard_constraints:
        cell=run.keys("respond"),
    params:
        stage="respond",
        job=f"{JOBS}/{{cell}}.json",
        options=run.command_options("data", "models", "results"),
    message:
        f"Respond {{wildcards.cell}}{ASKS}"


# What is drawn from the results. A job that was submitted to a scheduler computes one cell and draws nothing.
if run.plan:

    # One rule for each experiment: the files that it draws have names of their own.
    for experiment in run.drawn:

        rule:
            name:
                f"draw_{experiment}"
            input:
                results=run.products.results_of(experiment),
                preset=run.options.preset,
                code=run.products.code_of(experiment),
            output:
                figures=run.annotated(
                    run.products.figures(experiment), report, experiment
                ),
                tables=run.annotated(
                    run.products.tables(experiment), report, experiment
                ),
            log:
                f"{LOGS}/draw/{experiment}.log",
            benchmark:
                f"{LOGS}/draw/{experiment}.tsv"
            localrule: True
            conda:
                "envs/environment.yaml"
            params:
                experiment=experiment,
                options=run.study_options("results", "figures", drawing=True),
            message:
                f"Draw {experiment}"
            shell:
                "cnn-invariance draw {params.experiment} {params.options} > {log:q} 2>&1"

    # The primary claims by every specification, which takes longest and so begins first; the claims, tested on all
    # results; and the whole study as one figure.
    rule specifications:
        input:
            results=run.products.results_of_all(),
            preset=run.options.preset,
            code=run.products.code_of_claims(),
        output:
            run.annotated(run.products.specifications, report),
        log:
            f"{LOGS}/specifications.log",
        benchmark:
            f"{LOGS}/specifications.tsv"
        priority: 1
        conda:
            "envs/environment.yaml"
        params:
            command="claims --specifications",
            options=run.study_options("results", "figures", drawing=True),
        message:
            "Test the claims by every specification"
        shell:
            "cnn-invariance {params.command} {params.options} > {log:q} 2>&1"

    use rule specifications as claims with:
        input:
            results=run.products.results_of_all(),
            preset=run.options.preset,
            code=run.products.code_of_claims(),
            specifications=run.products.specifications,
        output:
            run.annotated(run.products.claims, report),
        log:
            f"{LOGS}/claims.log",
        benchmark:
            f"{LOGS}/claims.tsv"
        params:
            command="claims",
            options=run.study_options("results", drawing=True),
        message:
            "Test the claims"

    use rule specifications as overview with:
        input:
            results=run.products.results_of_all(),
            preset=run.options.preset,
            code=run.products.code_of_claims(),
            claims=run.products.claims,
        output:
            run.annotated(run.products.overview, report),
        log:
            f"{LOGS}/overview.log",
        benchmark:
            f"{LOGS}/overview.tsv"
        params:
            command="overview",
            options=run.study_options("results", "figures", drawing=True),
        message:
            "Draw the overview"

    use rule specifications as costs with:
        input:
            results=run.products.results(),
            preset=run.options.preset,
        output:
            run.annotated(run.products.costs, report),
        log:
            f"{LOGS}/costs.log",
        benchmark:
            f"{LOGS}/costs.tsv"
        params:
            command="costs",
            options=run.study_options("results", drawing=True),
        message:
            "Tabulate the costs"

    # The page shows what is drawn, and also what a verification left, which no run makes unless it is asked to.
    rule report:
        input:
            shown=run.products.on_page,
            results=run.products.results(),
            preset=run.options.preset,
            code=run.products.code_of_page(),
        output:
            page=run.products.page,
        log:
            f"{LOGS}/report.log",
        benchmark:
            f"{LOGS}/report.tsv"
        conda:
            "envs/environment.yaml"
        params:
            options=run.study_options("results", "figures", drawing=True),
            verified=run.products.verified,
        message:
            "Write {output.page}"
        shell:
            "cnn-invariance report {params.options} --output {output.page:q} > {log:q} 2>&1"


# A verification computes a sample of the cached cells again, and what they need, into folders of its own. The sample is
# drawn when `verify` is asked for, and not otherwise.
for stage, result in again.outputs.items():

    rule:
        name:
            f"verify_{stage}"
        input:
            again.inputs,
        output:
            result,
        log:
            f"{LOGS}/verify/{stage}/{{cell}}.log",
        benchmark:
            f"{LOGS}/verify/{stage}/{{cell}}.tsv"
        conda:
            "envs/environment.yaml"
        threads: 1
        resources:
            **CELL,
        params:
            stage=stage,
            job=f"{again.folder}/{{cell}}.json",
            options=again.stage_options,
        message:
            f"{stage.capitalize()} again {{wildcards.cell}}"
        shell:
            "cnn-invariance {params.stage} {params.job:q} --threads {threads} {params.options} > {log:q} 2>&1"


# It has no output: it compares each time it is asked to. Its table is also written when cells disagree, which ends with
# status 1.
rule verify:
    input:
        cells=again.results,
    log:
        f"{LOGS}/verify.log",
    conda:
        "envs/environment.yaml"
    params:
        options=again.command_options,
    message:
        "Compare with the cache"
    shell:
        "cnn-invariance verify {params.options} 2>&1 | tee {log:q}"
