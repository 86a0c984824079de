# `make help` explains each target. `make dev` runs the gateway on nothing at
# all; `make test` runs every test, starting the real services it needs.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

BIN := bin
SERVICES := go run ./test/services/cmd/services
FUZZTIME ?= 30s

.PHONY: help dev build test lint fuzz bench soak torture pages-test cloudevents-test contract-test vulncheck image image-test services-up services-down

help: ## Explain each target
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

dev: ## Run the gateway with an embedded Kafka and Redis: nothing to install
	@go run ./cmd/gateway dev

build: ## Build bin/gateway
	@go build -trimpath -o $(BIN)/gateway ./cmd/gateway

test: ## Lint, then all tests with the race detector, on real Kafka, Redis and PostgreSQL
	@test/run

lint: $(BIN)/golangci-lint ## Check style with golangci-lint
	@$(BIN)/golangci-lint run --build-tags integration ./...

$(BIN)/golangci-lint: tools/go.mod tools/go.sum
	@echo "building golangci-lint; once, takes some minutes"
	@cd tools && go build -o ../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

fuzz: ## Fuzz each target for FUZZTIME (default 30s)
	@test/fuzz $(FUZZTIME)

bench: build ## Measure the gateway beside a bare floor, batches, and what asking who calls costs, on the real services
	@test/bench/run

soak: build ## Ten minutes of load: is memory flat?
	@test/with-services go run ./test/bench/cmd/bench soak --duration 10m --connections 64

torture: ## Hours of crashes, pauses and network cuts against the promise (TORTURE="-seed 1" for flags)
	@test/torture/run $(TORTURE)

image: ## Build the container image with docker, podman or buildah (VERSION=, IMAGE=)
	@deploy/build-image

image-test: ## Build the image and run it, locked down, on real Kafka and Redis (root, Debian; no registry, no engine)
	@test/image/run

pages-test: ## Look at the pages in Chromium, and generate clients from what they offer
	@test/pages/run

cloudevents-test: ## Send and read with the official CloudEvents SDKs of Python and JavaScript, on the real services
	@test/cloudevents/run

contract-test: ## Send what openapi.json describes, and what it does not, with schemathesis: open, closed, under faults
	@test/contract/run

vulncheck: ## Look for known vulnerabilities (VULNDB=URL for another database than vuln.go.dev)
	@cd tools && go build -o ../$(BIN)/govulncheck golang.org/x/vuln/cmd/govulncheck
	@GOTOOLCHAIN=auto $(BIN)/govulncheck $(if $(VULNDB),-db $(VULNDB)) ./...

services-up: ## Start Apache Kafka, Redis and PostgreSQL on free loopback ports
	@$(SERVICES) up

services-down: ## Stop exactly what services-up started
	@$(SERVICES) down
