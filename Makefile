# Two commands: `make demo` and `make test`. The rest is for those who work on Livebell.
#
#   PORT=8001 make demo                                another port
#   REDIS_URL=redis://… DATABASE_URL=postgres://… make demo
#   make test ARGS="--only sqlite -- -k badge"         part of the tests (see scripts/test.py)
#   make bench                                         Livebell beside other designs, 20 minutes; QUICK=1: five
#   make bench ONLY=broadcast,latency                  some of the questions (see docs/benchmarks)
#   PYTHON=python3.13 make test                        another Python

PYTHON ?= python3
PORT ?= 8000
VENV := .venv
ARGS ?=
QUICK ?=
ONLY ?=
PEER ?=

export PYTHONUNBUFFERED = 1

.PHONY: help demo test bench chaos soak lint check format messages pack size screenshots clean

help:
	@sed -n '/^#/!q;s/^# \{0,1\}//p' Makefile

demo:
	@$(PYTHON) scripts/venv.py demo
	@exec $(VENV)/bin/python demo/run.py $(PORT)

test:
	@$(PYTHON) scripts/venv.py dev
	@exec $(VENV)/bin/python scripts/test.py $(ARGS)

bench:
	@$(PYTHON) scripts/venv.py bench
	@exec $(VENV)/bin/python -m benchmarks $(if $(QUICK),--quick) $(if $(ONLY),--only "$(ONLY)") $(if $(PEER),--peer "$(PEER)")

chaos: # 25 minutes; ARGS="F1 F3 --quick" or ARGS=--only-ours for less
	@$(PYTHON) scripts/venv.py bench
	@LIVEBELL_TEST_INSTALL=1 exec $(VENV)/bin/python -m chaos $(ARGS)

soak: # half an hour of random faults; MINUTES=5 SEED=7 make soak
	@$(PYTHON) scripts/venv.py dev
	@LIVEBELL_TEST_INSTALL=1 exec $(VENV)/bin/python -m chaos.soak

lint:
	@$(PYTHON) scripts/venv.py dev
	@exec $(VENV)/bin/python scripts/test.py --only lint

check:
	@$(PYTHON) scripts/venv.py dev
	@$(PYTHON) scripts/venv.py audit
	@exec $(VENV)/bin/python scripts/check.py

format:
	@$(PYTHON) scripts/venv.py dev
	$(VENV)/bin/python -m ruff format .
	$(VENV)/bin/python -m ruff check --fix .

messages:
	@$(PYTHON) scripts/venv.py dev
	$(VENV)/bin/pybabel compile -d src/livebell/locale -D django

pack: # needs npm
	@exec $(PYTHON) scripts/pack.py

size:
	@exec $(PYTHON) scripts/size.py

screenshots:
	@$(PYTHON) scripts/venv.py dev
	@exec $(VENV)/bin/python scripts/screenshots.py

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis demo/db.sqlite3* demo/.secret_key*
