#!/usr/bin/env bash
# A laptop's cluster with the living shop on it: `helm/kind.sh up` (again is quick) and `helm/kind.sh down`.
set -euo pipefail
cd "$(dirname "$0")/.."
name=tideline namespace=tideline
say() { printf '\033[1m%s\033[0m\n' "$*"; }
refuse() { echo "tideline: $*" >&2; exit 1; }
need() { command -v "$1" >/dev/null || refuse "$1 was not found; $2"; }

need kind "install it from https://kind.sigs.k8s.io"
need docker "kind runs its nodes in Docker; install and start it"
if [ "${1:-up}" = down ]; then
  kind delete cluster --name "$name"
  exit
fi
need kubectl "install it from https://kubernetes.io/docs/tasks/tools"
need helm "install Helm 4 (or 3.19 and newer) from https://helm.sh"
docker info >/dev/null 2>&1 || refuse "Docker does not answer; start it"
memory=$(docker info --format '{{.MemTotal}}')
[ "$memory" -ge $((7 << 30)) ] || refuse "Docker has $((memory >> 20)) MiB, 8 GiB are needed; raise its limit"

tag=$(.ci/image/tag)
kind get clusters 2>/dev/null | grep -x "$name" >/dev/null || { say "making the cluster"; kind create cluster --config kind-config.yaml --wait 180s; }
for target in tideline demo; do
  image=localhost/tideline:$tag
  [ "$target" = demo ] && image=localhost/tideline-demo:$tag
  docker image inspect "$image" >/dev/null 2>&1 || {
    say "building $image"
    docker build --target "$target" --build-arg GIT_SHA="$tag" -t "$image" .
  }
  docker exec "$name-control-plane" crictl inspecti "$image" >/dev/null 2>&1 || { say "loading $image"; kind load docker-image --name "$name" "$image"; }
done
say "installing"
kubectl --context "kind-$name" create namespace "$namespace" --dry-run=client -o yaml |
  kubectl label --local -f - pod-security.kubernetes.io/enforce=restricted -o yaml |
  kubectl --context "kind-$name" apply -f - >/dev/null
helm dependency update helm/tideline >/dev/null
helm upgrade --install tideline helm/tideline --kube-context "kind-$name" -n "$namespace" -f helm/values-kind.yaml \
  --set-string airflow.images.airflow.tag="$tag" --set-string demo.image.tag="$tag" --set-string postgres.image.tag="$tag" \
  --wait --timeout 15m >/dev/null
say "one run of the hourly DAG"
helm test tideline --kube-context "kind-$name" -n "$namespace" --timeout 25m --logs
password=$(kubectl --context "kind-$name" -n "$namespace" get secret tideline-admin -o jsonpath='{.data.password}' | base64 -d)
say "Airflow: http://localhost:8080   user admin, password $password"
