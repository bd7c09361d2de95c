"""Embedded servers and the living shop: what laptops and tests run for real systems. Never in the image."""
