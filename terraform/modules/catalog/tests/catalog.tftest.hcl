# Without AWS: the provider is a mock, which accepts everything.

mock_provider "aws" {}

variables {
  bucket_name = "test"
}

run "lines_by_default" {
  command = apply

  assert {
    condition = jsonencode({
      for name, table in aws_glue_catalog_table.of : name => [
        table.storage_descriptor[0].location,
        table.parameters["storage.location.template"],
        table.parameters["projection.enabled"],
        table.parameters["projection.dt.range"],
        join(" ", [for key in table.partition_keys : "${key.name}:${key.type}"]),
        join(" ", [for column in table.storage_descriptor[0].columns : "${column.name}:${column.type}"]),
        table.storage_descriptor[0].input_format,
        table.storage_descriptor[0].ser_de_info[0].serialization_library,
      ]
      }) == jsonencode({
      raw = [
        "s3://test/raw/",
        "s3://test/raw/dt=$${dt}/hour=$${hour}/",
        "true",
        "2026-01-01,NOW+1DAYS",
        "dt:string hour:string",
        "user_id:string postcode:string webpage:string timestamp:bigint event_id:string",
        "org.apache.hadoop.mapred.TextInputFormat",
        "org.openx.data.jsonserde.JsonSerDe",
      ]
      aggregates = [
        "s3://test/aggregates/",
        "s3://test/aggregates/dt=$${dt}/",
        "true",
        "2020-01-01,NOW+1DAYS",
        "dt:string",
        "postcode:string window_start:string pageview_count:bigint",
        "org.apache.hadoop.mapred.TextInputFormat",
        "org.openx.data.jsonserde.JsonSerDe",
      ]
      late = [
        "s3://test/late/",
        "s3://test/late/dt=$${dt}/",
        "true",
        "2020-01-01,NOW+1DAYS",
        "dt:string",
        "postcode:string window_start:string pageview_count:bigint",
        "org.apache.hadoop.mapred.TextInputFormat",
        "org.openx.data.jsonserde.JsonSerDe",
      ]
    })
    error_message = "A table is another than it should be."
  }

  assert {
    condition = {
      for name, value in aws_glue_catalog_table.of["raw"].parameters : name => value
      if startswith(name, "projection.hour.")
      } == {
      "projection.hour.type"   = "integer"
      "projection.hour.range"  = "0,23"
      "projection.hour.digits" = "2"
    }
    error_message = "An hour of a day is not found in raw/."
  }
}

run "the_view_sums_aggregates_and_late" {
  command = apply

  assert {
    condition = jsondecode(base64decode(trimsuffix(trimprefix(
      aws_glue_catalog_table.pageview_counts.view_original_text, "/* Presto View: "), " */"))) == {
      originalSql = <<-SQL
        SELECT postcode, window_start, SUM(pageview_count) AS pageview_count, dt
        FROM (
          SELECT postcode, CAST(from_iso8601_timestamp(window_start) AS timestamp(3)) AS window_start, pageview_count, dt FROM aggregates
          UNION ALL
          SELECT postcode, CAST(from_iso8601_timestamp(window_start) AS timestamp(3)) AS window_start, pageview_count, dt FROM late
        )
        GROUP BY postcode, window_start, dt
      SQL
      catalog     = "awsdatacatalog"
      schema      = "pageviews"
      columns = [
        { name = "postcode", type = "varchar" },
        { name = "window_start", type = "timestamp(3)" },
        { name = "pageview_count", type = "bigint" },
        { name = "dt", type = "varchar" },
      ]
    }
    error_message = "The view is another than it should be."
  }

  assert {
    condition = (
      aws_glue_catalog_table.pageview_counts.table_type == "VIRTUAL_VIEW" &&
      aws_glue_catalog_table.pageview_counts.parameters["presto_view"] == "true" &&
      [for column in aws_glue_catalog_table.pageview_counts.storage_descriptor[0].columns : "${column.name}:${column.type}"] ==
      ["postcode:string", "window_start:timestamp", "pageview_count:bigint", "dt:string"]
    )
    error_message = "Athena would not take it for a view of these columns."
  }
}

run "parquet_where_it_is_written" {
  command = apply

  variables {
    formats = { raw = "parquet", late = "parquet" }
  }

  assert {
    condition = jsonencode({
      for name, table in aws_glue_catalog_table.of : name => [
        table.storage_descriptor[0].input_format,
        table.storage_descriptor[0].ser_de_info[0].serialization_library,
        join(" ", [for column in table.storage_descriptor[0].columns : "${column.name}:${column.type}"]),
      ]
      }) == jsonencode({
      raw = [
        "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
        "postcode:string webpage:string timestamp:timestamp ingested_at:timestamp partition:int offset:bigint event:string",
      ]
      aggregates = [
        "org.apache.hadoop.mapred.TextInputFormat",
        "org.openx.data.jsonserde.JsonSerDe",
        "postcode:string window_start:string pageview_count:bigint",
      ]
      late = [
        "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
        "postcode:string window_start:timestamp pageview_count:bigint partition:int offset:bigint record:string",
      ]
    })
    error_message = "A table is not in the format that was given."
  }

  # Of late the time is one already.
  assert {
    condition = strcontains(
      base64decode(trimsuffix(trimprefix(aws_glue_catalog_table.pageview_counts.view_original_text, "/* Presto View: "), " */")),
      "SELECT postcode, window_start AS window_start, pageview_count, dt FROM late",
    )
    error_message = "The view reads a time as text."
  }
}

run "below_an_epoch" {
  command = apply

  variables {
    epoch = 2
  }

  assert {
    condition = [
      for table in aws_glue_catalog_table.of :
      "${table.storage_descriptor[0].location} ${table.parameters["storage.location.template"]}"
      ] == [
      "s3://test/epoch=2/aggregates/ s3://test/epoch=2/aggregates/dt=$${dt}/",
      "s3://test/epoch=2/late/ s3://test/epoch=2/late/dt=$${dt}/",
      "s3://test/epoch=2/raw/ s3://test/epoch=2/raw/dt=$${dt}/hour=$${hour}/",
    ]
    error_message = "A table shows another tree."
  }
}

run "no_other_table" {
  command = plan

  variables {
    formats = { ledger = "parquet" }
  }

  expect_failures = [var.formats]
}

run "no_other_format" {
  command = plan

  variables {
    formats = { raw = "ndjson.zst" }
  }

  expect_failures = [var.formats]
}
