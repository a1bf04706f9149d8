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

.PHONY: help demo run test verify fix sim docs release audit dump-tool

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

release: ## the optimised binary, in target/release
	$(CARGO) build --release --package thalweg

audit: ## licences and advisories; needs cargo-deny
	$(CARGO) deny check

dump-tool: ## have Kafka's own tool read segments that we wrote, and our tool those that Kafka wrote; needs Java and Maven
	@scripts/dump-tool.sh
