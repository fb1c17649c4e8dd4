# make setup: a .venv in the repository from a bare python3; everything else stands on it.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: setup demo table1 test check bench memory docs lock clean

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@echo "installing requirements.lock into .venv" >&2
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv >&2
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock >&2
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . >&2
	@touch $@

# Table 1 of Cont and Kukanov (2017): their figures and ours.
table1: setup
	$(BIN)/python -m examples.table1

# A summary on a terminal, JSON and nothing else in a pipe.
demo: setup
	@$(BIN)/venuewise demo

test: setup
	$(BIN)/python -m pytest

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup
	$(BIN)/python -m benchmarks

# Broker, producer and router together, as on a machine of 1 GiB.
memory: setup
	$(BIN)/python -m benchmarks memory

docs: setup
	$(BIN)/mkdocs build --quiet --strict

# Needs uv (pip install uv). The locks have hashes and name no download address. requirements.lock holds every
# extra; of the same versions, requirements-run.lock holds what the image of the live side runs on, and
# requirements-build.lock what builds its wheel.
LOCK := uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
  --no-emit-find-links --no-annotate

lock:
	$(LOCK) pyproject.toml --all-extras -o requirements.lock
	$(LOCK) pyproject.toml --extra kafka -c requirements.lock -o requirements-run.lock
	echo 'hatchling' | $(LOCK) - -c requirements.lock -o requirements-build.lock

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
