//! What a service says in Prometheus' text.

/// The sum over all labels of the metric `name` in `text`; zero where it is not there yet, `None` if a value is no number.
pub fn metric_sum(text: &str, name: &str) -> Option<f64> {
    let samples = text.lines().filter_map(|line| line.strip_prefix(name));
    let samples = samples.filter(|rest| rest.starts_with([' ', '{']));
    samples.map(|sample| sample.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_summed_over_its_labels() {
        let text = "# TYPE a counter\na{t=\"0\"} 1\na{t=\"1\"} 2.5\na_b 9\nab 9\nc 4\ne x\n";
        let sums = ["a", "c", "d", "e"].map(|name| metric_sum(text, name));
        assert_eq!(sums, [Some(3.5), Some(4.0), Some(0.0), None]);
    }
}
