#!/usr/bin/env bash
# A PUT, or a PATCH other than an apply, of deployments/NAME/scale to zero leaves .spec.replicas of the
# Deployment without an owner.
#
# Software   kube-apiserver 1.36.3 and etcd 3.6.8, compiled here from their Go modules; no product of this
#            repository, no controller, no fake. Five Deployments are each applied by the manager "first"
#            with 3 replicas; then the manager "scaler" scales each of them in another way; then the manager
#            "second" applies 5 replicas without force.
# Behaviour  A server-side apply that changes a field which another manager owns is refused with 409. So it
#            is after a write of /scale to 2, and after a write of the Deployment itself to 0. After a PUT or
#            a merge patch of /scale to 0 nobody is the owner any more, neither "first" nor "scaler", and the
#            second apply goes through. A server-side apply of the same /scale with "replicas": 0 keeps
#            "scaler" as the owner, and the second apply is refused.
# Why        Scale.spec.replicas is a number that is left out of the JSON at zero, and a field that an update
#            leaves out loses all its owners. An apply says itself which fields it owns. In a Deployment the
#            same field is a pointer, which tells zero from absent.
# So what    Who scales to zero beside a GitOps tool should apply /scale, or the tool undoes it unnoticed.
#
# Guess      written before the first run: the lines of "expected" below, but for the message of the last
#            conflict, which was thought to say "using apps/v1" like the other two.
# Seen       the lines of "expected": counts, owners and statuses were as guessed. A conflict with a manager
#            that applied names its subresource alone, not a version.
#
# Wants go, curl, jq and openssl. Modules and compiled packages go to Go's own caches, everything else to a
# temporary folder. The first run compiles for about seven minutes on two busy cores, the next ones take 15
# seconds. Nothing is reached from outside this machine.
set -euo pipefail

kubernetes=1.36.3 etcd=3.6.8

tmp="$(mktemp -d)"
started=()
finish() {
  for pid in "${started[@]}"; do kill "$pid" 2>/dev/null && wait "$pid" || true; done
  rm -rf "$tmp"
}
trap finish EXIT

# fail MESSAGE [LOG]
fail() {
  echo "$1" >&2
  if [ $# -gt 1 ]; then tail -n 20 "$2" >&2; fi
  exit 1
}

# build compiles both programs. Kubernetes requires its own libraries with version 0.0.0 and takes them from
# its tree; from outside, each must be replaced by its release.
build() (
  export GOWORK=off CGO_ENABLED=0 GOFLAGS=-mod=mod GOTOOLCHAIN="${GOTOOLCHAIN:-auto}"
  mkdir "$tmp/build" && cd "$tmp/build"
  go mod init finding 2>/dev/null
  mod="$(go mod download -json "k8s.io/kubernetes@v$kubernetes" | jq -r .GoMod)"
  go mod edit -require "k8s.io/kubernetes@v$kubernetes" -require "go.etcd.io/etcd/server/v3@v$etcd"
  for library in $(go mod edit -json "$mod" | jq -r '.Require[] | select(.Version == "v0.0.0") | .Path'); do
    go mod edit -replace "$library=$library@v0.${kubernetes#*.}"
  done
  go build -trimpath -ldflags '-s -w' -o "$tmp/kube-apiserver" k8s.io/kubernetes/cmd/kube-apiserver
  go build -trimpath -ldflags '-s -w' -o "$tmp/etcd" go.etcd.io/etcd/server/v3
)

# free_port takes one below those that a kernel gives to clients.
free_port() {
  local port
  while port=$((20000 + RANDOM % 10000)); (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
  echo "$port"
}

# start runs both programs, on loopback alone, and waits until the API answers.
start() {
  local clients peers port
  clients="http://127.0.0.1:$(free_port)" peers="http://127.0.0.1:$(free_port)" port="$(free_port)"
  token="$(openssl rand -hex 16)"
  echo "$token,admin,admin" >"$tmp/tokens"
  openssl genrsa -out "$tmp/accounts.key" 2048 2>/dev/null

  "$tmp/etcd" --data-dir "$tmp/data" --unsafe-no-fsync --log-level error \
    --listen-client-urls "$clients" --advertise-client-urls "$clients" \
    --listen-peer-urls "$peers" --initial-advertise-peer-urls "$peers" --initial-cluster "default=$peers" \
    >"$tmp/etcd.log" 2>&1 &
  started+=($!)
  "$tmp/kube-apiserver" --etcd-servers "$clients" --bind-address 127.0.0.1 --advertise-address 127.0.0.1 \
    --secure-port "$port" --cert-dir "$tmp/certificates" --token-auth-file "$tmp/tokens" \
    --authorization-mode AlwaysAllow --endpoint-reconciler-type none --service-cluster-ip-range 10.0.0.0/24 \
    --service-account-issuer finding --service-account-key-file "$tmp/accounts.key" \
    --service-account-signing-key-file "$tmp/accounts.key" >"$tmp/kube-apiserver.log" 2>&1 &
  started=($! "${started[@]}") # ends before its etcd

  api="https://127.0.0.1:$port"
  for _ in $(seq 240); do
    [ "$(call GET /readyz)" = 200 ] && return
    kill -0 "${started[0]}" 2>/dev/null || fail "kube-apiserver ended" "$tmp/kube-apiserver.log"
    sleep 0.5
  done
  fail "kube-apiserver is not ready after two minutes" "$tmp/kube-apiserver.log"
}

# call METHOD PATH [CONTENT-TYPE BODY] prints the status; the answer is left in the file "answer".
call() {
  local body=()
  if [ $# -gt 2 ]; then body=(-H "Content-Type: $3" -d "$4"); fi
  curl -ksS --noproxy '*' --max-time 30 -o "$tmp/answer" -w '%{http_code}' -X "$1" -H "Authorization: Bearer $token" \
    "${body[@]}" "$api$2" 2>"$tmp/curl.log" || true
}

# must CALL... fails unless the answer is a success.
must() {
  local status
  status="$(call "$@")"
  case "$status" in 2??) ;; *) fail "$1 $2: $status" "$tmp/answer" ;; esac
}

deployments=/apis/apps/v1/namespaces/finding/deployments
apply=application/apply-patch+yaml merge=application/merge-patch+json

# deployment NAME REPLICAS prints what is applied.
deployment() {
  jq -nc --arg name "$1" --argjson replicas "$2" '{apiVersion: "apps/v1", kind: "Deployment", metadata: {name: $name},
    spec: {replicas: $replicas, selector: {matchLabels: {app: $name}}, template: {metadata: {labels: {app: $name}},
      spec: {containers: [{name: "app", image: "app"}]}}}}'
}

