# What an AWS emulator on this machine gets. `make up` applies it; its state is in .stack/, or in a volume.

provider "aws" {
  region = "eu-west-2"

  # The emulator takes any credentials, and has no metadata service to ask. It tells an account, which is the catalog's id.
  access_key                  = "test"
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  s3_use_path_style           = true

  endpoints {
    s3         = var.endpoint
    cloudwatch = var.endpoint
    glue       = var.endpoint
    iam        = var.endpoint
    sns        = var.endpoint
    sts        = var.endpoint
  }
}

module "storage" {
  source      = "../../modules/storage"
  bucket_name = "pageview-data"

  # The emulator has no TLS, and the provider waits a minute for lifecycle rules.
  tls_only        = false
  lifecycle_rules = false
}

module "monitoring" {
  source = "../../modules/monitoring"
  count  = var.monitoring ? 1 : 0
}

module "catalog" {
  source = "../../modules/catalog"
  count  = var.catalog ? 1 : 0

  bucket_name = module.storage.bucket_name
}
