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

# Connections that Airflow reads by itself (secretsBackend in the chart's values), each by the roles whose tasks open it.
locals {
  shared_connections = {
    tideline_lake      = ["extract", "transform", "light", "web"]
    tideline_warehouse = ["extract", "light", "web"]
  }
  connections = length(var.airflow_connections) == 0 ? {} : merge(
    { for connection in var.airflow_connections : connection => ["extract", "light"] }, local.shared_connections,
  )
}

resource "google_secret_manager_secret" "connection" {
  for_each  = local.connections
  secret_id = "airflow-connections-${each.key}"
  replication {
    auto {}
  }
}

resource "google_secret_manager_secret_iam_member" "opens" {
  for_each = merge([
    for connection, roles in local.connections : { for role in roles : "${connection}-${role}" => { connection = connection, role = role } }
  ]...)
  secret_id = google_secret_manager_secret.connection[each.value.connection].id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.each[each.value.role].member
}
