"""Reconcile: what a cursor cannot see, found by comparing source and warehouse and put right."""
