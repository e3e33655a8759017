# The count of a minute is aggregates + late, always: what people should ask, in place of either table.

locals {
  window_start = {
    lines   = "CAST(from_iso8601_timestamp(window_start) AS timestamp(3))"
    parquet = "window_start"
  }
  # `dt` is the day of the window: it divides no group, and a condition on it limits what is read.
  pageview_counts = <<-SQL
    SELECT postcode, window_start, SUM(pageview_count) AS pageview_count, dt
    FROM (
      SELECT postcode, ${local.window_start[local.encoding.aggregates]} AS window_start, pageview_count, dt FROM aggregates
      UNION ALL
      SELECT postcode, ${local.window_start[local.encoding.late]} AS window_start, pageview_count, dt FROM late
    )
    GROUP BY postcode, window_start, dt
  SQL
  # As Hive names the types, and as Athena does.
  view_columns = [
    { name = "postcode", hive = "string", athena = "varchar" },
    { name = "window_start", hive = "timestamp", athena = "timestamp(3)" },
    { name = "pageview_count", hive = "bigint", athena = "bigint" },
    { name = "dt", hive = "string", athena = "varchar" },
  ]
}

# What CREATE VIEW of Athena writes to the catalog.
resource "aws_glue_catalog_table" "pageview_counts" {
  database_name = aws_glue_catalog_database.pageviews.name
  name          = "pageview_counts"
  description   = "The count of each minute and postcode: the sum of aggregates and late."
  table_type    = "VIRTUAL_VIEW"
  parameters    = { presto_view = "true", comment = "Presto View" }

  view_expanded_text = "/* Presto View */"
  view_original_text = "/* Presto View: ${base64encode(jsonencode({
    originalSql = local.pageview_counts
    catalog     = "awsdatacatalog"
    schema      = var.database
    columns     = [for column in local.view_columns : { name = column.name, type = column.athena }]
  }))} */"

  storage_descriptor {
    dynamic "columns" {
      for_each = local.view_columns

      content {
        name = columns.value.name
        type = columns.value.hive
      }
    }

    ser_de_info {
      name                  = "-"
      serialization_library = "-"
    }
  }

  depends_on = [aws_glue_catalog_table.of]
}
