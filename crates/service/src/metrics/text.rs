//! Reads Prometheus' text format, as far as our own processes write it.
//!
//! The format: <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use std::borrow::Cow;

/// One line: a value of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample<'a> {
    /// All that tells this series from others, as it stands there.
    pub series: &'a str,
    /// The name; of a histogram with its suffix, such as `_bucket`.
    pub name: &'a str,
    /// Labels in the order in which they stand.
    pub labels: Vec<(&'a str, Cow<'a, str>)>,
    /// The value.
    pub value: f64,
}

impl Sample<'_> {
    /// The value of the label `name`; `None` where it has no such label.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_ref())
    }
}

/// The samples of `text`, in order. Comments are left out, and so is what cannot be read.
pub fn samples(text: &str) -> impl Iterator<Item = Sample<'_>> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(sample)
}

/// Names and kinds, as the `# TYPE` lines of `text` have them.
pub fn types(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
}

fn sample(line: &str) -> Option<Sample<'_>> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, after) = rest.trim_start_matches(',').split_once("=\"")?;
            let (value, after) = quoted(after)?;
            labels.push((label, value));
            rest = after;
        }
        rest = &rest[1..];
    }
    let series = &line[..line.len() - rest.len()];
    let value = rest.split_ascii_whitespace().next()?.parse().ok()?;
    Some(Sample { series, name, labels, value })
}

/// A label's value up to its closing quote, and what follows.
fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let stop = text.find(['"', '\\'])?;
    if text[stop..].starts_with('"') {
        return Some((text[..stop].into(), &text[stop + 1..]));
    }
    let mut value = text[..stop].to_owned();
    let mut rest = text[stop..].chars();
    loop {
        match rest.next()? {
            '"' => return Some((value.into(), rest.as_str())),
            '\\' => value.push(match rest.next()? {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_with_and_without_labels() {
        let text = "# HELP a What it is\n# TYPE a counter\na 3\nb{x=\"1\",le=\"+Inf\"} 2.5\nc{x=\"q\\\"u\\\\o,}te\"} NaN\n";
        let samples: Vec<_> = samples(text).collect();
        assert_eq!(samples[0], Sample { series: "a", name: "a", labels: Vec::new(), value: 3.0 });
        assert_eq!(samples[1].series, "b{x=\"1\",le=\"+Inf\"}");
        assert_eq!((samples[1].label("x"), samples[1].label("le")), (Some("1"), Some("+Inf")));
        assert_eq!(samples[1].label("y"), None);
        assert_eq!(samples[2].label("x"), Some("q\"u\\o,}te"));
        assert!(samples[2].value.is_nan() && samples.len() == 3);
        assert_eq!(types(text).collect::<Vec<_>>(), [("a", "counter")]);
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        for line in ["", "a", "a{", "a{b}", "a{b=\"c", "a{b=\"c\"}", "a many"] {
            assert_eq!(samples(line).count(), 0, "{line:?}");
        }
    }
}
