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

run "nobody_may_do_more_than_find_read_create_and_forget" {
  command = plan

  assert {
    # As text, since lists of different lengths are of different types.
    condition = jsonencode({
      for name, json in output.policies :
      name => sort(distinct(flatten([for s in jsondecode(json).Statement : s.Action if s.Effect == "Allow"])))
      }) == jsonencode({
      "s3-sink"        = ["s3:GetObject", "s3:ListBucket", "s3:PutObject"]
      "ingest-api"     = []
      "aggregator"     = []
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
