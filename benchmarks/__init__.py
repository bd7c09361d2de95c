"""Speed and memory of Tideline beside what else one would have picked, as ratios: `make bench`.

Owns fixtures, servers that answer faster than clients read, measuring and the report. What contestants need
is imported in their own processes only. Nothing of the product imports this package.
"""
