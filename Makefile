# `make` alone explains itself. All that is needed is Python 3.11 to 3.13 with venv, and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Three processes for two cores: some tests wait more than they compute.
PYTEST := -n 3 --dist loadscope --no-loadscope-reorder
# TensorFlow imports twice as fast from byte-compiled files.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo test coverage lint docs bench bench-full smoke torture clean

help:  ## show this list
	@echo "kaggle-digits: what make can do"
	@sed -n 's/^\([a-z-]*\):.*##\(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: $(READY)  ## make .venv with the toolkit and everything it needs

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 13) else f"Python 3.11, 3.12 or 3.13 is needed, not {v[0]}.{v[1]}; try: make PYTHON=python3.11")'
	@$(PYTHON) -c 'import venv, ensurepip' || { echo "Python has no venv module; install it (python3-venv)"; exit 1; }
	@echo "installing the toolkit and its packages into $(VENV): once, some minutes"
	@# A set-up that was cut short, or whose Python is gone, begins anew.
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade -c constraints.txt pip
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --compile -c constraints.txt -e '.[dev,hub,jax,labels,mlflow,onnx,ray,tensorboard,torture,tune,wandb,web]'
	@touch $@

demo: setup  ## go the whole way on data that needs no account and no network
	$(BIN)/kd demo

# One thread each, or they wait for each other.
test coverage: export OMP_NUM_THREADS = 1
test coverage: export OPENBLAS_NUM_THREADS = 1
test coverage: export TF_NUM_INTRAOP_THREADS = 1
test coverage: export TF_NUM_INTEROP_THREADS = 1

test: setup  ## run every test
	$(BIN)/python -m pytest $(PYTEST)

coverage: setup  ## run every test, half as long again, and list the lines that none ran
	$(BIN)/python -m coverage erase
	@$(BIN)/python -m coverage run -m pytest $(PYTEST); passed=$$?; \
	$(BIN)/python -m coverage combine --quiet; \
	$(BIN)/python -m coverage report --skip-covered --skip-empty; exit $$passed

lint: setup  ## check style, and types for Linux, macOS and Windows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --platform darwin kaggle_digits benchmarks
	$(BIN)/mypy --platform win32 kaggle_digits benchmarks

docs: setup  ## renew the outputs, pictures and notebooks of the documents; minutes
	$(BIN)/python -m benchmarks.documents
	$(BIN)/python -m benchmarks.terminal
	$(BIN)/python docs/make_notebooks.py

bench: setup  ## measure start-up, reading, augmenting, predicting, faults; fast against its peer
	$(BIN)/python -m benchmarks.startup
	$(BIN)/python -m benchmarks.csv_reading
	$(BIN)/python -m benchmarks.augmentation
	$(BIN)/python -m benchmarks.predicting
	$(BIN)/python -m tests.robustness network_faults --quick
	@test -e data/train.csv || { echo "no data/train.csv: kd fetch, then make bench also compares recipes"; exit 0; }; \
	$(BIN)/python -m benchmarks.side_by_side

bench-full: setup  ## train every recipe and the peers three times: hours; goes on where it stopped
	$(BIN)/python -m benchmarks.side_by_side --full --keep runs/.bench

smoke: setup  ## use the wheel in new environments, with the newest and the oldest packages; minutes
	$(BIN)/python tests/wheel_smoke.py
	$(BIN)/python tests/wheel_smoke.py --oldest

torture: setup  ## run the fault-injection suite: kills, full disks, network faults, hostile files; half an hour
	$(BIN)/python -m tests.robustness

clean:  ## remove .venv, caches and the demo; your data, runs and submissions stay
	rm -rf $(VENV) demo .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
