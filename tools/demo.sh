#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The Star Wars walk-through on a lab of three nodes: who reached whom, who might ask for what, and which rule said so.
set -euo pipefail
cd "$(dirname "$0")/.."
name=demo
work=$(mktemp -d)
cleanup() {
  jobs -p | xargs -r kill 2>/dev/null || true
  bin/cilium-lab down --name $name >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap cleanup EXIT

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
show() { # prints a command as a user would type it, then runs it
  printf '\033[2m$ %s\033[0m\n' "$*"
  "$@"
}
kubectl() { "$KUBECTL" "$@"; }

say 'A cluster of three nodes on this machine'
bin/cilium-lab up --nodes 3 --name $name | sed '/^export KUBECONFIG/d'
KUBECONFIG=$(bin/cilium-lab kubeconfig --name $name)
KUBECTL=$(tools/kubectl.sh 1.34)
export KUBECONFIG KUBECTL
show kubectl get nodes -o wide
show kubectl get pods -A

say 'A deathstar, a ship of the empire and a ship of the alliance'
show kubectl create -f examples/star-wars/app.yaml
kubectl rollout status deployment/deathstar --timeout=60s >/dev/null
kubectl wait --for=condition=Ready pod/tiefighter pod/xwing --timeout=60s >/dev/null
show kubectl get pods,svc -o wide

for agent in $(kubectl -n kube-system get pods -l k8s-app=cilium -o name); do
  kubectl -n kube-system exec "$agent" -c cilium-agent -- cilium monitor --type drop >>"$work/drops" 2>/dev/null &
done

fails=0
land() { # SHIP EXPECTED
  local got
  got=$(kubectl exec "$1" -- curl -s --connect-timeout 2 -XPOST deathstar.default.svc.cluster.local/v1/request-landing 2>/dev/null) || got=
  printf '  %-11s -> deathstar  %s\n' "$1" "${got:-no answer: the connection timed out}"
  [ "${got:-}" = "$2" ] || { printf '  expected: %s\n' "${2:-no answer}"; fails=$((fails + 1)); }
}

say 'Without a policy everyone lands'
land xwing 'Ship landed'
land tiefighter 'Ship landed'

say 'With a policy only the empire lands'
show kubectl create -f examples/star-wars/policy-l3-l4.yaml
land tiefighter 'Ship landed'
land xwing ''

say 'Which rule said so'
sleep 0.5
sort -u "$work/drops" | grep -m 2 -i 'drop' || { echo '  no drop was reported'; fails=$((fails + 1)); }
agent=$(kubectl -n kube-system get pods -l k8s-app=cilium -o name --field-selector "spec.nodeName=$(kubectl get pods -l class=deathstar -o jsonpath='{.items[0].spec.nodeName}')")
show kubectl -n kube-system exec "$agent" -c cilium-agent -- cilium endpoint list

exhaust() { # EXPECTED
  local got
  got=$(kubectl exec tiefighter -- curl -s --connect-timeout 5 -XPUT deathstar.default.svc.cluster.local/v1/exhaust-port 2>/dev/null | head -1 | tr -d '\r') || got=
  printf '  tiefighter  PUT /v1/exhaust-port  %s\n' "${got:-no answer}"
  [ "$got" = "$1" ] || { printf '  expected: %s\n' "$1"; fails=$((fails + 1)); }
}

say 'A ship of the empire may land, and may do worse'
exhaust 'Panic: deathstar exploded'

if tools/envoy.sh --cached >/dev/null; then
  say 'With a policy for HTTP it may land, and nothing else'
  show kubectl apply -f examples/star-wars/policy-l7.yaml
  for agent in $(kubectl -n kube-system get pods -l k8s-app=cilium -o name); do
    kubectl -n kube-system exec "$agent" -c cilium-agent -- cilium monitor --type l7 >>"$work/requests" 2>/dev/null &
  done
  for _ in $(seq 50); do
    [ "$(kubectl exec tiefighter -- curl -s -o /dev/null -w '%{http_code}' -m 2 -XPUT deathstar.default.svc.cluster.local/v1/exhaust-port 2>/dev/null)" = 403 ] && break
    sleep 0.1
  done
  land tiefighter 'Ship landed'
  land xwing ''
  exhaust 'Access denied'
  show kubectl describe ciliumnetworkpolicies rule1
  say 'Which rules were asked'
  sleep 0.5
  grep -m 1 'Denied PUT' "$work/requests" || { echo '  no request was reported'; fails=$((fails + 1)); }
else
  say 'There is no Envoy on this machine (tools/envoy.sh), so rules for HTTP are left out'
fi

say 'The policy goes, and the alliance lands again'
show kubectl delete cnp rule1
land xwing 'Ship landed'

say 'All of it taken down again'
jobs -p | xargs -r kill 2>/dev/null || true
show bin/cilium-lab down --name $name
[ $fails -eq 0 ] || { echo "$fails of the steps above did not go as they should" >&2; exit 1; }
