variable "endpoint" {
  description = "Where the AWS emulator listens."
  type        = string
  default     = "http://localhost:4566"
}

variable "monitoring" {
  description = "Whether there are alarms and a dashboard. Nothing here sends metrics unless it is told to."
  type        = bool
  default     = false
}

variable "catalog" {
  description = "Whether there is a Glue database with tables over the bucket. MiniStack has Glue, LocalStack without a licence has not."
  type        = bool
  default     = false
}
