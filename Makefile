# `make demo` and `make test` do all of their own set-up, given Python and Java 17+ with Maven; to the demo a Docker engine
# will do instead.

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
INSTALLED := .venv/installed
COMPOSE = $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)

.DEFAULT_GOAL := help
.PHONY: help demo test lint faults bench up down test-images

help: ## show this
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: $(INSTALLED) ## see it work; ARGS='--keep' leaves it running
	@$(BIN)/python -m testbed.demo $(ARGS)

test: lint ## lint, and every test with the coverage of branches; ARGS=-n0 runs them one by one
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n 2 --dist loadfile $(ARGS)
	$(BIN)/coverage combine --quiet
	@rm -f .coverage.*  # what a process was writing when a test killed it
	$(BIN)/coverage report

lint: $(INSTALLED) ## style, types and layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

faults: $(INSTALLED) ## the faults of docs/reliability.md in long rounds; ARGS='--seed 7 --rounds 100' replays
	$(BIN)/python -m pytest tests/faults --long -v $(ARGS)

bench: $(INSTALLED) ## how fast it is here; ARGS=latency, memory, rebuild, growth for those, ARGS=--help for more
	$(BIN)/python -m benchmarks $(ARGS)

profile: $(INSTALLED) ## where a record's microseconds go
	$(BIN)/python -m benchmarks profile $(ARGS)

up: ## the compose file: Kafka, Postgres, the projector; ARGS='--profile cdc' adds Debezium
	$(COMPOSE) $(ARGS) up --build --detach

down: ## end what `up` began, data included
	$(COMPOSE) --profile cdc down --volumes

test-images: ## build the image and prove the compose file; needs a Docker engine
	tests/images/run

# Constraints pin what builds the project too, for which pip has had a variable of its own since 25.3.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or later, please: make PYTHON=python3.12 …")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@
