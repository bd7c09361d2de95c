# One account for each thing that acts; none has a key. Pods act as them through Workload Identity.
locals {
  accounts = {
    worker  = { account = "tideline-worker", description = "Tasks in pods of their own.", kubernetes = "tideline-worker" }
    light   = { account = "tideline-light", description = "Tasks beside the scheduler.", kubernetes = "tideline-light" }
    web     = { account = "tideline-web", description = "The health page; reads the ledger and task logs.", kubernetes = "airflow-api-server" }
    analyst = { account = "tideline-looker", description = "Looker Studio; reads the marts.", kubernetes = null }
  }
  tasks = toset(["worker", "light"])
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
  for_each = { for pair in setproduct(local.tasks, local.lake) : "${pair[0]}-${pair[1]}" => pair }
  bucket   = google_storage_bucket.lake[each.value[1]].name
  role     = "roles/storage.objectCreator"
  member   = google_service_account.each[each.value[0]].member
}

resource "google_storage_bucket_iam_member" "reads" {
  for_each = { for pair in setproduct(local.tasks, local.lake) : "${pair[0]}-${pair[1]}" => pair }
  bucket   = google_storage_bucket.lake[each.value[1]].name
  role     = "roles/storage.objectViewer"
  member   = google_service_account.each[each.value[0]].member
}

resource "google_storage_bucket_iam_member" "web_reads_quarantine" {
  bucket = google_storage_bucket.lake["quarantine"].name
  role   = "roles/storage.objectViewer"
  member = google_service_account.each["web"].member
}

resource "google_storage_bucket_iam_member" "logs" {
  for_each = { worker = "objectUser", light = "objectUser", web = "objectViewer" }
  bucket   = google_storage_bucket.logs.name
  role     = "roles/storage.${each.value}"
  member   = google_service_account.each[each.key].member
}

# The warehouse: jobs in the project, data in the datasets that each needs.
resource "google_project_iam_member" "runs_jobs" {
  for_each = google_service_account.each
  project  = var.project
  role     = "roles/bigquery.jobUser"
  member   = each.value.member
}

resource "google_bigquery_dataset_iam_member" "edits" {
  for_each   = { for pair in setproduct(local.tasks, keys(local.datasets)) : "${pair[0]}-${pair[1]}" => pair }
  dataset_id = google_bigquery_dataset.warehouse[each.value[1]].dataset_id
  role       = "roles/bigquery.dataEditor"
  member     = google_service_account.each[each.value[0]].member
}

resource "google_bigquery_dataset_iam_member" "web_reads_ledger" {
  dataset_id = google_bigquery_dataset.warehouse["tideline_ops"].dataset_id
  role       = "roles/bigquery.dataViewer"
  member     = google_service_account.each["web"].member
}

resource "google_bigquery_dataset_iam_member" "analyst_reads_marts" {
  dataset_id = google_bigquery_dataset.warehouse["marts"].dataset_id
  role       = "roles/bigquery.dataViewer"
  member     = google_service_account.each["analyst"].member
}
