"""The benchmarks of `make bench`; results/ keeps the last run. Compare figures within one run on one machine only."""
