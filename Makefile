# Short names for run.py, which does the work.
PYTHON ?= python3

.PHONY: demo test bench lock
demo test bench lock:
	$(PYTHON) run.py $@
