# Whoever asks without TLS is refused, whatever else they may.

resource "aws_s3_bucket_policy" "data" {
  count  = var.tls_only ? 1 : 0
  bucket = aws_s3_bucket.data.id

  # No data source, which the tests' mock of the provider would leave empty.
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [aws_s3_bucket.data.arn, "${aws_s3_bucket.data.arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  # AWS refuses a policy while it is still deciding whether one may be public.
  depends_on = [aws_s3_bucket_public_access_block.data]
}
