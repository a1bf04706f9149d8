# The one door to everything that the project does. `make help` lists it.
.DEFAULT_GOAL := help
CARGO ?= cargo
# How many times as much the random tests do, and from which seed on; see docs/testing.md.
ifdef N
export N
endif
ifdef SEED
export SEED
endif

.PHONY: help demo run test verify fix sim docs release bench bench-peers bench-starts audit dump-tool metrics-check fuzz fuzz-guided

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: ## build, then see real events flow through a broker that is killed and restarted, and through a group
	@$(CARGO) build --quiet --package thalweg
	@target/debug/thalweg demo

run: ## run a broker on 127.0.0.1:9092 with its data in ./thalweg-data
	@$(CARGO) build --quiet --package thalweg
	@target/debug/thalweg serve

test: ## all tests, the real processes and the power cut included
	$(CARGO) test --workspace --all-features

verify: test ## what CI runs: tests, format, lints, docs; it only reads
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-features --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --all-features --quiet

fix: ## format, and apply what the lints can mend themselves
	$(CARGO) fmt --all
	$(CARGO) clippy --workspace --all-features --all-targets --fix --allow-dirty --allow-staged

sim: ## the simulated crashes: make sim N=1000000 SEED=7
	$(CARGO) test --package thalweg-storage --all-features --test crash --test model -- --nocapture

# Half of it for the decoders, half for the live port.
SECONDS ?= 60
fuzz: ## every decoder and the live port under hostile bytes: make fuzz SECONDS=60 SEED=7
	FUZZ_SECONDS=$$(( $(SECONDS) / 2 )) $(CARGO) test --package thalweg --all-features --test fuzz --test hostile -- --nocapture
	@scripts/fuzz-guided.sh $(SECONDS) --if-built

fuzz-guided: ## decoders under libFuzzer, guided by coverage; needs a C++ compiler: make fuzz-guided SECONDS=600
	@scripts/fuzz-guided.sh $(SECONDS)

metrics-check: ## a real Prometheus over a broker under load, every alert, every query of the dashboard
	@scripts/prometheus.sh
	PROMETHEUS=required $(CARGO) test --package thalweg --all-features --test prometheus -- --nocapture

release: ## the optimised binary, in target/release
	$(CARGO) build --release --package thalweg

bench: release ## what this machine can do, and what a broker makes of it
	@target/release/thalweg bench machine
	@for workload in produce consume end-to-end mixed; do \
		echo; target/release/thalweg bench $$workload --embedded --record-size 1024 --duration 10s || exit 1; \
	done

bench-peers: ## Kafka and Thalweg in turn on the same workloads; needs Java and Maven, and ten minutes
	@scripts/bench-peers.sh

bench-starts: ## what a start, a kill, an idle broker and many partitions cost; four minutes
	@scripts/bench-starts.sh

audit: ## licences and advisories; needs cargo-deny
	$(CARGO) deny check

dump-tool: ## have Kafka's own tool read segments that we wrote, and our tool those that Kafka wrote; needs Java and Maven
	@scripts/dump-tool.sh
