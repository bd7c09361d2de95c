#!/usr/bin/env bash
# helm upgrade --install of a values file, with what changes shown first, rolled back when it fails, smoked after it.
#
#   VALUES=my-values.yaml [NAMESPACE=tideline] [YES=1] make deploy
set -euo pipefail
cd "$(dirname "$0")/.."
refuse() { echo "tideline: $*" >&2; exit 1; }
values=${VALUES:-} namespace=${NAMESPACE:-tideline}
[ -n "$values" ] || refuse "VALUES names no file; copy helm/values-gke.yaml, fill it in, and give VALUES=my-values.yaml"
[ -f "$values" ] || refuse "$values does not exist"
for tool in helm kubectl; do command -v "$tool" >/dev/null || refuse "$tool was not found"; done
# not `build`: that wants repositories that somebody has added to this machine's Helm by hand
helm dependency list helm/tideline | grep -E '(ok|unpacked)[[:space:]]*$' >/dev/null || helm dependency update helm/tideline
wanted=$(mktemp) present=$(mktemp)
trap 'rm -f "$wanted" "$present"' EXIT
helm upgrade --install tideline helm/tideline -n "$namespace" -f "$values" --dry-run=server --hide-secret >"$wanted"
helm get manifest tideline -n "$namespace" >"$present" 2>/dev/null || true
diff -u --label present --label wanted "$present" "$wanted" || true
if [ -t 0 ] && [ -z "${YES:-}" ]; then
  read -rp "Deploy to $(kubectl config current-context), namespace $namespace? [y/N] " answer
  [ "$answer" = y ] || exit 1
fi
rollback=--rollback-on-failure
helm version --short | grep '^v3' >/dev/null && rollback=--atomic
helm upgrade --install tideline helm/tideline -n "$namespace" --create-namespace -f "$values" "$rollback" --wait --timeout 15m
hooks=$(helm get hooks tideline -n "$namespace")
if grep 'helm.sh/hook: test' >/dev/null <<<"$hooks"; then
  minutes=$(sed -n 's/.*name: MINUTES, value: "\([0-9]*\)[.0-9]*".*/\1/p' <<<"$hooks")  # smoke.minutes of the values
  helm test tideline -n "$namespace" --timeout "$((${minutes:-20} + 5))m" --logs
else
  echo "tideline: deployed, and no run was tried: that takes the user of admin.enabled. See the next hour's run in Airflow"
fi
