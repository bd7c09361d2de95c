# The image that runs Tideline: the official Airflow image, our hashed lock, our wheel, dags, catalog and models.
# The laptop's stand-ins (include/devstack) and development tools are not in it.
ARG BASE_IMAGE=apache/airflow:3.3.2-python3.11

FROM ${BASE_IMAGE} AS wheel
WORKDIR /build
COPY --chown=airflow:0 pyproject.toml README.md LICENSE ./
COPY --chown=airflow:0 include/tideline include/tideline
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /tmp/wheels .

FROM ${BASE_IMAGE}
ARG GIT_SHA=unknown
LABEL org.opencontainers.image.title="tideline" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${GIT_SHA}"
COPY requirements.txt /tmp/requirements.txt
RUN pip install --no-cache-dir --require-hashes -r /tmp/requirements.txt
COPY --from=wheel /tmp/wheels /tmp/wheels
RUN pip install --no-cache-dir --no-deps /tmp/wheels/*.whl
WORKDIR /opt/airflow
COPY --chown=airflow:0 dags dags
COPY --chown=airflow:0 plugins plugins
COPY --chown=airflow:0 include/catalog include/catalog
COPY --chown=airflow:0 dbt dbt
ENV TIDELINE_CATALOG_DIR=/opt/airflow/include/catalog \
    TIDELINE_DBT_DIR=/opt/airflow/dbt \
    TIDELINE_DBT_TARGET=prod \
    TIDELINE_DBT_MODE=watcher \
    TIDELINE_ENVIRONMENT=prod \
    AIRFLOW__CORE__LOAD_EXAMPLES=False \
    AIRFLOW__COSMOS__ENABLE_TELEMETRY=False \
    DBT_SEND_ANONYMOUS_USAGE_STATS=false
RUN dbt parse --project-dir dbt --profiles-dir dbt --warn-error-options '{"error": ["Deprecations"]}'
USER 50000:0
