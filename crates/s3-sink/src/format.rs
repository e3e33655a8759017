//! The formats that a writer's own objects can have.

pub use service::config::Format;

/// The `Content-Type` of a file. No `Content-Encoding` goes with it: a `.gz` object is a gzip file, and stays one when it
/// is downloaded.
#[must_use]
pub const fn content_type(format: Format) -> &'static str {
    match format {
        Format::Ndjson => "application/x-ndjson",
        Format::NdjsonGz => "application/gzip",
        Format::NdjsonZst => "application/zstd",
        Format::Parquet => "application/vnd.apache.parquet",
    }
}
