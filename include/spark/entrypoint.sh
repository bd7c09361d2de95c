#!/usr/bin/env bash
# What the containers of a Spark job on Kubernetes are called with: `driver ARGUMENTS…` and `executor`. Spark's scheduler
# says the rest in variables, and the Spark operator does as it. Anything else is a command.
set -euo pipefail
# The first process of a container reaps what Python's workers leave behind; beneath another it is not the first.
start() { exec tini -s -- "$@"; }

case "${1:-}" in
  driver)
    shift
    start spark-submit --deploy-mode client --conf "spark.driver.bindAddress=$SPARK_DRIVER_BIND_ADDRESS" "$@"
    ;;
  executor)
    options=("-Xms$SPARK_EXECUTOR_MEMORY" "-Xmx$SPARK_EXECUTOR_MEMORY")
    for ((number = 0; ; number++)); do # numbered without a gap
      option=SPARK_JAVA_OPT_$number
      [ -n "${!option+set}" ] || break
      options+=("${!option}")
    done
    start java "${options[@]}" \
      -cp "${SPARK_CONF_DIR:-/opt/spark/conf}:${SPARK_CLASSPATH:+$SPARK_CLASSPATH:}$SPARK_HOME/jars/*" \
      org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend \
      --driver-url "$SPARK_DRIVER_URL" --executor-id "$SPARK_EXECUTOR_ID" --cores "$SPARK_EXECUTOR_CORES" \
      --app-id "$SPARK_APPLICATION_ID" --hostname "$SPARK_EXECUTOR_POD_IP" --podName "$SPARK_EXECUTOR_POD_NAME" \
      --resourceProfileId "${SPARK_RESOURCE_PROFILE_ID:-0}"
    ;;
  *) start "${@:-bash}" ;;
esac
