# One account for each thing that acts; none has a key. Pods act as them through Workload Identity.
locals {
  accounts = {
    extract   = { account = "tideline-extract", description = "Reads sources into the raw stage.", kubernetes = "tideline-extract" }
    transform = { account = "tideline-transform", description = "Turns raw bytes into Parquet.", kubernetes = "tideline-transform" }
    light     = { account = "tideline-light", description = "Loads, models and repairs, beside the scheduler.", kubernetes = "tideline-light" }
    web       = { account = "tideline-web", description = "The health page; reads the ledger, refused rows and task logs.", kubernetes = "airflow-api-server" }
    analyst   = { account = "tideline-looker", description = "Looker Studio; reads the marts.", kubernetes = null }
  }
  # Who may create objects in which stage of the lake, and who may read them.
  creates = {
    extract   = ["raw"]
    transform = ["processed", "quarantine"]
    light     = ["raw", "processed", "quarantine"] # a load's counts; replays and reconciliation
  }
  reads = {
    extract   = ["raw"]
    transform = ["raw", "processed", "quarantine"]
    light     = ["raw", "processed", "quarantine"]
    web       = ["quarantine"]
  }
  # Who sees which names there are, and not what they hold: the health page tells reads that were not merged by them.
  lists = {
    web = ["raw", "processed"]
  }
  # Who may read which datasets; `light` alone changes them.
  views = {
    extract = "tideline_ops" # which objects have landed
    web     = "tideline_ops"
    analyst = "marts"
  }
}

resource "google_service_account" "each" {
  for_each     = local.accounts
  account_id   = each.value.account
  display_name = each.value.description
}

resource "google_service_account_iam_member" "workload_identity" {
  for_each           = { for name, each in local.accounts : name => each if each.kubernetes != null }
  service_account_id = google_service_account.each[each.key].name
  role               = "roles/iam.workloadIdentityUser"
  member             = "serviceAccount:${var.project}.svc.id.goog[${var.namespace}/${each.value.kubernetes}]"
}

# The lake: write once, read; nobody deletes. objectCreator can neither overwrite nor delete.
resource "google_storage_bucket_iam_member" "creates" {
  for_each = merge([for who, stages in local.creates : { for stage in stages : "${who}-${stage}" => { who = who, stage = stage } }]...)
  bucket   = google_storage_bucket.lake[each.value.stage].name
  role     = "roles/storage.objectCreator"
  member   = google_service_account.each[each.value.who].member
}

resource "google_storage_bucket_iam_member" "reads" {
  for_each = merge([for who, stages in local.reads : { for stage in stages : "${who}-${stage}" => { who = who, stage = stage } }]...)
  bucket   = google_storage_bucket.lake[each.value.stage].name
  role     = "roles/storage.objectViewer"
  member   = google_service_account.each[each.value.who].member
}

resource "google_storage_bucket_iam_member" "lists" {
  for_each = merge([for who, stages in local.lists : { for stage in stages : "${who}-${stage}" => { who = who, stage = stage } }]...)
  bucket   = google_storage_bucket.lake[each.value.stage].name
  role     = "roles/storage.legacyBucketReader"
  member   = google_service_account.each[each.value.who].member
}

resource "google_storage_bucket_iam_member" "logs" {
  for_each = { extract = "objectUser", transform = "objectUser", light = "objectUser", web = "objectViewer" }
  bucket   = google_storage_bucket.logs.name
  role     = "roles/storage.${each.value}"
  member   = google_service_account.each[each.key].member
}

# The warehouse: jobs in the project, data in the datasets that each needs.
resource "google_project_iam_member" "runs_jobs" {
  for_each = toset(["extract", "light", "web", "analyst"])
  project  = var.project
  role     = "roles/bigquery.jobUser"
  member   = google_service_account.each[each.key].member
}

resource "google_bigquery_dataset_iam_member" "edits" {
  for_each   = local.datasets
  dataset_id = google_bigquery_dataset.warehouse[each.key].dataset_id
  role       = "roles/bigquery.dataEditor"
  member     = google_service_account.each["light"].member
}

resource "google_bigquery_dataset_iam_member" "views" {
  for_each   = local.views
  dataset_id = google_bigquery_dataset.warehouse[each.value].dataset_id
  role       = "roles/bigquery.dataViewer"
  member     = google_service_account.each[each.key].member
}
