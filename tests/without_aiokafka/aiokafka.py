"""A platform without aiokafka: `PYTHONPATH=tests/without_aiokafka` puts this before the installed package."""

raise ImportError("this is a platform without aiokafka")
