locals {
  lake = toset(["raw", "processed", "quarantine"])
}

resource "google_storage_bucket" "lake" {
  for_each                    = local.lake
  name                        = "${var.project}-tideline-${each.key}"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false

  versioning {
    enabled = each.key != "raw" # a retention policy and versions exclude one another; raw is never overwritten anyway
  }

  dynamic "retention_policy" {
    for_each = each.key == "raw" ? [1] : []
    content {
      retention_period = var.raw_retention_days * 86400
    }
  }

  lifecycle_rule {
    condition {
      age = var.raw_archive_days
    }
    action {
      type          = "SetStorageClass"
      storage_class = "NEARLINE"
    }
  }

  dynamic "encryption" {
    for_each = var.kms_key == null ? [] : [1]
    content {
      default_kms_key_name = var.kms_key
    }
  }
}

resource "google_storage_bucket" "logs" {
  name                        = "${var.project}-tideline-logs"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  lifecycle_rule {
    condition {
      age = 90
    }
    action {
      type = "Delete"
    }
  }
}
