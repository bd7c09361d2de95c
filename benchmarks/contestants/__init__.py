"""What is measured, one module per kind of input; each function is a run, called by `benchmarks.worker`."""
