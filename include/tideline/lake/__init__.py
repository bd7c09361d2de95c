"""The lake: keys, the write-once store, and the manifest that commits a folder."""
