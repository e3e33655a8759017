# Without AWS: documents are computed by the provider itself, which asks nobody for them.

provider "aws" {
  region                      = "eu-west-2"
  access_key                  = "test"
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}

variables {
  bucket_arn = "arn:aws:s3:::test"
}

run "nobody_may_do_more_than_find_read_create_forget_and_send_metrics" {
  command = plan

  assert {
    # As text, since lists of different lengths are of different types.
    condition = jsonencode({
      for name, json in output.policies :
      name => sort(distinct(flatten([for s in jsondecode(json).Statement : s.Action if s.Effect == "Allow"])))
      }) == jsonencode({
      "s3-sink"        = ["cloudwatch:PutMetricData", "s3:GetObject", "s3:ListBucket", "s3:PutObject"]
      "ingest-api"     = ["cloudwatch:PutMetricData"]
      "aggregator"     = ["cloudwatch:PutMetricData"]
      "operator-read"  = ["s3:GetObject", "s3:ListBucket"]
      "operator-write" = ["s3:DeleteObject", "s3:GetObject", "s3:ListBucket", "s3:PutObject"]
    })
    error_message = "Somebody may do other things than what the services and commands do."
  }

  assert {
    condition = alltrue(flatten([
      for json in values(output.policies) : [
        for s in jsondecode(json).Statement : length(try(s.Condition.Null, {})) == 1
        if s.Effect == "Allow" && contains(flatten([s.Action]), "s3:PutObject")
      ]
    ]))
    error_message = "A PUT without If-None-Match or If-Match is allowed."
  }

  assert {
    condition = alltrue([
      for name in ["s3-sink", "ingest-api", "aggregator"] : [
        for s in jsondecode(output.policies[name]).Statement : jsonencode(s.Condition)
        if s.Effect == "Allow" && contains(flatten([s.Action]), "cloudwatch:PutMetricData")
      ] == [jsonencode({ StringEquals = { "cloudwatch:namespace" = "PageviewPipeline" } })]
    ])
    error_message = "Metrics are allowed into other namespaces than ours."
  }

  assert {
    condition = alltrue([
      for name in ["ingest-api", "aggregator"] : [
        for s in jsondecode(output.policies[name]).Statement : "${s.Action} ${join(" ", s.Resource)}"
        if s.Effect == "Deny"
      ] == ["s3:* arn:aws:s3:::test/* arn:aws:s3:::test"]
    ])
    error_message = "A service that has nothing to do with the bucket is not refused it."
  }

  assert {
    condition = sort(distinct(flatten([
      for json in values(output.policies) : [
        for s in jsondecode(json).Statement : s.Resource
        if s.Effect == "Allow" &&
        (contains(flatten([s.Action]), "s3:DeleteObject") || try(s.Condition.Null["s3:if-match"], "") == "false")
      ]
      ]))) == sort([
      "arn:aws:s3:::test/raw/*", "arn:aws:s3:::test/epoch=*/raw/*",
      "arn:aws:s3:::test/dead-letter/raw/*", "arn:aws:s3:::test/epoch=*/dead-letter/raw/*",
      "arn:aws:s3:::test/dead-letter/topic/*", "arn:aws:s3:::test/epoch=*/dead-letter/topic/*",
    ])
    error_message = "What may be rewritten and deleted is not the events alone."
  }
}
