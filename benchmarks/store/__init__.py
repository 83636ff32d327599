"""Questions to the store. Each is a program of its own that runs in the site of ``benchmarks.project`` and prints JSON."""
