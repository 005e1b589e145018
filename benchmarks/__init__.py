"""Benchmarks: what `make bench` runs. Figures are ratios within one run on one machine; results/ keeps the last run."""
