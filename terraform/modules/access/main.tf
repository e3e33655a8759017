# What each of us may do with the bucket, and that services may send metrics, as documents: whoever deploys attaches them
# to the roles there are. A key of your own (sink.sse = aws:kms) asks for kms:GenerateDataKey and kms:Decrypt besides, in
# the key's policy.

locals {
  # A sink.epoch puts the whole tree below epoch=N/.
  folders = {
    for folder in [
      "raw", "aggregates", "late", "dead-letter", "dead-letter/raw", "dead-letter/topic",
      "ledger", "ledger/forgotten", "ledger/redriven", "recount",
    ] : folder => ["${var.bucket_arn}/${folder}/*", "${var.bucket_arn}/epoch=*/${folder}/*"]
  }
  data = concat(local.folders["raw"], local.folders["aggregates"], local.folders["late"], local.folders["dead-letter"])
  # Where events are, and so what a person has a right to have erased.
  events = concat(local.folders["raw"], local.folders["dead-letter/raw"], local.folders["dead-letter/topic"])
  # What operators write down. What the sink wrote in the ledger is not for them to change.
  records = concat(local.folders["ledger/forgotten"], local.folders["ledger/redriven"], local.folders["recount"])
}

# Metrics have no ARN: the namespace is all there is to restrict.
data "aws_iam_policy_document" "metrics" {
  statement {
    sid       = "SendMetrics"
    actions   = ["cloudwatch:PutMetricData"]
    resources = ["*"]

    condition {
      test     = "StringEquals"
      variable = "cloudwatch:namespace"
      values   = [var.metrics_namespace]
    }
  }
}

# Writes what has a new name, and reads what it wrote before. It never overwrites, and never deletes.
data "aws_iam_policy_document" "s3_sink" {
  source_policy_documents = [data.aws_iam_policy_document.metrics.json]

  # Of all keys: HEAD of the bucket names no prefix, and without this S3 answers 403 for an object that is not there.
  statement {
    sid       = "FindTheBucketAndWhatIsInIt"
    actions   = ["s3:ListBucket"]
    resources = [var.bucket_arn]
  }

  statement {
    sid       = "ReadDataAndLedger"
    actions   = ["s3:GetObject"]
    resources = concat(local.data, local.folders["ledger"])
  }

  # PUT with If-None-Match alone.
  statement {
    sid       = "CreateDataAndLedger"
    actions   = ["s3:PutObject"]
    resources = concat(local.data, local.folders["ledger"])

    condition {
      test     = "Null"
      variable = "s3:if-none-match"
      values   = ["false"]
    }
  }
}

# ingest-api and aggregator talk to Kafka, and of AWS to CloudWatch alone. Their document refuses them the bucket,
# whatever else their role has.
data "aws_iam_policy_document" "kafka_only" {
  source_policy_documents = [data.aws_iam_policy_document.metrics.json]

  statement {
    sid       = "NothingToDoWithTheBucket"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [var.bucket_arn, "${var.bucket_arn}/*"]
  }
}

# pageviews counts, audit, backfill without --write, and any command with --dry-run.
data "aws_iam_policy_document" "operator_read" {
  statement {
    sid       = "Find"
    actions   = ["s3:ListBucket"]
    resources = [var.bucket_arn]
  }

  statement {
    sid       = "Read"
    actions   = ["s3:GetObject"]
    resources = concat(local.data, local.folders["ledger"], local.folders["recount"])
  }
}

# pageviews forget, redrive and backfill --write, on top of reading. Counts stay, and what the sink wrote in the ledger.
data "aws_iam_policy_document" "operator_write" {
  source_policy_documents = [data.aws_iam_policy_document.operator_read.json]

  # PUT with If-Match alone: over the version that was read.
  statement {
    sid       = "RewriteEvents"
    actions   = ["s3:PutObject"]
    resources = local.events

    condition {
      test     = "Null"
      variable = "s3:if-match"
      values   = ["false"]
    }
  }

  # Old versions are left to the lifecycle rules.
  statement {
    sid       = "DeleteEvents"
    actions   = ["s3:DeleteObject"]
    resources = local.events
  }

  statement {
    sid       = "SayWhatWasDone"
    actions   = ["s3:PutObject"]
    resources = local.records

    condition {
      test     = "Null"
      variable = "s3:if-none-match"
      values   = ["false"]
    }
  }
}
