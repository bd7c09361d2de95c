"""A ledger on the emulator, and rows for it."""

from ledgers import kit, ledger, reader, warehouse

__all__ = ["kit", "ledger", "reader", "warehouse"]
