//! Counts pageviews by postcode and minute, exactly once.

pub mod resume_point;
pub mod windows;
