# `make help` explains each target. `make dev` runs the gateway without any server,
# `make unit` the tests that need none, and `make test` everything: test/run says
# what that is.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

BIN := bin
SERVICES := go run ./test/services/cmd/services
FUZZTIME ?= 30s

.PHONY: help dev build unit test lint fuzz bench soak hostile torture pages-test cloudevents-test contract-test vulncheck image image-test services-up services-down

help: ## Explain each target
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

dev: ## Run the gateway with an embedded Kafka and Redis: nothing else to install
	@go run ./cmd/gateway dev

build: ## Build bin/gateway
	@go build -trimpath -o $(BIN)/gateway ./cmd/gateway

unit: ## Run the tests that need no server, in under two minutes: no race detector
	@go test ./...

test: ## Lint, then run all tests with the race detector, on real Kafka, Redis and PostgreSQL
	@test/run

# golangci-lint reads the files of one set of build tags. The build with failpoints,
# which only the torture suite uses, is vetted beside it.
lint: $(BIN)/golangci-lint ## Check style, and that the build for the torture suite compiles
	@$(BIN)/golangci-lint run --build-tags integration ./...
	@go vet -tags torture ./...

$(BIN)/golangci-lint: tools/go.mod tools/go.sum
	@echo "building golangci-lint: once, some minutes"
	@cd tools && go build -o ../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

fuzz: ## Fuzz each target for FUZZTIME (default 30s)
	@test/fuzz $(FUZZTIME)

bench: build ## Benchmark: a table of cells beside a minimal server, near and far; batches, auth (CELLS="2ms-*" for some cells only)
	@test/bench/run $(if $(CELLS),--cells '$(CELLS)')

soak: build ## Run ten minutes of load, Kafka and Redis 2 ms away; check that memory, goroutines and descriptors stay flat
	@test/with-services go run ./test/bench/cmd/bench soak --gateway bin/gateway --duration 10m --connections 64 \
	  --distance 2ms --redis-distance 2ms --idempotency-ttl 2m

hostile: ## Send hostile requests for five minutes beside an honest client: memory stays under its figure, the client is not slowed down
	@GATEWAY_TEST_HOSTILE=5m test/with-services go test -tags integration -run TestHonestClientBesideHostileOnes -timeout 30m -v ./test/e2e

torture: ## Kill, pause and cut off processes for hours; check every event (TORTURE="-seed 1" for flags)
	@test/torture/run $(TORTURE)

image: ## Build the container image with docker, podman or buildah (VERSION=, IMAGE=)
	@deploy/build-image

image-test: ## Build the image and run it, locked down, on real Kafka and Redis (needs root and Debian, no engine)
	@test/image/run

pages-test: ## Test the pages in Chromium, and clients generated from the API description
	@test/pages/run

cloudevents-test: ## Send and read with the official CloudEvents SDKs of Python and JavaScript, on real services
	@test/cloudevents/run

contract-test: ## Test the API against openapi.json with schemathesis: without auth, with auth, under faults
	@test/contract/run

vulncheck: ## Check for known vulnerabilities (VULNDB=URL for a database other than vuln.go.dev)
	@cd tools && go build -o ../$(BIN)/govulncheck golang.org/x/vuln/cmd/govulncheck
	@GOTOOLCHAIN=auto $(BIN)/govulncheck $(if $(VULNDB),-db $(VULNDB)) ./...

services-up: ## Start Apache Kafka, Redis and PostgreSQL on free loopback ports
	@$(SERVICES) up

services-down: ## Stop exactly what services-up started
	@$(SERVICES) down
