variable "region" {
  description = "The region, as in the services' aws.region."
  type        = string
  default     = "eu-west-2"
}

variable "bucket_name" {
  description = "The bucket. Names are unique in all of AWS: choose your own, and set aws.s3.bucket_name to it."
  type        = string
}

variable "noncurrent_version_days" {
  description = "After how many days old versions go, with what was forgotten; 30 by default (modules/storage)."
  type        = number
  default     = null
}

variable "expire_days" {
  description = "After how many days a folder's objects expire, by folder; by default none do (modules/storage)."
  type        = map(number)
  default     = {}
}

variable "raw_archive" {
  description = "After how many days raw/ moves to another storage class; by default it does not (modules/storage)."
  type = object({
    days          = number
    storage_class = string
  })
  default = null
}

variable "oidc_provider" {
  description = <<-TEXT
    The OIDC provider of an EKS cluster whose pods take up roles: its ARN, and its issuer without https://. Without one
    no roles are made: attach the policies to those that you have.
  TEXT
  type = object({
    arn    = string
    issuer = string
  })
  default = null
}

variable "name" {
  description = "What the names of policies, roles, alarms, topic and dashboard begin with, and the name of the tables' database."
  type        = string
  default     = "pageviews"

  validation {
    condition     = length(var.name) <= 48
    error_message = "At most 48 characters: a role's name has 64."
  }
}

variable "namespace" {
  description = "The namespace of the pods, as in deploy/kubernetes."
  type        = string
  default     = "pageviews"
}

variable "metrics_namespace" {
  description = "The namespace in CloudWatch of the services' metrics, as in metrics.cloudwatch.namespace."
  type        = string
  default     = "PageviewPipeline"
}

variable "monitoring" {
  description = <<-TEXT
    Whether there are alarms and a dashboard. They need services that send their metrics (metrics.cloudwatch.enabled):
    where none come in, that is an alarm.
  TEXT
  type        = bool
  default     = true
}

variable "alarm_topic_arn" {
  description = "The SNS topic that is told of alarms; by default one is made."
  type        = string
  default     = null
}

variable "alarm_emails" {
  description = "Addresses that are told of alarms, once each has confirmed it."
  type        = set(string)
  default     = []
}

variable "alarm_thresholds" {
  description = <<-TEXT
    Thresholds that are not the default, by the name of their variable in modules/monitoring, which says where each
    default comes from: { late_share = 0.1 }.
  TEXT
  type        = map(number)
  default     = {}

  validation {
    condition = length(setsubtract(keys(var.alarm_thresholds), [
      "s3_error_rate", "aggregator_lag", "raw_lag", "rows_lag", "oldest_unflushed_seconds", "late_share",
      "http_5xx_share", "dead_letters",
    ])) == 0
    error_message = "There is no such threshold: modules/monitoring/variables.tf has those that there are."
  }
}

variable "catalog" {
  description = "Whether there is a Glue database with tables over the bucket, for Athena (docs/query.md)."
  type        = bool
  default     = true
}

variable "sink_epoch" {
  description = "The services' sink.epoch, where one is set: the tables show its tree."
  type        = number
  default     = null
}

variable "sink_formats" {
  description = "The services' sink.*.format where it is not ndjson.gz, by table: { raw = \"parquet\" } (modules/catalog)."
  type        = map(string)
  default     = {}
}
