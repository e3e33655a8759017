variable "endpoint" {
  description = "Where the AWS emulator listens."
  type        = string
  default     = "http://localhost:4566"
}
