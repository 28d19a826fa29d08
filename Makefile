# One entrance for people and CI. Each target is a line or two; the work is in scripts/.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run test fuzz bench bench-diagnosis bench-diagnosis-peers bench-timeleft bench-capacity bench-overhead fmt lint build web model deps

TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
CARGO := scripts/cargo.sh
# For `andon up`: make run ARGS="--lang en"
ARGS ?=

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## everything: tools, pages, model, build, and Andon itself (ARGS="…" go to it)
	@scripts/deps.sh
	@scripts/web.sh
	@$(if $(findstring --model,$(ARGS)),,scripts/model.sh --unless-runtime || true)
	@$(CARGO) build --profile fast -p andon
	@exec "$(TARGET_DIR)/fast/andon" up --data data $(ARGS)

test: ## formatting, lints, unit, page and end-to-end tests; installs what they need
	@scripts/test.sh

fuzz: ## the receivers, with what no client would send (ARGS="SECONDS TARGET…")
	@scripts/fuzz.sh $(ARGS)

bench: deps ## measures Andon on this machine; results in bench/RESULTS.md
	@bench/run.sh
	@bench/store.sh

bench-diagnosis: deps ## makes calls slow in known ways and counts what Andon says (ARGS="--seeds 20")
	@bench/diagnosis.sh $(ARGS)

bench-diagnosis-peers: deps ## what other tools say of the same slow calls (ARGS="--seeds 1")
	@bench/diagnosis_peers.sh $(ARGS)

bench-timeleft: deps ## how far off is the time that is said to be left (ARGS="--calls 40")
	@bench/timeleft.sh $(ARGS)

bench-capacity: deps ## does what the simulation says come true (ARGS="--calls 60")
	@bench/capacity.sh $(ARGS)

bench-overhead: deps ## what Andon takes from a model's tokens a second (ARGS="--pairs 40")
	@bench/overhead.sh $(ARGS)

fmt: ## formats Rust and the pages
	@cargo fmt --all
	@cargo fmt --manifest-path fuzz/Cargo.toml
	@scripts/web.sh --modules
	@cd web && npm run --silent format

lint: deps ## what a machine can find wrong without running anything
	@scripts/lint.sh

build: deps ## a release binary with the real pages: target/release/andon
	@scripts/web.sh --strict
	@$(CARGO) build --release -p andon

web: ## the pages, into web/dist
	@scripts/web.sh --strict

model: ## the model of a fresh machine, into data/models (253 MB)
	@scripts/model.sh

deps: ## tools that the built-in runtime is compiled with (apt-get, says so first)
	@scripts/deps.sh
