"""How each server is run, ours or a real one where a person has it: one module for each protocol."""
