locals {
  raw_datasets  = { for source in var.sources : "raw_${source}" => "What merge fills from ${source}." }
  work_datasets = { tideline_load = "Load tables of single windows; they expire.", tideline_ops = "The ledgers of loads and of builds." }
  dbt_datasets  = { staging = "Renamed sources.", intermediate = "Steps shared by marts.", marts = "What analysts read." }
  datasets      = merge(local.raw_datasets, local.work_datasets, local.dbt_datasets)
}

resource "google_bigquery_dataset" "warehouse" {
  for_each                    = local.datasets
  dataset_id                  = each.key
  description                 = each.value
  location                    = var.bigquery_location
  delete_contents_on_destroy  = false
  default_table_expiration_ms = each.key == "tideline_load" ? 7 * 24 * 3600 * 1000 : null
  max_time_travel_hours       = 168

  dynamic "default_encryption_configuration" {
    for_each = var.kms_key == null ? [] : [1]
    content {
      kms_key_name = var.kms_key
    }
  }
}
