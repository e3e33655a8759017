variable "bucket_arn" {
  description = "The ARN of the bucket that modules/storage made."
  type        = string
}

variable "metrics_namespace" {
  description = "The namespace in CloudWatch that the services may send metrics to, as in their metrics.cloudwatch.namespace."
  type        = string
  default     = "PageviewPipeline"
}
