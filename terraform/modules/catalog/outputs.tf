output "database" {
  description = "The Glue database, for queries."
  value       = aws_glue_catalog_database.pageviews.name
}

output "tables" {
  description = "The names of its tables and of its view."
  value = sort(concat(
    values(aws_glue_catalog_table.of)[*].name,
    [aws_glue_catalog_table.pageview_counts.name],
  ))
}
