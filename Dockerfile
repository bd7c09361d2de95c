# The image that runs Tideline: the official Airflow image, our hashed lock, our wheel, dags, catalog and models.
#
#   docker build --build-arg GIT_SHA="$(git rev-parse HEAD)" -t tideline:"$(git rev-parse --short HEAD)" .
#   docker build --target demo …      the same with the laptop's stand-ins and the living shop, for kind
#
# BASE_IMAGE may be any image with Python 3.11 and `uv` on PATH in a venv that uid 50000 (gid 0) may write, and with
# the official image's /entrypoint and /clean-logs; name it by digest for a release. What changes seldom comes first:
# a change of our own sources rebuilds nothing but the last two stages.
ARG BASE_IMAGE=apache/airflow:3.3.2-python3.11

FROM ${BASE_IMAGE} AS python
ENV TIDELINE_CATALOG_DIR=/opt/airflow/include/catalog \
    TIDELINE_DBT_DIR=/opt/airflow/dbt \
    TIDELINE_DBT_TARGET=prod \
    TIDELINE_DBT_MODE=watcher \
    TIDELINE_ENVIRONMENT=prod \
    AIRFLOW_HOME=/opt/airflow \
    AIRFLOW__CORE__LOAD_EXAMPLES=False \
    AIRFLOW__COSMOS__ENABLE_TELEMETRY=False \
    DBT_SEND_ANONYMOUS_USAGE_STATS=false \
    PYTHONDONTWRITEBYTECODE=1
COPY .ci/image/install requirements.txt /tmp/lock/
RUN bash /tmp/lock/install "$(command -v python)" /tmp/lock/requirements.txt

FROM python AS payload
WORKDIR /tmp/build
COPY pyproject.toml README.md LICENSE ./
COPY include/tideline include/tideline
RUN uv build --no-cache --quiet --wheel --out-dir /tmp/wheels .
WORKDIR /opt/airflow
COPY --chown=50000:0 dags dags
COPY --chown=50000:0 plugins plugins
COPY --chown=50000:0 include/catalog include/catalog
COPY --chown=50000:0 dbt dbt
# The manifest that the DAG is made from is part of the image; everything that runs later writes under /tmp.
RUN dbt parse --quiet --project-dir dbt --profiles-dir dbt --target-path /opt/airflow/dbt/target --log-path /tmp/dbt

FROM python AS demo-python
USER 0
# hadolint ignore=DL3008
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends postgresql \
 && rm -rf /var/lib/apt/lists/* /var/lib/postgresql/*/main \
 && mkdir -p /opt/bqemulator && chown 50000:0 /opt/bqemulator
USER 50000:0
COPY include/devstack/requirements.txt /tmp/lock/devstack.txt
COPY include/devstack/bigquery/requirements.txt /tmp/lock/bigquery.txt
RUN bash /tmp/lock/install "$(command -v python)" /tmp/lock/devstack.txt \
 && uv venv --quiet --python "$(command -v python3.11)" /opt/bqemulator \
 && bash /tmp/lock/install /opt/bqemulator/bin/python /tmp/lock/bigquery.txt

FROM demo-python AS demo
WORKDIR /opt/airflow
COPY --from=payload /tmp/wheels /tmp/wheels
RUN uv pip install --no-cache --quiet --no-deps --compile-bytecode /tmp/wheels/*.whl
COPY --chown=50000:0 --from=payload /opt/airflow /opt/airflow
COPY --chown=50000:0 include/devstack include/devstack
ENV DBT_LOG_PATH=/tmp/dbt/logs \
    DBT_TARGET_PATH=/tmp/dbt/target \
    PYTHONPATH=/opt/airflow/include \
    TIDELINE_BQEMULATOR_PYTHON=/opt/bqemulator/bin/python
USER 50000:0

FROM python AS tideline
ARG GIT_SHA=unknown
LABEL org.opencontainers.image.title="tideline" \
      org.opencontainers.image.description="Hourly, loss-free pipelines to BigQuery on Airflow" \
      org.opencontainers.image.source="https://github.com/tideline-data/tideline" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${GIT_SHA}"
WORKDIR /opt/airflow
COPY --from=payload /tmp/wheels /tmp/wheels
RUN uv pip install --no-cache --quiet --no-deps --compile-bytecode /tmp/wheels/*.whl
COPY --chown=50000:0 --from=payload /opt/airflow /opt/airflow
ENV DBT_LOG_PATH=/tmp/dbt/logs \
    DBT_TARGET_PATH=/tmp/dbt/target
USER 50000:0
