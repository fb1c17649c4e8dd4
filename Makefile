# make setup: a .venv in the repository from a bare python3, with what venuewise runs on, and its kernels compiled.
# The tests' packages come with the first make test or make check, the benchmarks' with the first make bench.
# Modules are compiled when they are first imported, not all at once: half of pip's time (--no-compile).
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --no-compile
RUN := .venv/.installed
WARM := .venv/.warm
DEV := .venv/.installed-dev
BENCH := .venv/.installed-bench

.PHONY: setup demo table1 test check bench memory docs lock clean

setup: $(WARM)

$(RUN): requirements-run.lock requirements-build.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing venuewise and the packages of requirements-run.lock into .venv (some 700 MB)" >&2
	@$(INSTALL) --require-hashes -r requirements-run.lock -r requirements-build.lock
	@$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(WARM): $(RUN)
	@echo "Compiling kernels, once" >&2
	@$(BIN)/venuewise warm > $@.json
	@mv $@.json $@

$(DEV): $(RUN) requirements-dev.lock
	@echo "Installing what the tests need (requirements-dev.lock)" >&2
	@$(INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

$(BENCH): $(DEV) requirements.lock
	@echo "Installing what the benchmarks compare with (requirements.lock)" >&2
	@$(INSTALL) --require-hashes -r requirements.lock
	@touch $@

# Table 1 of Cont and Kukanov (2017): their figures and ours.
table1: setup
	$(BIN)/python -m examples.table1

# A summary on a terminal, JSON and nothing else in a pipe.
demo: setup
	@$(BIN)/venuewise demo

test: $(WARM) $(DEV)
	$(BIN)/python -m pytest

check: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(BENCH)
	$(BIN)/python -m benchmarks

# Broker, producer and router together, as on a machine of 1 GiB.
memory: $(BENCH)
	$(BIN)/python -m benchmarks memory

docs: $(DEV)
	$(BIN)/mkdocs build --quiet --strict

# Needs uv (pip install uv). The locks have hashes and name no download address. requirements.lock holds every
# extra; the others hold parts of it in the same versions: what venuewise with the live side runs on, what the
# tests need beside that, and what builds the wheel.
LOCK := uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
  --no-emit-find-links --no-annotate

lock:
	$(LOCK) pyproject.toml --all-extras -o requirements.lock
	$(LOCK) pyproject.toml --extra kafka -c requirements.lock -o requirements-run.lock
	$(LOCK) pyproject.toml --extra kafka --extra dev -c requirements.lock -o requirements-dev.lock
	printf 'hatchling\neditables\n' | $(LOCK) - -c requirements.lock -o requirements-build.lock

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
