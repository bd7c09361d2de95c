# The only interface. `make help` lists the verbs.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
JOBS ?= auto
export PYTHONDONTWRITEBYTECODE ?= 1

.PHONY: help setup manifest run test up down lint fmt bench lock clean backfill image kind-up kind-down deploy e2e chart-docs audit release-check release-image gke-credentials

help: ## Say what there is
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

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

image: ## Build the image with Docker, tagged with the commit
	@docker build --build-arg GIT_SHA="$$(git rev-parse HEAD)" -t "tideline:$$(git rev-parse --short=12 HEAD)" .

kind-up: ## A laptop's cluster with the living shop and a run that was green; again is quick
	@helm/kind.sh up

kind-down: ## Remove that cluster
	@helm/kind.sh down

deploy: ## Install or upgrade a cluster: VALUES=my-values.yaml, shows what changes, rolls back on failure, smokes
	@helm/deploy.sh

e2e: ## Prove the chart on the cluster that KUBECONFIG names; TIDELINE_TAG is the images' tag there
	@exec $(PYTHON) helm/e2e.py $(ARGS)

audit: setup ## Known vulnerabilities of what the image installs, and its bill of materials
	@.ci/audit .tideline/release

release-check: ## Whether version, tag, chart and changelog agree
	@.ci/release check

release-image: setup audit ## Build and push the image by digest, package the chart (REGISTRY, REGISTRY_USER, REGISTRY_PASSWORD)
	@.ci/release image

gke-credentials: ## Point kubectl at a cluster: CLUSTER, REGION and PROJECT
	@gcloud container clusters get-credentials "$(CLUSTER)" --region "$(REGION)" --project "$(PROJECT)"

chart-docs: setup ## Write the chart's README from its values and their schema
	@$(BIN)/python helm/docs.py

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
