//! Whether Kafka answers. It accepts connections before it serves, so a TCP connect says nothing.
//!
//! The question is a Metadata request (version 4, the oldest that Kafka 4 and 2 both know) for no topic: its
//! answer lists the brokers that the controller has let in. Written by hand, it saves this crate from librdkafka.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const LIMIT: Duration = Duration::from_secs(2);
const METADATA: i16 = 3;
const VERSION: i16 = 4;
const CORRELATION: i32 = 1;
const CLIENT: &str = "stack";
/// An answer that lists one broker is far smaller; a length beyond this is not Kafka talking.
const LONGEST_ANSWER: usize = 1 << 20;

/// `Err` says why not: `brokers` are expected.
pub(crate) async fn answers(port: u16, brokers: usize) -> Result<(), String> {
    match tokio::time::timeout(LIMIT, ask(port)).await {
        Ok(Ok(joined)) if joined >= brokers => Ok(()),
        Ok(Ok(joined)) => {
            Err(format!("it answers, but {joined} of {brokers} brokers have joined its cluster"))
        }
        Ok(Err(error)) => Err(format!("no answer on port {port}: {error}")),
        Err(_) => Err(format!("no answer on port {port} within {} s", LIMIT.as_secs())),
    }
}

/// The number of brokers in the cluster.
async fn ask(port: u16) -> io::Result<usize> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(&request()).await?;
    let length = usize::try_from(stream.read_i32().await?).ok().filter(|length| *length <= LONGEST_ANSWER);
    let mut answer = vec![0; length.ok_or(io::ErrorKind::InvalidData)?];
    stream.read_exact(&mut answer).await?;
    brokers(&answer).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn request() -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(METADATA.to_be_bytes());
    body.extend(VERSION.to_be_bytes());
    body.extend(CORRELATION.to_be_bytes());
    body.extend((CLIENT.len() as i16).to_be_bytes());
    body.extend(CLIENT.as_bytes());
    body.extend(0_i32.to_be_bytes()); // no topics
    body.push(0); // and create none
    let mut request = (body.len() as i32).to_be_bytes().to_vec();
    request.extend(body);
    request
}

/// Answer: correlation id, throttle time in ms, the array of brokers by its length, and more.
fn brokers(answer: &[u8]) -> Option<usize> {
    let field = |at: usize| Some(i32::from_be_bytes(answer.get(at..at + 4)?.try_into().ok()?));
    (field(0)? == CORRELATION).then(|| usize::try_from(field(8)?).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_brokers_follows_the_throttle_time() {
        let answer = [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 9, 9];
        assert_eq!(brokers(&answer), Some(2));
        assert_eq!(brokers(&answer[..9]), None);
        assert_eq!(brokers(b"HTTP/1.1 400 Bad Request"), None);
    }

    #[test]
    fn the_request_tells_its_length() {
        let request = request();
        assert_eq!(request[..4], (request.len() as i32 - 4).to_be_bytes());
    }
}
