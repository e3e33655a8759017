variable "bucket_name" {
  description = "The bucket, as in the services' aws.s3.bucket_name. Names are unique in all of AWS."
  type        = string
}

variable "force_destroy" {
  description = "Whether `terraform destroy` deletes the bucket with everything in it."
  type        = bool
  default     = false
}

variable "tls_only" {
  description = "Whether requests without TLS are refused. Off for an emulator, which has none."
  type        = bool
  default     = true
}

variable "lifecycle_rules" {
  description = "Whether there are lifecycle rules. Off for an emulator: the provider waits a minute for them."
  type        = bool
  default     = true
}

variable "noncurrent_version_days" {
  description = <<-TEXT
    After how many days the old version of an object that was rewritten or deleted goes for good. A person's events
    that `pageviews forget` has erased are gone then, and not before.
  TEXT
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.noncurrent_version_days >= 1
    error_message = "At least 1 day: versions are what is left after a mistake made by hand."
  }
}

variable "expire_days" {
  description = <<-TEXT
    After how many days the objects of a folder expire, by folder: { "aggregates/" = 400 }, and where sink.epoch is set
    { "epoch=1/aggregates/" = 400 }. Nothing does unless it is named here. `pageviews audit` takes what has expired for
    deleted on purpose; events that have left raw/ cannot be counted again (`pageviews backfill`). The days of an object
    that `pageviews forget` has rewritten begin anew.
  TEXT
  type        = map(number)
  default     = {}

  validation {
    condition = alltrue([
      for folder in keys(var.expire_days) : can(regex("^(epoch=[0-9]+/)?(raw|aggregates|late|dead-letter)/$", folder))
    ])
    error_message = "A folder is raw/, aggregates/, late/ or dead-letter/. ledger/ never expires: it says what belongs."
  }

  validation {
    condition     = alltrue([for days in values(var.expire_days) : days >= 1 && floor(days) == days])
    error_message = "Whole days, at least 1. A folder that never expires is left out."
  }
}

variable "raw_archive" {
  description = <<-TEXT
    After how many days raw/ moves to another storage class, as { days = 90, storage_class = "STANDARD_IA" }; not in the
    trees of a sink.epoch. Objects below 128 KiB stay where they are. Events in a class that has to be restored first
    cannot be read by `audit --deep`, `backfill` and `forget`.
  TEXT
  type = object({
    days          = number
    storage_class = string
  })
  default = null

  validation {
    condition     = var.raw_archive == null ? true : var.raw_archive.days >= 30
    error_message = "At least 30 days: STANDARD_IA takes nothing younger."
  }
}
