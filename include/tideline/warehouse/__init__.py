"""The warehouse: BigQuery jobs, table schemas and the ledger."""
