//! The formats that a writer's own objects can have.

pub use service::config::Format;

/// The format that the name of an object ends with.
#[must_use]
pub fn of(key: &str) -> Option<Format> {
    let name = key.rsplit('/').next().unwrap_or(key);
    Format::ALL.into_iter().find(|format| {
        name.strip_suffix(format.name()).is_some_and(|stem| stem.len() > 1 && stem.ends_with('.'))
    })
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_the_format() {
        for format in Format::ALL {
            assert_eq!(of(&format!("raw/dt=2026-11-24/a.b-p00003-o0-1.{}", format.name())), Some(format));
        }
        for other in ["raw/notes.txt", "raw/.ndjson", "ndjson", "a.ndjson.bz2", ""] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
