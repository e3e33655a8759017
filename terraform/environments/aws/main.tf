# What an AWS account gets. Credentials come from the usual places; state is yours to place (a backend block).

provider "aws" {
  region = var.region
}

module "storage" {
  source      = "../../modules/storage"
  bucket_name = var.bucket_name
}
