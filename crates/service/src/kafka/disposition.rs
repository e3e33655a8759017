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
