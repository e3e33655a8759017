variable "name" {
  description = "What the names of the alarms, of the topic and of the dashboard begin with."
  type        = string
  default     = "pageviews"
}

variable "namespace" {
  description = "The namespace of the metrics, as in the services' metrics.cloudwatch.namespace."
  type        = string
  default     = "PageviewPipeline"
}

variable "topic_arn" {
  description = "The SNS topic that is told of alarms. Without one a topic is made."
  type        = string
  default     = null
}

variable "emails" {
  description = "Addresses that the topic writes to, once each has confirmed it."
  type        = set(string)
  default     = []
}

variable "s3_error_rate" {
  description = <<-TEXT
    Which share of the attempts of a writer to write to S3 may fail. A tenth by default: of the 30 objects that six
    partitions write in five minutes (flush_interval 60 s), three. S3 refuses one now and then, and it is written again.
  TEXT
  type        = number
  default     = 0.1
  nullable    = false

  validation {
    condition     = var.s3_error_rate >= 0 && var.s3_error_rate < 1
    error_message = "A share, from 0 to less than 1: no more than all can fail."
  }
}

variable "aggregator_lag" {
  description = <<-TEXT
    How many offsets a thread of the aggregator may be behind. By default what 10,000 events a second are in a minute:
    it reads them in a second (docs/benchmarks.md), so it stands still, or is too small, where this lasts.
  TEXT
  type        = number
  default     = 600000
  nullable    = false
}

variable "raw_lag" {
  description = <<-TEXT
    How many offsets a process of s3-sink may be behind with raw/. By default what 10,000 events a second are in five
    minutes, of which one flush_interval (60 s) is there all the time.
  TEXT
  type        = number
  default     = 3000000
  nullable    = false
}

variable "rows_lag" {
  description = <<-TEXT
    How many offsets a process of s3-sink may be behind with aggregates/, with late/ or with dead letters. By default
    what 3,000 postcodes, all districts of the United Kingdom, are in half an hour.
  TEXT
  type        = number
  default     = 90000
  nullable    = false
}

variable "oldest_unflushed_seconds" {
  description = "How long a record that was read may not be in S3. By default five times the sink's flush_interval of 60 s."
  type        = number
  default     = 300
  nullable    = false
}

variable "late_share" {
  description = <<-TEXT
    Which share of the events may come after their minute was closed. 5 % by default is a guess: set it to twice what is
    normal for your clients, which "How much was late" in docs/query.md shows.
  TEXT
  type        = number
  default     = 0.05
  nullable    = false

  validation {
    condition     = var.late_share >= 0 && var.late_share < 1
    error_message = "A share, from 0 to less than 1: no more than all can be late."
  }
}

variable "http_5xx_share" {
  description = <<-TEXT
    Which share of the requests that post events may be answered 5xx. 1 % by default: a healthy pipeline has none, and a
    broker that restarts costs a few seconds of ten minutes.
  TEXT
  type        = number
  default     = 0.01
  nullable    = false

  validation {
    condition     = var.http_5xx_share >= 0 && var.http_5xx_share < 1
    error_message = "A share, from 0 to less than 1: no more than all can fail."
  }
}

variable "dead_letters" {
  description = <<-TEXT
    How many dead letters of one kind five minutes may have. None by default: ingest-api refuses what cannot be counted,
    so each was written to a topic by somebody else.
  TEXT
  type        = number
  default     = 0
  nullable    = false
}
