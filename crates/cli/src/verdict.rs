//! What a command found out, and the exit code that says so to a script.

use service::exit;

use crate::objects::Unread;

/// The end of a command that could do its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All is as it should be.
    Good,
    /// Something is not as it should be.
    Bad,
    /// It cannot be told, or not yet.
    Unproven,
}

impl Verdict {
    /// The code a process ends with.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Good => exit::GOOD,
            Self::Bad => exit::FAILED,
            Self::Unproven => exit::UNREACHABLE,
        }
    }
}

/// A system that does not answer, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unreachable(pub(crate) String);

/// Options that make no sense together or here, and what to write instead.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Misused(pub(crate) String);

/// The code of a command that could not do its work.
#[must_use]
pub fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<service::config::Error>() || error.is::<Misused>() {
        exit::USAGE
    } else if error.is::<Unreachable>()
        || error.is::<s3_sink::bucket::Error>()
        || matches!(error.downcast_ref(), Some(Unread::Refused(_)))
    {
        exit::UNREACHABLE
    } else {
        exit::FAILED
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn the_exit_code_depends_on_what_kept_the_command_from_its_answer() {
        let unreachable = || anyhow::Error::new(Unreachable("no broker".to_owned()));
        assert_eq!(exit_code(&unreachable()), 2);
        assert_eq!(exit_code(&Err::<(), _>(unreachable()).context("while listing").unwrap_err()), 2);
        assert_eq!(exit_code(&Misused("--from without --to".to_owned()).into()), 64);
        assert_eq!(exit_code(&anyhow::anyhow!("disk full")), 1);
    }
}
