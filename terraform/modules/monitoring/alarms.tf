# Alarms on one metric. What is missing is no-metrics' business alone: a counter that is not sent has not grown, and a
# gauge that is not sent leaves its alarm as it is.

locals {
  # More than this in five minutes.
  any = { statistic = "Sum", period = 300, periods = 1, comparison = "GreaterThanThreshold", missing = "notBreaching" }
  # Above it in each of so many minutes.
  above = { statistic = "Maximum", period = 60, comparison = "GreaterThanThreshold", missing = "ignore" }
  # Not one data point in five minutes.
  nothing = {
    statistic  = "SampleCount"
    period     = 60
    periods    = 5
    comparison = "LessThanThreshold"
    threshold  = 1
    missing    = "breaching"
  }

  alarms = merge(
    {
      "consumer-lag-aggregator" = merge(local.above, {
        metric     = "aggregator.consumer.lag"
        dimensions = { service = "aggregator" }
        periods    = 10
        threshold  = var.aggregator_lag
        means      = "A thread of the aggregator has been more than ${var.aggregator_lag} offsets behind for ten minutes: counts come late. See whether it reads at all (pageviews.consumed), then add replicas."
        section    = "consumerlag"
      })
      "dead-letters-aggregator" = merge(local.any, {
        metric     = "pageviews.rejected"
        dimensions = { service = "aggregator" }
        threshold  = var.dead_letters
        means      = "Records could not be counted and went to the dead letters: somebody writes to the topic past ingest-api, or clocks differ. Look at dead-letter/topic/ for the reason."
        section    = "deadletters"
      })
      # That these are 0 is the promise itself, and no threshold to choose.
      "offsets-missed" = merge(local.any, {
        metric     = "aggregator.offsets.missed"
        dimensions = { service = "aggregator" }
        threshold  = 0
        means      = "Retention deleted events before they were counted. Raise the retention of the topic at once; then compare with raw/ (pageviews backfill)."
        section    = "offsetslost"
      })
      "offsets-truncated" = merge(local.any, {
        metric     = "aggregator.offsets.truncated"
        dimensions = { service = "aggregator" }
        threshold  = 0
        means      = "A log lost its end: the topic was created again, or an unclean leader was elected. Find out which; events that were acknowledged may be gone."
        section    = "offsetslost"
      })
      "event-ids-dropped" = merge(local.any, {
        metric     = "aggregator.event.ids.dropped"
        dimensions = { service = "aggregator" }
        threshold  = 0
        means      = "Event ids outgrew the memory and were forgotten while their minute was open: a retry would count twice. Raise pipeline.window.memory_limit, or add replicas."
        section    = "eventidsdropped"
      })
      "no-metrics-ingest-api" = merge(local.nothing, {
        metric     = "pageviews.produced"
        dimensions = { service = "ingest-api" }
        means      = "ingest-api has sent no metrics for five minutes: no process of it runs, or none reaches CloudWatch. See whether the API answers."
        section    = "replicadown"
      })
      "no-metrics-aggregator" = merge(local.nothing, {
        metric     = "pageviews.consumed"
        dimensions = { service = "aggregator" }
        means      = "The aggregator has sent no metrics for five minutes: no process of it runs, or none reaches CloudWatch. See whether it runs, and its log; nothing is lost while the topic keeps the events."
        section    = "aggregatorsilent"
      })
      "no-metrics-s3-sink" = merge(local.nothing, {
        metric     = "s3.writes"
        dimensions = { service = "s3-sink", writer = "raw" }
        means      = "s3-sink has sent no metrics for five minutes: no process of it runs, or none reaches CloudWatch. See whether it runs, and its log; nothing is lost while the topics keep the records."
        section    = "replicadown"
      })
    },
    {
      for writer in local.writers : "consumer-lag-${writer}" => merge(local.above, {
        metric     = "s3.consumer.lag"
        dimensions = { service = "s3-sink", writer = writer }
        periods    = 10
        threshold  = writer == "raw" ? var.raw_lag : var.rows_lag
        means      = "An s3-sink has had more than ${writer == "raw" ? var.raw_lag : var.rows_lag} offsets of writer ${writer} not in S3 for ten minutes. Look at its errors and the time of a PUT (s3.errors, s3.write.duration), then add replicas."
        section    = "consumerlag"
      })
    },
    {
      for writer in local.writers : "oldest-unflushed-${writer}" => merge(local.above, {
        metric     = "s3.oldest.unflushed"
        dimensions = { service = "s3-sink", writer = writer }
        periods    = 3
        threshold  = var.oldest_unflushed_seconds
        means      = "Writer ${writer} has held a record for more than ${var.oldest_unflushed_seconds} seconds: S3 takes nothing, or too slowly. Look at s3.errors and the log of s3-sink; nothing is lost."
        section    = "oldestunflushed"
      })
    },
    {
      for writer in local.writers : "partitions-parked-${writer}" => merge(local.above, {
        metric     = "s3.parked.partitions"
        dimensions = { service = "s3-sink", writer = writer }
        periods    = 1
        threshold  = 0
        means      = "Writer ${writer} has stopped a partition, as going on would lose or double records. The log of s3-sink says which and why; it waits for a person."
        section    = "partitionparked"
      })
    },
    {
      for writer in local.writers : "offsets-lost-${writer}" => merge(local.any, {
        metric     = "s3.lost.offsets"
        dimensions = { service = "s3-sink", writer = writer }
        threshold  = 0
        means      = "Retention deleted records before writer ${writer} had them in S3: they are lost there. Raise the retention of its topic at once; the ledger says which offsets."
        section    = "offsetslost"
      })
    },
    {
      # Writer dead_letters has envelopes only, which hold anything.
      for writer in ["raw", "aggregates", "late"] : "dead-letters-${writer}" => merge(local.any, {
        metric     = "s3.dead.letter.records"
        dimensions = { service = "s3-sink", writer = writer }
        threshold  = var.dead_letters
        means      = "The format of writer ${writer} could not hold some records: somebody else writes to its topic. Look at dead-letter/${writer}/ for the reason."
        section    = "deadletters"
      })
    },
  )
}

resource "aws_cloudwatch_metric_alarm" "metric" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "${each.value.means} See ${local.runbook}#${each.value.section}"
  namespace           = var.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  period              = each.value.period
  evaluation_periods  = each.value.periods
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  treat_missing_data  = each.value.missing
  alarm_actions       = [local.topic_arn]
  ok_actions          = [local.topic_arn]
}
