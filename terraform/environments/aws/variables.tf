variable "region" {
  description = "The region, as in the services' aws.region."
  type        = string
  default     = "eu-west-2"
}

variable "bucket_name" {
  description = "The bucket. Names are unique in all of AWS: choose your own, and set aws.s3.bucket_name to it."
  type        = string
}
