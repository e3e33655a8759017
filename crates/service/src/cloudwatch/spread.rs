//! Values that a histogram may have been made of.

/// Values and how often there was one, of a histogram with cumulative `buckets` (upper bound, values up to it; the last
/// bound may be infinite) and this `sum`.
///
/// Percentiles need values, and a histogram has forgotten them. All values of a bucket are taken for the same one, and that
/// for as far up within each bucket as makes the sum exact.
pub(super) fn spread(buckets: &[(f64, f64)], sum: f64) -> Vec<(f64, f64)> {
    let mut filled = Vec::new();
    let (mut low, mut below) = (0.0, 0.0);
    for &(high, up_to) in buckets {
        if up_to > below {
            filled.push(Bucket { low, high, count: up_to - below });
        }
        (low, below) = (high, up_to);
    }
    let total = |of: fn(&Bucket) -> f64| filled.iter().map(|bucket| bucket.count * of(bucket)).sum::<f64>();
    let (least, width) = (total(|bucket| bucket.low), total(Bucket::width));
    let beyond: f64 =
        filled.iter().filter(|bucket| bucket.high.is_infinite()).map(|bucket| bucket.count).sum();
    // Where some are beyond all bounds, the others are in the middle of theirs if the sum allows it.
    let most = if beyond > 0.0 { 0.5 } else { 1.0 };
    let share = if width > 0.0 { ((sum - least) / width).clamp(0.0, most) } else { 0.0 };
    let left = (sum - least - share * width).max(0.0);
    let value = |bucket: &Bucket| {
        let above = if bucket.high.is_infinite() { left / bucket.count } else { share * bucket.width() };
        (bucket.low + above, bucket.count)
    };
    filled.iter().map(value).collect()
}

/// What lies in `(low, high]`.
struct Bucket {
    low: f64,
    high: f64,
    count: f64,
}

impl Bucket {
    /// Zero of the one beyond all bounds.
    fn width(&self) -> f64 {
        if self.high.is_infinite() { 0.0 } else { self.high - self.low }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: [f64; 4] = [0.1, 1.0, 10.0, f64::INFINITY];

    fn histogram(values: &[f64]) -> Vec<(f64, f64)> {
        let up_to = |bound: f64| values.iter().filter(|value| **value <= bound).count() as f64;
        BOUNDS.map(|bound| (bound, up_to(bound))).to_vec()
    }

    proptest! {
        #[test]
        fn number_and_sum_are_exact_and_every_value_is_in_its_bucket(
            values in prop::collection::vec(0.0..20.0_f64, 0..50),
        ) {
            let sum: f64 = values.iter().sum();
            let spread = spread(&histogram(&values), sum);
            let made: Vec<f64> =
                spread.iter().flat_map(|(value, count)| std::iter::repeat_n(*value, *count as usize)).collect();
            prop_assert_eq!(made.len(), values.len());
            prop_assert!((made.iter().sum::<f64>() - sum).abs() < 1e-6, "{} {}", made.iter().sum::<f64>(), sum);
            // A value at the very bound may lie a rounding error above it.
            let nudged: Vec<f64> = made.iter().map(|value| value * (1.0 - 1e-9)).collect();
            let up_to = |values: &[f64], bound: f64| values.iter().filter(|value| **value <= bound).count();
            for bound in BOUNDS {
                prop_assert!(up_to(&nudged, bound) >= up_to(&values, bound), "{:?}", made);
            }
        }
    }
}
