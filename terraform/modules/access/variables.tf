variable "bucket_arn" {
  description = "The ARN of the bucket that modules/storage made."
  type        = string
}
