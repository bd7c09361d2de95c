# The whole module planned and applied against a provider that answers from memory: no account, no cost.
mock_provider "google" {
  mock_resource "google_service_account" {
    defaults = {
      name   = "projects/acme-data/serviceAccounts/somebody@acme-data.iam.gserviceaccount.com"
      member = "serviceAccount:somebody@acme-data.iam.gserviceaccount.com"
    }
  }
}

variables {
  project    = "acme-data"
  network    = "projects/acme-data/global/networks/main"
  subnetwork = "projects/acme-data/regions/us-central1/subnetworks/main"
}

run "everything" {
  variables {
    kms_key             = "projects/acme-data/locations/us/keyRings/tideline/cryptoKeys/tideline"
    monthly_budget      = { billing_account = "000000-000000-000000", amount = 100, currency = "EUR" }
    airflow_connections = ["tideline_mongodb", "tideline_s3_source"]
  }

  assert {
    condition     = length(google_container_cluster.tideline) == 1 && length(google_sql_database_instance.airflow) == 1
    error_message = "The cluster or the database is missing."
  }
  assert {
    condition     = toset([for each in google_storage_bucket.lake : each.name]) == toset(["acme-data-tideline-raw", "acme-data-tideline-processed", "acme-data-tideline-quarantine"])
    error_message = "The lake has other buckets."
  }
  assert {
    condition     = [for each in google_storage_bucket.lake : each.name if length(each.retention_policy) == 1] == ["acme-data-tideline-raw"]
    error_message = "Raw, and only raw, is kept against everybody."
  }
  assert {
    condition     = toset(keys(google_secret_manager_secret_iam_member.opens)) == toset(concat([for role in ["extract", "light"] : "tideline_mongodb-${role}"], [for role in ["extract", "light"] : "tideline_s3_source-${role}"], [for role in ["extract", "transform", "light", "web"] : "tideline_lake-${role}"], [for role in ["extract", "light", "web"] : "tideline_warehouse-${role}"]))
    error_message = "A connection is opened by others than those whose tasks need it."
  }
  assert {
    condition     = alltrue([for each in google_bigquery_dataset.warehouse : each.default_encryption_configuration[0].kms_key_name == var.kms_key])
    error_message = "A dataset is not encrypted with the key that was given."
  }
}

run "what_somebody_has_is_used" {
  variables {
    create_cluster  = false
    create_database = false
  }

  assert {
    condition     = length(google_container_cluster.tideline) + length(google_sql_database_instance.airflow) + length(google_billing_budget.monthly) == 0
    error_message = "Something is made that was not asked for."
  }
  assert {
    condition     = length(google_secret_manager_secret.connection) == 0
    error_message = "Places for connections are made that nobody reads."
  }
}

run "a_project_that_cannot_be_is_refused" {
  command = plan
  variables {
    project = "Acme"
  }
  expect_failures = [var.project]
}