# scale NAME REPLICAS prints a whole Scale.
scale() {
  jq -nc --arg name "$1" --argjson replicas "$2" '{apiVersion: "autoscaling/v1", kind: "Scale",
    metadata: {name: $name, namespace: "finding"}, spec: {replicas: $replicas}}'
}

# observe NAME: its count, who owns it, and what becomes of the second apply.
observe() {
  must GET "$deployments/$1"
  jq -r '"\(.metadata.name): \(.spec.replicas) replicas, owners: " + (([.metadata.managedFields[]
    | select(.fieldsV1["f:spec"]["f:replicas"]) | "\(.manager) (\(.operation) of /\(.subresource // ""))"] | join(", ")) | if . == "" then "none" else . end)' "$tmp/answer"
  echo "  applied by second: $(call PATCH "$deployments/$1?fieldManager=second" "$apply" "$(deployment "$1" 5)")" \
    "$(jq -r '.message // "now \(.spec.replicas) replicas"' "$tmp/answer")"
}

expected() {
  cat <<'END'
scale-put-2: 2 replicas, owners: scaler (Update of /scale)
  applied by second: 409 Apply failed with 1 conflict: conflict with "scaler" with subresource "scale" using apps/v1: .spec.replicas
deployment-merge-0: 0 replicas, owners: scaler (Update of /)
  applied by second: 409 Apply failed with 1 conflict: conflict with "scaler" using apps/v1: .spec.replicas
scale-put-0: 0 replicas, owners: none
  applied by second: 200 now 5 replicas
scale-merge-0: 0 replicas, owners: none
  applied by second: 200 now 5 replicas
scale-apply-0: 0 replicas, owners: scaler (Apply of /scale)
  applied by second: 409 Apply failed with 1 conflict: conflict with "scaler" with subresource "scale": .spec.replicas
the Scale of scale-apply-0 has the spec {}
END
}

seen() {
  must POST /api/v1/namespaces application/json '{"metadata": {"name": "finding"}}'
  for name in scale-put-2 deployment-merge-0 scale-put-0 scale-merge-0 scale-apply-0; do
    must PATCH "$deployments/$name?fieldManager=first" "$apply" "$(deployment "$name" 3)"
  done
  local by='fieldManager=scaler'
  must PUT "$deployments/scale-put-2/scale?$by" application/json "$(scale scale-put-2 2)"
  must PATCH "$deployments/deployment-merge-0?$by" "$merge" '{"spec": {"replicas": 0}}'
  must PUT "$deployments/scale-put-0/scale?$by" application/json "$(scale scale-put-0 0)"
  must PATCH "$deployments/scale-merge-0/scale?$by" "$merge" '{"spec": {"replicas": 0}}'
  must PATCH "$deployments/scale-apply-0/scale?$by&force=true" "$apply" "$(scale scale-apply-0 0)"
  for name in scale-put-2 deployment-merge-0 scale-put-0 scale-merge-0 scale-apply-0; do observe "$name"; done
  must GET "$deployments/scale-apply-0/scale"
  echo "the Scale of scale-apply-0 has the spec $(jq -c .spec "$tmp/answer")"
}

build
start
seen >"$tmp/seen"
cat "$tmp/seen"
diff -u --label expected --label seen <(expected) "$tmp/seen" || fail "kube-apiserver $kubernetes does not behave as it did"
