output "buckets" {
  description = "TIDELINE_RAW_URI, TIDELINE_PROCESSED_URI and TIDELINE_QUARANTINE_URI of the values file."
  value       = { for name, bucket in google_storage_bucket.lake : name => "gs://${bucket.name}" }
}

output "service_accounts" {
  description = "For the annotations iam.gke.io/gcp-service-account of the values file."
  value       = { for name, account in google_service_account.each : name => account.email }
}

output "database_address" {
  description = "The private address of Airflow's database."
  value       = var.create_database ? google_sql_database_instance.airflow[0].private_ip_address : null
}
