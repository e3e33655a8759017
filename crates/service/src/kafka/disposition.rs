//! What a Kafka error asks of a transactional client.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// The same call again.
    Retriable,
    /// Abort the transaction, forget what was read since, and restore from the committed offsets.
    Abort,
    /// Leave: this producer was fenced, or cannot go on.
    Fatal,
}

impl Disposition {
    /// Classifies `error` as librdkafka flags it (KIP-360, KIP-447); an error without flags is retriable only where
    /// it says that the cluster could not be reached.
    #[must_use]
    pub fn of(error: &KafkaError) -> Self {
        if let KafkaError::Transaction(error) = error {
            return match (error.is_fatal(), error.txn_requires_abort(), error.is_retriable()) {
                (true, _, _) => Self::Fatal,
                (_, true, _) => Self::Abort,
                (_, _, true) => Self::Retriable,
                _ => Self::Fatal,
            };
        }
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::Fatal | RDKafkaErrorCode::Fenced | RDKafkaErrorCode::ProducerFenced) => {
                Self::Fatal
            }
            Some(
                RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::RequestTimedOut
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::CoordinatorLoadInProgress
                | RDKafkaErrorCode::CoordinatorNotAvailable
                | RDKafkaErrorCode::NotCoordinator
                | RDKafkaErrorCode::LeaderNotAvailable
                | RDKafkaErrorCode::NotLeaderForPartition
                | RDKafkaErrorCode::QueueFull,
            ) => Self::Retriable,
            _ => Self::Abort,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Errors with librdkafka's own flags come from a transaction only, and are made by librdkafka only; these are those
    /// that other calls answer with.
    #[test]
    fn each_kind_of_error_asks_for_its_own_reaction() {
        use Disposition::{Abort, Fatal, Retriable};
        use RDKafkaErrorCode as Code;
        for (code, disposition) in [
            (Code::Fatal, Fatal),
            (Code::Fenced, Fatal),
            (Code::ProducerFenced, Fatal),
            (Code::QueueFull, Retriable),
            (Code::OperationTimedOut, Retriable),
            (Code::AllBrokersDown, Retriable),
            (Code::CoordinatorNotAvailable, Retriable),
            (Code::NotLeaderForPartition, Retriable),
            (Code::IllegalGeneration, Abort),
            (Code::UnknownMemberId, Abort),
            (Code::RebalanceInProgress, Abort),
            (Code::MessageSizeTooLarge, Abort),
        ] {
            assert_eq!(Disposition::of(&KafkaError::OffsetFetch(code)), disposition, "{code:?}");
        }
        assert_eq!(
            Disposition::of(&KafkaError::NoMessageReceived),
            Abort,
            "what is not known is not repeated"
        );
    }
}
