variable "bucket_name" {
  description = "The bucket that modules/storage made."
  type        = string
}

variable "database" {
  description = "The Glue database that is made for the tables."
  type        = string
  default     = "pageviews"

  validation {
    condition     = can(regex("^[a-z0-9_]+$", var.database))
    error_message = "Lower-case letters, digits and underscores: Athena takes no other names."
  }
}

variable "epoch" {
  description = "The sink.epoch whose tree the tables show, where one is set."
  type        = number
  default     = null
}

variable "formats" {
  description = <<-TEXT
    The formats of tables whose writer's sink.*.format is not ndjson.gz, by table: { raw = "parquet" }. A table must not
    meet objects of both kinds, lines and parquet: docs/query.md says what to do after a change.
  TEXT
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for table in keys(var.formats) : contains(["raw", "aggregates", "late"], table)])
    error_message = "A table is raw, aggregates or late."
  }

  validation {
    condition     = alltrue([for format in values(var.formats) : contains(["ndjson", "ndjson.gz", "parquet"], format)])
    error_message = "A format is ndjson, ndjson.gz or parquet. That Athena reads ndjson.zst is not known."
  }
}

variable "first_window_day" {
  description = <<-TEXT
    The day of the oldest minute that queries find in aggregates and late: what is older is in the bucket, and not in the
    tables. Each day that a query does not rule out costs it a look into a folder.
  TEXT
  type        = string
  default     = "2020-01-01"

  validation {
    condition     = can(regex("^[0-9]{4}-[0-9]{2}-[0-9]{2}$", var.first_window_day))
    error_message = "A day, as in 2020-01-01."
  }
}
