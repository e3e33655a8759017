# What may go by itself. By default that is no object of any folder: raw/ is the record of what happened, and the ledger
# says what belongs to it.

resource "aws_s3_bucket_lifecycle_configuration" "data" {
  count  = var.lifecycle_rules ? 1 : 0
  bucket = aws_s3_bucket.data.id

  # The sink uploads in one part. This is for copies that are made by hand.
  rule {
    id     = "abort-unfinished-uploads"
    status = "Enabled"
    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  # In the whole bucket, so that what was forgotten goes from the trees of every sink.epoch too. In ledger/ nothing of
  # ours overwrites or deletes (If-None-Match; modules/access allows nothing else): it has an old version only where a
  # person made one, and that can be restored for as many days. Current versions are never touched.
  rule {
    id     = "drop-old-versions"
    status = "Enabled"
    filter {}

    noncurrent_version_expiration {
      noncurrent_days = var.noncurrent_version_days
    }

    # What is left of an object when its last old version is gone.
    expiration {
      expired_object_delete_marker = true
    }
  }

  dynamic "rule" {
    for_each = var.expire_days

    content {
      id     = "expire-${trimsuffix(rule.key, "/")}"
      status = "Enabled"

      filter {
        prefix = rule.key
      }

      expiration {
        days = rule.value
      }
    }
  }

  dynamic "rule" {
    for_each = var.raw_archive[*]

    content {
      id     = "archive-raw"
      status = "Enabled"

      filter {
        prefix = "raw/"
      }

      transition {
        days          = rule.value.days
        storage_class = rule.value.storage_class
      }
    }
  }

  # Rules about versions need versions.
  depends_on = [aws_s3_bucket_versioning.data]
}
