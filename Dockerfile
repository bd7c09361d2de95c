# The image that runs Tideline: the official Airflow image, our hashed lock, our wheel, dags, catalog and models.
#
#   docker build --build-arg GIT_SHA="$(git rev-parse HEAD)" -t tideline:"$(git rev-parse --short HEAD)" .
#   docker build --target demo …      the same with the laptop's stand-ins and the living shop, for kind
#   docker build --target spark …     what refines on Spark, for Kubernetes: no Airflow, no dbt (docs/scale.md)
#   docker build --target dataproc …  the same for Dataproc, which brings Spark and Java along
#
# BASE_IMAGE may be any image with Python 3.11 and `uv` on PATH in a venv that uid 50000 (gid 0) may write, and with
# the official image's /entrypoint and /clean-logs. SPARK_BASE_IMAGE may be any Debian or Ubuntu with Python 3.11 and
# `uv` or pip. Name both by digest for a release. What changes seldom comes first: a change of our own sources rebuilds
# nothing but the last stages.
ARG BASE_IMAGE=apache/airflow:3.3.2-python3.11
ARG SPARK_BASE_IMAGE=python:3.11-slim-bookworm

FROM ${SPARK_BASE_IMAGE} AS uv
# hadolint ignore=DL3002
USER 0
RUN command -v uv || pip install --no-cache-dir uv==0.13.8

FROM uv AS wheel
WORKDIR /tmp/build
COPY pyproject.toml README.md LICENSE ./
COPY include/tideline include/tideline
RUN uv build --no-cache --quiet --wheel --out-dir /tmp/wheels . \
 && uv pip install --no-cache --quiet --no-deps --compile-bytecode --python "$(command -v python3.11)" --target /tmp/package /tmp/wheels/*.whl \
 && rm -rf /tmp/package/bin

# Spark comes from our lock: the images of Apache Spark have an older Python than ours.
FROM uv AS spark-python
COPY .ci/image/install include/spark/requirements.txt /tmp/lock/
RUN uv venv --quiet --python "$(command -v python3.11)" /opt/venv \
 && bash /tmp/lock/install /opt/venv/bin/python /tmp/lock/requirements.txt \
 && rm -rf /opt/venv/lib/python3.11/site-packages/pyspark/examples

FROM spark-python AS dataproc-python
RUN uv pip uninstall --quiet --python /opt/venv/bin/python pyspark py4j

# What Dataproc asks of an image: these two programs, and this user with this number.
FROM ${SPARK_BASE_IMAGE} AS dataproc-base
# hadolint ignore=DL3002
USER 0
# hadolint ignore=DL3008
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends procps tini \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 1099 spark \
 && useradd --uid 1099 --gid 1099 --create-home spark
ENV HOME=/home/spark \
    PYSPARK_PYTHON=/opt/venv/bin/python \
    PYSPARK_DRIVER_PYTHON=/opt/venv/bin/python \
    PYTHONDONTWRITEBYTECODE=1

FROM dataproc-base AS dataproc
COPY --from=dataproc-python /opt/venv /opt/venv
COPY --from=wheel /tmp/package /opt/venv/lib/python3.11/site-packages
COPY include/tideline/spark/job.py /opt/tideline/job.py
ARG GIT_SHA=unknown
LABEL org.opencontainers.image.title="tideline-dataproc" \
      org.opencontainers.image.description="Tideline's refine for Dataproc Serverless, which brings Spark and Java along" \
      org.opencontainers.image.source="https://github.com/tideline-data/tideline" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${GIT_SHA}"
USER 1099:1099

FROM dataproc-base AS spark-base
# hadolint ignore=DL3008
RUN apt-get update \
 && mkdir -p /usr/share/man/man1 \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends openjdk-17-jre-headless \
 && rm -rf /var/lib/apt/lists/*
ENV SPARK_HOME=/opt/spark \
    PATH=/opt/spark/bin:/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
COPY --from=spark-python /opt/venv /opt/venv
RUN ln -s /opt/venv/lib/python3.11/site-packages/pyspark /opt/spark \
 && mkdir /opt/spark/conf

FROM spark-base AS spark
COPY include/spark/entrypoint.sh /opt/entrypoint.sh
COPY --from=wheel /tmp/package /opt/venv/lib/python3.11/site-packages
COPY include/tideline/spark/job.py /opt/tideline/job.py
ARG GIT_SHA=unknown
LABEL org.opencontainers.image.title="tideline-spark" \
      org.opencontainers.image.description="Tideline's refine on Spark, for Kubernetes" \
      org.opencontainers.image.source="https://github.com/tideline-data/tideline" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${GIT_SHA}"
# Spark makes a folder where it runs; /tmp is the one place that has to be writable.
WORKDIR /tmp
ENTRYPOINT ["/opt/entrypoint.sh"]
USER 1099:1099

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
COPY --from=wheel /tmp/wheels /tmp/wheels
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
COPY --from=wheel /tmp/wheels /tmp/wheels
RUN uv pip install --no-cache --quiet --no-deps --compile-bytecode /tmp/wheels/*.whl
COPY --chown=50000:0 --from=payload /opt/airflow /opt/airflow
ENV DBT_LOG_PATH=/tmp/dbt/logs \
    DBT_TARGET_PATH=/tmp/dbt/target
USER 50000:0
