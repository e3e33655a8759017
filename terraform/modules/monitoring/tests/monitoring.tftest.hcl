# Without AWS: the provider is a mock, which accepts everything.

mock_provider "aws" {
  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-west-2:000000000000:made" }
  }

  mock_resource "aws_cloudwatch_metric_alarm" {
    defaults = { arn = "arn:aws:cloudwatch:eu-west-2:000000000000:alarm:mocked" }
  }

  mock_data "aws_region" {
    defaults = { name = "eu-west-2" }
  }
}

run "each_alarm_looks_at_what_it_should" {
  command = apply

  assert {
    condition = jsonencode({
      for alarm in values(aws_cloudwatch_metric_alarm.metric) : alarm.alarm_name => join(" ", [
        alarm.namespace, alarm.metric_name, jsonencode(alarm.dimensions), alarm.statistic,
        "${alarm.period}x${alarm.evaluation_periods}", alarm.comparison_operator, alarm.threshold,
        alarm.treat_missing_data,
      ])
      }) == jsonencode({
      "pageviews-consumer-lag-aggregator"        = "PageviewPipeline aggregator.consumer.lag {\"service\":\"aggregator\"} Maximum 60x10 GreaterThanThreshold 600000 ignore"
      "pageviews-consumer-lag-raw"               = "PageviewPipeline s3.consumer.lag {\"service\":\"s3-sink\",\"writer\":\"raw\"} Maximum 60x10 GreaterThanThreshold 3000000 ignore"
      "pageviews-consumer-lag-aggregates"        = "PageviewPipeline s3.consumer.lag {\"service\":\"s3-sink\",\"writer\":\"aggregates\"} Maximum 60x10 GreaterThanThreshold 90000 ignore"
      "pageviews-consumer-lag-late"              = "PageviewPipeline s3.consumer.lag {\"service\":\"s3-sink\",\"writer\":\"late\"} Maximum 60x10 GreaterThanThreshold 90000 ignore"
      "pageviews-consumer-lag-dead_letters"      = "PageviewPipeline s3.consumer.lag {\"service\":\"s3-sink\",\"writer\":\"dead_letters\"} Maximum 60x10 GreaterThanThreshold 90000 ignore"
      "pageviews-oldest-unflushed-raw"           = "PageviewPipeline s3.oldest.unflushed {\"service\":\"s3-sink\",\"writer\":\"raw\"} Maximum 60x3 GreaterThanThreshold 300 ignore"
      "pageviews-oldest-unflushed-aggregates"    = "PageviewPipeline s3.oldest.unflushed {\"service\":\"s3-sink\",\"writer\":\"aggregates\"} Maximum 60x3 GreaterThanThreshold 300 ignore"
      "pageviews-oldest-unflushed-late"          = "PageviewPipeline s3.oldest.unflushed {\"service\":\"s3-sink\",\"writer\":\"late\"} Maximum 60x3 GreaterThanThreshold 300 ignore"
      "pageviews-oldest-unflushed-dead_letters"  = "PageviewPipeline s3.oldest.unflushed {\"service\":\"s3-sink\",\"writer\":\"dead_letters\"} Maximum 60x3 GreaterThanThreshold 300 ignore"
      "pageviews-partitions-parked-raw"          = "PageviewPipeline s3.parked.partitions {\"service\":\"s3-sink\",\"writer\":\"raw\"} Maximum 60x1 GreaterThanThreshold 0 ignore"
      "pageviews-partitions-parked-aggregates"   = "PageviewPipeline s3.parked.partitions {\"service\":\"s3-sink\",\"writer\":\"aggregates\"} Maximum 60x1 GreaterThanThreshold 0 ignore"
      "pageviews-partitions-parked-late"         = "PageviewPipeline s3.parked.partitions {\"service\":\"s3-sink\",\"writer\":\"late\"} Maximum 60x1 GreaterThanThreshold 0 ignore"
      "pageviews-partitions-parked-dead_letters" = "PageviewPipeline s3.parked.partitions {\"service\":\"s3-sink\",\"writer\":\"dead_letters\"} Maximum 60x1 GreaterThanThreshold 0 ignore"
      "pageviews-offsets-lost-raw"               = "PageviewPipeline s3.lost.offsets {\"service\":\"s3-sink\",\"writer\":\"raw\"} Sum 300x1 GreaterThanThreshold 0 notBreaching"
      "pageviews-offsets-lost-aggregates"        = "PageviewPipeline s3.lost.offsets {\"service\":\"s3-sink\",\"writer\":\"aggregates\"} Sum 300x1 GreaterThanThreshold 0 notBreaching"
      "pageviews-offsets-lost-late"              = "PageviewPipeline s3.lost.offsets {\"service\":\"s3-sink\",\"writer\":\"late\"} Sum 300x1 GreaterThanThreshold 0 notBreaching"
      "pageviews-offsets-lost-dead_letters"      = "PageviewPipeline s3.lost.offsets {\"service\":\"s3-sink\",\"writer\":\"dead_letters\"} Sum 300x1 GreaterThanThreshold 0 notBreaching"
      "pageviews-offsets-missed"                 = "PageviewPipeline aggregator.offsets.missed {\"service\":\"aggregator\"} Sum 300x1 GreaterThanThreshold 0 notBreaching"
      "pageviews-offsets-truncated"              = "PageviewPipeline aggregator.offsets.truncated {\"service\":\"aggregator\"} Sum 300x1 GreaterThanThreshold 0 notBreaching"
      "pageviews-event-ids-dropped"              = "PageviewPipeline aggregator.event.ids.dropped {\"service\":\"aggregator\"} Sum 300x1 GreaterThanThreshold 0 notBreaching"
      "pageviews-dead-letters-aggregator"        = "PageviewPipeline pageviews.rejected {\"service\":\"aggregator\"} Sum 300x1 GreaterThanThreshold 0 notBreaching"
      "pageviews-dead-letters-raw"               = "PageviewPipeline s3.dead.letter.records {\"service\":\"s3-sink\",\"writer\":\"raw\"} Sum 300x1 GreaterThanThreshold 0 notBreaching"
      "pageviews-dead-letters-aggregates"        = "PageviewPipeline s3.dead.letter.records {\"service\":\"s3-sink\",\"writer\":\"aggregates\"} Sum 300x1 GreaterThanThreshold 0 notBreaching"
      "pageviews-dead-letters-late"              = "PageviewPipeline s3.dead.letter.records {\"service\":\"s3-sink\",\"writer\":\"late\"} Sum 300x1 GreaterThanThreshold 0 notBreaching"
      "pageviews-no-metrics-ingest-api"          = "PageviewPipeline pageviews.produced {\"service\":\"ingest-api\"} SampleCount 60x5 LessThanThreshold 1 breaching"
      "pageviews-no-metrics-aggregator"          = "PageviewPipeline pageviews.consumed {\"service\":\"aggregator\"} SampleCount 60x5 LessThanThreshold 1 breaching"
      "pageviews-no-metrics-s3-sink"             = "PageviewPipeline s3.writes {\"service\":\"s3-sink\",\"writer\":\"raw\"} SampleCount 60x5 LessThanThreshold 1 breaching"
    })
    error_message = "An alarm on one metric is another than it should be."
  }

  assert {
    condition = jsonencode({
      for alarm in concat(values(aws_cloudwatch_metric_alarm.share), [aws_cloudwatch_metric_alarm.aggregator_silent]) :
      alarm.alarm_name => concat(
        [join(" ", [
          one([for query in alarm.metric_query : query.expression if query.return_data == true]),
          alarm.comparison_operator, alarm.threshold, "x${alarm.evaluation_periods}", alarm.treat_missing_data,
        ])],
        sort(flatten([
          for query in alarm.metric_query : [
            for metric in query.metric : join(" ", [
              query.id, metric.namespace, metric.metric_name, jsonencode(metric.dimensions), metric.stat, metric.period,
            ])
          ]
        ])),
      )
      }) == jsonencode(merge(
      {
        for writer in ["raw", "aggregates", "late", "dead_letters"] : "pageviews-s3-error-rate-${writer}" => [
          "errors / (writes + errors) GreaterThanThreshold 0.1 x2 notBreaching",
          "errors PageviewPipeline s3.errors {\"service\":\"s3-sink\",\"writer\":\"${writer}\"} Sum 300",
          "writes PageviewPipeline s3.writes {\"service\":\"s3-sink\",\"writer\":\"${writer}\"} Sum 300",
        ]
      },
      {
        "pageviews-late-share" = [
          "late / (late + counted) GreaterThanThreshold 0.05 x2 notBreaching",
          "counted PageviewPipeline pageviews.counted {\"service\":\"aggregator\"} Sum 300",
          "late PageviewPipeline pageviews.late {\"service\":\"aggregator\"} Sum 300",
        ]
        "pageviews-5xx-share" = [
          "failed / requests GreaterThanThreshold 0.01 x2 notBreaching",
          "failed PageviewPipeline http.requests.5xx {\"service\":\"ingest-api\"} Sum 300",
          "requests PageviewPipeline http.requests {\"service\":\"ingest-api\"} Sum 300",
        ]
        "pageviews-aggregator-silent" = [
          "IF(produced > 0 AND consumed == 0, 1, 0) GreaterThanThreshold 0 x2 notBreaching",
          "consumed PageviewPipeline pageviews.consumed {\"service\":\"aggregator\"} Sum 300",
          "produced PageviewPipeline pageviews.produced {\"service\":\"ingest-api\"} Sum 300",
        ]
      },
    ))
    error_message = "An alarm on a share is another than it should be."
  }

  assert {
    condition = alltrue([
      for alarm in concat(
        values(aws_cloudwatch_metric_alarm.metric),
        values(aws_cloudwatch_metric_alarm.share),
        [aws_cloudwatch_metric_alarm.aggregator_silent],
      ) :
      toset(alarm.alarm_actions) == toset(["arn:aws:sns:eu-west-2:000000000000:made"]) &&
      toset(alarm.ok_actions) == toset(["arn:aws:sns:eu-west-2:000000000000:made"]) &&
      length(alarm.alarm_description) <= 1024 &&
      can(regex(
        "\\. See deploy/monitoring/README\\.md#(ingesterrors|consumerlag|aggregatorsilent|lateshare|deadletters|s3errors|oldestunflushed|partitionparked|offsetslost|eventidsdropped|replicadown)$",
        alarm.alarm_description,
      ))
    ])
    error_message = "An alarm tells nobody, or does not say where to read on."
  }
}

