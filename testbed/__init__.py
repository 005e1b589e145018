"""The test bed: real servers, a simulated workload, an independent oracle, and the demo. It is not shipped."""
