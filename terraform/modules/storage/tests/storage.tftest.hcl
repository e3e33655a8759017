# Without AWS: the provider is a mock, which accepts everything.

mock_provider "aws" {
  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::test" }
  }
}

variables {
  bucket_name = "test"
}

run "nothing_expires_by_default" {
  command = apply

  assert {
    condition = alltrue([
      for rule in aws_s3_bucket_lifecycle_configuration.data[0].rule :
      alltrue([for expiration in rule.expiration : coalesce(expiration.days, 0) == 0]) && length(rule.transition) == 0
    ])
    error_message = "An object expires or moves that nobody has named."
  }

  assert {
    condition = flatten([
      for rule in aws_s3_bucket_lifecycle_configuration.data[0].rule :
      [for noncurrent in rule.noncurrent_version_expiration : noncurrent.noncurrent_days]
    ]) == [30]
    error_message = "What was forgotten does not go after 30 days."
  }
}

run "without_tls_everybody_is_refused" {
  command = apply

  assert {
    condition = jsondecode(aws_s3_bucket_policy.data[0].policy).Statement == [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = ["arn:aws:s3:::test", "arn:aws:s3:::test/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
    error_message = "Requests without TLS are not refused."
  }
}

run "what_is_named_expires_and_nothing_else" {
  command = apply

  variables {
    expire_days = { "aggregates/" = 400, "epoch=1/raw/" = 30 }
  }

  assert {
    condition = [
      for rule in aws_s3_bucket_lifecycle_configuration.data[0].rule :
      "${rule.filter[0].prefix} ${rule.expiration[0].days}"
      if try(rule.expiration[0].days, null) != null && try(rule.expiration[0].days, 0) > 0
    ] == ["aggregates/ 400", "epoch=1/raw/ 30"]
    error_message = "Not these two alone."
  }
}

run "raw_moves_if_told_to" {
  command = apply

  variables {
    raw_archive = { days = 90, storage_class = "STANDARD_IA" }
  }

  assert {
    condition = flatten([
      for rule in aws_s3_bucket_lifecycle_configuration.data[0].rule :
      [for transition in rule.transition : "${rule.filter[0].prefix} ${transition.days} ${transition.storage_class}"]
    ]) == ["raw/ 90 STANDARD_IA"]
    error_message = "Not raw/ alone."
  }
}

run "the_ledger_never_expires" {
  command = plan

  variables {
    expire_days = { "ledger/" = 1 }
  }

  expect_failures = [var.expire_days]
}

run "nor_that_of_a_later_tree" {
  command = plan

  variables {
    expire_days = { "epoch=1/" = 1 }
  }

  expect_failures = [var.expire_days]
}

run "nor_does_everything" {
  command = plan

  variables {
    expire_days = { "" = 1 }
  }

  expect_failures = [var.expire_days]
}

run "nor_does_anything_at_once" {
  command = plan

  variables {
    expire_days = { "raw/" = 0 }
  }

  expect_failures = [var.expire_days]
}
