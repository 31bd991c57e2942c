# Every target builds .venv from requirements.lock first, with uv where present and pip where not.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: reports test lab bench results strip outputs readme pictures lock spark clean

reports: $(READY)  ## the quarterly pack from the built-in sample
	$(BIN)/python -m salesops run

test: $(READY)  ## all tests, with reduced simulation counts
	$(BIN)/ruff check --quiet salesops tests benchmarks
	export OMP_NUM_THREADS=1; $(BIN)/python -m pytest -n 2 --dist loadfile
	export OMP_NUM_THREADS=1; $(BIN)/python -m pytest -n 2 --dist loadfile --nbval-lax notebooks

lab: $(READY)  ## JupyterLab on the notebooks
	$(BIN)/jupyter lab notebooks

bench: $(READY)  ## full counts, one thread a process: make bench NAME=coverage; without NAME all of them and the tests marked full
	export OMP_NUM_THREADS=1 SALESOPS_CACHE=off; for script in $(filter-out benchmarks/results.py,$(wildcard benchmarks/$(or $(NAME),*).py)); do $(BIN)/python $$script || exit 1; done
	$(if $(NAME),,$(BIN)/python -m pytest -m full)

results: $(READY)  ## benchmarks/RESULTS.md: the benchmarks of speed beside their peers, one thread a process
	export OMP_NUM_THREADS=1 SALESOPS_CACHE=off; $(BIN)/python benchmarks/results.py

strip: $(READY)  ## notebooks as they are committed
	$(BIN)/python tests/strip.py notebooks/*.ipynb

outputs: $(READY)  ## the checked text in the notebooks, run anew on the sample: make outputs NAME=win_loss; without NAME in all of them
	$(BIN)/python tests/strip.py --run notebooks/$(or $(NAME),*).ipynb

readme: $(READY)  ## the metric index in README.md
	$(BIN)/python tests/readme.py

pictures: $(READY)  ## the pictures in README.md, of the sample's pack made anew; make pictures PACK=reports takes one that is there
	export OMP_NUM_THREADS=1; $(BIN)/python tests/pictures.py $(if $(PACK),--pack $(PACK))

lock:  ## new pins within the ranges of pyproject.toml
	uv pip compile pyproject.toml --extra test --universal --python-version 3.11 --upgrade --no-header --no-annotate -o requirements.lock
	uv pip compile pyproject.toml --extra test --extra spark --universal --python-version 3.11 -c requirements.lock --no-header --no-annotate -o requirements-spark.lock

spark: $(READY)  ## what Spark as a source needs besides Java 17, half a gigabyte; without it its tests say that they were skipped
	@if command -v uv >/dev/null 2>&1; then \
	  uv pip install --quiet --python $(BIN)/python -r requirements-spark.lock ; \
	else \
	  $(BIN)/python -m pip install --quiet -r requirements-spark.lock ; \
	fi

clean:
	rm -rf .venv build *.egg-info

$(READY): requirements.lock pyproject.toml
	@if command -v uv >/dev/null 2>&1; then \
	  uv venv --quiet --allow-existing --python $(PYTHON) .venv && \
	  uv pip install --quiet --compile-bytecode --python $(BIN)/python -r requirements.lock && \
	  uv pip install --quiet --python $(BIN)/python --no-deps --editable . ; \
	else \
	  $(PYTHON) -m venv .venv && \
	  $(BIN)/python -m pip install --quiet -r requirements.lock && \
	  $(BIN)/python -m pip install --quiet --no-deps --editable . ; \
	fi
	@touch $@
