//! What is true of a partition's windows, whatever they have been through.

use model::{Postcode, Window};

use super::PartitionWindows;

impl PartitionWindows {
    /// What holds between any two calls.
    ///
    /// # Panics
    /// When it does not.
    pub fn check_invariants(&self) {
        self.open.check_invariants();
        let lowest_end = self.open.lowest_end();
        assert!(lowest_end.is_none_or(|end| Some(end) > self.closed), "no closed window is open");
        let first = self.open.first_needed().map(|first| first.offset);
        assert!(first.is_none_or(|first| first < self.position), "an open window has been read from");
        assert!(self.flushed <= self.position.max(self.next), "what was flushed was read");
        let counts_or_ids = self.open.ids() > 0 || first.is_none_or(|first| first >= self.flushed);
        assert!(counts_or_ids, "what was flushed is read again for its identities only");
        assert!(self.late.is_empty() || !self.is_replaying(), "a replay finds nothing late");
        assert!(
            self.dead_letters + self.repeated == 0 || !self.is_replaying(),
            "a replay decides nothing anew"
        );
        let late_is_closed = |(window, _): &(Window, Postcode)| Some(window.end()) <= self.closed;
        assert!(self.late.keys().all(late_is_closed), "an event is late for a closed window only");
    }
}
