output "bucket_name" {
  description = "The bucket, for aws.s3.bucket_name."
  value       = module.storage.bucket_name
}

output "policy_arns" {
  description = "The policies, by who they are for."
  value       = { for name, policy in aws_iam_policy.of : name => policy.arn }
}

output "role_arns" {
  description = "The roles of the services' pods, for eks.amazonaws.com/role-arn."
  value       = { for name, role in aws_iam_role.service : name => role.arn }
}

output "alarm_topic_arn" {
  description = "The SNS topic that is told of alarms, for further subscriptions."
  value       = one(module.monitoring[*].topic_arn)
}

output "dashboard_name" {
  description = "The dashboard in CloudWatch."
  value       = one(module.monitoring[*].dashboard_name)
}

output "database" {
  description = "The Glue database, for queries."
  value       = one(module.catalog[*].database)
}
