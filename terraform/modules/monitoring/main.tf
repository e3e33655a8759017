# Who is told, and of what: alarms over the metrics that the services send to CloudWatch (metrics.cloudwatch.enabled).
# A metric is named as /metrics names it, with dots and without _total and _seconds. Each process sends each of its
# metrics every 60 seconds: counters as what they grew by, 0 included, so that Sum is the total; gauges as they are, one
# value a thread or writer, so that Maximum is the worst.

locals {
  topic_arn = var.topic_arn == null ? aws_sns_topic.alarms[0].arn : var.topic_arn
  runbook   = "deploy/monitoring/README.md"
  # Label `writer` of s3-sink.
  writers = ["raw", "aggregates", "late", "dead_letters"]
}

# Not encrypted by SNS: with a key that AWS manages CloudWatch could not publish to it. It carries no events.
resource "aws_sns_topic" "alarms" {
  count = var.topic_arn == null ? 1 : 0
  name  = "${var.name}-alarms"
}

resource "aws_sns_topic_subscription" "email" {
  for_each = var.emails

  topic_arn = local.topic_arn
  protocol  = "email"
  endpoint  = each.value
}
