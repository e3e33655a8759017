//! The files of a range: records go in, the bytes of an object come out.

mod columns;
mod retain;
mod text;

use std::fmt;

use libdeflater::{CompressionLvl, Compressor};

pub use retain::retain;
pub use text::Text;

use crate::format::Format;
use crate::record::Record;
use crate::route::Route;
use columns::Columns;

/// Why records cannot be encoded: a fault of this program, never of the records.
#[derive(Debug, thiserror::Error)]
#[error("cannot be encoded: {0}")]
pub struct Error(String);

/// What encoders need and what is dear to set up. One thread has one, and uses it for all its files.
pub struct Tools {
    gzip: Compressor,
    zstd: Option<zstd::bulk::Compressor<'static>>,
    scratch: Vec<u8>,
}

/// How full a file is, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fill {
    /// What is encoded, as it will lie in S3.
    pub packed: usize,
    /// What that was before.
    pub unpacked: usize,
    /// What waits to be encoded.
    pub waiting: usize,
    /// The memory of all this.
    pub memory: usize,
}

/// A file that is being written.
#[derive(Debug)]
pub(crate) enum File {
    Text(Text),
    Columns(Box<Columns>),
}

/// The compression level of gzip: what libdeflater calls the fastest is level 0, which does not compress at all.
fn gzip_level() -> CompressionLvl {
    CompressionLvl::new(1).unwrap_or_default()
}

/// The compression level of Zstandard, here and in Parquet.
const ZSTD_LEVEL: i32 = 1;

impl Tools {
    /// Sets them up.
    #[must_use]
    pub fn new() -> Self {
        Self { gzip: Compressor::new(gzip_level()), zstd: None, scratch: Vec::new() }
    }
}

impl Default for Tools {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tools").finish_non_exhaustive()
    }
}

impl Fill {
    /// How large the file will be when `more` bytes have been added: what waits is taken to be as compressible as what
    /// was packed.
    #[must_use]
    pub fn likely(&self, more: usize) -> usize {
        let waiting = self.waiting + more;
        match self.unpacked {
            0 => waiting,
            unpacked => self.packed + (waiting as f64 * self.packed as f64 / unpacked as f64) as usize,
        }
    }

    /// How large it will be at most.
    #[must_use]
    pub const fn most(&self, more: usize) -> usize {
        self.packed + self.waiting + more
    }

    /// Both files together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            packed: self.packed + other.packed,
            unpacked: self.unpacked + other.unpacked,
            waiting: self.waiting + other.waiting,
            memory: self.memory + other.memory,
        }
    }
}

impl File {
    /// An empty file of this format.
    pub(crate) fn new(format: Format) -> Self {
        match format {
            Format::Parquet => Self::Columns(Box::default()),
            text => Self::Text(Text::new(text)),
        }
    }

    /// Adds a record that was routed here.
    pub(crate) fn push(
        &mut self,
        record: &Record<'_>,
        route: &Route<'_>,
        partition: i32,
        tools: &mut Tools,
    ) -> Result<(), Error> {
        match self {
            Self::Text(text) => text.line(record.value.unwrap_or_default(), tools),
            Self::Columns(columns) => columns.row(record, route, partition),
        }
    }

    /// Adds one line, given without its line break.
    pub(crate) fn line(&mut self, line: &[u8], tools: &mut Tools) -> Result<(), Error> {
        match self {
            Self::Text(text) => text.line(line, tools),
            Self::Columns(_) => Err(Error("a file of columns has no lines".to_owned())),
        }
    }

    pub(crate) fn fill(&self) -> Fill {
        match self {
            Self::Text(text) => text.fill(),
            Self::Columns(columns) => columns.fill(),
        }
    }

    /// The bytes of the object.
    pub(crate) fn finish(self, tools: &mut Tools) -> Result<Vec<u8>, Error> {
        match self {
            Self::Text(text) => text.finish(tools),
            Self::Columns(columns) => columns.finish(),
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<parquet::errors::ParquetError> for Error {
    fn from(error: parquet::errors::ParquetError) -> Self {
        Self(error.to_string())
    }
}
