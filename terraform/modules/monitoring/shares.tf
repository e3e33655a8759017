# Alarms on several metrics of one service or two: totals of five minutes, twice in a row, so that one bad moment of a
# quiet pipeline is none. What is divided by 0 is no data point, and an idle pipeline has nothing wrong with it.

locals {
  shares = merge(
    {
      for writer in local.writers : "s3-error-rate-${writer}" => {
        metrics    = { errors = "s3.errors", writes = "s3.writes" }
        dimensions = { service = "s3-sink", writer = writer }
        expression = "errors / (writes + errors)"
        threshold  = var.s3_error_rate
        means      = "More than ${var.s3_error_rate * 100} % of the attempts of writer ${writer} to write to S3 failed for ten minutes. The log of s3-sink says how: access, throttling, or no way there; it tries again for ever."
        section    = "s3errors"
      }
    },
    {
      "late-share" = {
        metrics    = { late = "pageviews.late", counted = "pageviews.counted" }
        dimensions = { service = "aggregator" }
        expression = "late / (late + counted)"
        threshold  = var.late_share
        means      = "More than ${var.late_share * 100} % of the events came after their minute was closed. They are counted, in late/: see who sends old events, or raise pipeline.window.grace."
        section    = "lateshare"
      }
      "5xx-share" = {
        metrics    = { failed = "http.requests.5xx", requests = "http.requests" }
        dimensions = { service = "ingest-api" }
        expression = "failed / requests"
        threshold  = var.http_5xx_share
        means      = "More than ${var.http_5xx_share * 100} % of the requests that post events were answered 5xx. Look at Kafka first: a 503 says that it did not acknowledge in time, or that too much is on its way."
        section    = "ingesterrors"
      }
    },
  )
}

resource "aws_cloudwatch_metric_alarm" "share" {
  for_each = local.shares

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "${each.value.means} See ${local.runbook}#${each.value.section}"
  evaluation_periods  = 2
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.threshold
  treat_missing_data  = "notBreaching"
  alarm_actions       = [local.topic_arn]
  ok_actions          = [local.topic_arn]

  metric_query {
    id          = "share"
    label       = each.key
    expression  = each.value.expression
    return_data = true
  }

  dynamic "metric_query" {
    for_each = each.value.metrics

    content {
      id = metric_query.key

      metric {
        namespace   = var.namespace
        metric_name = metric_query.value
        dimensions  = each.value.dimensions
        period      = 300
        stat        = "Sum"
      }
    }
  }
}

# Two windows in a row also keep an event that is sent at the end of one, and read in the next, from being an alarm. An
# aggregator that sends nothing at all is no-metrics-aggregator.
resource "aws_cloudwatch_metric_alarm" "aggregator_silent" {
  alarm_name          = "${var.name}-aggregator-silent"
  alarm_description   = "Events came in for ten minutes, and the aggregator has read none. See whether it is ready, and its log; nothing is lost while the topic keeps the events. See ${local.runbook}#aggregatorsilent"
  evaluation_periods  = 2
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = [local.topic_arn]
  ok_actions          = [local.topic_arn]

  metric_query {
    id          = "silent"
    label       = "aggregator-silent"
    expression  = "IF(produced > 0 AND consumed == 0, 1, 0)"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = {
      produced = { metric = "pageviews.produced", service = "ingest-api" }
      consumed = { metric = "pageviews.consumed", service = "aggregator" }
    }

    content {
      id = metric_query.key

      metric {
        namespace   = var.namespace
        metric_name = metric_query.value.metric
        dimensions  = { service = metric_query.value.service }
        period      = 300
        stat        = "Sum"
      }
    }
  }
}