run "what_is_given_is_used" {
  command = apply

  variables {
    name                     = "shop"
    namespace                = "Shop"
    topic_arn                = "arn:aws:sns:eu-west-2:000000000000:ours"
    emails                   = ["ops@shop.example"]
    s3_error_rate            = 0.2
    aggregator_lag           = 1
    raw_lag                  = 2
    rows_lag                 = 3
    oldest_unflushed_seconds = 4
    late_share               = 0.5
    http_5xx_share           = 0.6
    dead_letters             = 7
  }

  assert {
    condition = length(aws_sns_topic.alarms) == 0 && alltrue([
      for alarm in values(aws_cloudwatch_metric_alarm.metric) :
      toset(alarm.alarm_actions) == toset(["arn:aws:sns:eu-west-2:000000000000:ours"]) && alarm.namespace == "Shop"
    ])
    error_message = "A topic is made beside the one that there is, or is not used."
  }

  assert {
    condition = [for email in aws_sns_topic_subscription.email : "${email.protocol} ${email.endpoint} ${email.topic_arn}"] == [
      "email ops@shop.example arn:aws:sns:eu-west-2:000000000000:ours"
    ]
    error_message = "Nobody gets mail."
  }

  assert {
    condition = [
      for name in [
        "consumer-lag-aggregator", "consumer-lag-raw", "consumer-lag-aggregates", "consumer-lag-late",
        "consumer-lag-dead_letters", "oldest-unflushed-raw", "dead-letters-aggregator", "dead-letters-raw",
      ] : aws_cloudwatch_metric_alarm.metric[name].threshold
    ] == [1, 2, 3, 3, 3, 4, 7, 7]
    error_message = "A threshold on one metric is not the one that was given."
  }

  assert {
    condition = [
      for name in ["s3-error-rate-raw", "s3-error-rate-late", "late-share", "5xx-share"] :
      aws_cloudwatch_metric_alarm.share[name].threshold
    ] == [0.2, 0.2, 0.5, 0.6]
    error_message = "A threshold on a share is not the one that was given."
  }

  assert {
    condition     = length(output.alarm_names) == 34 && alltrue([for name in output.alarm_names : startswith(name, "shop-")])
    error_message = "Not all alarms have the name that was given."
  }
}

run "every_line_of_the_dashboard_has_its_dimensions" {
  command = apply

  assert {
    condition = alltrue(flatten([
      for widget in jsondecode(aws_cloudwatch_dashboard.pipeline.dashboard_body).widgets : [
        for line in widget.properties.metrics :
        line[0] == "PageviewPipeline" && (
          startswith(line[1], "s3.") ?
          slice(line, 2, 5) == ["service", "s3-sink", "writer"] && length(line) == 7 :
          slice(line, 2, length(line) - 1) == ["service", startswith(line[1], "aggregator.") ? "aggregator" : line[3]] && length(line) == 5
        )
      ] if widget.type == "metric"
    ]))
    error_message = "A line of the dashboard asks for a metric that nobody sends."
  }

  assert {
    condition = [
      for widget in jsondecode(aws_cloudwatch_dashboard.pipeline.dashboard_body).widgets :
      length(widget.properties.alarms) if widget.type == "alarm"
    ] == [34]
    error_message = "The dashboard does not show every alarm."
  }
}

run "a_share_is_no_percentage" {
  command = plan

  variables {
    late_share = 5
  }

  expect_failures = [var.late_share]
}
