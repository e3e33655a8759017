# What an AWS account gets: the bucket, who may do what with it, alarms, and tables for Athena. Credentials come from the
# usual places; state is yours to place (a backend block).

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
  source            = "../../modules/access"
  bucket_arn        = module.storage.bucket_arn
  metrics_namespace = var.metrics_namespace
}

module "monitoring" {
  source = "../../modules/monitoring"
  count  = var.monitoring ? 1 : 0

  name      = var.name
  namespace = var.metrics_namespace
  topic_arn = var.alarm_topic_arn
  emails    = var.alarm_emails

  # null is the module's own default.
  s3_error_rate            = lookup(var.alarm_thresholds, "s3_error_rate", null)
  aggregator_lag           = lookup(var.alarm_thresholds, "aggregator_lag", null)
  raw_lag                  = lookup(var.alarm_thresholds, "raw_lag", null)
  rows_lag                 = lookup(var.alarm_thresholds, "rows_lag", null)
  oldest_unflushed_seconds = lookup(var.alarm_thresholds, "oldest_unflushed_seconds", null)
  late_share               = lookup(var.alarm_thresholds, "late_share", null)
  http_5xx_share           = lookup(var.alarm_thresholds, "http_5xx_share", null)
  dead_letters             = lookup(var.alarm_thresholds, "dead_letters", null)
}

module "catalog" {
  source = "../../modules/catalog"
  count  = var.catalog ? 1 : 0

  bucket_name = module.storage.bucket_name
  database    = replace(lower(var.name), "/[^a-z0-9_]/", "_")
  epoch       = var.sink_epoch
  formats     = var.sink_formats
}

resource "aws_iam_policy" "of" {
  for_each = module.access.policies

  name        = "${var.name}-${each.key}"
  description = "What ${each.key} of the pipeline with the bucket ${var.bucket_name} may do."
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
