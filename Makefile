# Every target makes what it needs first (`make help` lists them). Stamp files keep repeated runs quick.

VENV ?= .venv
PYTHON ?= python3
TF_PACKAGE ?= tensorflow-cpu>=2.21
PORT ?=
OPEN ?= 1
SECONDS ?= 60
SEED ?= 0
STEPS ?= 50000
TRIALS ?= 100
LOGS ?=
CASES ?= benchmarks/programs
CHROMIUM ?= /usr/bin/chromium
export CHROMIUM

BIN := $(VENV)/bin
DEMO_STAMP := $(VENV)/.demo-installed
DEV_STAMP := $(VENV)/.dev-installed
NODE_STAMP := frontend/node_modules/.package-lock.json

.DEFAULT_GOAL := help
.PHONY: help demo test lint types frontend frontend-check pytest bench cases soak scale matrix pictures crash fuzz proto node chromium clean

help: ## Print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 18
	@printf '\nVariables: VENV=%s PYTHON=%s TF_PACKAGE=%s CHROMIUM=%s PORT=%s\n' \
	  "$(VENV)" "$(PYTHON)" "$(TF_PACKAGE)" "$(CHROMIUM)" "$(PORT)"

demo: $(DEMO_STAMP) ## Train the demos, start TensorBoard, print the links (OPEN=0: print the findings and exit)
	$(BIN)/tb-numstab demo --folder demo $(if $(PORT),--port $(PORT)) $(if $(filter 0,$(OPEN)),--no-open,--open)

test: lint types frontend-check pytest ## Run every check and test, browser included

lint: $(DEV_STAMP) ## Check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEV_STAMP) ## Check types
	$(BIN)/mypy

pytest: $(DEV_STAMP) | chromium ## Run the Python and browser tests
	$(BIN)/python -m pytest

bench: $(DEV_STAMP) ## Measure what watching costs, beside check_numerics and Debugger V2: docs/overhead.md's table
	$(BIN)/python -m benchmarks.overhead --table build/overhead.md

cases: $(DEV_STAMP) ## Judge the training programs of a folder: make cases CASES=FOLDER
	$(BIN)/python -m benchmarks.cases $(CASES)

soak: $(DEV_STAMP) ## Train STEPS (50000) steps under watch; fails if anything grows but the log
	$(BIN)/python -m benchmarks.soak --steps $(STEPS)

scale: $(DEV_STAMP) ## Write large logs and measure tab, routes, memory and check on them; LOGS=FOLDER keeps the logs
	$(BIN)/python -m benchmarks.scale $(if $(LOGS),--logs $(LOGS))
	$(BIN)/python -m benchmarks.workers

matrix: $(DEV_STAMP) ## Try the oldest and newest TensorFlow, TensorBoard, protobuf, numpy and Python, each freshly installed
	$(BIN)/python -m benchmarks.versions

pictures: $(DEV_STAMP) | chromium ## Train the demos and take the documentation's pictures of them
	$(BIN)/tb-numstab demo --folder demo --no-open
	$(BIN)/python -m tests.browser.screenshots demo/logs docs/images

crash: $(DEV_STAMP) ## Kill TRIALS (100) trainings at random points; fails if a log lost what it should tell
	$(BIN)/python -m benchmarks.crash --trials $(TRIALS)

fuzz: $(DEV_STAMP) ## Read logs full of nonsense for SECONDS (60), starting at SEED (0)
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS) --seed $(SEED)

frontend: $(NODE_STAMP) ## Build the tab's bundle into tb_numstab/static
	cd frontend && npm run --silent build

frontend-check: $(NODE_STAMP) ## Check and test the frontend, and prove that the committed bundle is its source's
	cd frontend && npm run --silent check

proto: ## Generate numstab_pb2 anew, with the one protoc whose output every supported protobuf runtime accepts
	$(PYTHON) -m venv build/proto
	build/proto/bin/pip install --quiet grpcio-tools==1.74.0 'setuptools<81'
	build/proto/bin/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. tb_numstab/schema/numstab.proto

clean: ## Remove what was built, cached or logged (the environments stay)
	rm -rf build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis demo/logs test-results
	find tb_numstab tests demo benchmarks -name __pycache__ -prune -exec rm -rf {} +

# ---- environments ---------------------------------------------------------------------------------------------------

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "tb-numstab needs Python 3.11 or newer: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

# $(call install,EXTRA): this checkout, editable, with TensorFlow unless the environment has one already.
define install
	@echo "Installing into $(VENV): a few minutes the first time, about 2 GB with TensorFlow"
	@$(BIN)/python -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("tensorflow") is None)' \
	  || { set -x; $(BIN)/python -m pip install --quiet --disable-pip-version-check '$(TF_PACKAGE)'; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$(1)]'
	@touch $@
endef

$(DEMO_STAMP): pyproject.toml setup.py | $(BIN)/python
	$(call install,demo)

$(DEV_STAMP): pyproject.toml setup.py | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps 'tf-keras>=2.21' # tensorflow-cpu serves it
	$(call install,dev)

$(NODE_STAMP): frontend/package-lock.json | node
	cd frontend && npm ci --no-audit --no-fund

# $(call need,COMMAND,PACKAGES,WHAT NEEDS IT): installs Debian packages where that is ours to do, else says what is missing.
define need
	@command -v $(1) >/dev/null && exit; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(2); \
	else echo "$(1) is missing: $(3). Install $(2)." >&2; exit 1; fi
endef

node:
	$(call need,npm,nodejs npm,it builds and tests the tab)

chromium:
	$(call need,$(CHROMIUM),chromium,the browser tests drive it; CHROMIUM=PATH names another one)
