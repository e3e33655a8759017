//! Lines into a gzip file, in members of 1 MiB of text: any gzip reader takes the members as one file (RFC 1952,
//! section 2.2). libdeflate has no streaming, and needs none: at level 1 it packs 500 MB/s a core.

use libdeflater::{CompressionLvl, Compressor};

/// How much text one member holds. A line is never split, so a member may be longer by a line.
const MEMBER: usize = 1 << 20;

/// The compressor of one thread, used for all its files: its tables are dear to set up.
pub struct Gzip {
    compressor: Compressor,
    scratch: Vec<u8>,
}

/// Level 1. What libdeflater calls the fastest is level 0, which does not compress at all.
fn level() -> CompressionLvl {
    CompressionLvl::new(1).unwrap_or_default()
}

/// A gzip file that is being written.
#[derive(Debug, Default)]
pub struct GzipFile {
    text: Vec<u8>,
    members: Vec<u8>,
}

impl Gzip {
    /// Sets up the tables.
    #[must_use]
    pub fn new() -> Self {
        Self { compressor: Compressor::new(level()), scratch: Vec::new() }
    }

    /// Appends `text` as one member to `file`.
    fn member(&mut self, text: &[u8], file: &mut Vec<u8>) {
        let bound = self.compressor.gzip_compress_bound(text.len());
        if self.scratch.len() < bound {
            self.scratch.resize(bound, 0);
        }
        let length = loop {
            // The bound is one, so this is right the first time; a file must not depend on it.
            match self.compressor.gzip_compress(text, &mut self.scratch) {
                Ok(length) => break length,
                Err(_) => self.scratch.resize(self.scratch.len() * 2, 0),
            }
        };
        file.extend_from_slice(&self.scratch[..length]);
    }
}

impl Default for Gzip {
    fn default() -> Self {
        Self::new()
    }
}

impl GzipFile {
    /// Adds one line, given without its line break.
    pub fn line(&mut self, line: &[u8], gzip: &mut Gzip) {
        self.text.extend_from_slice(line);
        self.text.push(b'\n');
        if self.text.len() >= MEMBER {
            gzip.member(&self.text, &mut self.members);
            self.text.clear();
        }
    }

    /// How large it is: what is packed, and the text that is not yet.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.members.len() + self.text.len()
    }

    /// The bytes of memory it holds: vectors grow by doubling, so up to twice its size, and what a member was made of.
    #[must_use]
    pub const fn memory(&self) -> usize {
        self.members.capacity() + self.text.capacity()
    }

    /// The file.
    #[must_use]
    pub fn finish(mut self, gzip: &mut Gzip) -> Vec<u8> {
        if !self.text.is_empty() {
            gzip.member(&self.text, &mut self.members);
        }
        // It may wait for S3 for long: what it does not use goes back.
        self.members.shrink_to_fit();
        self.members
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use libdeflater::Decompressor;

    use super::*;

    /// Unpacks members one by one: the length of a member's text is its last four bytes.
    pub(crate) fn unpack(mut file: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        while !file.is_empty() {
            let end = (1..=file.len())
                .find(|end| {
                    let member = &file[..*end];
                    let rest = &file[*end..];
                    (rest.is_empty() || rest.starts_with(&[0x1f, 0x8b, 8])) && append(member, &mut text)
                })
                .expect("a whole member");
            file = &file[end..];
        }
        text
    }

    fn append(member: &[u8], text: &mut Vec<u8>) -> bool {
        let Some(length) = member.last_chunk::<4>().map(|length| u32::from_le_bytes(*length) as usize) else {
            return false;
        };
        if length > 2 * MEMBER {
            return false;
        }
        let mut out = vec![0; length];
        let unpacked = Decompressor::new().gzip_decompress(member, &mut out);
        let whole = unpacked == Ok(length);
        if whole {
            text.extend_from_slice(&out);
        }
        whole
    }

    #[test]
    fn lines_come_back_over_several_members() {
        let mut gzip = Gzip::new();
        let (mut file, mut expected) = (GzipFile::default(), Vec::new());
        for number in 0..40_000 {
            let line =
                format!(r#"{{"user_id":{number},"postcode":"SW19","webpage":"www.website.com/index.html"}}"#);
            file.line(line.as_bytes(), &mut gzip);
            expected.extend_from_slice(line.as_bytes());
            expected.push(b'\n');
        }
        let file = file.finish(&mut gzip);
        assert!(expected.len() > 2 * MEMBER, "{}", expected.len());
        assert!(file.len() < expected.len() / 3, "{}", file.len());
        assert!(unpack(&file) == expected);
        assert_eq!(file.capacity(), file.len(), "no memory is held that is not counted");
    }

    #[test]
    fn an_empty_file_has_no_member_and_a_long_line_is_not_split() {
        let mut gzip = Gzip::new();
        assert!(GzipFile::default().finish(&mut gzip).is_empty());
        let mut file = GzipFile::default();
        let line: Vec<u8> = (0..MEMBER + 500).map(|index| (index * 7919 % 251) as u8 | 0x80).collect();
        file.line(&line, &mut gzip);
        let text = unpack(&file.finish(&mut gzip));
        assert_eq!(text.len(), line.len() + 1);
        assert!(text.starts_with(&line));
    }
}
