# Places for secrets. Their values are put in by people or by rotation, never by Terraform's state; docs/deploy-gke.md has
# the commands. The External Secrets Operator (or CSI driver) brings them into the cluster.
locals {
  secrets = toset([
    "tideline-airflow", "tideline-database",
    "tideline-mongodb", "tideline-s3-source", "tideline-jsonplaceholder", "tideline-lake", "tideline-warehouse",
  ])
}

resource "google_secret_manager_secret" "each" {
  for_each  = local.secrets
  secret_id = each.key
  replication {
    auto {}
  }
}

resource "google_service_account" "secrets_reader" {
  account_id   = "tideline-secrets"
  display_name = "What brings secrets into the cluster."
}

resource "google_secret_manager_secret_iam_member" "reads" {
  for_each  = google_secret_manager_secret.each
  secret_id = each.value.id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.secrets_reader.member
}
