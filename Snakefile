# The study: prepare each dataset, train the networks on it, measure the trained networks, draw.
#
#     snakemake --cores all                                        the laptop preset
#     snakemake --cores all --configfile config/mine.yaml          another preset
#     snakemake --cores all --config compute=cached                draw what needs nothing computed
#     snakemake --cores all --config compute=missing               compute all that is missing, too
#     snakemake -n                                                 only say what is missing
#     snakemake --cores all report                                 all of it as one HTML page
#     snakemake verify --cores all                                 compute some cached cells again, and compare
#
# A finished cell has its result file, named by the hash of everything that determines it. It has
# no rule below: neither a newer file, nor a fresh clone, nor -F can start it again.

import sys

from snakemake.exceptions import WorkflowError

from cnn_invariance.workflow import trials
from cnn_invariance.errors import InputError
from cnn_invariance.machine import gpus, put_own_commands_first
from cnn_invariance.workflow.resources import Needs
from cnn_invariance.workflow.plan import Plan, one_of
from cnn_invariance.verification import Verification

try:
    settings = workflow.config_settings
    plan = Plan.of_run(settings.configfiles, settings.config)
    if workflow.is_main_process:
        plan.check()
        trials.check(plan)
    to_prepare = plan.to_prepare
except InputError as error:
    raise WorkflowError(error)

verification = Verification(plan)
LOGS = f"logs/{plan.study.name}"
GPU_SHARE = (
    plan.gpu_share if gpus() else 0
)  # what a job asks for, in per cent; the profile says how much there is

# What a job asks a scheduler for, if there is one: then the profile has default resources, and `gpu` is 0 or 1.
defaults = workflow.resource_settings.default_resources or {}
needs = Needs(
    plan, gpu=defaults.get("gpu") not in (None, 0), look=workflow.is_main_process
)
ASKS = " (asks for {resources.runtime} min, {resources.mem_mb} MB, {resources.gpu} GPU)"
if "gpu" not in defaults or not workflow.is_main_process:
    ASKS = ""

put_own_commands_first()


onsuccess:
    print(*plan.left_out, sep="\n", file=sys.stderr)


rule all:
    input:
        plan.all_files(),
    message:
        "Results, figures and tables of {plan.study.name}"


rule dataset:
    output:
        data=plan.folders.data / "{dataset}.npz",
    log:
        f"{LOGS}/dataset/{{dataset}}.log",
    benchmark:
        f"{LOGS}/dataset/{{dataset}}.tsv"
    wildcard_constraints:
        dataset=one_of(dataset.name for dataset in (*to_prepare, *plan.unprepared)),
    localrule: True
    conda:
        "envs/environment.yaml"
    params:
        options=plan.options("data"),
    message:
        "Prepare {wildcards.dataset}"
    shell:
        "cnn-invariance dataset {wildcards.dataset} {params.options} > {log} 2>&1"


# One rule for all networks of which the study keeps the same epochs.
for training in plan.trainings:

    rule:
        name:
            training.rule
        input:
            data=plan.data_to_train,
        output:
            **training.outputs,
        log:
            f"{LOGS}/train/{{network}}.log",
        benchmark:
            f"{LOGS}/train/{{network}}.tsv"
        wildcard_constraints:
            network=one_of(network.key for network in training.networks),
        conda:
            "envs/environment.yaml"
        threads: 1
        resources:
            gpu_share=GPU_SHARE,
            mem_mb=needs.mem_mb,
            runtime=needs.runtime,
        params:
            options=plan.options("data", "models", "results"),
        message:
            f"Train {{wildcards.network}}{ASKS}"
        shell:
            "cnn-invariance train {wildcards.network} --threads {threads}"
            " {params.options} > {log} 2>&1"


rule measure:
    input:
        data=plan.data_to_measure,
        weights=plan.weights_to_measure,
    output:
        table=plan.results.root / "measures/{cell}.parquet",
    log:
        f"{LOGS}/measure/{{cell}}.log",
    benchmark:
        f"{LOGS}/measure/{{cell}}.tsv"
    wildcard_constraints:
        cell=one_of(cell.key for cell in plan.to_measure),
    conda:
        "envs/environment.yaml"
    threads: 1
    resources:
        gpu_share=GPU_SHARE,
        mem_mb=needs.mem_mb,
        runtime=needs.runtime,
    params:
        options=plan.options("data", "models", "results"),
    message:
        f"Measure {{wildcards.cell}}{ASKS}"
    shell:
        "cnn-invariance measure {wildcards.cell} --threads {threads}"
        " {params.options} > {log} 2>&1"


