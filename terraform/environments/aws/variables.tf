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
  description = "What the names of policies and roles begin with."
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
