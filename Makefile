# What each target does is in scripts/; every one says what it is doing and how long it took.
.DEFAULT_GOAL := help
.PHONY: help run stop check test live record matrix bench soak build packages

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 12

run: ## diagnose the current kubeconfig; without a reachable cluster a simulated one in which things go wrong
	@scripts/run

stop: ## end the demonstration that run, and the cluster that test or live have started
	@scripts/stop-demo
	@[ "$$(id -u)" != 0 ] && [ ! -e /run/reckon-testbed ] || testbed/down

check: ## lints, unit, scenario and property tests: no root, no cluster, no network once the crates are there
	@scripts/check

test: ## all of CI: installs what it needs, check, fuzzing, fifteen live cases on a real cluster (root)
	@scripts/test

live: ## the testbed's own checks and every live test (root)
	@scripts/live

record: ## the live cases without a recording (or CASES="a b") on a real cluster; writes docs/failure-matrix.md (root)
	@scripts/record $(CASES)

matrix: ## provoke every kind of memory death on both kinds of node, record it, write docs/memory-matrix.md (root)
	@scripts/matrix

bench: ## ours and what people use instead, side by side, written to docs/performance.md; ARGS=--quick only tries it
	@scripts/bench $(ARGS)

soak: ## 100,000 simulated clusters in which everything goes wrong; nothing may be lost (hours; SEEDS=N for fewer)
	@scripts/soak

build: ## the binary, optimised: target/release/reckon
	cargo build --release --locked -p reckon

packages: ## only installs what test and live need
	@scripts/packages
