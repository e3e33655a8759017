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
