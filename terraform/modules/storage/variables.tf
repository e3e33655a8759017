variable "bucket_name" {
  description = "The bucket, as in the services' aws.s3.bucket_name. Names are unique in all of AWS."
  type        = string
}
