"""How fast Livebell is, beside the other designs, in one run on one machine. See ``docs/benchmarks/README.md``."""
