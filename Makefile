# The commands that the README promises. Everything that they need and a machine lacks is installed by `setup`.

SHELL := /bin/bash
CARGO ?= cargo
PACKAGES := cmake nasm protobuf-compiler pkg-config libopenblas-dev
# The tests run clusters too; the quickstart builds without them.
CLUSTER := --features trommel/cluster,trommel-tests/cluster
BINARY := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target)/release/trommel

.PHONY: quickstart test bench bench-embed bench-select lint docs setup build peers

quickstart: build
	$(BINARY) demo --output out/demo

build: setup
	$(CARGO) build --release --workspace

# One profile for everything. The end-to-end tests call the program itself, which `cargo test` alone does not build.
test: setup
	$(CARGO) build --release --workspace $(CLUSTER)
	$(CARGO) test --release --workspace $(CLUSTER)

bench: setup
	$(CARGO) build --release --workspace --benches
	bash tests/bench/run.sh

# Models: ours, PyTorch and the matrix-multiplication limit, then `embed` over stored shards.
bench-embed: setup
	$(CARGO) build --release --workspace --benches
	bash tests/bench/run_embed.sh

# Choosing: `select`, matching, M4, resharding and clusters, each with its peer.
bench-select: setup
	$(CARGO) build --release --workspace --benches
	bash tests/bench/run_select.sh

lint: setup
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --workspace --all-targets $(CLUSTER) -- -D warnings

docs: setup
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --release --workspace --no-deps $(CLUSTER)

# System packages of the build, on Debian and its kin; elsewhere it says what is missing.
setup:
	@missing=""; \
	for package in $(PACKAGES); do dpkg -s $$package >/dev/null 2>&1 || missing="$$missing $$package"; done; \
	if [ -n "$$missing" ]; then \
	  if ! command -v apt-get >/dev/null; then echo "please install:$$missing" >&2; exit 1; fi; \
	  as_root=""; [ "$$(id -u)" = 0 ] || as_root=sudo; \
	  $$as_root apt-get update -q && DEBIAN_FRONTEND=noninteractive $$as_root apt-get install -y -q $$missing; \
	fi

# The programs that ours is held against, in a virtual environment of their own.
peers:
	python3 -m venv target/peers
	target/peers/bin/pip install -q -r tests/peers/requirements.txt
