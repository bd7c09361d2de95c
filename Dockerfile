# The image that runs Tideline: the official Airflow image, our hashed lock, our wheel, dags, catalog and models.
#
#   docker build --build-arg GIT_SHA="$(git rev-parse HEAD)" -t tideline:"$(git rev-parse --short HEAD)" .
#   docker build --target demo …      the same with the laptop's stand-ins and the living shop, for kind
#
# BASE_IMAGE may be any image with Python 3.11, `pip` on PATH in a venv that uid 50000 (gid 0) may write, and the
# official image's /entrypoint; name it by digest for a release.
ARG BASE_IMAGE=apache/airflow:3.3.2-python3.11

FROM ${BASE_IMAGE} AS wheel
WORKDIR /tmp/build
COPY --chown=50000:0 pyproject.toml README.md LICENSE ./
COPY --chown=50000:0 include/tideline include/tideline
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /tmp/wheels .

FROM ${BASE_IMAGE} AS tideline
ARG GIT_SHA=unknown
LABEL org.opencontainers.image.title="tideline" \
      org.opencontainers.image.description="Hourly, loss-free pipelines to BigQuery on Airflow" \
      org.opencontainers.image.source="https://github.com/tideline-data/tideline" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${GIT_SHA}"
COPY requirements.txt /tmp/lock/requirements.txt
RUN pip install --no-cache-dir --no-deps --require-hashes -r /tmp/lock/requirements.txt
COPY --from=wheel /tmp/wheels /tmp/wheels
RUN pip install --no-cache-dir --no-deps /tmp/wheels/*.whl
WORKDIR /opt/airflow
COPY --chown=50000:0 dags dags
COPY --chown=50000:0 plugins plugins
COPY --chown=50000:0 include/catalog include/catalog
COPY --chown=50000:0 dbt dbt
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
# The manifest that the DAG is made from is part of the image; everything that runs later writes under /tmp.
RUN dbt parse --quiet --project-dir dbt --profiles-dir dbt --log-path /tmp/dbt
ENV DBT_LOG_PATH=/tmp/dbt/logs \
    DBT_TARGET_PATH=/tmp/dbt/target
USER 50000:0

FROM tideline AS demo
USER 0
RUN apt-get update \
 && apt-get install -y --no-install-recommends postgresql \
 && rm -rf /var/lib/apt/lists/* /var/lib/postgresql/*/main \
 && mkdir -p /opt/bqemulator && chown 50000:0 /opt/bqemulator
USER 50000:0
COPY include/devstack/requirements.txt /tmp/lock/devstack.txt
COPY include/devstack/bigquery/requirements.txt /tmp/lock/bigquery.txt
RUN pip install --no-cache-dir --no-deps --require-hashes -r /tmp/lock/devstack.txt \
 && python -m venv /opt/bqemulator \
 && /opt/bqemulator/bin/pip install --no-cache-dir --no-deps --require-hashes -r /tmp/lock/bigquery.txt
COPY --chown=50000:0 include/devstack include/devstack
ENV PYTHONPATH=/opt/airflow/include \
    TIDELINE_BQEMULATOR_PYTHON=/opt/bqemulator/bin/python

FROM tideline
