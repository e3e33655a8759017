//! Names and partitioning of the topics. The names are defaults: `pipeline.*_topic` changes them.

/// Events as clients sent them, keyed by postcode; the record's timestamp is the time of ingestion.
pub const PAGEVIEWS: &str = "pageviews";
/// Counts of closed windows, keyed by postcode.
pub const AGGREGATES: &str = "pageview-aggregates";
/// Counts of events that came after their window had closed, keyed by postcode.
pub const LATE: &str = "late-pageview-aggregates";
/// What could not be counted, with the reason in its headers.
pub const DEAD_LETTERS: &str = "pageview-dead-letters";

/// Partitions of the first three topics. More of them later moves postcodes to other partitions.
pub const PARTITIONS: i32 = 6;
/// Partitions of the dead letters.
pub const DEAD_LETTER_PARTITIONS: i32 = 1;

/// librdkafka's name of the Java client's default partitioner, so that both put a key into the same partition.
pub const PARTITIONER: &str = "murmur2_random";

/// The consumer group of the aggregator, and the prefix of its transactional ids.
pub const AGGREGATOR_GROUP: &str = "pageview-aggregator";
