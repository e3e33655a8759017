//! Lines into a file of text, packed a mebibyte at a time. Any gzip reader takes several members as one file (RFC 1952,
//! section 2.2), and any Zstandard reader several frames (RFC 8878, section 3): so a file needs no compressor of its own
//! while it is open, and what is packed is small.

use super::{Error, Fill, Tools, ZSTD_LEVEL};
use crate::format::Format;

/// How much text one member holds. A line is never split, so a member may be longer by a line.
const MEMBER: usize = 1 << 20;

/// A file of lines that is being written.
#[derive(Debug)]
pub struct Text {
    format: Format,
    text: Vec<u8>,
    packed: Vec<u8>,
    unpacked: usize,
}

impl Text {
    /// An empty file.
    #[must_use]
    pub const fn new(format: Format) -> Self {
        Self { format, text: Vec::new(), packed: Vec::new(), unpacked: 0 }
    }

    /// Adds one line, given without its line break.
    ///
    /// # Errors
    /// When the compressor fails.
    pub fn line(&mut self, line: &[u8], tools: &mut Tools) -> Result<(), Error> {
        self.text.extend_from_slice(line);
        self.text.push(b'\n');
        if self.text.len() >= MEMBER { self.pack(tools) } else { Ok(()) }
    }

    /// How full it is.
    #[must_use]
    pub const fn fill(&self) -> Fill {
        Fill {
            packed: self.packed.len(),
            unpacked: self.unpacked,
            waiting: self.text.len(),
            // Vectors grow by doubling, so up to twice their size.
            memory: self.packed.capacity() + self.text.capacity(),
        }
    }

    /// The file. One without lines is still a file of its format: a reader that gets no bytes takes them for a file that
    /// was cut short.
    ///
    /// # Errors
    /// When the compressor fails.
    pub fn finish(mut self, tools: &mut Tools) -> Result<Vec<u8>, Error> {
        if !self.text.is_empty() || self.packed.is_empty() {
            self.pack(tools)?;
        }
        // It may wait for S3 for long: what it does not use goes back.
        self.packed.shrink_to_fit();
        Ok(self.packed)
    }

    fn pack(&mut self, tools: &mut Tools) -> Result<(), Error> {
        let packed = match self.format {
            Format::NdjsonGz => tools.gzip(&self.text)?,
            Format::NdjsonZst => tools.zstd(&self.text)?,
            Format::Ndjson | Format::Parquet => &self.text,
        };
        self.packed.extend_from_slice(packed);
        self.unpacked += self.text.len();
        self.text.clear();
        Ok(())
    }
}

impl Tools {
    /// `text` as one gzip member. libdeflate has no streaming, and needs none: at level 1 it packs 500 MB/s a core.
    fn gzip(&mut self, text: &[u8]) -> Result<&[u8], Error> {
        let bound = self.gzip.gzip_compress_bound(text.len());
        if self.scratch.len() < bound {
            self.scratch.resize(bound, 0);
        }
        let packed = self.gzip.gzip_compress(text, &mut self.scratch);
        let length = packed.map_err(|error| Error(error.to_string()))?;
        Ok(&self.scratch[..length])
    }

    /// `text` as one Zstandard frame.
    fn zstd(&mut self, text: &[u8]) -> Result<&[u8], Error> {
        let bound = zstd::zstd_safe::compress_bound(text.len());
        if self.scratch.len() < bound {
            self.scratch.resize(bound, 0);
        }
        let compressor = match &mut self.zstd {
            Some(compressor) => compressor,
            None => self.zstd.insert(zstd::bulk::Compressor::new(ZSTD_LEVEL)?),
        };
        let length = compressor.compress_to_buffer(text, self.scratch.as_mut_slice())?;
        Ok(&self.scratch[..length])
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::MultiGzDecoder;

    use super::*;

    fn unpack(format: Format, file: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        match format {
            Format::NdjsonGz => drop(MultiGzDecoder::new(file).read_to_end(&mut text).unwrap()),
            Format::NdjsonZst => text = zstd::decode_all(file).unwrap(),
            Format::Ndjson | Format::Parquet => text.extend_from_slice(file),
        }
        text
    }

    #[test]
    fn lines_come_back_over_several_members() {
        let mut tools = Tools::new();
        for format in [Format::Ndjson, Format::NdjsonGz, Format::NdjsonZst] {
            let (mut file, mut expected) = (Text::new(format), Vec::new());
            for number in 0..40_000 {
                let line =
                    format!(r#"{{"user_id":{number},"postcode":"SW19","webpage":"www.website.com/a.html"}}"#);
                file.line(line.as_bytes(), &mut tools).unwrap();
                expected.extend_from_slice(line.as_bytes());
                expected.push(b'\n');
            }
            let fill = file.fill();
            assert!(
                fill.unpacked >= 2 * MEMBER && fill.unpacked + fill.waiting == expected.len(),
                "{fill:?}"
            );
            let likely = fill.likely(0);
            let file = file.finish(&mut tools).unwrap();
            assert!(unpack(format, &file) == expected);
            assert_eq!(file.capacity(), file.len(), "no memory is held that is not counted");
            assert!(likely.abs_diff(file.len()) < file.len() / 10, "{likely} {}", file.len());
            assert!(file.len() <= fill.most(0));
            assert!(format == Format::Ndjson || file.len() < expected.len() / 3, "{}", file.len());
        }
    }

    #[test]
    fn an_empty_file_is_one_and_a_long_line_is_not_split() {
        let mut tools = Tools::new();
        for format in [Format::Ndjson, Format::NdjsonGz, Format::NdjsonZst] {
            let empty = Text::new(format).finish(&mut tools).unwrap();
            assert!(unpack(format, &empty).is_empty() && empty.is_empty() == (format == Format::Ndjson));
            let mut file = Text::new(format);
            let line: Vec<u8> = (0..MEMBER + 500).map(|index| (index * 7919 % 251) as u8 | 0x80).collect();
            file.line(&line, &mut tools).unwrap();
            let text = unpack(format, &file.finish(&mut tools).unwrap());
            assert_eq!(text.len(), line.len() + 1);
            assert!(text.starts_with(&line));
        }
    }
}
