resource "google_logging_project_bucket_config" "audit" {
  project        = var.project
  location       = "global"
  bucket_id      = "tideline-audit"
  retention_days = 400
}

resource "google_logging_project_sink" "lake_access" {
  name                   = "tideline-lake-access"
  destination            = "logging.googleapis.com/${google_logging_project_bucket_config.audit.id}"
  filter                 = "protoPayload.serviceName=\"storage.googleapis.com\" AND protoPayload.resourceName=~\"buckets/${var.project}-tideline-\""
  unique_writer_identity = true
}

resource "google_billing_budget" "monthly" {
  count           = var.monthly_budget == null ? 0 : 1
  billing_account = var.monthly_budget.billing_account
  display_name    = "Tideline"

  budget_filter {
    projects = ["projects/${var.project}"]
  }

  amount {
    specified_amount {
      currency_code = var.monthly_budget.currency
      units         = var.monthly_budget.amount
    }
  }

  dynamic "threshold_rules" {
    for_each = [0.5, 0.9, 1.0]
    content {
      threshold_percent = threshold_rules.value
    }
  }
}
