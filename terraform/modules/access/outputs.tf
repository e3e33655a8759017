output "policies" {
  description = "Policy documents as JSON: of each service, and of people who run `pageviews`."
  value = {
    "s3-sink"        = data.aws_iam_policy_document.s3_sink.json
    "ingest-api"     = data.aws_iam_policy_document.kafka_only.json
    "aggregator"     = data.aws_iam_policy_document.kafka_only.json
    "operator-read"  = data.aws_iam_policy_document.operator_read.json
    "operator-write" = data.aws_iam_policy_document.operator_write.json
  }
}
