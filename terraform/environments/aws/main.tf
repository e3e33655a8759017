# What an AWS account gets: the bucket, and who may do what with it. Credentials come from the usual places; state is
# yours to place (a backend block).

provider "aws" {
  region = var.region
}

module "storage" {
  source                  = "../../modules/storage"
  bucket_name             = var.bucket_name
  noncurrent_version_days = var.noncurrent_version_days
  expire_days             = var.expire_days
  raw_archive             = var.raw_archive
}

module "access" {
  source     = "../../modules/access"
  bucket_arn = module.storage.bucket_arn
}

resource "aws_iam_policy" "of" {
  for_each = module.access.policies

  name        = "${var.name}-${each.key}"
  description = "What ${each.key} may do with the bucket ${var.bucket_name}."
  policy      = each.value
}

# Roles that the pods of deploy/kubernetes/overlays/aws take up (IRSA), where there is a cluster to trust.
locals {
  services = var.oidc_provider == null ? toset([]) : toset(["ingest-api", "aggregator", "s3-sink"])
}

data "aws_iam_policy_document" "trust" {
  for_each = local.services

  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]

    principals {
      type        = "Federated"
      identifiers = [var.oidc_provider.arn]
    }

    condition {
      test     = "StringEquals"
      variable = "${var.oidc_provider.issuer}:sub"
      values   = ["system:serviceaccount:${var.namespace}:${each.key}"]
    }

    condition {
      test     = "StringEquals"
      variable = "${var.oidc_provider.issuer}:aud"
      values   = ["sts.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "service" {
  for_each = local.services

  name               = "${var.name}-${each.key}"
  assume_role_policy = data.aws_iam_policy_document.trust[each.key].json
}

resource "aws_iam_role_policy_attachment" "service" {
  for_each = local.services

  role       = aws_iam_role.service[each.key].name
  policy_arn = aws_iam_policy.of[each.key].arn
}
