# The only interface. `make help` lists the verbs.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
JOBS ?= auto
export PYTHONDONTWRITEBYTECODE ?= 1

.PHONY: help setup manifest run test up down lint fmt bench lock clean backfill

help: ## Say what there is
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install everything from PyPI (the other verbs do it by themselves)
	@command -v $(PYTHON) >/dev/null || { echo "tideline: $(PYTHON) was not found; install Python 3.11 or newer" >&2; exit 1; }
	@$(PYTHON) include/devstack/bootstrap.py

manifest: setup ## Parse the dbt project into the manifest that the DAG is made from
	@$(BIN)/python -m devstack manifest

run: setup ## Three hours of a living shop through the hourly DAG on embedded servers, then the warehouse's tables
	@exec $(BIN)/python -m devstack run

test: setup ## Everything that can be proved on one machine
	@$(BIN)/python -m devstack manifest
	@exec $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --cov --cov-report=term --cov-fail-under=95

up: setup ## The Airflow UI with a scheduler on the same shop; Ctrl-C or `make down` ends it
	@exec $(BIN)/python -m devstack up

down: ## End what `make up` started
	@if [ -x $(BIN)/python ]; then exec $(BIN)/python -m devstack down; fi

backfill: ## Backfill in a running `make up`: make backfill FROM=2026-01-31T10:00 TO=2026-01-31T12:00
	@exec $(BIN)/python -m devstack backfill "$(FROM)" "$(TO)"

lint: setup ## Style, types, import contracts, SQL and YAML
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy include dags
	@$(BIN)/lint-imports
	@$(BIN)/sqlfluff lint dbt --processes 0
	@$(BIN)/yamllint --strict .
	@$(BIN)/codespell

fmt: setup ## Format Python and mend what can be mended
	@$(BIN)/ruff check --fix-only -q .
	@$(BIN)/ruff format .

bench: setup ## Speed and memory as ratios within one run; ARGS=--quick for one run of each
	@exec $(BIN)/python -m benchmarks $(ARGS)

lock: setup ## Lock the dependencies; requirements.txt is what the image installs
	@$(BIN)/uv lock --quiet
	@$(BIN)/uv export --quiet --frozen --no-default-groups --extra cluster --no-emit-project --format requirements-txt -o requirements.txt
	@$(BIN)/uv export --quiet --frozen --only-group devstack --no-emit-project --format requirements-txt -o include/devstack/requirements.txt
	@$(BIN)/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 \
		--no-emit-index-url --custom-compile-command "make lock" include/devstack/bigquery/requirements.in -o include/devstack/bigquery/requirements.txt
	@$(BIN)/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 \
		--custom-compile-command "make lock" benchmarks/requirements-peers.in -o benchmarks/requirements-peers.txt

clean: down ## Remove everything that the other verbs made
	@rm -rf .venv .tideline dbt/target dbt/logs .pytest_cache .ruff_cache .mypy_cache .hypothesis .coverage .coverage.*
