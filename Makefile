# The first use of any target makes .venv; PYTHON chooses the interpreter, 3.11 or newer.
PYTHON ?= python3
BIN := .venv/bin
SOURCES := nbconv kernels cli tests benchmarks docs setup.py
# A process for each core; a file's tests, which share what they have made, stay in one.
PYTEST := $(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# Tests start Python hundreds of times: what it compiles of the sources is kept.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: train check fast test whole test-sim test-ptx coverage gpu lint types docs bench clean

train: .venv/ready
	$(BIN)/nbconv train --out digits.h5

# What to run while working: all but the slow tests.
check: lint
	@$(MAKE) --no-print-directory -j 2 types fast

fast: .venv/ready
	$(PYTEST) -m "not slow"

whole: .venv/ready
	$(PYTEST)

test: lint
	@$(MAKE) --no-print-directory -j 2 types whole
	$(MAKE) --no-print-directory -j 2 $(if $(filter output-sync,$(.FEATURES)),--output-sync) test-sim coverage

# The CUDA kernels and the whole backend in numba-cuda's simulator, which needs no GPU. Whole numbers wrap around there with a warning.
test-sim: .venv/ready
	@$(BIN)/python -c 'import numba_cuda' 2>/dev/null || { echo "make test-sim skipped: numba-cuda is not installed here (Linux alone)"; exit 0; }; \
	NUMBA_ENABLE_CUDASIM=1 NBCONV_TEST_BACKENDS=cuda $(PYTEST) --dist worksteal -W ignore::RuntimeWarning -k cuda tests/test_cuda.py tests/test_kernels_*.py

# The CUDA kernels compiled and assembled for four generations of GPUs, as a table; make test has the first and the last of them.
test-ptx: .venv/ready
	$(BIN)/python tests/ptx.py

# The reference's kernels as Python, without Numba's compiler: each of their lines is run. Whole numbers wrap around there with a warning.
coverage: .venv/ready
	@mkdir -p build
	NUMBA_DISABLE_JIT=1 NBCONV_TEST_BACKENDS=reference $(BIN)/coverage run --include='kernels/reference/*' \
		-m pytest -W ignore::RuntimeWarning tests/test_reference.py tests/test_program.py tests/test_kernels_*.py
	$(BIN)/coverage report --show-missing --fail-under=100

# On a machine with a GPU, in the Python that is at hand: make gpu, or make gpu PART=kernels,parity
gpu:
	$(PYTHON) benchmarks/gpu.py $(if $(PART),--part $(PART))

lint: .venv/ready
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)

# mypy does not see through the folders' mapping in pyproject.toml: it reads the tree as it is when installed.
types: .venv/ready
	@rm -rf build/types && mkdir -p build/types
	@cp -r nbconv build/types/nbconv && cp -r kernels cli build/types/nbconv/
	cd build/types && ../../$(BIN)/mypy --config-file ../../pyproject.toml --cache-dir ../../.mypy_cache

# The documentation as a site, in build/site.
docs: .venv/ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "Open build/site/index.html"

bench: .venv/ready .venv-bench/ready
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/inference.py
	$(BIN)/python benchmarks/kernels.py
	$(BIN)/python benchmarks/growth.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/startup.py

clean:
	rm -rf .venv .venv-bench build .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "nbconv needs Python 3.11 or newer: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

# The engines to compare with are no dependencies of the project; they live in an environment of their own.
.venv-bench/ready: benchmarks/requirements.txt
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/pip install --quiet --disable-pip-version-check --requirement benchmarks/requirements.txt
	@touch $@
