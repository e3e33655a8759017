//! Decompresses a body, and no more of it than is allowed. Pure.

use std::io::{self, Read};

use flate2::bufread::MultiGzDecoder;

use crate::headers::Coding;
use crate::problem::Problem;

/// How much is decompressed between two looks at how much that is.
const STEP: usize = 64 * 1024;
/// The largest window of zstd, as its logarithm: that of 8 MiB, which every decoder has (RFC 8878, section 3.1.1.1.2).
const MAX_WINDOW_LOG: u32 = 23;

/// The body that `bytes` are, of at most `limit` bytes. `room` is asked for every piece beforehand.
///
/// # Errors
/// 400 when it is not what `coding` says, or stops before its end; 413 past the limit; and what `room` says.
pub(crate) fn decode(
    bytes: &[u8],
    coding: Coding,
    limit: usize,
    room: impl FnMut(usize) -> Result<(), Problem>,
) -> Result<Vec<u8>, Problem> {
    match coding {
        Coding::Identity => Ok(bytes.to_vec()),
        Coding::Gzip => read(MultiGzDecoder::new(bytes), "gzip", limit, room),
        Coding::Zstd => {
            let broken =
                |error: io::Error| Problem::invalid(format!("cannot decode zstd: {error}"), Vec::new());
            let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes).map_err(broken)?;
            decoder.window_log_max(MAX_WINDOW_LOG).map_err(broken)?;
            read(decoder, "zstd", limit, room)
        }
    }
}

fn read(
    mut decoder: impl Read,
    name: &str,
    limit: usize,
    mut room: impl FnMut(usize) -> Result<(), Problem>,
) -> Result<Vec<u8>, Problem> {
    let mut body = Vec::new();
    loop {
        room(STEP)?;
        let before = body.len();
        let read = decoder.by_ref().take(STEP as u64).read_to_end(&mut body);
        if let Err(error) = read {
            let detail = format!("the body is not {name}, or not all of it: {error}");
            return Err(Problem::invalid(detail, Vec::new()));
        }
        if body.len() > limit {
            return Err(Problem::body_too_large(limit));
        }
        if body.len() == before {
            return Ok(body);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    const LIMIT: usize = 1 << 20;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn decoded(bytes: &[u8], coding: Coding) -> Result<Vec<u8>, u16> {
        decode(bytes, coding, LIMIT, |_| Ok(())).map_err(|problem| problem.status)
    }

    #[test]
    fn what_was_compressed_comes_back_up_to_the_limit() {
        let most = vec![b'x'; LIMIT];
        let bomb = vec![0; 100 * LIMIT];
        for (bytes, outcome) in [(&most[..], Ok(most.clone())), (&bomb[..], Err(413)), (b"", Ok(Vec::new()))]
        {
            assert_eq!(decoded(&gzip(bytes), Coding::Gzip), outcome);
            assert_eq!(decoded(&zstd::encode_all(bytes, 1).unwrap(), Coding::Zstd), outcome);
        }
    }

    #[test]
    fn a_bomb_is_given_up_at_once() {
        let mut asked = 0;
        let room = |bytes| {
            asked += bytes;
            Ok(())
        };
        let problem = decode(&gzip(&vec![0; 100 * LIMIT]), Coding::Gzip, LIMIT, room).unwrap_err();
        assert_eq!(problem.status, 413);
        assert!(asked <= LIMIT + 2 * STEP, "{asked}");
        let full = |_| Err(Problem::unavailable("no room".into(), None));
        assert_eq!(decode(&gzip(b"x"), Coding::Gzip, LIMIT, full).unwrap_err().status, 503);
    }

    #[test]
    fn members_are_joined_and_what_is_cut_short_or_goes_on_is_refused() {
        let file = gzip(b"one");
        assert_eq!(decoded(&[&file[..], &gzip(b"two")].concat(), Coding::Gzip), Ok(b"onetwo".to_vec()));
        assert_eq!(decoded(&[gzip(b"").repeat(1000), gzip(b"x")].concat(), Coding::Gzip), Ok(b"x".to_vec()));
        assert_eq!(decoded(&[&file[..], b"more"].concat(), Coding::Gzip), Err(400));
        assert_eq!(decoded(&file[..file.len() - 1], Coding::Gzip), Err(400));
        assert_eq!(decoded(b"", Coding::Gzip), Err(400));
        let frame = zstd::encode_all(&b"one"[..], 1).unwrap();
        assert_eq!(decoded(&frame[..frame.len() - 1], Coding::Zstd), Err(400));
        assert_eq!(decoded(&[&frame[..], b"more"].concat(), Coding::Zstd), Err(400));
        assert_eq!(decoded(b"{}", Coding::Zstd), Err(400));
    }

    #[test]
    fn a_window_that_takes_too_much_memory_is_refused() {
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.write_all(&[7; 64]).unwrap();
        assert_eq!(decoded(&encoder.finish().unwrap(), Coding::Zstd), Err(400));
    }
}
