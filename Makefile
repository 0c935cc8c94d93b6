# The two commands: `make demo` and `make test`. Each makes its own environment in .venv first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo-out

.PHONY: demo test test-fast check wheel clean

demo: $(VENV)/installed
	mkdir -p $(DEMO)
	test -f $(DEMO)/demo.tiff || $(BIN)/wsi-seg demo slide -o $(DEMO)/demo.tiff
	$(BIN)/wsi-seg predict $(DEMO)/demo.tiff -o $(DEMO)/results
	$(BIN)/wsi-seg demo score $(DEMO)/results/demo --truth $(DEMO)/demo.truth.tiff
	$(BIN)/wsi-seg check $(DEMO)/results/demo/slide.geojson.gz
	@echo
	@echo "Look at $(DEMO)/results/demo/overview.png."
	@echo "In QuPath: drag $(DEMO)/demo.tiff into the window, then $(DEMO)/results/demo/slide.geojson.gz onto it."

test: check
	$(BIN)/pytest

test-fast: check
	$(BIN)/pytest -m "not slow"

check: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

wheel: $(VENV)/installed-dev
	$(BIN)/python -m build --wheel

$(VENV)/created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "wsi-seg needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/installed: $(VENV)/created pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(DEMO) dist build
