"""The catalog: what is read, typed and merged, declared in one YAML file per source system."""
