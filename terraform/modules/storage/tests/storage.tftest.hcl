# Without AWS: the provider is a mock, which accepts everything.

mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
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
    condition     = length(aws_s3_bucket_policy.data) == 1
    error_message = "Requests without TLS are not refused."
  }
}

run "a_folder_that_is_named_expires_and_no_other" {
  command = apply

  variables {
    expire_days = { "aggregates/" = 400 }
  }

  assert {
    condition = [
      for rule in aws_s3_bucket_lifecycle_configuration.data[0].rule : "${rule.filter[0].prefix} ${rule.expiration[0].days}"
      if try(rule.expiration[0].days, null) != null && try(rule.expiration[0].days, 0) > 0
    ] == ["aggregates/ 400"]
    error_message = "Not aggregates/ alone."
  }
}

run "the_ledger_never_expires" {
  command = plan

  variables {
    expire_days = { "ledger/" = 1 }
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
