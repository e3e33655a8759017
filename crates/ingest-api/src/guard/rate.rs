//! How many requests a caller may send, by the generic cell rate algorithm (ITU-T I.371), as crate `governor` has it.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use service::config::RateLimit;

use super::Caller;
use crate::problem::Problem;

/// Callers whose allowance is whole again are forgotten so often: memory is bounded by those who come in between.
const FORGET_EVERY: Duration = Duration::from_secs(10);

pub(crate) struct Rate {
    limiter: DefaultKeyedRateLimiter<Caller>,
    clock: DefaultClock,
    limit: RateLimit,
}

impl Rate {
    /// Starts the task that forgets callers.
    pub(crate) fn start(limit: RateLimit) -> Arc<Self> {
        let rate = Arc::new(Self::new(limit));
        let weak = Arc::downgrade(&rate);
        tokio::spawn(async move {
            while let Some(rate) = weak.upgrade() {
                rate.limiter.retain_recent();
                rate.limiter.shrink_to_fit();
                drop(rate);
                pause().await;
            }
        });
        rate
    }

    fn new(limit: RateLimit) -> Self {
        // All at once, or evenly: a new one comes whenever its share of the time has passed.
        let share = (limit.per / limit.requests.get()).max(Duration::from_nanos(1));
        let quota = Quota::with_period(share).unwrap_or_else(|| Quota::per_second(limit.requests));
        let quota = quota.allow_burst(limit.requests);
        Self { limiter: RateLimiter::keyed(quota), clock: DefaultClock::default(), limit }
    }

    /// Takes one request from what `caller` may send.
    ///
    /// # Errors
    /// 429, with the seconds until there is one again.
    pub(crate) fn take(&self, caller: &Caller) -> Result<(), Problem> {
        let Err(until) = self.limiter.check_key(&network(caller)) else { return Ok(()) };
        let wait = until.wait_time_from(self.clock.now());
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        let detail = format!("more than {} requests: nothing was stored, send it again later", self.limit);
        Err(Problem::too_many_requests(detail, u32::try_from(seconds).unwrap_or(u32::MAX)))
    }
}

/// Whoever has one IPv6 address has the 2^64 of its network (RFC 6177), and is one caller.
fn network(caller: &Caller) -> Caller {
    match caller {
        Caller::Address(IpAddr::V6(address)) => {
            let network = Ipv6Addr::from_bits(address.to_bits() >> 64 << 64);
            Caller::Address(IpAddr::V6(network))
        }
        other => other.clone(),
    }
}

#[expect(clippy::disallowed_methods, reason = "paces housekeeping")]
async fn pause() {
    tokio::time::sleep(FORGET_EVERY).await;
}

#[cfg(test)]
mod tests {
    use service::config::Setting as _;

    use super::*;

    fn caller(address: &str) -> Caller {
        Caller::Address(address.parse().unwrap())
    }

    #[test]
    fn each_caller_has_an_allowance_of_its_own() {
        let rate = Rate::new(RateLimit::parse("3/h").unwrap());
        for _ in 0..3 {
            assert!(rate.take(&caller("1.1.1.1")).is_ok());
        }
        let problem = rate.take(&caller("1.1.1.1")).unwrap_err();
        assert_eq!(problem.status, 429);
        assert!(problem.detail.contains("3/h"), "{}", problem.detail);
        assert!(rate.take(&caller("1.1.1.2")).is_ok());
    }

    #[test]
    fn an_ipv6_network_is_one_caller() {
        let rate = Rate::new(RateLimit::parse("1/h").unwrap());
        assert!(rate.take(&caller("2001:db8::1")).is_ok());
        assert!(rate.take(&caller("2001:db8::ffff")).is_err());
        assert!(rate.take(&caller("2001:db8:0:1::1")).is_ok());
    }
}
