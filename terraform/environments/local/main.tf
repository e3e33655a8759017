# What an AWS emulator on this machine gets. `make up` applies it; its state is in .stack/, or in a volume.

provider "aws" {
  region = "eu-west-2"

  # The emulator takes any credentials, and has neither accounts nor a metadata service to ask.
  access_key                  = "test"
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  s3_use_path_style           = true

  endpoints {
    s3 = var.endpoint
  }
}

module "storage" {
  source      = "../../modules/storage"
  bucket_name = "pageview-data"

  # The emulator has no TLS, and the provider waits a minute for lifecycle rules.
  tls_only        = false
  lifecycle_rules = false
}
