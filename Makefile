# `make help` lists the targets. Everything happens in .venv, which is made on first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STORE ?= chdb:tollway-data
OLDER_OPENAI := 1.66.5 2.54.0

.DEFAULT_GOAL := help
.PHONY: help demo test test-all test-versions lint serve golden clean \
	bench-instrumentation bench-peers bench-ingest bench-query bench-signals bench-evaluation

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 24

demo: $(VENV)/.demo ## play a team that swaps a teacher for a student, and show what Tollway says
	$(BIN)/tollway demo $(ARGS)

test: $(VENV)/.dev ## run the test suite
	$(BIN)/pytest -m "not slow" -n auto $(ARGS)

test-all: $(VENV)/.dev ## run the test suite with what takes minutes
	$(BIN)/pytest -n auto $(ARGS)

test-versions: $(VENV)/.made ## the library's tests on older openai clients
	@set -e; for version in $(OLDER_OPENAI); do \
		where=.venv-versions/openai-$$version; \
		$(PYTHON) -m venv $$where; \
		$$where/bin/python -m pip install --quiet --disable-pip-version-check -e '.[grpc]' \
			openai==$$version 'httpx<0.28' 'opentelemetry-instrumentation>=0.50b0' \
			'pytest>=8' 'pytest-asyncio>=0.26' 'pytest-xdist>=3.6'; \
		echo "openai $$version"; \
		$$where/bin/pytest -q -m "not slow" -n auto --ignore=tests/instrumentation/langchain \
			tests/instrumentation; \
	done

golden: $(VENV)/.dev ## capture anew what other instrumentations send of one conversation
	$(BIN)/python tests/golden/capture.py $(ARGS)

lint: $(VENV)/.dev ## ruff and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

serve: $(VENV)/.demo ## run the processor until Ctrl-C (STORE=chdb:PATH)
	$(BIN)/tollway serve --store $(STORE) $(ARGS)

bench-instrumentation: $(VENV)/.dev ## overhead of the library, beside the peers that are installed
	$(BIN)/python tests/bench/instrumentation.py $(ARGS)

bench-peers: $(VENV)/.dev ## the same with each peer in an environment of its own
	$(BIN)/python tests/bench/peers.py $(ARGS)

bench-ingest: $(VENV)/.dev ## spans a CPU-second, beside Rotel, the engine's ceiling and plain Python
	$(BIN)/python tests/bench/peers.py rotel
	$(BIN)/python tests/bench/ingest.py $(ARGS)

bench-query: $(VENV)/.dev ## the documented questions on millions of spans, beside the Collector's tables
	$(BIN)/python tests/bench/query.py $(ARGS)

bench-evaluation: $(VENV)/.dev ## how long evaluating many routes takes
	$(BIN)/python tests/bench/evaluation.py $(ARGS)

bench-signals: $(VENV)/.dev ## simulate the statistics: false alarms, power, wrong promotions
	$(BIN)/python tests/bench/signals.py $(ARGS)

clean: ## remove the environment and what the tools left
	rm -rf $(VENV) .venv-peers .venv-node .venv-versions .mypy_cache .ruff_cache .pytest_cache dist build

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Tollway needs Python 3.11 or newer: make PYTHON=python3.12 …" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.demo: $(VENV)/.made pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[demo]'
	@touch $@

$(VENV)/.dev: $(VENV)/.made pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $(VENV)/.demo $@
