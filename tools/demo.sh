#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The first half of the Star Wars walk-through on a lab of three nodes: who reached whom, and which rule said so.
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

say 'The policy goes, and the alliance lands again'
show kubectl delete cnp rule1
land xwing 'Ship landed'

say 'All of it taken down again'
jobs -p | xargs -r kill 2>/dev/null || true
show bin/cilium-lab down --name $name
[ $fails -eq 0 ] || { echo "$fails of the steps above did not go as they should" >&2; exit 1; }
