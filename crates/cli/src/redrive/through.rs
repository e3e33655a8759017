//! Mending events by somebody's command: lines in, as many lines out.

use std::process::Stdio;

use anyhow::{Context as _, ensure};
use model::one_line;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::letter::Letter;

/// Pipes the value of each letter through `command`, one line each, and takes what it answers: an empty line is a letter
/// that is not to be sent.
///
/// # Errors
/// When the command fails, or does not answer with one line for each.
pub(super) async fn through(command: &str, letters: Vec<Letter>) -> anyhow::Result<Vec<Option<Letter>>> {
    let input: Vec<u8> = letters.iter().flat_map(|letter| line(letter.value.as_deref())).collect();
    let output = run(command, input).await.with_context(|| format!("--through {command:?}"))?;
    mended(letters, &output).with_context(|| format!("--through {command:?}"))
}

/// A null value is an empty line, as there is nothing in it that could be mended.
fn line(value: Option<&[u8]>) -> Vec<u8> {
    let mut line = one_line(value.unwrap_or_default()).into_owned();
    line.push(b'\n');
    line
}

async fn run(command: &str, input: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("cannot be started")?;
    let mut stdin = child.stdin.take().context("has no standard input")?;
    // At the same time: a pipe that nobody reads takes no more.
    let (written, output) = tokio::join!(
        async move {
            stdin.write_all(&input).await?;
            stdin.shutdown().await
        },
        child.wait_with_output()
    );
    let output = output?;
    ensure!(output.status.success(), "it failed ({}): nothing was sent of these", output.status);
    // A command that ends well and has not read everything has not answered everything either: that is told below.
    drop(written);
    Ok(output.stdout)
}

fn mended(letters: Vec<Letter>, output: &[u8]) -> anyhow::Result<Vec<Option<Letter>>> {
    let lines: Vec<_> = output.split_inclusive(|byte| *byte == b'\n').collect();
    ensure!(
        lines.len() == letters.len() && lines.iter().all(|line| line.ends_with(b"\n")),
        "it answered {} events with {} lines: one line each, an empty one for an event that is not to be sent",
        letters.len(),
        lines.len()
    );
    let answers = letters.into_iter().zip(lines);
    let mend = |(mut letter, line): (Letter, &[u8])| {
        let line = line.trim_ascii();
        letter.value = Some(line.to_vec());
        (!line.is_empty()).then_some(letter)
    };
    Ok(answers.map(mend).collect())
}

#[cfg(test)]
mod tests {
    use model::EpochMillis;
    use s3_sink::envelope::Envelope;
    use s3_sink::record::{Header, Record};

    use super::*;

    fn letter(value: Option<&[u8]>) -> Letter {
        let headers = [Header { name: "dead-letter-topic".into(), value: Some(b"pageviews") }];
        let record = Record { offset: 1, timestamp: EpochMillis(0), key: None, value, headers: &headers };
        Letter::open(&Envelope::new("d", 0, &record, "r"), "pageviews").unwrap().unwrap()
    }

    async fn values(command: &str, values: &[Option<&[u8]>]) -> anyhow::Result<Vec<Option<String>>> {
        let letters = values.iter().map(|value| letter(*value)).collect();
        let mended = through(command, letters).await?;
        let text = |letter: Letter| String::from_utf8(letter.value.unwrap_or_default()).unwrap();
        Ok(mended.into_iter().map(|letter| letter.map(text)).collect())
    }

    #[tokio::test]
    async fn each_event_is_a_line_and_an_empty_answer_leaves_it_out() {
        let found = values("sed -e 's/a/b/' -e '/drop/s/.*//'", &[Some(b"a\nc"), Some(b"drop"), None]).await;
        assert_eq!(found.unwrap(), [Some("b c".to_owned()), None, None]);
    }

    #[tokio::test]
    async fn more_than_a_pipe_holds_goes_through() {
        let large = vec![b'x'; 1 << 18];
        let found = values("cat", &[Some(&large), Some(&large)]).await.unwrap();
        assert!(found.iter().flatten().all(|text| text.len() == large.len()));
    }

    #[tokio::test]
    async fn a_command_that_fails_or_answers_less_is_an_error() {
        for command in ["false", "head -n 1", "no-such-command-at-all", "printf 'a\\nb'"] {
            assert!(values(command, &[Some(b"a"), Some(b"b")]).await.is_err(), "{command}");
        }
    }
}
