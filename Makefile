# Everything a developer types. `make` alone lists it.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

# One profile for all: what the tests break is what runs.
BIN := target/release
STACK := $(BIN)/stack
# RUNTIME=containers|processes decides where the pipeline runs; deploy/runtime.sh says what else does.
export RUNTIME
TLS := ingest-api/kafka-tls,aggregator/kafka-tls,s3-sink/kafka-tls,cli/kafka-tls
export BINARIES

# $(call pipeline,COMMAND): in containers, or as plain processes.
pipeline = runtime=$$(deploy/runtime.sh) && case $$runtime in \
	  containers) deploy/containers.sh $(1) ;; \
	  *) $(MAKE) --no-print-directory --silent $(STACK) && $(STACK) $(1) ;; \
	esac

help: ## | List the targets
	@awk -F ':.*##| \\| ' '/^[a-z-]+:.*## / { printf "  make %-33s %s\n", $$1 $$2, $$3 }' $(MAKEFILE_LIST)

# --- the pipeline on this machine, in containers or as processes

up: ## [RUNTIME=processes] | Build and start everything in the background; wait until it is ready
	@runtime=$$(deploy/runtime.sh up) && $(MAKE) --no-print-directory up-$$runtime

up-processes: need-all build
	@[ -z "$${API_PORT:-}$${KAFKA_PORT:-}$${S3_PORT:-}" ] || echo "API_PORT, KAFKA_PORT and S3_PORT move the ports of containers alone" >&2
	@$(STACK) up

up-containers: $(if $(filter prebuilt,$(BINARIES)),dist)
	@deploy/containers.sh build && deploy/containers.sh up

down: ## | Stop everything in order; data is kept
	@$(call pipeline,down)

demo: ## | 30 s of load, then the counts, the objects, and the audit
	@deploy/demo.sh

scale: ## SERVICE=aggregator N=3 | Change the number of replicas while it runs
	@$(call pipeline,scale $(or $(SERVICE),$(error say which: make scale SERVICE=aggregator N=3)) \
	  $(or $(N),$(error say how many: make scale SERVICE=$(SERVICE) N=3)))

restart: ## SERVICE=s3-sink | Restart a service, one replica at a time
	@$(call pipeline,restart $(or $(SERVICE),$(error say which: make restart SERVICE=s3-sink)))

status: ## | Show everything that runs, and whether it is ready
	@$(call pipeline,status)

logs: ## [SERVICE=aggregator] | Follow the logs, of one service or of all
	@$(call pipeline,logs $(SERVICE) --follow)

clean: ## | Delete the data of Kafka and S3, which belong together
	@$(call pipeline,clean)

# --- the code

build: need-rust ## | Build all binaries
	cargo build --release --locked --workspace --bins

dist: need-dist ## | Build the binaries that go into images: with Kafka over TLS and SASL
	cargo build --release --locked --workspace --bins --features "$(TLS)"
	@mkdir -p dist && cd $(BIN) && install --strip ingest-api aggregator s3-sink pageviews ../../dist/
	@# The others again, which nothing has to be compiled for.
	@cargo build --release --locked --workspace --bins --quiet

test: need-test build ## | Unit, property and end-to-end tests; runs beside `make up`
	cargo test --release --locked --workspace

test-containers: need-all need-containers dist ## | The same compose file, broken on a real engine; makes the images that cannot be pulled
	@deploy/offline/images.sh debian kafka haproxy ministack terraform prometheus
	@BINARIES=prebuilt IMAGE_TAG=test deploy/containers.sh build
	cargo test --release --locked --workspace --test containers -- --ignored --nocapture

soak: need-all build ## [MINUTES=10] | kill -9, rebalances and a bad S3 at random, then the audit and a recount
	E2E_SECONDS=$$(( $(or $(MINUTES),10) * 60 )) \
	  cargo test --release --locked --workspace --test kill --test s3 -- --nocapture kill faults

bench-aggregator: need-rust need-bench build ## [ARGS=--help] | Measure it beside a bare loop and Kafka Streams
	@$(BIN)/bench aggregator $(ARGS)

bench-sink: need-rust need-bench build ## [ARGS=--help] | Measure it in each format, and beside a plain sink in Java
	@$(BIN)/bench sink $(ARGS)

bench-ingest: need-rust need-bench build ## [ARGS=--help] | Measure it beside actix-web alone and the handler that one writes first
	@$(BIN)/bench ingest $(ARGS)

lint: need-rust ## | Formatting, clippy and the documentation, without a warning
	cargo fmt --all --check
	cargo clippy --release --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --release --locked --workspace --no-deps

fmt: ## | Format the code
	cargo fmt --all
	@! command -v terraform >/dev/null || terraform fmt -recursive terraform

# --- what they need

$(STACK):
	@$(MAKE) --no-print-directory build

# Names everything that is missing before anything takes time.
need = command -v $(1) >/dev/null || { echo "missing: $(1), $(2) (Debian: apt-get install $(3))" >&2; missing=1; }

need-rust:
	@missing=; $(call need,cargo,which builds everything,rustup); \
	$(call need,g++,which builds librdkafka,g++); \
	[ -z "$$missing" ]

need-all: need-rust
	@missing=; $(call need,java,which Kafka runs on,openjdk-17-jre-headless); \
	$(call need,mvn,which fetches Kafka,maven); \
	$(call need,python3,which the S3 emulator runs on,python3 python3-venv); \
	python3 -c 'import ensurepip' 2>/dev/null \
	  || { echo "missing: venv, which the S3 emulator is installed in (Debian: apt-get install python3-venv)" >&2; missing=1; }; \
	[ -z "$$missing" ]

need-test: need-all
	@missing=; $(call need,prometheus,which the alerts are tried in,prometheus); \
	[ -n "$${CHROMIUM:-}" ] || command -v chromium chromium-browser google-chrome >/dev/null \
	  || { echo "missing: chromium, which looks at the dashboard (Debian: apt-get install chromium; or set CHROMIUM)" >&2; missing=1; }; \
	command -v terraform >/dev/null \
	  || { echo "missing: terraform, whose alarms are tried (https://developer.hashicorp.com/terraform/install)" >&2; missing=1; }; \
	[ -z "$$missing" ]

need-dist: need-rust
	@missing=; $(call need,perl,which configures OpenSSL,perl); [ -z "$$missing" ]

need-containers:
	@missing=; $(call need,docker,which runs containers,docker.io); [ -z "$$missing" ]
	@docker info >/dev/null 2>&1 || { echo "missing: a container engine that answers (as root: dockerd &)" >&2; exit 1; }
	@docker compose version >/dev/null 2>&1 || { echo "missing: docker compose (its plugin docker-compose-plugin)" >&2; exit 1; }

need-bench:
	@missing=; $(call need,java,which Kafka runs on,openjdk-17-jre-headless); \
	$(call need,mvn,which fetches Kafka,maven); \
	$(call need,javac,which compiles the Kafka Streams program,openjdk-17-jdk-headless); \
	[ -z "$$missing" ]

.PHONY: help up down demo scale restart status logs clean build test soak bench-aggregator bench-sink bench-ingest lint fmt \
	need-rust need-all need-test need-bench need-dist need-containers up-processes up-containers dist test-containers
