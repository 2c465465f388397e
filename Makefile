# make          install into .venv, then make the results and figures of the quick preset that are missing
# make quick    the same for the quick preset, whatever the default preset is
# make report   the same for the default preset, then write it as one HTML page, report/<preset>.html
# make article  install what it needs, then write the replication report of a preset as a PDF, report/<preset>-article.pdf
# make test     install, then run the tests
# make check    install, then look at the code and the workflow without running them
# make docs     install, then build the documentation as pages, build/docs/index.html
# make fuzz     install, then try random faults in what comes from others: SEED=3 SECONDS=600 (of each family)
# make bench    install, then measure what measuring and training cost, and how far tmeasures agrees
# make bundle   pack the project, wheels and data for a GPU machine without internet (config/paper.yaml)
# make oldest  run the library's tests with the lower bounds of pyproject.toml (TRY="2.6 2.7": these of PyTorch)
# make install-slurm    install, and what Snakemake needs to submit jobs to Slurm
# make validators       install, apart, the programs that check an RO-Crate and CITATION.cff
# make lock     write the locks in envs/ anew (needs uv)
# make clean    remove what was installed and what tools left behind; results, figures, data and models stay
#
# Variables, with their usual values:
#   PYTHON=python3   the Python to install for, 3.11 to 3.13; what is in .venv already stays
#   TORCH=           cpu: PyTorch without CUDA, from its own index
#   PRESET=          another preset, such as PRESET=config/mine.yaml
#   VENV=.venv       the folder to install into
#   JOBS=2           tests that run at once
# The folder of raw datasets, CNN_INVARIANCE_DATA, is read from the environment.

PYTHON ?= python3
TORCH ?=
PRESET ?=
VENV ?= .venv
JOBS ?= 2
LOCK ?=
SEED ?= 16
SECONDS ?= 300
TRY ?=

BIN := $(abspath $(VENV))/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
LOCKED := $(PIP) install --quiet --require-hashes --no-deps
STAMP := $(VENV)/installed
VALIDATORS := $(VENV)-validators
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
HALF := $(VENV)/half-installed
PINS := $(shell sed -n 's/^\(torch\|torchvision\)==\([^ ]*\).*/\1==\2/p' envs/torch.txt)

ifeq ($(TORCH),cpu)
INSTALL_TORCH := $(PIP) install --quiet --no-deps --index-url https://download.pytorch.org/whl/cpu $(PINS)
else ifeq ($(TORCH),)
INSTALL_TORCH := $(LOCKED) -r envs/torch.txt
else
$(error TORCH=$(TORCH): expected TORCH=cpu, or nothing for PyTorch as PyPI has it)
endif

.DEFAULT_GOAL := study
.PHONY: study quick report article test check docs fuzz bench bundle lock oldest clean install install-test install-slurm install-export validators
.DELETE_ON_ERROR:

study: $(STAMP)
	$(BIN)/snakemake --cores all $(if $(PRESET),--configfile $(PRESET))

quick: $(STAMP)
	$(BIN)/snakemake --cores all --configfile config/quick.yaml

report: $(STAMP)
	$(BIN)/snakemake --cores all report $(if $(PRESET),--configfile $(PRESET))

article: $(STAMP)-export
	$(BIN)/cnn-invariance export article $(if $(PRESET),--preset $(PRESET))

# Tests start many processes, and without byte code each would compile the package anew.
test: $(STAMP)-test
	OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(JOBS)

check: $(STAMP)-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow/Snakefile
	$(BIN)/snakemake --lint
	for preset in $(filter-out config/claims.yaml,$(wildcard config/*.yaml)); do \
	    echo "dry run of $$preset"; \
	    $(BIN)/snakemake --dry-run --quiet --configfile "$$preset" || exit 1; \
	done

docs: $(STAMP)-docs
	OMP_NUM_THREADS=1 $(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -d build/doctrees docs build/docs
	@echo "the documentation: build/docs/index.html"

fuzz: $(STAMP)-test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -s -k "gets_through or no_shape" tests/hostile tests/results \
	    --fuzz-seed=$(SEED) --fuzz-seconds=$(SECONDS)

bench: $(STAMP)-test
	$(BIN)/python benchmarks/measuring.py
	@echo
	$(BIN)/python benchmarks/agreement.py
	@echo
	$(BIN)/python benchmarks/training.py

bundle: $(STAMP)
	$(BIN)/python envs/bundle.py $(PRESET)

oldest:
	$(PYTHON) envs/oldest.py $(TRY)

lock:
	@command -v uv > /dev/null || { echo "make lock needs uv: https://docs.astral.sh/uv/" >&2; exit 1; }
	$(PYTHON) envs/lock.py $(LOCK)

clean:
	rm -rf $(VENV) $(VALIDATORS) build dist logs .snakemake .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

install: $(STAMP)
install-test: $(STAMP)-test
install-slurm: $(STAMP)-slurm
install-export: $(STAMP)-export
validators: $(VALIDATORS)/installed

# An installation that was broken off leaves packages in pieces that pip takes for whole: start anew.
$(STAMP): envs/torch.txt envs/requirements.txt pyproject.toml
	@if [ -e $(HALF) ]; then echo "the installation in $(VENV) was broken off: it is made anew"; rm -rf $(VENV); fi
	@command -v $(PYTHON) > /dev/null || { echo "no $(PYTHON): install Python 3.11, 3.12 or 3.13, or name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(BIN)/python -c '$(SUPPORTED)' 2> /dev/null || $(PYTHON) -c '$(SUPPORTED)' \
	    || { echo "Python 3.11, 3.12 or 3.13 is needed, and $(PYTHON) is `$(PYTHON) --version`; name another: make PYTHON=python3.12" >&2; exit 1; }
	@$(BIN)/python -c '$(SUPPORTED)' 2> /dev/null && $(BIN)/python -m pip --version > /dev/null 2>&1 \
	    || $(PYTHON) -m venv --clear $(VENV)
	@touch $(HALF)
	$(INSTALL_TORCH)
	$(LOCKED) -r envs/requirements.txt
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@rm $(HALF)
	@touch $@

# They want older packages than the study, and so an environment of their own.
$(VALIDATORS)/installed: envs/validators.txt
	$(PYTHON) -m venv --clear $(VALIDATORS)
	$(VALIDATORS)/bin/python -m pip --disable-pip-version-check --no-input install --quiet --require-hashes --no-deps \
	    -r envs/validators.txt
	@touch $@

# The tests export, too.
$(STAMP)-test: $(STAMP)-export

$(STAMP)-test $(STAMP)-slurm $(STAMP)-export $(STAMP)-docs: $(STAMP)-%: $(STAMP) envs/%.txt
	@touch $(HALF)
	$(LOCKED) -r envs/$*.txt
	@rm $(HALF)
	@touch $@
