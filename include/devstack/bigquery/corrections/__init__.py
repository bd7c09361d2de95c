"""The emulator's faults, one function each."""
