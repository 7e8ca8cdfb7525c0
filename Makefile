# `make help` lists all targets. The first one you run creates .venv from the locked requirements.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SITE_VENV := .venv-docs
SITE_READY := $(SITE_VENV)/.ready
# The generators of docs/reference.
REFERENCE := field_reference reason_reference metric_reference exit_code_reference command_reference python_reference
# Bytecode is kept even where a container says otherwise: one step of a run or of a test would compile all of torch.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-20s %s\n", $$1, $$2}'

$(READY): pyproject.toml requirements/all.txt requirements/bootstrap.txt requirements/setup.sh $(wildcard workloads/deepsynth_render/page/compiled/*.[ch])
	@PYTHON=$(PYTHON) bash requirements/setup.sh $(VENV)
	@touch $@

.PHONY: setup
setup: $(READY) ## Create .venv from the locked, hashed requirements

$(SITE_READY): requirements/docs.txt
	@$(PYTHON) -m venv --clear $(SITE_VENV)
	@$(SITE_VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	@touch $@

.PHONY: demo
demo: $(READY) ## Render real documents and train a small model on them, without a cluster
	@$(BIN)/deepsynth local -f examples/demo.yaml

.PHONY: generate-dataset
generate-dataset: $(READY) ## Render a preset: DATASET=xsum [MAX_SAMPLES=1000]
	@[ -n "$(DATASET)" ] || { echo "DATASET must be set: make generate-dataset DATASET=xsum (make list-datasets lists them)" >&2; exit 64; }
	@resources="$$($(BIN)/deepsynth template dataset $(DATASET) $(if $(MAX_SAMPLES),--max-rows $(MAX_SAMPLES)))" && $(BIN)/deepsynth local -f - <<< "$$resources"

.PHONY: generate-all-datasets
generate-all-datasets: $(READY) ## Render all presets: [MAX_SAMPLES=1000]
	@resources="$$($(BIN)/deepsynth template dataset all $(if $(MAX_SAMPLES),--max-rows $(MAX_SAMPLES)))" && $(BIN)/deepsynth local -f - <<< "$$resources"

.PHONY: train-cloud
train-cloud: $(READY) ## Train on rendered presets: DATASETS='xsum mlsum_fr' [MODEL=hf://...] [GPUS=8]
	@[ -n "$(DATASETS)" ] || { echo "DATASETS must be set: make train-cloud DATASETS='xsum mlsum_fr'" >&2; exit 64; }
	@resources="$$($(BIN)/deepsynth template training $(DATASETS) $(if $(MODEL),--model $(MODEL)) $(if $(GPUS),--gpus $(GPUS)))" && $(BIN)/deepsynth local -f - <<< "$$resources"

.PHONY: train-cloud-all
train-cloud-all: $(READY) ## Train on all presets, once they are rendered: [MODEL=hf://...] [GPUS=8]
	@resources="$$($(BIN)/deepsynth template training all $(if $(MODEL),--model $(MODEL)) $(if $(GPUS),--gpus $(GPUS)))" && $(BIN)/deepsynth local -f - <<< "$$resources"

.PHONY: example-trainer
example-trainer: $(READY) ## Train a tiny model on a few pages from Python, in about a minute (examples/first_training.py)
	@$(BIN)/python examples/first_training.py

.PHONY: list-datasets
list-datasets: $(READY) ## List the presets
	@$(BIN)/deepsynth datasets

.PHONY: bench-render
bench-render: $(READY) ## Compare the speed of the renderer with Pillow, start-up included [ARGS="--repeats 5"]
	@PYTHONPATH=. $(BIN)/python -m benchmarks.render_pages $(ARGS)

.PHONY: bench-styles
bench-styles: $(READY) ## Compare pages in nine styles with pages in each of them alone [ARGS="--repeats 5"]
	@PYTHONPATH=. $(BIN)/python -m benchmarks.render_pages.styles $(ARGS)

.PHONY: benchmark-plan
benchmark-plan: $(READY) ## Measure what the plan step takes of a generation, for parquet and JSON lines [ARGS="--megabytes 300"]
	@PYTHONPATH=. $(BIN)/python -m benchmarks.plan $(ARGS)

.PHONY: refused-documents
refused-documents: $(READY) ## Count the documents of real corpora that the renderer refuses [ARGS="--draw 20"]
	@PYTHONPATH=tools $(BIN)/python benchmarks/refused_documents.py $(ARGS)

.PHONY: benchmark-trainer
benchmark-trainer: $(READY) ## Compare training with a naive loop and Hugging Face's Trainer [ARGS="--label-tokens 450"]
	@$(BIN)/python benchmarks/trainer.py $(ARGS)

.PHONY: benchmark-checkpoint
benchmark-checkpoint: $(READY) ## Compare memory, stall and size of checkpoints with torch.distributed.checkpoint [ARGS=--store]
	@$(BIN)/python benchmarks/checkpoint.py $(ARGS)

.PHONY: benchmark-stores
benchmark-stores: $(READY) ## Compare clients of object stores: obstore, boto3, s3fs [ARGS="500 256"]
	@$(BIN)/python benchmarks/stores.py $(ARGS)

.PHONY: benchmark-restart
benchmark-restart: $(READY) ## Measure from the death of a process to the next step: in place, and with a new Job [ARGS="--nodes 2"]
	@$(BIN)/python benchmarks/restart.py $(ARGS)

.PHONY: benchmark-large
benchmark-large: $(READY) ## Measure memory and throughput of each step with a large dataset [ARGS="publish-s3 --gigabytes 20"]
	@PYTHONPATH=.:tests $(BIN)/python -m benchmarks.large $(ARGS)

.PHONY: benchmark-first-step
benchmark-first-step: $(READY) ## Measure from the start of an attempt to its first step: fetched, cached, streamed [ARGS="streamed again"]
	@PYTHONPATH=. $(BIN)/python -m benchmarks.large.first_step $(ARGS)

.PHONY: benchmark-local
benchmark-local: $(READY) ## Measure the CPU seconds of `deepsynth local` for ten documents [ARGS="--repeats 5"]
	@$(BIN)/python benchmarks/local.py $(ARGS)

.PHONY: benchmark-costs
benchmark-costs: $(READY) ## Compare what `deepsynth cost -f FILE` estimates with what the demo costs [ARGS="--steps 1600"]
	@$(BIN)/python benchmarks/cost_estimate.py $(ARGS)

.PHONY: benchmark-operator
benchmark-operator: $(READY) ## Measure the operator's cost and latency on a control plane with fake pods [ARGS="burst idle --runs 1000"]
	@PYTHONPATH=.:tests:tools $(BIN)/python -m benchmarks.scale $(ARGS)

.PHONY: benchmark-admission
benchmark-admission: $(READY) ## Measure what the rules of the CRD cost the API server per status write [ARGS="--rounds 5"]
	@PYTHONPATH=.:tests:tools $(BIN)/python benchmarks/admission.py $(ARGS)

.PHONY: benchmark-gpu
benchmark-gpu: $(READY) ## Measure a GPU as JSON: speed, memory, compilation, checkpoints, tests [DEVICE=cuda]
	@$(BIN)/python benchmarks/gpu.py $(if $(DEVICE),--device $(DEVICE))

.PHONY: test
test: $(READY) ## Run the tests
	@OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal --timeout 900 -m "not slow"

.PHONY: test-coverage
test-coverage: $(READY) ## Run the tests, and show the share of lines that they run: takes half as long again
	@$(BIN)/coverage erase
	@OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal --timeout 900 -m "not slow" --cov --cov-report=
	@$(BIN)/coverage report --include='operator/*' --fail-under=90
	@$(BIN)/coverage report --include='workloads/*' --fail-under=85

.PHONY: test-quick
test-quick: $(READY) ## Run the unit tests that need no PyTorch, until the first one fails
	@$(BIN)/pytest -n 2 --dist worksteal --timeout 900 -x -m "not slow" tests/unit --ignore tests/unit/deepsynth_train

.PHONY: test-docs
test-docs: $(READY) ## Test the guides: their links, names, commands and code
	@$(BIN)/pytest tests/unit/project tests/integration/train_python/test_first_try.py

.PHONY: docs
docs: $(SITE_READY) ## Build the documentation site into site/, and check links, headings and pages; needs no `make setup`
	@NO_MKDOCS_2_WARNING=1 PYTHONPATH=tools $(SITE_VENV)/bin/mkdocs --quiet build

.PHONY: docs-serve
docs-serve: $(SITE_READY) ## Show the documentation site on http://127.0.0.1:8000, again after each change
	@NO_MKDOCS_2_WARNING=1 PYTHONPATH=tools $(SITE_VENV)/bin/mkdocs serve --dev-addr 127.0.0.1:8000

.PHONY: test-slow
test-slow: $(READY) ## Run the tests that take minutes each: the real model's size, every combination of options
	@OMP_NUM_THREADS=1 $(BIN)/pytest -m slow tests/unit tests/integration

.PHONY: test-gpu
test-gpu: $(READY) ## Run the tests that need a GPU; without one they are skipped
	@$(BIN)/pytest -m gpu tests/unit tests/integration

.PHONY: check
check: $(READY) ## Lint, types, import contracts, generated files
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/codespell
	@$(MAKE) --no-print-directory --jobs 2 --output-sync check-types check-imports check-generated

.PHONY: check-types
check-types: $(READY)
	@$(BIN)/mypy

.PHONY: check-imports
check-imports: $(READY)
	@$(BIN)/lint-imports

.PHONY: check-generated
check-generated: $(READY) ## Check that generated files are up to date; part of `check`
	@$(BIN)/python -m deepsynth_api.crd.files --check .
	@PYTHONPATH=tools $(BIN)/python -m deepsynth_generators.values_table --check
	@PYTHONPATH=tools $(BIN)/python -m deepsynth_generators.lifecycle --check
	@PYTHONPATH=tools $(BIN)/python -m deepsynth_generators.chart_rules --check
	@PYTHONPATH=tools $(BIN)/python -m deepsynth_generators.chart_schema --check
	@for page in $(REFERENCE); do PYTHONPATH=tools $(BIN)/python -m deepsynth_generators.$$page --check || exit 1; done

.PHONY: validate
validate: $(READY) ## Run all checks and tests, and show what they measured: [TESTS=tests/unit/project]
	@PYTHONPATH=tools $(BIN)/python -m deepsynth_scorecard $(TESTS)

.PHONY: format
format: $(READY) ## Format the code and fix what the linter can fix
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix-only .

.PHONY: fix-critical
fix-critical: format ## Format the code, fix what the linter can fix, and list what remains
	@$(BIN)/ruff check --output-format concise .
	@$(BIN)/mypy

.PHONY: crds
crds: $(READY) ## Generate crds/*.yaml and the chart's copy from the types
	@$(BIN)/python -m deepsynth_api.crd.files --write .

.PHONY: reference
reference: $(READY) ## Write the pages of docs/reference that follow from the code
	@for page in $(REFERENCE); do PYTHONPATH=tools $(BIN)/python -m deepsynth_generators.$$page --write || exit 1; done

.PHONY: fields
fields: $(READY) ## Write docs/reference/fields.md from the types
	@PYTHONPATH=tools $(BIN)/python -m deepsynth_generators.field_reference --write

.PHONY: script-sheet
script-sheet: $(READY) ## Draw docs/reference/scripts.png: a paragraph in each script
	@PYTHONPATH=tools $(BIN)/python -m deepsynth_generators.script_sheet --write

.PHONY: layout-sheet
layout-sheet: $(READY) ## Draw docs/tasks/layout.png: Markdown, tab stops, hyphens
	@PYTHONPATH=tools $(BIN)/python -m deepsynth_generators.layout_sheet --write

.PHONY: recording
recording: $(READY) ## Record commands as docs/get-started/terminal.svg; needs the results of `make demo`
	@PYTHONPATH=tools $(BIN)/python -m deepsynth_generators.recording --write

.PHONY: lifecycle
lifecycle: $(READY) ## Draw the lives of the resources into docs/concepts/lifecycle.md
	@PYTHONPATH=tools $(BIN)/python -m deepsynth_generators.lifecycle --write

.PHONY: images
images: $(READY) ## Build the images with Docker, Podman or Buildah: [IMAGES='cpu gpu'] [BASE=python:3.12-slim]
	@PYTHONPATH=tools $(BIN)/python -m deepsynth_images $(or $(IMAGES),cpu gpu)

.PHONY: cluster-up
cluster-up: $(READY) ## Start a two-node Kubernetes cluster on this machine: [NAME=deepsynth] [NODES=2] [KUBERNETES=1.34]
	@$(if $(KUBERNETES),DEEPSYNTH_KUBERNETES=$(KUBERNETES)) PYTHONPATH=tools $(BIN)/python -m deepsynth_cluster up $(if $(NAME),--name $(NAME)) $(if $(NODES),--nodes $(NODES))

.PHONY: cluster-load
cluster-load: images ## Build the images and load them onto the cluster's nodes: [NAME=deepsynth] [IMAGES='cpu gpu']
	@PYTHONPATH=tools $(BIN)/python -m deepsynth_images $(or $(IMAGES),cpu gpu) | awk '{print $$2}' | \
		PYTHONPATH=tools xargs $(BIN)/python -m deepsynth_cluster $(if $(NAME),--name $(NAME)) load

.PHONY: cluster-down
cluster-down: $(READY) ## Remove the cluster and its volumes: [NAME=deepsynth]
	@PYTHONPATH=tools $(BIN)/python -m deepsynth_cluster down $(if $(NAME),--name $(NAME))

.PHONY: chart-test
chart-test: $(READY) ## Test what the chart renders (builds Helm from its Go module the first time)
	@$(BIN)/pytest -n 2 --timeout 900 tests/chart

.PHONY: wheel
wheel: $(READY) ## Build the wheel into dist/
	@$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

.PHONY: chart-package
chart-package: $(READY) ## Package the chart into dist/
	@"$$(PYTHONPATH=tools $(BIN)/python -m deepsynth_cluster.programs helm | tail -n 1)" package charts/deepsynth --destination dist

.PHONY: demo-cluster
demo-cluster: $(READY) ## Run the demo on a real two-node cluster, which this starts first
	@PYTHONPATH=tools $(BIN)/python -m deepsynth_demo

.PHONY: chaos
chaos: $(READY) ## Let random faults happen to two operators, and check what must hold: [SEED=1] [KILLS=50] [ONLY="leader-killed"]
	@PYTHONPATH=tools $(BIN)/python -m deepsynth_chaos --seed $(or $(SEED),1) --kills $(or $(KILLS),50) $(if $(ONLY),--only $(ONLY))

.PHONY: e2e-build e2e-programs e2e-hub
e2e-build: e2e-programs images e2e-hub ## Build everything that the tests on a cluster need: [KUBERNETES=1.34]
e2e-programs: $(READY)
	@$(if $(KUBERNETES),DEEPSYNTH_KUBERNETES=$(KUBERNETES)) PYTHONPATH=tools $(BIN)/python -m deepsynth_cluster.programs
e2e-hub: $(READY)
	@PYTHONPATH=tests:tools $(BIN)/python -m e2e.support.hub.shardline

.PHONY: e2e
e2e: $(READY) ## Test everything on a real cluster: [TESTS=tests/e2e/installed/test_kills.py] [KUBERNETES=1.34]
	@$(if $(KUBERNETES),DEEPSYNTH_KUBERNETES=$(KUBERNETES)) $(BIN)/pytest $(or $(TESTS),tests/e2e)

.PHONY: e2e-smoke
e2e-smoke: $(READY) ## Test the main path, failures, admission, permissions and one kill of each kind on a real cluster
	@$(BIN)/pytest -n 2 -m "not slow" tests/e2e

.PHONY: chart-readme
chart-readme: $(READY) ## Generate the table of values in the chart's README
	@PYTHONPATH=tools $(BIN)/python -m deepsynth_generators.values_table --write

.PHONY: chart-rules
chart-rules: $(READY) ## Write the chart's copy of the operator's permissions, resources and defaults for Jobs
	@PYTHONPATH=tools $(BIN)/python -m deepsynth_generators.chart_rules --write
	@PYTHONPATH=tools $(BIN)/python -m deepsynth_generators.chart_schema --write

.PHONY: changelog
changelog: $(READY) ## Show the changes since the last release; with VERSION=X.Y.Z move them into CHANGELOG.md
	@$(BIN)/towncrier build $(if $(VERSION),--yes --version $(VERSION),--draft --version unreleased)

.PHONY: lock
lock: $(READY) ## Update the lock files in requirements/ (versions and hashes, no addresses)
	@bash requirements/lock.sh $(BIN)/uv

.PHONY: clean
clean: ## Remove .venv and caches; local runs stay
	rm -rf $(VENV) $(SITE_VENV) site .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.PHONY: clean-data
clean-data: ## Remove local runs (deepsynth-runs/, runs/), with their datasets, checkpoints and models
	rm -rf deepsynth-runs runs
