//! Events that are wide and hardly compress: more of them than a sink may hold in memory are soon written.

use anyhow::Result;
use model::{EpochSeconds, topic};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use stack::Stack;

use crate::foreign::{Foreign, produce};

/// The longest page that the API takes.
const PAGE: usize = 2048;
/// How many are written at a time.
const BATCH: u64 = 10_000;
/// Spread over all partitions.
const POSTCODES: u64 = 60;

/// Writes `events` events of the time `at` straight to Kafka, all different; tells how many bytes of pages they have.
///
/// # Errors
/// When Kafka does not take them.
pub async fn flood(stack: &Stack, events: u64, at: EpochSeconds, seed: u64) -> Result<u64> {
    let mut dice = StdRng::seed_from_u64(seed);
    for first in (0..events).step_by(BATCH as usize) {
        let numbers = first..events.min(first + BATCH);
        let batch = numbers.map(|number| event(number, at, &mut dice)).collect();
        produce(stack, topic::PAGEVIEWS, "none", batch).await?;
    }
    Ok(events * PAGE as u64)
}

fn event(number: u64, at: EpochSeconds, dice: &mut StdRng) -> Foreign {
    let page: String = (0..PAGE).map(|_| char::from(dice.random_range(b'0'..=b'Z'))).collect();
    let postcode = format!("W{}", number % POSTCODES);
    let value =
        format!(r#"{{"user_id":{number},"postcode":"{postcode}","webpage":"{page}","timestamp":{}}}"#, at.0);
    Foreign { key: Some(postcode.into_bytes()), value: Some(value.into_bytes()), ..Foreign::default() }
}
