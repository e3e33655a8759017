//! The count of one postcode in one window.

use serde::{Deserialize, Serialize};

use crate::{Postcode, Window};

/// One row of `pageview-aggregates` or `late-pageview-aggregates`. Rows of the same postcode and window add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PageviewAggregate {
    /// Whose pageviews were counted.
    pub postcode: Postcode,
    /// The minute they happened in.
    pub window_start: Window,
    /// How many; never zero on the wire.
    pub pageview_count: u64,
}

impl PageviewAggregate {
    /// The record's value: one line of JSON.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        format!(
            r#"{{"postcode":"{}","window_start":"{}","pageview_count":{}}}"#,
            self.postcode, self.window_start, self.pageview_count
        )
        .into_bytes()
    }

    /// Reads a record's value.
    ///
    /// # Errors
    /// When it is no such JSON, or a field is wrong.
    pub fn parse(value: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fixture_is_read_and_written_to_the_byte() {
        let fixture = include_str!("../fixtures/aggregate.json").trim_end();
        let aggregate = PageviewAggregate::parse(fixture.as_bytes()).unwrap();
        assert_eq!(aggregate.pageview_count, 42);
        assert_eq!(String::from_utf8(aggregate.to_json()).unwrap(), fixture);
    }
}
