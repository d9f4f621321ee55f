# The only door: `make` lists what it opens.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime-installed
DEV := $(VENV)/.dev-installed
FUZZ := $(VENV)/.fuzz-installed
VENV_SERVERS := .venv-servers
SERVERS := $(VENV_SERVERS)/.installed
NODE := tests/dialect/node examples/booking-ts
NODE_MODULES := $(NODE:%=%/node_modules/.package-lock.json)
CLIENTS := instructor langchain litellm pydantic-ai
CLIENT_VENVS := $(CLIENTS:%=$(VENV)/clients/%/.installed)
PIP := $(BIN)/python -m pip --disable-pip-version-check
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-strip-extras \
	--custom-compile-command "make lock"

# What `run` hands to `fairlead serve`, and `test` to pytest: make run ARGS="--port 9000"
ARGS ?=
# How long `fuzz` takes, all targets together, on each core that it may use (ARGS="--jobs 1"), and `soak`.
HOURS ?= 1
# `lock` takes no release that is younger than a week.
LOCK_BEFORE ?= $(shell $(BIN)/python -c "import datetime as d; print(d.datetime.now(d.UTC).date() - d.timedelta(days=8))")

.PHONY: help
help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | awk -F '\t' '{ printf "make %-12s %s\n", $$1, $$2 }'

.PHONY: run
run: $(RUNTIME) ## Start the gateway (ARGS="..." goes to `fairlead serve`)
	@exec $(BIN)/fairlead serve $(ARGS)

.PHONY: test
test: $(DEV) ## Run the tests, slow ones left out (ARGS="..." goes to pytest)
	$(BIN)/pytest -m "not slow" -n 2 $(ARGS)

.PHONY: test-all
test-all: $(DEV) $(NODE_MODULES) $(CLIENT_VENVS) ## Run all tests, real clients and servers included
	@scripts/ensure_tools.sh
	$(BIN)/pytest $(ARGS)

.PHONY: test-servers
test-servers: $(DEV) $(SERVERS) ## Run the tests in front of servers that others wrote, such as llama.cpp's
	$(BIN)/pytest servers $(ARGS)

.PHONY: fuzz
fuzz: $(FUZZ) ## Fuzz all that reads strangers' bytes, HOURS=n in all (ARGS="--jobs 1 sse")
	$(BIN)/python -m fuzz.run --hours $(HOURS) $(ARGS)

.PHONY: check
check: $(DEV) ## Lint, types, layers, generated pages, house rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --strict tests/typing/api.py
	$(BIN)/lint-imports
	$(BIN)/python scripts/generate_docs.py --check
	$(BIN)/pytest -q tests/house tests/docs

.PHONY: bench
bench: $(DEV) ## Measure beside a bare relay and peers (QUICK=1: 90 s, Fairlead and the relay only)
	$(BIN)/python -m bench $(if $(QUICK),--quick) $(ARGS)

.PHONY: scale
scale: $(DEV) ## Run the load tests at the size of their promises (about 20 minutes)
	FAIRLEAD_SCALE=full $(BIN)/pytest -s tests/e2e/test_streams_at_scale.py tests/e2e/test_kill.py $(ARGS)

.PHONY: soak
soak: $(DEV) ## Answer 100 calls a second for HOURS=n, and see that nothing grows; or SEEDS=n simulations
	$(BIN)/python -m $(if $(SEEDS),tests.simulate.seeds --seeds $(SEEDS) $(ARGS),bench.soak --hours $(HOURS))

.PHONY: live
live: $(DEV) ## Try each feature with the providers whose keys are set, for at most 0.50 USD
	$(BIN)/python -m live $(ARGS)

.PHONY: docs
docs: $(DEV) ## Write the generated pages of docs/reference
	$(BIN)/python scripts/generate_docs.py

.PHONY: scores
scores: $(DEV) $(VENV)/clients/instructor/.installed ## Write the page that tells how well answers are read
	$(BIN)/python scripts/validation_scores.py

.PHONY: prices
prices: $(DEV) ## Compile the price table from the installed genai-prices
	$(BIN)/python scripts/compile_prices.py

.PHONY: lock
lock: $(DEV) ## Renew requirements/*.txt, at least a week behind the newest releases
	$(COMPILE) --exclude-newer $(LOCK_BEFORE) --extra gateway --extra redis --extra migrate \
		pyproject.toml requirements/build.in -o requirements/runtime.txt --upgrade
	$(COMPILE) --exclude-newer $(LOCK_BEFORE) --extra gateway --extra redis --extra migrate --group dev -c requirements/runtime.txt \
		pyproject.toml requirements/build.in requirements/dev.in -o requirements/dev.txt --upgrade
	$(COMPILE) --exclude-newer $(LOCK_BEFORE) -c requirements/dev.txt requirements/fuzz.in -o requirements/fuzz.txt --upgrade
	for client in $(CLIENTS); do $(COMPILE) --exclude-newer $(LOCK_BEFORE) \
		requirements/clients-$$client.in -o requirements/clients-$$client.txt --upgrade; done
	$(COMPILE) --exclude-newer $(LOCK_BEFORE) requirements/servers.in -o requirements/servers.txt --upgrade
	for folder in $(NODE); do (cd $$folder && \
		npm update --package-lock-only --ignore-scripts --before=$(LOCK_BEFORE) --no-audit --no-fund); done

.PHONY: clean
clean: ## Remove the environment, caches and build output
	rm -rf $(VENV) $(VENV_SERVERS) build dist htmlcov .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	rm -rf $(NODE:%=%/node_modules)
	find src tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +

# --- what the targets need; each is made once and again when its inputs change ---

$(BIN)/python:
	@scripts/make_venv.sh $(VENV)

$(RUNTIME): requirements/runtime.txt pyproject.toml | $(BIN)/python
	$(PIP) install --quiet --require-hashes -r requirements/runtime.txt
	$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): requirements/dev.txt requirements/runtime.txt pyproject.toml | $(BIN)/python
	$(PIP) install --quiet --require-hashes -r requirements/dev.txt
	$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $(RUNTIME) $@

$(FUZZ): requirements/fuzz.txt | $(DEV)
	$(PIP) install --quiet --require-hashes -r requirements/fuzz.txt
	@touch $@

# Each in an environment of its own: what they need does not agree.
$(VENV)/clients/%/.installed: requirements/clients-%.txt | $(DEV)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(VENV)/clients/$*
	$(BIN)/uv pip install --quiet --python $(VENV)/clients/$*/bin/python --require-hashes -r $<
	@touch $@

$(SERVERS): requirements/servers.txt
	@scripts/make_venv.sh $(VENV_SERVERS)
	$(VENV_SERVERS)/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes -r requirements/servers.txt
	@touch $@

$(NODE_MODULES): %/node_modules/.package-lock.json: %/package.json %/package-lock.json
	@scripts/ensure_node.sh $*
	@touch $@
