# One page: the alarms, then the path of an event from left to right and from top to bottom.

data "aws_region" "here" {}

locals {
  # Each graph: a title, and per line a metric, its dimensions, its statistic and its label.
  graphs = [
    {
      title = "Events a minute"
      lines = [
        ["pageviews.produced", { service = "ingest-api" }, "Sum", "answered 202"],
        ["pageviews.consumed", { service = "aggregator" }, "Sum", "read"],
        ["pageviews.counted", { service = "aggregator" }, "Sum", "counted"],
        ["pageviews.late", { service = "aggregator" }, "Sum", "late"],
        ["pageviews.repeats", { service = "aggregator" }, "Sum", "repeats"],
      ]
    },
    {
      title = "Requests a minute"
      lines = [
        ["http.requests", { service = "ingest-api" }, "Sum", "all"],
        ["http.requests.5xx", { service = "ingest-api" }, "Sum", "5xx"],
        ["pageviews.rejected", { service = "ingest-api" }, "Sum", "events refused"],
      ]
    },
    {
      title = "Time of a request, seconds"
      lines = [
        ["http.request.duration", { service = "ingest-api" }, "p50", "request p50"],
        ["http.request.duration", { service = "ingest-api" }, "p99", "request p99"],
        ["pageviews.delivery.duration", { service = "ingest-api" }, "p99", "Kafka p99"],
      ]
    },
    {
      title = "Offsets behind, the worst thread or process"
      lines = concat(
        [["aggregator.consumer.lag", { service = "aggregator" }, "Maximum", "aggregator"]],
        [for w in local.writers : ["s3.consumer.lag", { service = "s3-sink", writer = w }, "Maximum", w]],
      )
    },
    {
      title = "Open windows"
      lines = [
        ["aggregator.open.bytes", { service = "aggregator" }, "Sum", "bytes"],
        ["aggregator.open.keys", { service = "aggregator" }, "Sum", "counts"],
      ]
    },
    {
      title = "Time of a transaction, seconds; aborts"
      lines = [
        ["aggregator.flush.duration", { service = "aggregator" }, "p99", "p99"],
        ["aggregator.transaction.aborts", { service = "aggregator" }, "Sum", "aborts"],
      ]
    },
    {
      title = "Objects written a minute"
      lines = [for w in local.writers : ["s3.writes", { service = "s3-sink", writer = w }, "Sum", w]]
    },
    {
      title = "Attempts that failed a minute"
      lines = [for w in local.writers : ["s3.errors", { service = "s3-sink", writer = w }, "Sum", w]]
    },
    {
      title = "Time of a PUT, p99 in seconds"
      lines = [for w in local.writers : ["s3.write.duration", { service = "s3-sink", writer = w }, "p99", w]]
    },
    {
      title = "Oldest record not in S3, seconds"
      lines = [for w in local.writers : ["s3.oldest.unflushed", { service = "s3-sink", writer = w }, "Maximum", w]]
    },
    {
      title = "Bytes in memory, not in S3"
      lines = [for w in local.writers : ["s3.buffered.bytes", { service = "s3-sink", writer = w }, "Sum", w]]
    },
    {
      title = "What should be 0"
      lines = concat(
        [
          ["pageviews.rejected", { service = "aggregator" }, "Sum", "dead letters"],
          ["aggregator.offsets.missed", { service = "aggregator" }, "Sum", "offsets missed"],
          ["aggregator.offsets.truncated", { service = "aggregator" }, "Sum", "offsets truncated"],
          ["aggregator.event.ids.dropped", { service = "aggregator" }, "Sum", "event ids dropped"],
        ],
        [for w in local.writers : ["s3.lost.offsets", { service = "s3-sink", writer = w }, "Sum", "lost ${w}"]],
        [for w in local.writers : ["s3.parked.partitions", { service = "s3-sink", writer = w }, "Maximum", "parked ${w}"]],
      )
    },
  ]
}

resource "aws_cloudwatch_dashboard" "pipeline" {
  dashboard_name = var.name

  dashboard_body = jsonencode({
    widgets = concat(
      [{
        type   = "alarm"
        x      = 0
        y      = 0
        width  = 24
        height = 4
        properties = {
          title = "Alarms"
          alarms = concat(
            values(aws_cloudwatch_metric_alarm.metric)[*].arn,
            values(aws_cloudwatch_metric_alarm.share)[*].arn,
            [aws_cloudwatch_metric_alarm.aggregator_silent.arn],
          )
        }
      }],
      [
        for at, graph in local.graphs : {
          type   = "metric"
          x      = at % 3 * 8
          y      = 4 + floor(at / 3) * 6
          width  = 8
          height = 6
          properties = {
            title  = graph.title
            region = data.aws_region.here.name
            period = 60
            yAxis  = { left = { min = 0 } }
            metrics = [
              for line in graph.lines : concat(
                [var.namespace, line[0]],
                flatten([for name, value in line[1] : [name, value]]),
                [{ stat = line[2], label = line[3] }],
              )
            ]
          }
        }
      ],
    )
  })
}
