# The two commands: `make demo` and `make test`. Each makes its own environment in .venv first.

.DEFAULT_GOAL := demo

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo-out
LOWEST := .venv-lowest
LOWEST_PYTHON := $(shell command -v python3.11 || echo $(PYTHON))
TRIED := $(LOWEST)/tried
SPATIALDATA := .venv-spatialdata
OPENSEADRAGON := wsi_seg/view/web/openseadragon/openseadragon.min.js
# A process for each core, each with one thread: on two cores this halves the time.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal

.PHONY: help demo test test-fast check docs lowest spatialdata wheel wheels clean

help:
	@echo "make demo       generate a slide, segment it, and score the result"
	@echo "make test-fast  checks and the quick tests"
	@echo "make test       checks and all tests"
	@echo "make check      ruff, mypy and the import rules"
	@echo "make docs       the site of the documentation, in site/"
	@echo "make lowest     try the lowest versions of the dependencies"
	@echo "make spatialdata  open exported stores with spatialdata, which needs an older Dask"
	@echo "make wheel      a wheel, in dist/"
	@echo "make wheels     also those that carry the compiled kernels"
	@echo "make clean      remove what these made, but .venv"

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
	$(PYTEST)

test-fast: check
	$(PYTEST) -m "not slow"

check: $(VENV)/installed-dev $(OPENSEADRAGON)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	MYPYPATH=benchmarks $(BIN)/mypy benchmarks --exclude benchmarks/robustness/
	$(BIN)/lint-imports --no-cache

# The site of the documentation, in site/. A link that leads nowhere is an error.
docs: $(VENV)/installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --clean

# The lowest versions that pyproject.toml allows, on the lowest Python there is here: the slide small, the training short.
lowest: $(LOWEST)/installed
	rm -rf $(TRIED) && mkdir $(TRIED)
	$(LOWEST)/bin/wsi-seg doctor
	$(LOWEST)/bin/wsi-seg train --help > $(TRIED)/help.txt
	$(LOWEST)/bin/wsi-seg demo slide -o $(TRIED)/demo.tiff --size 2048x1536 --mpp 2
	$(LOWEST)/bin/wsi-seg predict $(TRIED)/demo.tiff -o $(TRIED)/results --confidence
	$(LOWEST)/bin/wsi-seg demo score $(TRIED)/results/demo --truth $(TRIED)/demo.truth.tiff
	$(LOWEST)/bin/wsi-seg export $(TRIED)/results/demo --simplify 8
	$(LOWEST)/bin/wsi-seg check $(TRIED)/results/demo/slide.geojson.gz
	$(LOWEST)/bin/wsi-seg train $(TRIED)/demo.tiff $(TRIED)/results/demo/slide.geojson.gz -o $(TRIED)/training \
	  --set training.epochs=1 --set training.epoch_steps=3 --set training.batch_size=4
	$(LOWEST)/bin/wsi-seg predict $(TRIED)/demo.tiff -o $(TRIED)/own --model $(TRIED)/training/model.safetensors --ngff 0.4
	$(LOWEST)/bin/wsi-seg models export $(TRIED)/training/model.safetensors --format onnx -o $(TRIED)/model.onnx
	$(LOWEST)/bin/wsi-seg paper bench espnet-c --size 64x64 --plot $(TRIED)/bench.png
	@echo "The lowest versions work."

# What `export --format spatialdata` writes, opened by that package in an environment of its own.
spatialdata: $(VENV)/installed-dev $(SPATIALDATA)/installed
	WSI_SEG_SPATIALDATA=$(CURDIR)/$(SPATIALDATA)/bin/python $(BIN)/pytest tests/exports/test_spatialdata.py

wheel: $(VENV)/installed-dev $(OPENSEADRAGON)
	$(BIN)/python -m build --wheel

# One with the kernels for each machine that has its GCC here (Debian: g++-x86-64-linux-gnu, g++-aarch64-linux-gnu).
wheels: wheel
	for machine in x86_64 aarch64; do \
	  if command -v $$machine-linux-gnu-g++ >/dev/null; then \
	    WSI_SEG_KERNELS=$$machine $(BIN)/python -m build --wheel || exit 1; \
	  else echo "no $$machine-linux-gnu-g++: no wheel for $$machine"; fi; done

# What `wsi-seg view` draws its page with: fetched, checked against its digest, and never in the repository.
$(OPENSEADRAGON): wsi_seg/view/openseadragon.py
	$(PYTHON) wsi_seg/view/openseadragon.py
	touch $@

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

$(LOWEST)/installed: pyproject.toml constraints-lowest.txt
	$(LOWEST_PYTHON) -m venv --clear $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-lowest.txt -e '.[train,onnx,bench,dicom,view]'
	touch $@

$(SPATIALDATA)/installed:
	$(PYTHON) -m venv --clear $(SPATIALDATA)
	$(SPATIALDATA)/bin/python -m pip install --quiet --disable-pip-version-check spatialdata==0.7.3
	touch $@

clean:
	rm -rf $(DEMO) dist build site
