"""Refine: raw bytes → typed Parquet, with what cannot be typed in quarantine."""

import os

# Both are read when numpy and pyarrow are first imported, later than this, and set only where nobody chose.
# BLAS would start a thread per core that spins for work that never comes: 0.1 to 0.3 CPU seconds a task.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Arrow's own default keeps what one thread allocated and another freed: 30 to 45 MB more at the peak.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "jemalloc")
