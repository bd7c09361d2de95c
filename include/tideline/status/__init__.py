"""What the ledger and the lake say about every dataset, for people: read only, bounded, in plain values."""
