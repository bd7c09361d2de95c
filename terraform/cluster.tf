resource "google_container_cluster" "tideline" {
  count               = var.create_cluster ? 1 : 0
  name                = "tideline"
  location            = var.region
  enable_autopilot    = true
  network             = var.network
  subnetwork          = var.subnetwork
  deletion_protection = var.deletion_protection

  private_cluster_config {
    enable_private_nodes = true
  }

  release_channel {
    channel = "STABLE"
  }
}

resource "google_sql_database_instance" "airflow" {
  count               = var.create_database ? 1 : 0
  name                = "tideline-airflow"
  region              = var.region
  database_version    = "POSTGRES_17"
  deletion_protection = var.deletion_protection
  encryption_key_name = var.kms_key

  settings {
    tier              = "db-custom-1-3840"
    edition           = "ENTERPRISE"
    availability_type = "REGIONAL"
    disk_autoresize   = true

    backup_configuration {
      enabled                        = true
      point_in_time_recovery_enabled = true
    }

    ip_configuration {
      ipv4_enabled    = false
      private_network = var.network
      ssl_mode        = "ENCRYPTED_ONLY"
    }

    maintenance_window {
      day  = 7
      hour = 3
    }
  }
}

resource "google_sql_database" "airflow" {
  count    = var.create_database ? 1 : 0
  name     = "airflow"
  instance = google_sql_database_instance.airflow[0].name
}
