# The only interface. `make help` lists the verbs.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
JOBS ?= auto
# Another checkout's `tideline`, or packages of another environment, would come before those of .venv.
unexport PYTHONPATH
# What the clouds' provider packages want for services that nothing here uses; not in the image.
UNUSED := ray litellm scikit-learn google-ads sagemaker-studio looker-sdk pyathena redshift-connector

.PHONY: help setup manifest run test faults mutations up down lint fmt bench bench-year bench-scale bench-peers spark-install spark-test lock clean backfill native fuzz image kind-up kind-down deploy e2e spark-e2e chart-docs chart-manifests infra audit release-check release-image gke-credentials dashboard dashboard-install looker-url docs

help: ## Say what there is
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install everything from PyPI (the other verbs do it by themselves)
	@command -v $(PYTHON) >/dev/null || { echo "tideline: $(PYTHON) was not found; install Python 3.11 to 3.14" >&2; exit 1; }
	@$(PYTHON) include/devstack/bootstrap.py

manifest: setup ## Parse the dbt project (TIDELINE_DBT_DIR) into the manifest that the DAG is made from
	@$(BIN)/python -m devstack manifest

run: setup ## Three hours of a living shop through the hourly DAG on embedded servers, then the warehouse's tables
	@exec $(BIN)/python -m devstack run

test: setup ## Everything that can be proved on one machine; COV=1 measures branch coverage too, which takes half as long again
	@$(BIN)/python -m devstack manifest
	@exec $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder --ignore=tests/faults $(if $(COV),--cov --cov-report=term --cov-fail-under=95,-p no:cov)

faults: setup ## Kill, cut, starve and confuse it at every step, and look whether a row is lost (docs/guarantees.md)
	@exec $(BIN)/python -m pytest tests/faults -n $(JOBS) --dist worksteal -q

mutations: setup ## Put twenty bugs into copies of the tree, and see that the tests catch them all
	@exec $(BIN)/python tests/mutations/prove.py

up: setup ## The Airflow UI with a scheduler on the same shop; Ctrl-C or `make down` ends it
	@exec $(BIN)/python -m devstack up

down: ## End what `make up` started
	@if [ -x $(BIN)/python ]; then exec $(BIN)/python -m devstack down; fi

dashboard: setup ## The reports on this laptop, after `make run` or beside `make up`; Ctrl-C ends it
	@exec $(BIN)/python -m dashboard.launch

dashboard-install: setup
	@$(BIN)/python -m dashboard.launch install

looker-url: setup ## Links that open Looker Studio on the reports, one for each page
	@$(BIN)/python -m dashboard.cli urls

docs: setup ## dbt's documentation as one file, and the reference of pages, metrics and fields
	@env -u TIDELINE_DBT_DIR -u TIDELINE_DBT_TARGET $(BIN)/python -m devstack manifest
	@mkdir -p .tideline/docs && cp dbt/target/manifest.json .tideline/docs/
	@env -u TIDELINE_DBT_TARGET $(BIN)/dbt --quiet docs generate --static --empty-catalog --no-compile --project-dir dbt --profiles-dir dbt --target-path "$$PWD/.tideline/docs"
	@$(BIN)/python -m dashboard.cli docs
	@echo .tideline/docs/static_index.html

backfill: ## Backfill in a running `make up`: make backfill FROM=2026-01-31T10:00 TO=2026-01-31T12:00, both included: three hours
	@[ -x $(BIN)/python ] || { echo "tideline: nothing is up Remedy: run \`make up\` in another terminal first" >&2; exit 1; }
	@exec $(BIN)/python -m devstack backfill "$(FROM)" "$(TO)"

lint: setup ## Style, types, import contracts, SQL, YAML, shell, Dockerfile and workflows
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy include dags
	@$(BIN)/lint-imports
	@$(BIN)/sqlfluff lint dbt --processes 0
	@$(BIN)/yamllint --strict .
	@$(BIN)/codespell
	@.ci/lint

fmt: setup ## Format Python and mend what can be mended
	@$(BIN)/ruff check --fix-only -q .
	@$(BIN)/ruff format .

bench: setup ## Speed and memory as ratios within one run; ARGS=--quick for one run of each
	@exec $(BIN)/python -m benchmarks $(ARGS)

bench-year: setup ## A year of hourly merges by BigQuery's billing rules: docs/bench-year.md; three minutes
	@exec $(BIN)/python -m benchmarks.year --page $(ARGS)

.PHONY: bench-year-models
bench-year-models: setup ## A year of hourly dbt builds by the same rules: docs/bench-year-models.md; five minutes
	@exec $(BIN)/python -m benchmarks.year_models --page $(ARGS)

.PHONY: bench-year-builds
bench-year-builds: setup ## Seconds of an hour's dbt build as that year goes by, on the emulator; ten minutes
	@exec $(BIN)/python -m benchmarks.year_builds --page $(ARGS)

.PHONY: large-shop
large-shop: setup ## Hours of a shop of a million orders, held against its truth; ARGS="--scale 10" for a tenth
	@exec $(BIN)/python -m benchmarks.large_shop $(ARGS)

