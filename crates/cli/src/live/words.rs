//! Numbers and times as people read them.

use indicatif::HumanCount;

/// A whole number with commas.
pub(crate) fn count(number: f64) -> String {
    HumanCount(number.max(0.0).round() as u64).to_string()
}

/// `1 event`, `2 events`.
pub(crate) fn counted(number: u64, what: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {what}{ending}", HumanCount(number))
}

/// A rate: one decimal where it is small.
pub(crate) fn rate(number: f64) -> String {
    match number {
        // 9.96 would become 10.0.
        number if number > 0.0 && number < 9.95 => format!("{number:.1}"),
        number => count(number),
    }
}

/// A span of time by its largest unit.
pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// An error's words without what says nothing to whoever reads a page: the layers of a client, and the brackets that name
/// who said it.
pub(crate) fn brief(words: &str) -> String {
    // What the SDK says then is where it looked last.
    if words.contains("loading credentials") {
        return "no AWS credentials here: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY".to_owned();
    }
    const LAYERS: [&str; 7] = [
        "dispatch failure",
        "io error",
        "client error (Connect)",
        "tcp connect error",
        "client error (SendRequest)",
        "request has timed out",
        "error trying to connect",
    ];
    let parts: Vec<_> = words.split(": ").filter(|part| !LAYERS.contains(part)).collect();
    let (parts, os_error) = (parts.join(": "), " (os error ");
    match parts.find(os_error) {
        Some(at) => parts[..at].to_owned() + parts[at..].split_once(')').map_or("", |(_, rest)| rest),
        None => parts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times() {
        assert_eq!([0.0, 0.04, 3.25, 9.99, 4980.4].map(rate), ["0", "0.0", "3.2", "10", "4,980"]);
        assert_eq!((counted(1, "event"), counted(1200, "check")), ("1 event".into(), "1,200 checks".into()));
        assert_eq!([0, 119, 120, 7_200, 180_000].map(span), ["0 s", "119 s", "2 min", "2 h", "2 days"]);
    }

    #[test]
    fn an_error_is_told_without_its_layers() {
        let words = "s3://b (http://127.0.0.1:4566): dispatch failure: io error: client error (Connect): tcp connect \
                     error: Connection refused (os error 111) (raw, late)";
        assert_eq!(brief(words), "s3://b (http://127.0.0.1:4566): Connection refused (raw, late)");
        assert_eq!(brief("joining the group"), "joining the group");
        let credentials = "HEAD b: other: an error occurred while loading credentials: IMDS is disabled";
        assert_eq!(brief(credentials), "no AWS credentials here: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY");
    }
}
