# `make` prints all targets. Recipes are one command each; longer ones are scripts
# in internal/tools.

SHELL = /usr/bin/env bash -o pipefail
.SHELLFLAGS = -ec
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# One C-free build for everything, so that programs are static and the build
# cache is shared. The race detector alone needs C (see internal/tools/test).
export CGO_ENABLED = 0
# Released programs are built with -trimpath. All others are too: without it Go
# would compile the same packages again for them.
# Asking git for the commit fails in a clone that belongs to another user; only
# `build` does, and only if it can.
export GOFLAGS := $(strip $(filter-out -buildvcs=% -trimpath,$(shell go env GOFLAGS)) -buildvcs=false -trimpath)

VERSION ?= $(or $(shell git describe --tags --match 'v*' --dirty 2>/dev/null),v0.0.0-dev)## version of bin/job-handler
IMAGE ?= ghcr.io/job-handler/job-handler:$(VERSION)## reference of the manager's image: a name with tag or digest
PLATFORMS ?= linux/$(shell go env GOHOSTARCH)## platforms of the image, such as linux/amd64,linux/arm64
CLUSTER ?= local## where deploy, undeploy and demo work: local, or current for kubectl's current context
ifeq ($(filter local current,$(CLUSTER)),)
$(error CLUSTER=$(CLUSTER): use local, the cluster of `make cluster`, or current, the cluster of kubectl's current context)
endif
CLUSTER_DIR ?= bin/cluster## folder of the local cluster, kubeconfig included
ARGS ?=## flags of the manager for run, such as --v=1
TESTFLAGS ?=## more flags for go test, such as -v, -run=Name or -ginkgo.focus=words
COMPONENTS ?=## of config/components, for install-manifest, such as fail-closed prometheus
FUZZTIME ?= 10s## duration of each fuzz target
SEED ?= 1## first seed of soak, and seed of SAMPLE
SEEDS ?= 1## number of seeds of soak
JOBS ?= 200## number of Jobs for each seed of soak
VERSIONS ?= oldest newest## minors of Kubernetes for test-versions: such as 1.30, or oldest, newest, all
RECORD ?=## true: test-versions and test-e2e write their results into docs/compatibility.md
PKG ?= $(addprefix ./internal/,$(DECIDING))## packages of mutate, such as ./internal/plan; those that decide and need no API server
RUN ?=## tests of mutate: a regular expression, as for -run of go test
SAMPLE ?= 0## mutants to try in each package, drawn by SEED; 0 for all
LIMIT ?= 0## time after which mutate tries no more, such as 20m; 0 for none
SINCE ?=## revision: mutate changes only lines that changed since
COMPARE ?=## revision that figures compares with
PROFILE ?=## coverage profile of a run, whose files figures counts
BENCH_DIR ?= bin/bench## output folder of benchmarks, with a folder for each
BENCH_ARGS ?=## flags of bench, such as --only=drain,open-20
export TESTFLAGS FUZZTIME VERSIONS RECORD

DECIDING = apierr atwork boundedjson capture events fairshare joblogs jobpatch jobstatus ledger logpack logtext names pager \
	plan policy redact results resultsview retain setaside termination why

# Tools are built from the modules that pin them, once for each version, into
# the user's cache folder, where the next clone finds them.
TOOLS_DIR := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/job-handler/tools
GO_VERSION := $(shell go env GOVERSION)
# $(call pinned,folder,module) is the version of a module in a tools module.
pinned = $(shell awk '{ sub(/^require /, "") } $$1 == "$(2)" && $$2 ~ /^v/ { print $$2; exit }' internal/tools/$(1)/go.mod)
# $(call tool,name,version) is the path of a built tool.
tool = $(TOOLS_DIR)/$(1)-$(2)-$(GO_VERSION)/$(1)

GOLANGCI_LINT := $(call tool,golangci-lint,$(call pinned,lint,github.com/golangci/golangci-lint/v2))
ACTIONLINT := $(call tool,actionlint,$(call pinned,workflows,github.com/rhysd/actionlint))
GOVULNCHECK := $(call tool,govulncheck,$(call pinned,scan,golang.org/x/vuln))
CRANE := $(call tool,crane,$(call pinned,publish,github.com/google/go-containerregistry))
CONTROLLER_GEN := $(call tool,controller-gen,$(call pinned,generate,sigs.k8s.io/controller-tools))
HELM := $(call tool,helm,$(call pinned,helm,helm.sh/helm/v4))
PROMETHEUS := $(call tool,prometheus,$(call pinned,prometheus,github.com/prometheus/prometheus))
PROMTOOL := $(call tool,promtool,$(call pinned,prometheus,github.com/prometheus/prometheus))
JOBSET := $(call tool,jobset,$(call pinned,jobset,sigs.k8s.io/jobset))
KUEUE := $(call tool,kueue,$(call pinned,kueue,sigs.k8s.io/kueue))
KUSTOMIZE := $(call tool,kustomize,$(call pinned,generate,sigs.k8s.io/kustomize/kustomize/v5))

# The product, the tools and the tests.
MODULES := $(shell source internal/tools/modules && echo "$${modules[@]}")

BUILD = go build -trimpath -buildvcs=$(if $(shell git rev-parse HEAD 2>/dev/null),true,false) \
	-ldflags '-s -w -X github.com/job-handler/job-handler/internal/version.Version=$(VERSION)'

# The image, if IMAGE is set: none is published yet.
NAMED_IMAGE = $(if $(filter file,$(origin IMAGE)),,$(IMAGE))

LOCALCLUSTER = bin/localcluster

##@ General

.PHONY: help
help: ## Print this
	@awk 'BEGIN { FS = ":.*## "; print "Usage: make <target> [VARIABLE=value]" } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z][a-z0-9-]*:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@printf '\nVariables\n'
	@awk 'BEGIN { FS = " *\\?= *| *## *" } \
		/^[A-Z_]+ \?=.*## / { printf "  %-18s %s%s\n", $$1, $$3, $$2 ~ /^$$|\$$/ ? "" : " (" $$2 ")" }' \
		$(firstword $(MAKEFILE_LIST))

.PHONY: clean
clean: ## Remove build output; the caches of Go and of built tools stay
	@if [ -e '$(CLUSTER_DIR)/kubeconfig' ]; then \
		echo 'a local cluster may be running in $(CLUSTER_DIR): make cluster-down first' >&2; exit 1; fi
	rm -rf bin

##@ Try it

.PHONY: demo
demo: build bin/devrun ## Show Job Handler at work: a real cluster, one Job that succeeds, one that fails
	@bin/devrun demo --on '$(CLUSTER)'

.PHONY: cluster
cluster: bin/localcluster ## Start a real one-node cluster and leave it running (root)
	@$(LOCALCLUSTER) up --dir $(CLUSTER_DIR) --cert-manager

.PHONY: cluster-down
cluster-down: bin/localcluster ## Stop the cluster and remove everything that it created
	@$(LOCALCLUSTER) down --dir $(CLUSTER_DIR)

.PHONY: run
run: build bin/devrun ## Run the manager here against the cluster of `make cluster`, until interrupted
	@exec bin/devrun run --cluster $(CLUSTER_DIR) -- $(ARGS)

##@ Install

# The cluster that kubectl uses.
ON_CLUSTER = $(if $(filter local,$(CLUSTER)),KUBECONFIG='$(abspath $(CLUSTER_DIR)/kubeconfig)' PATH='$(abspath $(CLUSTER_DIR)/bin)':"$$PATH")

# On the local cluster the image is the one built here, under a name that stays
# the same; elsewhere it comes from a registry, and IMAGE has to say which.
.PHONY: deploy
deploy: $(KUSTOMIZE) $(if $(filter local,$(CLUSTER)),image-load) ## Install on CLUSTER, with IMAGE and COMPONENTS, and wait until it is ready
	@internal/tools/install-manifest '$(KUSTOMIZE)' '$(if $(filter local,$(CLUSTER)),$(IMAGE),$(NAMED_IMAGE))' bin/install.yaml $(COMPONENTS)
	@$(ON_CLUSTER) internal/tools/deploy bin/install.yaml $(if $(filter local,$(CLUSTER)),--restart)

# It removes every component.
.PHONY: undeploy
undeploy: $(KUSTOMIZE) build ## Release Jobs and remove the manager from CLUSTER; results stay
	@internal/tools/install-manifest '$(KUSTOMIZE)' job-handler:any bin/uninstall.yaml $(notdir $(wildcard config/components/*))
	@$(ON_CLUSTER) internal/tools/undeploy bin/job-handler bin/uninstall.yaml

##@ Build

.PHONY: build
build: ## Build the manager and the kubectl plugin into bin
	@echo 'building bin/job-handler and bin/kubectl-job_results $(VERSION) (some minutes with an empty build cache)'
	@$(BUILD) -o bin/job-handler ./cmd/manager
	@$(BUILD) -o bin/kubectl-job_results ./cmd/kubectl-job_results
	@cp cmd/kubectl-job_results/kubectl_complete-job_results bin/

.PHONY: install-manifest
install-manifest: $(KUSTOMIZE) ## Render bin/install.yaml, one file for kubectl apply -f, with IMAGE and COMPONENTS
	@internal/tools/install-manifest '$(KUSTOMIZE)' '$(NAMED_IMAGE)' bin/install.yaml $(COMPONENTS)
	@echo 'kubectl apply -f bin/install.yaml'

.PHONY: chart
chart: $(HELM) ## Package the Helm chart into bin, with IMAGE and VERSION
	@internal/tools/package-chart '$(HELM)' '$(NAMED_IMAGE)' '$(VERSION)' bin

.PHONY: image
image: ## Build the manager's image into bin/image.tar, an OCI archive, without a container engine
	@go run -C internal/tools ./image --output '$(abspath bin/image.tar)' --ref '$(IMAGE)' --platforms '$(PLATFORMS)' --version '$(VERSION)' \
		--revision '$(shell git rev-parse HEAD 2>/dev/null)' --time '$(or $(SOURCE_DATE_EPOCH),$(shell git log -1 --format=%ct 2>/dev/null),0)'

.PHONY: image-load
image-load: image bin/localcluster ## Load the image into the node of the local cluster
	@$(LOCALCLUSTER) load --dir $(CLUSTER_DIR) bin/image.tar

.PHONY: image-push
image-push: image $(CRANE) ## Push the image to the registry of IMAGE, with the rights of `docker login`
	@internal/tools/publish/push $(CRANE) bin/image.tar '$(IMAGE)'

##@ Test

.PHONY: test
test: ## Unit, integration and end-to-end tests and a few attacks, one after the other
	@internal/tools/test unit integration attacks e2e

.PHONY: test-all
test-all: ## All of `test`, the oldest Kubernetes, every attack, outages and random faults, the operations, the race detector, every fuzz target and benchmark for a short time
	@VERSIONS=oldest internal/tools/test unit integration versions adversary e2e oracle operations race fuzz benchmarks

.PHONY: test-unit
test-unit: ## Unit tests
	@internal/tools/test unit

.PHONY: test-integration
test-integration: ## Webhooks, controllers, the kubectl plugin and manifests on a real kube-apiserver
	@internal/tools/test integration

.PHONY: test-versions
test-versions: ## test-integration on the API server and the controller manager of each of VERSIONS, which are built first (some 10 minutes each)
	@internal/tools/test versions

.PHONY: test-adversary
test-adversary: ## Attacks of a tenant on the manager within its memory limit, beside a neighbour (root, a memory cgroup)
	@internal/tools/test adversary

.PHONY: test-e2e
test-e2e: ## Stories on a real node (root; without it, what needs no node)
	@internal/tools/test e2e

.PHONY: test-oracle
test-oracle: ## Outages of the control plane, ends of leaders and random faults; checks the final state
	@internal/tools/test oracle

.PHONY: soak
soak: ## Random faults for SEEDS seeds from SEED on, with JOBS Jobs each; a seed repeats its faults
	@go test -C test ./oracle -run='^TestSeeds$$' -v -count=1 -timeout=0 -seed=$(SEED) -seeds=$(SEEDS) -jobs=$(JOBS)

.PHONY: test-operations
test-operations: ## Updates, failovers and rotations of an installed manager while Jobs run (root)
	@internal/tools/test operations

.PHONY: test-race
test-race: ## Unit tests with the race detector (needs a C compiler)
	@internal/tools/test race

.PHONY: fuzz
fuzz: ## Every fuzz target for FUZZTIME
	@internal/tools/test fuzz

# TESTFLAGS are for the test program here: -test.short, -ginkgo.focus=words.
.PHONY: mutate
mutate: ## Change the code of PKG in small ways and list the changes that no test detects: some 4 s each
	@go build -C internal/tools -o ../../bin/mutate ./mutate
	@bin/mutate --run='$(RUN)' --since='$(SINCE)' --sample='$(SAMPLE)' --seed='$(SEED)' --limit='$(LIMIT)' \
		$(PKG) -- $(TESTFLAGS)

##@ Measure

.PHONY: figures
figures: ## Lines, types with the most methods, lengths of functions and more, beside those of COMPARE
	@go build -C internal/tools -o ../../bin/figures ./figures
	@bin/figures --compare='$(COMPARE)' --coverprofile='$(PROFILE)'

.PHONY: bench
bench: bench-programs ## Compare with a bare client and with alternatives: 2,000 Jobs, some 5 minutes on 2 cores
	@bin/bench-program run --mode bench --version '$(VERSION)' --output '$(BENCH_DIR)/bench' $(BENCH_ARGS)

.PHONY: bench-full
bench-full: bench-programs ## The same with 10,000 Jobs, and some measurements with 50,000: an hour
	@bin/bench-program run --mode full --version '$(VERSION)' --output '$(BENCH_DIR)/full' $(BENCH_ARGS)
	@bin/bench-program run --mode huge --version '$(VERSION)' --output '$(BENCH_DIR)/huge' $(BENCH_ARGS)

.PHONY: bench-check
bench-check: bench-programs ## Fail if the last results of bench are not within test/perf/bounds.yaml
	@bin/bench-program check '$(BENCH_DIR)/bench'

.PHONY: bench-docs
bench-docs: bench-programs ## Write the tables and plots of docs/benchmarks.md from the last results
	@bin/bench-program docs $(wildcard $(addprefix $(BENCH_DIR)/,bench full huge))

.PHONY: bench-programs
bench-programs: build
	@go build -C test -o ../bin/plain ./perf/cmd/plain
	@go build -C test -o ../bin/bench-program ./perf/cmd/bench

##@ Check

.PHONY: lint
lint: $(GOLANGCI_LINT) $(ACTIONLINT) $(HELM) $(PROMTOOL) ## Linters and the rules of the project
	@$(GOLANGCI_LINT) config verify
	@rc=0; internal/tools/lint/rules || rc=1; $(ACTIONLINT) -shellcheck= -pyflakes= .github/workflows/*.yaml || rc=1; \
		$(HELM) lint --strict --quiet --namespace job-handler-system config/chart/job-handler || rc=1; \
		$(PROMTOOL) check rules --lint=all --lint-fatal config/alerts/rules.yaml || rc=1; \
		for module in $(MODULES); do (cd $$module && $(GOLANGCI_LINT) run ./...) || rc=1; done; exit $$rc

.PHONY: verify
verify: $(KUSTOMIZE) ## Fail if formatting, modules, generated files or manifests are out of date; changes nothing
	@internal/tools/verify '$(KUSTOMIZE)'

.PHONY: scan
scan: $(GOVULNCHECK) ## Find known vulnerabilities in code that the manager calls (asks vuln.go.dev)
	@$(GOVULNCHECK) ./cmd/...

.PHONY: fmt
fmt: $(GOLANGCI_LINT) ## Format the code
	@for module in $(MODULES); do (cd $$module && $(GOLANGCI_LINT) fmt ./...) || exit 1; done

##@ Generate

.PHONY: generate
generate: manifests ## Regenerate the manifests and everything that `go generate` writes
	@for module in $(MODULES); do go generate -C $$module ./... || exit 1; done

# By hand, when localcluster.Releases changes: it asks the module proxy.
.PHONY: kubernetes-modules
kubernetes-modules: ## Write the Go modules of the older releases of Kubernetes that tests run on
	@go run ./internal/localcluster/cmd/kubernetesmodules

.PHONY: manifests
manifests: $(CONTROLLER_GEN) ## Regenerate config/rbac/role.yaml from the RBAC markers
	@mkdir -p config/rbac
	@$(CONTROLLER_GEN) rbac:roleName=job-handler-manager paths=./... output:rbac:dir=config/rbac

# Tools that the targets above need.

# For tests, which look for them there.
.PHONY: helm neighbours prometheus promtool
helm: $(HELM)
neighbours: $(JOBSET) $(KUEUE)
prometheus: $(PROMETHEUS)
promtool: $(PROMTOOL)

.PHONY: bin/devrun bin/localcluster
bin/devrun bin/localcluster:
	@go build -C test -o ../$@ ./$(@F)

$(GOLANGCI_LINT):
	@echo 'building golangci-lint (once; about 5 minutes with empty caches)'
	@internal/tools/build lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint $@

$(ACTIONLINT):
	@echo 'building actionlint (once)'
	@internal/tools/build workflows github.com/rhysd/actionlint/cmd/actionlint $@

$(GOVULNCHECK):
	@echo 'building govulncheck (once)'
	@internal/tools/build scan golang.org/x/vuln/cmd/govulncheck $@

$(CRANE):
	@echo 'building crane (once)'
	@internal/tools/build publish github.com/google/go-containerregistry/cmd/crane $@

$(CONTROLLER_GEN):
	@echo 'building controller-gen (once; about 1 minute with empty caches)'
	@internal/tools/build generate sigs.k8s.io/controller-tools/cmd/controller-gen $@

$(HELM):
	@echo 'building helm (once; about 3 minutes with empty caches)'
	@internal/tools/build helm helm.sh/helm/v4/cmd/helm $@

$(JOBSET):
	@echo 'building jobset (once; about 3 minutes with empty caches)'
	@internal/tools/build jobset sigs.k8s.io/jobset $@

$(KUEUE):
	@echo 'building kueue (once; about 5 minutes with empty caches)'
	@internal/tools/build kueue sigs.k8s.io/kueue/cmd/kueue $@

# Its service discoveries want more than a hundred modules.
$(PROMTOOL):
	@echo 'building promtool (once; about 2 minutes with empty caches)'
	@internal/tools/build prometheus github.com/prometheus/prometheus/cmd/promtool $@ -tags=remove_all_sd

$(PROMETHEUS):
	@echo 'building prometheus (once; about 3 minutes with empty caches)'
	@internal/tools/build prometheus github.com/prometheus/prometheus/cmd/prometheus $@ -tags=remove_all_sd

$(KUSTOMIZE):
	@echo 'building kustomize (once; about 1 minute with empty caches)'
	@internal/tools/build generate sigs.k8s.io/kustomize/kustomize/v5 $@
