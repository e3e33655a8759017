# What each of us may do with the bucket, as documents: whoever deploys attaches them to the roles there are. A key of your own
# (sink.sse = aws:kms) asks for kms:GenerateDataKey and kms:Decrypt besides, in the key's policy.

locals {
  # A sink.epoch puts the whole tree below epoch=N/.
  folders = {
    for folder in ["raw", "aggregates", "late", "dead-letter", "ledger", "recount"] :
    folder => ["${var.bucket_arn}/${folder}/*", "${var.bucket_arn}/epoch=*/${folder}/*"]
  }
  data = concat(local.folders["raw"], local.folders["aggregates"], local.folders["late"], local.folders["dead-letter"])
}

# Writes what has a new name, and reads what it wrote before. It never deletes.
data "aws_iam_policy_document" "s3_sink" {
  statement {
    sid       = "FindTheBucketAndWhatIsInIt"
    actions   = ["s3:ListBucket"]
    resources = [var.bucket_arn]
  }

  statement {
    sid       = "WriteDataAndLedger"
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = concat(local.data, local.folders["ledger"])
  }
}

# ingest-api and aggregator talk to Kafka alone. Their document refuses them the bucket, whatever else their role has.
data "aws_iam_policy_document" "kafka_only" {
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

# pageviews forget, redrive and backfill --write, on top of reading. Events are rewritten and deleted; counts never are.
data "aws_iam_policy_document" "operator_write" {
  source_policy_documents = [data.aws_iam_policy_document.operator_read.json]

  statement {
    sid       = "Forget"
    actions   = ["s3:PutObject", "s3:DeleteObject"]
    resources = concat(local.folders["raw"], local.folders["dead-letter"])
  }

  statement {
    sid       = "SayWhatWasDone"
    actions   = ["s3:PutObject"]
    resources = concat(local.folders["ledger"], local.folders["recount"])
  }
}
