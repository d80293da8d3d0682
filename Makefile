# Nothing is needed but Python 3.10 or newer and make: every target sets up what it needs in .venv.
PYTHON ?= python3
BIN := .venv/bin
DEMO ?= demo
DEMO_SERVE ?= 1
PORT ?= 8000

.PHONY: help setup demo test test-quick test-slow check format bench
.DEFAULT_GOAL := help

help:
	@echo "make setup       .venv with everything, pinned by constraints.txt"
	@echo "make demo        draw narrated videos, run the main job on them, serve the search page"
	@echo "make test        all tests, the quick ones first"
	@echo "make test-quick  the quick ones"
	@echo "make check       formatting, lint, types and the quick tests"
	@echo "make bench       the quick benchmarks"

setup: .venv/ready

# torch first and alone: whatever asks for it afterwards finds it there.
.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "tellvision needs Python 3.10 or newer: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[offline,transformers,openvino,ray,s3,shots,dev]'
	touch $@

demo: setup
	@echo "The videos of this demo are drawn by the program itself: nobody filmed them."
	$(BIN)/tellvision draw $(DEMO)/videos
	$(BIN)/tellvision run $(DEMO)/videos --out $(DEMO)/work
	@if [ "$(DEMO_SERVE)" != 0 ]; then exec $(BIN)/tellvision serve $(DEMO)/work --port $(PORT); fi

test: test-quick test-slow

test-quick: setup
	$(BIN)/python -m pytest -q -m "not slow"

test-slow: setup
	$(BIN)/python -m pytest -q -m slow

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(MAKE) test-quick

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup
	$(BIN)/python -m benchmarks
