# Everything below needs Python 3.11 or newer, cargo and make, and nothing else.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUST := $(shell find brigade-rs -name '*.rs' -o -name Cargo.toml -o -name '*.json' 2>/dev/null) Cargo.toml Cargo.lock

.DEFAULT_GOAL := help
.PHONY: help setup train test test-rust test-python test-clients test-wheel torture soak lint format bench wheel clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: $(VENV)/.built ## Make .venv and build the extension in release mode

$(VENV)/.tools: pyproject.toml
	@command -v cargo >/dev/null || { echo "make: cargo is missing: install Rust from https://rustup.rs and try again" >&2; exit 2; }
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is missing: install Python 3.11 or newer, or name one with PYTHON=" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("make: $(PYTHON) is Python %d.%d; brigade needs 3.11 or newer: name one with PYTHON=" % v[:2])' || exit 2
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip install --quiet "maturin>=1.9,<2" -r pyproject.toml --all-extras --group dev
	@touch $@

$(VENV)/.built: $(VENV)/.tools $(RUST)
	@VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

train: setup ## Train a population of 8 on the default scenario (one to two minutes on 2 cores)
	@$(BIN)/brigade train --scenario default --population-size 8 --hidden-size 128 \
		--learning-rate 3e-3 --anneal --update-interval 25 --value-coef 2 --entropy-coef 0.06 \
		--exploring-starts 0.4 \
		--num-episodes 1000000 --num-transitions 6000000 --num-learners 2 $(ARGS)

test: test-rust test-python ## All tests, Rust's and Python's

test-rust: setup
	cargo test --release --quiet --workspace

test-python: setup
	$(BIN)/python -m pytest

torture: setup ## Kill processes at random while training (30 times), suspend them, and send 200,000 bad messages
	BRIGADE_KILLS=30 BRIGADE_FUZZ=100000 BRIGADE_SUSPEND=30 BRIGADE_CUT=20 $(BIN)/python -m pytest tests/torture tests/network tests/run/test_resume.py tests/run/test_streams.py --timeout 1800 -s

soak: setup ## Train for five minutes, millions of games, and see that memory stays flat
	BRIGADE_SOAK=300 $(BIN)/python -m pytest tests/torture/test_soak.py -s

lint: setup ## ruff, mypy, stubtest, rustfmt, clippy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest brigade._core
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --all-features --quiet -- -D warnings

test-clients: setup ## The environment in other people's libraries, each in its own environment
	$(BIN)/python tests/clients/run.py

wheel: dist/.built ## Build the wheel (CPython 3.11 and newer, manylinux) and the sdist, into dist

# The wheel is built from the sdist, and with zig, whose C library is old enough for any Linux.
dist/.built: $(VENV)/.tools $(RUST) $(shell find brigade -name '*.py' -o -name '*.pyi') README.md LICENSE
	@VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip install --quiet ziglang
	@rm -rf dist
	PATH="$(abspath $(BIN)):$$PATH" maturin build --release --sdist --zig --compatibility manylinux2014 --out dist
	@touch $@

test-wheel: setup wheel ## The wheel with Python 3.11 to 3.13, and the sdist with 3.11, in clean environments
	BRIGADE_DIST=dist $(BIN)/python -m pytest tests/package/test_wheel.py

bench: setup ## Measure the environment, transport and training; figures go to bench/results.md by hand
	$(BIN)/python bench/environment.py
	$(BIN)/python bench/pettingzoo_env.py
	$(BIN)/python bench/transport.py
	$(BIN)/python bench/training.py
	$(BIN)/python bench/running.py
	$(BIN)/python bench/bookkeeping.py
	$(BIN)/python bench/stopping.py

format: setup ## Format Python and Rust
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	cargo fmt --all

clean: ## Remove what the targets made
	rm -rf $(VENV) target dist brigade/_core*.so
