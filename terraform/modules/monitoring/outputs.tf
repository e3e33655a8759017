output "topic_arn" {
  description = "The SNS topic that is told of alarms, for further subscriptions."
  value       = local.topic_arn
}

output "alarm_names" {
  description = "The names of all alarms."
  value = sort([
    for alarm in concat(
      values(aws_cloudwatch_metric_alarm.metric),
      values(aws_cloudwatch_metric_alarm.share),
      [aws_cloudwatch_metric_alarm.aggregator_silent],
    ) : alarm.alarm_name
  ])
}

output "dashboard_name" {
  description = "The name of the dashboard."
  value       = aws_cloudwatch_dashboard.pipeline.dashboard_name
}
