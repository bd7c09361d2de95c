"""Land: source → raw bytes, verbatim and write-once."""