image: ## Build the image, and those for Spark, with Docker; tagged with the commit
	@for target in tideline spark dataproc; do \
		name=tideline; [ "$$target" = tideline ] || name=tideline-$$target; \
		docker build --target "$$target" --build-arg GIT_SHA="$$(git rev-parse HEAD)" -t "$$name:$$(git rev-parse --short=12 HEAD)" . || exit 1; done

kind-up: ## A laptop's cluster with the living shop and a run that was green; again is quick
	@helm/kind.sh up

kind-down: ## Remove that cluster
	@helm/kind.sh down

deploy: ## Install or upgrade a cluster: VALUES=my-values.yaml, shows what changes, rolls back on failure, smokes
	@helm/deploy.sh

e2e: ## Prove the chart on the cluster that KUBECONFIG names; TIDELINE_TAG is the images' tag there
	@exec $(PYTHON) helm/e2e.py $(ARGS)

spark-e2e: setup ## Refine a landing by Spark on the cluster that KUBECONFIG names; TIDELINE_TAG is the images' tag there
	@PYTHONPATH=.:include:tests/support exec $(BIN)/python helm/spark_e2e.py $(ARGS)

audit: setup ## Known vulnerabilities of what the images install, and their bills of materials
	@.ci/audit .tideline/release

release-check: ## Whether version, tag, chart and changelog agree
	@.ci/release check

release-image: setup audit ## Build and push the images by digest, package the chart (REGISTRY, REGISTRY_USER, REGISTRY_PASSWORD)
	@.ci/release image

gke-credentials: ## Point kubectl at a cluster: CLUSTER, REGION and PROJECT
	@gcloud container clusters get-credentials "$(CLUSTER)" --region "$(REGION)" --project "$(PROJECT)"

chart-manifests: setup ## Render every supported combination of the chart's values into .tideline/manifests, for linters
	@PYTHONPATH=tests/support exec $(BIN)/python -m manifests .tideline/manifests

infra: setup ## Check terraform/: its policies, and its arguments where tofu is (or TIDELINE_TOFU names one)
	@TIDELINE_TOFU="$${TIDELINE_TOFU:-$$(command -v tofu)}" exec $(BIN)/python -m pytest tests/terraform -q

chart-docs: setup ## Write the chart's README from its values and their schema
	@$(BIN)/python helm/docs.py

native: setup ## Build the compiled BSON decoder and install it into .venv (needs Rust; nothing else does)
	@PYTHONPATH=include exec $(BIN)/python include/native/build.py

fuzz: setup ## Damaged documents through both BSON engines; ARGS="--documents 5000000 --seed 0"
	@PYTHONPATH=include:tests/support exec $(BIN)/python tests/support/fuzz_bson.py $(ARGS)

bench-scale: setup ## What one more document, object and dataset costs, and what 10^9 would: docs/scale.md; ten minutes
	@exec $(BIN)/python -m benchmarks.scale --page $(ARGS)

bench-peers: setup ## Beside everything else that installs: docs/bench-peers.md; about an hour; --repeat 1 takes fifteen minutes
	@exec $(BIN)/python -m benchmarks.peers --page $(ARGS)

spark-install: setup ## Spark in an environment of its own, beside Java: tests/integration/test_spark.py then runs
	@PYTHONPATH=include exec $(BIN)/python -m devstack.spark

spark-test: spark-install ## A landing of three million documents on local Spark, workers killed: the same rows
	@TIDELINE_SPARK_DOCUMENTS=$${TIDELINE_SPARK_DOCUMENTS:-3000000} exec $(BIN)/python -m pytest tests/integration/test_spark.py -q

lock: setup ## Lock the dependencies; requirements.txt is what the image installs
	@$(BIN)/uv lock --quiet
	@$(BIN)/uv export --quiet --frozen --no-default-groups --extra cluster --no-emit-project $(UNUSED:%=--prune %) --format requirements-txt -o requirements.txt
	@$(BIN)/uv export --quiet --frozen --only-group devstack --no-emit-project --format requirements-txt -o include/devstack/requirements.txt
	@$(BIN)/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 \
		--no-emit-index-url --custom-compile-command "make lock" include/devstack/bigquery/requirements.in -o include/devstack/bigquery/requirements.txt
	@$(BIN)/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 \
		--custom-compile-command "make lock" benchmarks/requirements-peers.in -o benchmarks/requirements-peers.txt
	@$(BIN)/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 \
		--no-emit-index-url --custom-compile-command "make lock" include/dashboard/requirements.in -o include/dashboard/requirements.txt
	@$(BIN)/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 \
		--no-emit-index-url --custom-compile-command "make lock" include/spark/requirements.in -o include/spark/requirements.txt
	@for name in dlt-arrow polars sling ingestr tap-mongodb pyairbyte source-s3; do $(BIN)/uv pip compile --quiet --generate-hashes --python-version 3.11 \
		--python-platform x86_64-manylinux_2_28 --no-emit-index-url --custom-compile-command "make lock" \
		benchmarks/peers/requirements/$$name.in -o benchmarks/peers/requirements/$$name.txt || exit 1; done

clean: down ## Remove everything that the other verbs made
	@rm -rf .venv .tideline dbt/target dbt/logs .pytest_cache .ruff_cache .mypy_cache .hypothesis .coverage .coverage.*
