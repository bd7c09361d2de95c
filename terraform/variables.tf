variable "project" {
  type        = string
  description = "The Google Cloud project that holds everything."
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "A project id: 6 to 30 lower-case letters, digits and hyphens."
  }
}

variable "region" {
  type        = string
  description = "Where the cluster, the database and the buckets are."
  default     = "us-central1"
}

variable "bigquery_location" {
  type        = string
  description = "Where the warehouse's datasets are; TIDELINE_LOCATION must say the same."
  default     = "US"
}

variable "sources" {
  type        = set(string)
  description = "The catalog's source systems; each gets a dataset raw_<source>."
  default     = ["shop_mongodb", "shop_s3", "jsonplaceholder"]
}

variable "airflow_connections" {
  type        = set(string)
  description = "Connections of sources that Airflow reads from Secret Manager by itself, such as tideline_mongodb; with any, lake and warehouse too."
  default     = []
}

variable "namespace" {
  type        = string
  description = "The Kubernetes namespace that the chart is installed in."
  default     = "tideline"
}

variable "raw_retention_days" {
  type        = number
  description = "How many days nobody can delete or overwrite a raw object, but an owner who takes the policy away first: it is not locked."
  default     = 90
}

variable "raw_archive_days" {
  type        = number
  description = "After how many days raw, processed and refused objects move to cheaper storage."
  default     = 30
}

variable "kms_key" {
  type        = string
  description = "A customer-managed key for buckets, datasets and the database; Google's own where it is null."
  default     = null
}

variable "create_cluster" {
  type        = bool
  description = "Make a GKE Autopilot cluster; false to use one that exists."
  default     = true
}

variable "create_database" {
  type        = bool
  description = "Make a Cloud SQL Postgres for Airflow's metadata; false to use one that exists."
  default     = true
}

variable "network" {
  type        = string
  description = "The VPC of cluster and database, by self link; it must have private services access."
}

variable "subnetwork" {
  type        = string
  description = "The subnetwork of the cluster, by self link."
}

variable "monthly_budget" {
  type        = object({ billing_account = string, amount = number, currency = string })
  description = "Warn at half, nine tenths and all of this amount; no budget where it is null."
  default     = null
}

variable "deletion_protection" {
  type        = bool
  description = "Refuse to destroy cluster, database and datasets."
  default     = true
}
