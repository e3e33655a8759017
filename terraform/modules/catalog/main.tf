# The bucket as tables, for Athena and whatever else reads the Glue catalog. Partitions are projected: no crawler, and
# nothing to be done when a day begins. Queries: docs/query.md.

locals {
  # A sink.epoch puts the whole tree below epoch=N/.
  root = "s3://${var.bucket_name}/${var.epoch == null ? "" : "epoch=${var.epoch}/"}"
  format = merge({
    raw        = "ndjson.gz"
    aggregates = "ndjson.gz"
    late       = "ndjson.gz"
  }, var.formats)

  # user_id goes up to 2^64 - 1, which no integer of Athena's holds: it is text in lines, and in Parquet it is left out,
  # as `event` has it. Of counts, a line has window_start as text, in UTC without a suffix.
  events = {
    lines = [
      ["user_id", "string"], ["postcode", "string"], ["webpage", "string"], ["timestamp", "bigint"],
      ["event_id", "string"],
    ]
    parquet = [
      ["postcode", "string"], ["webpage", "string"], ["timestamp", "timestamp"], ["ingested_at", "timestamp"],
      ["partition", "int"], ["offset", "bigint"], ["event", "string"],
    ]
  }
  counts = {
    lines = [["postcode", "string"], ["window_start", "string"], ["pageview_count", "bigint"]]
    parquet = [
      ["postcode", "string"], ["window_start", "timestamp"], ["pageview_count", "bigint"],
      ["partition", "int"], ["offset", "bigint"], ["record", "string"],
    ]
  }
  columns = { raw = local.events, aggregates = local.counts, late = local.counts }
  # `dt` ends a day after today, for events that are ahead of the clock at midnight.
  partitions = {
    raw        = { dt = "2026-01-01,NOW+1DAYS", hour = "0,23" }
    aggregates = { dt = "${var.first_window_day},NOW+1DAYS" }
    late       = { dt = "${var.first_window_day},NOW+1DAYS" }
  }
  about = {
    raw        = "Events as they were sent, each as often as it was sent; dt and hour are those of ingestion, in UTC."
    aggregates = "Counts of closed minutes; rows of the same minute and postcode add up, those of late included."
    late       = "Counts of events that came after their minute was closed; they add up with those of aggregates."
  }
  encodings = {
    lines = {
      input      = "org.apache.hadoop.mapred.TextInputFormat"
      output     = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"
      serde      = "org.openx.data.jsonserde.JsonSerDe"
      parameters = { "ignore.malformed.json" = "true" }
    }
    parquet = {
      input      = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
      output     = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"
      serde      = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
      parameters = { "serialization.format" = "1" }
    }
  }
  encoding = { for table, format in local.format : table => format == "parquet" ? "parquet" : "lines" }
}

resource "aws_glue_catalog_database" "pageviews" {
  name        = var.database
  description = "Events and counts of the pageview pipeline, in ${local.root}"
}

resource "aws_glue_catalog_table" "of" {
  for_each = local.columns

  database_name = aws_glue_catalog_database.pageviews.name
  name          = each.key
  description   = local.about[each.key]
  table_type    = "EXTERNAL_TABLE"

  parameters = merge(
    {
      "EXTERNAL"                  = "TRUE"
      "classification"            = local.encoding[each.key] == "parquet" ? "parquet" : "json"
      "projection.enabled"        = "true"
      "projection.dt.type"        = "date"
      "projection.dt.format"      = "yyyy-MM-dd"
      "projection.dt.range"       = local.partitions[each.key].dt
      "storage.location.template" = "${local.root}${each.key}/${join("", [for name in keys(local.partitions[each.key]) : "${name}=$${${name}}/"])}"
    },
    each.key == "raw" ? {
      "projection.hour.type"   = "integer"
      "projection.hour.range"  = local.partitions.raw.hour
      "projection.hour.digits" = "2"
    } : {},
  )

  dynamic "partition_keys" {
    for_each = keys(local.partitions[each.key])

    content {
      name = partition_keys.value
      type = "string"
    }
  }

  storage_descriptor {
    location      = "${local.root}${each.key}/"
    input_format  = local.encodings[local.encoding[each.key]].input
    output_format = local.encodings[local.encoding[each.key]].output

    ser_de_info {
      serialization_library = local.encodings[local.encoding[each.key]].serde
      parameters            = local.encodings[local.encoding[each.key]].parameters
    }

    dynamic "columns" {
      for_each = each.value[local.encoding[each.key]]

      content {
        name = columns.value[0]
        type = columns.value[1]
      }
    }
  }
}