rule respond:
    input:
        data=plan.data_to_respond,
        weights=plan.weights_to_respond,
        ranking=plan.ranking_of,
    output:
        table=plan.results.root / "responses/{cell}.parquet",
    log:
        f"{LOGS}/respond/{{cell}}.log",
    benchmark:
        f"{LOGS}/respond/{{cell}}.tsv"
    wildcard_constraints:
        cell=one_of(cell.key for cell in plan.to_respond),
    conda:
        "envs/environment.yaml"
    threads: 1
    resources:
        gpu_share=GPU_SHARE,
        mem_mb=needs.mem_mb,
        runtime=needs.runtime,
    params:
        options=plan.options("data", "models", "results"),
    message:
        f"Respond {{wildcards.cell}}{ASKS}"
    shell:
        "cnn-invariance respond {wildcards.cell} --threads {threads}"
        " {params.options} > {log} 2>&1"


# One rule for each experiment: what it draws has names of its own.
for experiment in plan.drawn:

    rule:
        name:
            f"draw_{experiment}"
        input:
            results=plan.results_of(experiment),
            preset=plan.study.path,
            code=plan.code_of(experiment),
        output:
            figures=plan.figures(experiment),
            tables=plan.tables(experiment),
        log:
            f"{LOGS}/draw/{experiment}.log",
        benchmark:
            f"{LOGS}/draw/{experiment}.tsv"
        localrule: True
        conda:
            "envs/environment.yaml"
        params:
            experiment=experiment,
            options=plan.options("results", "figures"),
        message:
            f"Draw {experiment}"
        shell:
            "cnn-invariance draw {params.experiment} {params.options} > {log} 2>&1"


rule claims:
    input:
        results=plan.results_of_claims,
        preset=plan.study.path,
        code=plan.code_of_claims,
    output:
        plan.claims,
    log:
        f"{LOGS}/claims.log",
    benchmark:
        f"{LOGS}/claims.tsv"
    localrule: True
    conda:
        "envs/environment.yaml"
    params:
        options=plan.options("results"),
    message:
        "Test the claims"
    shell:
        "cnn-invariance claims {params.options} > {log} 2>&1"


rule overview:
    input:
        results=plan.results_of_claims,
        preset=plan.study.path,
        code=plan.code_of_claims,
    output:
        plan.overview,
    log:
        f"{LOGS}/overview.log",
    benchmark:
        f"{LOGS}/overview.tsv"
    localrule: True
    conda:
        "envs/environment.yaml"
    params:
        options=plan.options("results", "figures"),
    message:
        "Draw the overview"
    shell:
        "cnn-invariance overview {params.options} > {log} 2>&1"


rule costs:
    input:
        results=[plan.results.path(cell) for cell in plan.wanted],
        preset=plan.study.path,
    output:
        plan.costs,
    log:
        f"{LOGS}/costs.log",
    benchmark:
        f"{LOGS}/costs.tsv"
    localrule: True
    conda:
        "envs/environment.yaml"
    params:
        options=plan.options("results"),
    message:
        "Tabulate the costs"
    shell:
        "cnn-invariance costs {params.options} > {log} 2>&1"


rule report:
    input:
        shown=plan.shown,
        results=[plan.results.path(cell) for cell in plan.wanted],
        preset=plan.study.path,
        code=plan.code_of_page,
    output:
        page=plan.page,
    log:
        f"{LOGS}/report.log",
    benchmark:
        f"{LOGS}/report.tsv"
    localrule: True
    conda:
        "envs/environment.yaml"
    params:
        options=plan.options("results", "figures"),
        verified=plan.verified,
    message:
        "Write {output.page}"
    shell:
        "cnn-invariance report {params.options} --output {output.page} > {log} 2>&1"


# What verifying computes, it computes beside the cache, in `plan.folders.verification`: the cached cells that are drawn,
# and those they need. One rule for each stage. They are drawn when `verify` is asked for, and not otherwise.
for stage in verification.stages:

    rule:
        name:
            f"verify_{stage.command}"
        input:
            verification.needs(stage.command),
        output:
            stage.output,
        log:
            f"{LOGS}/verify/{stage.command}/{{cell}}.log",
        benchmark:
            f"{LOGS}/verify/{stage.command}/{{cell}}.tsv"
        conda:
            "envs/environment.yaml"
        threads: 1
        resources:
            gpu_share=GPU_SHARE,
            mem_mb=needs.mem_mb,
            runtime=needs.runtime,
        params:
            command=stage.command,
            options=verification.beside.options("data", "models", "results"),
        message:
            f"{stage.command.capitalize()} again {{wildcards.cell}}"
        shell:
            "cnn-invariance {params.command} {wildcards.cell} --threads {threads}"
            " {params.options} > {log} 2>&1"


# It has no output: it compares each time it is asked to, and its table is there also when cells disagree, which ends
# with status 1.
rule verify:
    input:
        cells=verification.files,
    log:
        f"{LOGS}/verify.log",
    localrule: True
    conda:
        "envs/environment.yaml"
    params:
        options=verification.options,
    message:
        "Compare with the cache"
    shell:
        "cnn-invariance verify {params.options} 2>&1 | tee {log}"
