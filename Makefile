# Nemesis. `make` alone lists what there is; README.md tells the story.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

CACHE := $(or $(NEMESIS_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/nemesis)
GO_MODULES := pkg gen services/autoscaler-controller services/load-balancer services/sidecar cli e2e
SERVICES := autoscaler-controller load-balancer sidecar
# Beside the services: further programs of theirs.
COMMANDS := log-setup metrics-collector sidecar-nvml
# Outside go.work: their graphs are huge, and nothing that ships needs them.
TOOL_MODULES := deployments

# One toolchain for all, fetched by Go itself: 1.26.9 mends HTTP/2 faults of 1.26.8.
export GOTOOLCHAIN := go1.26.9
export PATH := $(CACHE)/bin:$(CURDIR)/.venv/bin:$(PATH)
export NEMESIS_CACHE := $(CACHE)

CLUSTER_KUBECONFIG := $(CACHE)/cluster/kubeconfig
WITH_CLUSTER := deployments/with-cluster

##@ The two commands
.PHONY: demo test
# All that the demo compiles is compiled as images are, so that what they share is compiled once.
demo: export CGO_ENABLED := 0
demo: export GOFLAGS = $(shell go env GOFLAGS 2>/dev/null) -trimpath
demo: prerequisites-of-demo compiled ## a request wakes a sleeping model server, on a real Kubernetes made here
	@$(WITH_CLUSTER) --keep deployments/if-elasticsearch --keep $(MAKE) deploy log-to-elasticsearch samples run-demo

# First what writes into the tree. Then the tests on a cluster, which mostly wait, and beside them, with what they leave of the
# machine, what mostly computes. What each says stands in build/test too.
test: prerequisites verify ## verify, lint, unit, tests on a real Elasticsearch, integration and e2e on a real Kubernetes
	@cd deployments && GOWORK=off go build -o ../build/bin/lanes ./lanes
	@$(MAKE) .venv/ready deployments/tools/node_modules/ready
	@rm -f build/test/unsteady.txt
	@status=0; build/bin/lanes -make "$(MAKE)" "lint unit test-console test-elasticsearch" test-cluster || status=$$?; \
	if [ -s build/test/unsteady.txt ]; then echo "Good at the second attempt alone:"; cat build/test/unsteady.txt; fi; exit $$status

# When a package's tests are taken for hanging: never reached by tests that only run on a busy machine.
TEST_LIMIT := 30m

##@ Parts of them
.PHONY: demo-down unit test-module stress fuzz test-elasticsearch run-test-elasticsearch test-cluster run-test-cluster integration e2e lint docs verify bench bench-wakeup bench-sidecar bench-logs bench-scale bench-policies bench-routes bench-proxy bench-pushes bench-controller bench-console soak-controller
demo-down: ## remove all that the demo made
	@deployments/demo-down

unit: ## tests that need nothing but Go, each module as it ships (GOWORK=off), with the race detector
	@failed=; for m in $(GO_MODULES) $(TOOL_MODULES); do $(MAKE) test-module MODULE=$$m || failed="$$failed $$m"; done; \
	test -z "$$failed" || { echo "unit tests failed in:$$failed" >&2; exit 1; }

# go-nvml names functions that its header calls old: a screenful, whatever one calls.
NVML_CFLAGS := -O2 -g -Wno-deprecated-declarations
test-module: ## the same of one module: make test-module MODULE=services/load-balancer
	@test -f "$(MODULE)/go.mod" || { echo "MODULE=$(MODULE) is not one of $(GO_MODULES) $(TOOL_MODULES)" >&2; exit 1; }
	@echo "== $(MODULE)"; deployments/go-test "$(MODULE)" ./... -race -timeout $(TEST_LIMIT)
	@test "$(MODULE)" != services/sidecar || CGO_CFLAGS="$(NVML_CFLAGS)" deployments/go-test services/sidecar ./internal/collect/gpu/nvml -race -timeout $(TEST_LIMIT) -tags nvml

# Settings: MODULE=, PACKAGE=, RUN= choose; COUNT= runs of each package; LOAD= processors kept busy; TEST_LIMIT= for one run; TAGS=.
COUNT := 50
stress: ## find tests that fail on a busy machine alone: make stress [MODULE=services/sidecar [PACKAGE=./internal/app]] [COUNT=50]
	@test -n "$(MODULE)" -o -z "$(PACKAGE)" || { echo "PACKAGE=$(PACKAGE) needs its MODULE, one of $(GO_MODULES) $(TOOL_MODULES)" >&2; exit 1; }
	@cd deployments && GOWORK=off go build -o ../build/bin/stress ./stress
	@GOWORK=off build/bin/stress -count "$(COUNT)" $(if $(PACKAGE),-package "$(PACKAGE)") $(if $(RUN),-run "$(RUN)") $(if $(TAGS),-tags "$(TAGS)") \
		$(if $(LOAD),-load "$(LOAD)") -limit "$(TEST_LIMIT)" $(or $(MODULE),$(GO_MODULES) $(TOOL_MODULES))

# Settings: MODULE=, RUN= choose; FOR= for all targets together.
FOR := 10m
fuzz: ## every fuzz target for its share of a time: make fuzz FOR=1h [MODULE=services/load-balancer] [RUN=Request]; what fails goes to testdata
	@cd deployments && GOWORK=off go build -o ../build/bin/fuzz ./fuzz
	@GOWORK=off build/bin/fuzz -for "$(FOR)" -cache "$(CACHE)/fuzz" $(if $(RUN),-run "$(RUN)") $(or $(MODULE),$(GO_MODULES) $(TOOL_MODULES))

test-elasticsearch: prerequisites ## tests on a real Elasticsearch, every version that a JDK here can run, the newest with security
	@deployments/test-elasticsearch $(MAKE) run-test-elasticsearch

run-test-elasticsearch: # -p 1: one of them kills the server
	@deployments/go-test services/load-balancer ./... -race -count=1 -p 1 -timeout $(TEST_LIMIT) -tags elasticsearch -run Elasticsearch
	@deployments/go-test deployments ./kibana -race -count=1 -timeout $(TEST_LIMIT) -tags elasticsearch -run Elasticsearch

test-cluster: prerequisites ## integration and e2e on a real Kubernetes
	@$(WITH_CLUSTER) deployments/if-elasticsearch $(MAKE) run-test-cluster

run-test-cluster: deploy # what failed of the first does not hide the second
	@status=0; $(MAKE) integration || status=$$?; $(MAKE) e2e || status=$$?; exit $$status

integration: require-cluster ## Go tests against the cluster: the adapters to Kubernetes, and the contract
	@deployments/go-test services/autoscaler-controller ./internal/... -count=1 -timeout $(TEST_LIMIT) -tags integration -run Integration
	@deployments/go-test e2e ./contract/... -count=1 -timeout $(TEST_LIMIT) -tags integration

# Settings: PYTEST= pytest's arguments; WORKERS= how many tests run beside one another (they wait more than they work).
WORKERS := 4
e2e: require-cluster .venv/ready ## pytest against the cluster, through the outer interfaces alone: make e2e [PYTEST="-k sleep"] [WORKERS=4]
	@E2E_WORKERS=$(WORKERS) e2e/run $(PYTEST)

lint: .venv/ready deployments/tools/node_modules/ready ## golangci-lint, the OpenAPI linter, ruff, hadolint, GitLab's schema, the documentation
	@cd deployments/tools && GOWORK=off go build -o $(CACHE)/bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@cd deployments/tools && for f in autoscaler loadbalancer peers sidecar; do npx --no-install redocly lint --config redocly.yaml ../../api/$$f.yaml; done
	@ruff check e2e docs
	@hadolint services/*/*Dockerfile
	@check-jsonschema --builtin-schema vendor.gitlab-ci .gitlab-ci.yml
	@$(MAKE) docs
	@failed=; for m in $(GO_MODULES) $(TOOL_MODULES); do echo "== golangci-lint $$m"; (cd $$m && GOWORK=off golangci-lint run ./...) || failed="$$failed $$m"; done; \
	echo "== golangci-lint services/sidecar, with NVML"; (cd services/sidecar && GOWORK=off golangci-lint run --build-tags nvml ./internal/app ./internal/collect/...) || failed="$$failed services/sidecar(nvml)"; \
	test -z "$$failed" || { echo "golangci-lint found something in:$$failed" >&2; exit 1; }

DOCS_SOURCE := build/docs-source
docs: .venv/ready ## the documentation as a site in build/docs: no broken link, no page that is nowhere listed; docs/README.md
	@cd docs && python -m pytest -q --no-header -p no:cacheprovider .
	@python docs/assemble.py $(DOCS_SOURCE)
	@sphinx-build --fresh-env --write-all --quiet --fail-on-warning --keep-going --nitpicky -j auto -b dirhtml -d build/docs-cache $(DOCS_SOURCE) build/docs

verify: ## what is generated is what is committed; modules are tidy; each service builds alone; licences are on the list
	@deployments/verify $(GO_MODULES) -- $(TOOL_MODULES)

bench: ## Go benchmarks of the request path and of the decisions
	@for m in services/autoscaler-controller services/load-balancer; do (cd $$m && GOWORK=off go test -run '^$$' -bench . -benchmem ./...) | grep -v 'no test files'; done

bench-wakeup: prerequisites ## what Nemesis adds to a wake-up, against the floor; writes build/bench/wakeup.json
	@$(WITH_CLUSTER) $(MAKE) deploy run-bench-wakeup

# Settings: BENCH_SIDECAR= its flags, as "-rounds 10 -watch 1m".
bench-sidecar: prerequisites ## what the sidecar costs: a wake-up by its place in the pod, its memory, processor time and size; writes build/bench/sidecar.json
	@$(WITH_CLUSTER) $(MAKE) deploy run-bench-sidecar

bench-logs: prerequisites ## what the log costs, of an earlier build and this one by turns: a record into a real Elasticsearch, what it adds to requests; writes build/bench/logs.json
	@deployments/with-elasticsearch $(MAKE) run-bench-logs

bench-scale: prerequisites ## from a burst at zero to the last answer, beside the last release and the clairvoyant bound; REQUESTS= WORK= PODS= ROUNDS=; writes build/bench/scale.json
	@$(WITH_CLUSTER) $(MAKE) deploy run-bench-scale

bench-console: prerequisites ## the controller with open consoles and without, by turns, and from a decision to the open page; CONSOLES= APPLICATIONS= ROUNDS= SECONDS= DECISIONS=; writes build/bench/console.json
	@$(WITH_CLUSTER) $(MAKE) deploy run-bench-console

bench-policies: ## the balancing policies in virtual time, and what a pick costs here; RUNS= of each scenario; writes build/bench/policies.json
	@mkdir -p build/bench
	@cd services/load-balancer && GOWORK=off go run ./internal/traffic/balance/simulate/benchpolicies -out ../../build/bench/policies.json $(if $(RUNS),-runs $(RUNS))

bench-routes: ## routes by how many there are: a request's way, following their changes over loopback, a new leader; BASELINE= a commit beside it; PRIORITY=; writes build/bench/routes.json
	@BASELINE=$(BASELINE) PRIORITY=$(PRIORITY) deployments/bench-routes $(if $(SIZES),-routes $(SIZES)) $(if $(RATE),-rate $(RATE)) $(if $(SECONDS),-seconds $(SECONDS))

bench-proxy: ## beside nginx, HAProxy and others, in one run; QUICK=1 takes a minute; PROXIES= SCENARIOS= ROUNDS= SECONDS= BASELINE= PRIORITY= choose; writes build/bench/proxy.json
	@BASELINE=$(BASELINE) deployments/bench-proxy $(if $(QUICK),-quick) $(if $(PROXIES),-proxies $(PROXIES)) $(if $(SCENARIOS),-scenarios $(SCENARIOS)) $(if $(ROUNDS),-rounds $(ROUNDS)) $(if $(SECONDS),-seconds $(SECONDS)) $(if $(PRIORITY),-priority $(PRIORITY))

# Settings: SIZES= and BASELINE_SIZES= (none leaves the last release out), SECONDS= of each measurement, WAKEUPS= a second, PODS=, BATCH= values in a push, SECURED=yes and DAY=yes, BASELINE= a revision, PRIORITY=.
bench-pushes: ## what the pushes of pods cost the controller, beside an earlier build, one by one and in batches; BASELINE=; writes build/bench/pushes.json
	@BASELINE=$(BASELINE) deployments/bench-pushes $(BENCH_PUSHES)

BENCH_CONTROLLER = deployments/bench-controller $(if $(QUICK),-quick) $(if $(SIZES),-sizes $(SIZES)) $(if $(BASELINE_SIZES),-released-sizes $(BASELINE_SIZES)) \
	$(if $(SECONDS),-seconds $(SECONDS)) $(if $(WAKEUPS),-wakeups $(WAKEUPS)) $(if $(PODS),-pods $(PODS)) $(if $(BATCH),-batch $(BATCH)) $(if $(PRIORITY),-priority $(PRIORITY)) \
	$(if $(SECURED),-secured) $(if $(DAY),-day)
bench-controller: prerequisites ## the controller by the number of applications, beside the last release; SECURED=yes with TLS and tokens, DAY=yes with a day's history; QUICK=1 takes four minutes; writes build/bench/controller.json and pictures
	@BASELINE=$(BASELINE) $(BENCH_CONTROLLER)

soak-controller: prerequisites ## the whole load for long, and what becomes of the memory: make soak-controller FOR=1h [SIZE=1000]
	@BASELINE=$(BASELINE) $(BENCH_CONTROLLER) -soak $(FOR) $(if $(SIZE),-soak-size $(SIZE))

##@ Shipping
.PHONY: push-images sign-images verify-images deploy-service release released vulnerabilities
push-images: ## push images for amd64 and arm64, with SBOMs: make push-images REGISTRY=registry.example.com/team TAG=0.2.0 IMAGES="load-balancer"; digests to build/images/digests
	@test -n "$(REGISTRY)" || { echo "REGISTRY is not set: name a registry and path, as registry.example.com/team" >&2; exit 1; }
	@cd deployments && GOWORK=off go run ./images -push "$(REGISTRY)" -tag "$(or $(TAG),$(shell cat VERSION))" $(or $(IMAGES),$(SERVICES) $(COMMANDS))

sign-images: ## sign what push-images pushed, by digest, and how it was made: make sign-images [KEY=cosign.key]; else COSIGN_PRIVATE_KEY, COSIGN_PASSWORD
	@cd deployments && GOWORK=off go run ./images -sign $(if $(KEY),-key "$(abspath $(KEY))") $(if $(BUILDER),-builder "$(BUILDER)") $(IMAGES)

verify-images: ## check signatures and provenance of what push-images pushed: make verify-images [KEY=cosign.pub]; else COSIGN_PUBLIC_KEY
	@cd deployments && GOWORK=off go run ./images -verify $(if $(KEY),-key "$(abspath $(KEY))") $(if $(DIGESTS),-digests "$(abspath $(DIGESTS))") $(IMAGES)

# Its list of faults comes from the network (GOVULNDB=), and grows by itself: not in verify, so that a commit passes tomorrow as it does today.
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0
vulnerabilities: ## known faults that the services' code reaches (govulncheck; needs https://vuln.go.dev, or GOVULNDB=)
	@for m in $(GO_MODULES); do echo "== govulncheck $$m"; (cd $$m && GOWORK=off go run $(GOVULNCHECK) $(if $(GOVULNDB),-db "$(GOVULNDB)") ./...); done

deploy-service: require-cluster ## one service, as production has it: make deploy-service SERVICE=load-balancer [NEMESIS_REGISTRY=... or NEMESIS_DIGESTS=build/images/digests]
	@deployments/deploy-service "$(SERVICE)"

release: ## write a new version everywhere: make release VERSION=0.2.0; CONTRIBUTING.md says what follows
	@deployments/release "$(VERSION)"
	@$(MAKE) chart # which takes images from kustomize/

released: ## the services as they were at the last release, for the tests of independent deployment
	@deployments/released

##@ Making
.PHONY: requirements log-to-elasticsearch generate console test-console kibana grafana chart reference command compiled kubernetes images elasticsearch cluster cluster-down deploy samples prerequisites prerequisites-of-demo require-cluster run-demo run-bench-wakeup run-bench-sidecar run-bench-scale run-bench-console run-bench-logs
generate: kibana grafana ## types, servers, clients and the CustomResourceDefinition from api/; Kibana's and Grafana's dashboards; the Helm chart
	cd gen && GOWORK=off go generate ./...
	@$(MAKE) chart reference # after what they are made from
	@$(MAKE) console # its types are those of the contract

CONSOLE := services/autoscaler-controller/console
console: $(CONSOLE)/node_modules/ready ## services/autoscaler-controller/console/dist, the web console that the controller serves, from src beside it
	@cd $(CONSOLE) && npm run --silent types >/dev/null && npm run --silent check && npm run --silent build -- --logLevel warn

test-console: $(CONSOLE)/node_modules/ready ## the console's logic; what it looks like in a browser is e2e's
	@cd $(CONSOLE) && npm run --silent types >/dev/null && npm run --silent test

kibana: ## deployments/kibana/nemesis.ndjson, the dashboards, from their description in Go
	cd deployments && GOWORK=off go run ./kibana

grafana: ## kustomize/components/grafana-dashboards/*.json, the dashboards, from their description in Go
	cd deployments && GOWORK=off go run ./grafana

chart: ## charts/nemesis: what it takes from kustomize/, and the table of its values
	cd deployments && GOWORK=off go run ./chart

reference: ## cli/REFERENCE.md and cli/man, from the command line of nemesis
	cd cli && GOWORK=off go run ./cmd/reference

STAMP := github.com/nemesis-scaling/nemesis/pkg/build
command: ## build/bin/nemesis, the command; as kubectl-nemesis, beside it, a plugin of kubectl
	@cd cli && GOWORK=off CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X $(STAMP).version=$(shell cat VERSION) -X $(STAMP).revision=$(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)" -o ../build/bin/nemesis ./cmd/nemesis
	@for name in kubectl-nemesis kubectl_complete-nemesis; do ln -sf nemesis build/bin/$$name; done

# The first time, side by side: one alone leaves a processor idle while it fetches and links.
compiled:
	@if [ -z "$${KUBECONFIG:-}" ] && [ ! -x "$(CACHE)/bin/kubernetes" ]; then \
	  (cd deployments && GOWORK=off go build -o ../build/bin/lanes ./lanes) && build/bin/lanes -make "$(MAKE)" -out build/compiled kubernetes images elasticsearch; fi

elasticsearch:
	@deployments/with-elasticsearch --fetch

kubernetes:
	@$(WITH_CLUSTER) --build

images: ## container images as archives in build/images, without a Docker daemon
	@cd deployments && GOWORK=off go run ./images

cluster: prerequisites ## make and start the local Kubernetes (nothing to do when it runs)
	@$(WITH_CLUSTER) --keep true

cluster-down: ## stop and remove the local Kubernetes; what was built stays cached
	@deployments/with-cluster --down

deploy: require-cluster ## build the images, bring them to the cluster, apply kustomize/overlays/local
	@deployments/deploy

samples: require-cluster ## the sample applications, asleep, in the namespace nemesis-demo
	@kubectl create namespace nemesis-demo --dry-run=client -o yaml | kubectl apply -f -
	@for app in fibonacci modelserver; do deployments/apply -n nemesis-demo < e2e/apps/$$app/k8s.yaml; done

log-to-elasticsearch: require-cluster
	@deployments/log-to-elasticsearch

run-demo: require-cluster
	@cd e2e && GOWORK=off go run ./demo -kubeconfig "$$KUBECONFIG"

run-bench-wakeup: require-cluster
	@cd e2e && GOWORK=off go build -o ../build/bin/bench-wakeup ./bench/wakeup
	@build/bin/bench-wakeup

run-bench-sidecar: require-cluster
	@cd e2e && GOWORK=off go build -o ../build/bin/bench-sidecar ./bench/sidecar
	@build/bin/bench-sidecar $(BENCH_SIDECAR)

run-bench-scale: require-cluster .venv/ready
	@cd e2e && python -m pytest -q -s --no-header -p no:cacheprovider bench/scale/bench_scale.py

run-bench-console: require-cluster .venv/ready $(CONSOLE)/node_modules/ready
	@cd e2e && CONSOLES="$(or $(CONSOLES),20)" APPLICATIONS="$(or $(APPLICATIONS),5)" ROUNDS="$(or $(ROUNDS),4)" SECONDS="$(or $(SECONDS),60)" DECISIONS="$(or $(DECISIONS),60)" \
		python -m pytest -q -s --no-header -p no:cacheprovider bench/console/bench_console.py

run-bench-logs:
	@cd e2e && GOWORK=off go build -o ../build/bin/bench-logs ./bench/logs
	@build/bin/bench-logs $(BENCH_LOGS)

prerequisites: ## install what is missing, or say what to install
	@deployments/prerequisites

prerequisites-of-demo:
	@deployments/prerequisites --demo

require-cluster:
	@test -n "$${KUBECONFIG:-}" || { echo "No cluster: run 'make cluster' and 'export KUBECONFIG=$(CLUSTER_KUBECONFIG)', or set KUBECONFIG to a cluster of yours." >&2; exit 1; }

# pip-compile reads versions and hashes from the registry that pip is set up for.
PIP_TOOLS := pip-tools==7.6.2
PIP_COMPILE := CUSTOM_COMPILE_COMMAND="make requirements" ../build/requirements/bin/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras \
	--no-annotate --no-emit-index-url --no-emit-trusted-host --no-emit-find-links
requirements: ## e2e/requirements.txt and deployments/tools/requirements.txt with hashes, from the .in files beside them; UPGRADE=--upgrade
	@python3 -m venv build/requirements && build/requirements/bin/pip install --quiet --disable-pip-version-check "$(PIP_TOOLS)"
	@cd e2e && $(PIP_COMPILE) $(UPGRADE) requirements.in -o requirements.txt
	@cd deployments && $(PIP_COMPILE) $(UPGRADE) -c ../e2e/requirements.txt tools/requirements.in -o tools/requirements.txt

.venv/ready: e2e/requirements.txt deployments/tools/requirements.txt | prerequisites
	@python3 -m venv .venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r e2e/requirements.txt -r deployments/tools/requirements.txt
	@touch $@

$(CONSOLE)/node_modules/ready: $(CONSOLE)/package-lock.json .venv/ready
	@cd $(CONSOLE) && npm ci --silent --ignore-scripts
	@touch $@

deployments/tools/node_modules/ready: deployments/tools/package-lock.json .venv/ready
	@cd deployments/tools && npm ci --silent --ignore-scripts
	@touch $@

help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
.PHONY: help
