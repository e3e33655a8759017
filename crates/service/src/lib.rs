//! How one of our processes lives. Nothing here knows what a pageview is.
//!
//! ```text
//! main -> program -> config -> telemetry -> management (health, metrics) -> the service's own run(Process)
//!                                               `-> cloudwatch, if enabled
//!                                                                             |        until it ends, or
//!                                                                             |        SIGTERM + grace time
//!                                                      kafka clients, backoff, clock
//! ```

pub mod aws;
pub mod backoff;
pub mod clock;
mod cloudwatch;
pub mod config;
pub mod health;
pub mod kafka;
pub mod management;
pub mod metrics;
mod program;
pub mod shutdown;
mod telemetry;

pub use cloudwatch::View;
pub use config::Config;
pub use health::{Component, Health};
pub use program::{Process, Program, exit, main, resolve};
pub use shutdown::Shutdown;

/// librdkafka allocates in one thread and frees in another, where glibc's malloc is the bottleneck: with jemalloc
/// under the C code too (feature `unprefixed_malloc_on_supported_platforms`) a consumer is twice as fast.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
