//! Counts as people and programs read them.

use std::fmt::Write as _;

use indicatif::HumanCount;
use model::{Postcode, Window};
use serde::Serialize;

use super::sums::{Count, Sums};

/// The width of the longest bar.
const BAR: u64 = 50;
/// Eighths of a character cell.
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// One line of a table: a postcode, in one window or in all.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Row {
    postcode: Postcode,
    #[serde(skip_serializing_if = "Option::is_none")]
    window_start: Option<Window>,
    pageview_count: u64,
    /// How many of these came late; left out if none did, so that a row looks like one in the bucket.
    #[serde(skip_serializing_if = "is_zero")]
    late: u64,
}

#[derive(Serialize)]
struct Document<'a> {
    rows: &'a [Row],
    pageview_count: u64,
    aggregates: u64,
    late: u64,
}

/// The rows of `sums`: the `top` postcodes over all windows, or every postcode in every window.
pub(super) fn rows(sums: &Sums, top: Option<usize>) -> Vec<Row> {
    let row = |window_start, postcode, count: Count| Row {
        postcode,
        window_start,
        pageview_count: count.total(),
        late: count.late,
    };
    match top {
        Some(n) => sums.top(n).into_iter().map(|(postcode, count)| row(None, postcode, count)).collect(),
        None => sums.rows().map(|(window, postcode, count)| row(Some(window), postcode, count)).collect(),
    }
}

/// A table, or a bar chart, and the line that says what a count is.
pub(super) fn text(rows: &[Row], total: Count, bars: bool) -> String {
    let most = rows.iter().map(|row| row.pageview_count).max().unwrap_or(0);
    let window = |row: &Row| row.window_start.map(|window| format!("{window}  ")).unwrap_or_default();
    let window_head =
        if rows.iter().any(|row| row.window_start.is_some()) { "window               " } else { "" };
    let mut text = format!("{window_head}{:<16} {:>15}", "postcode", "pageviews");
    text.push_str(if bars { "\n" } else { "    in time         late\n" });
    for row in rows {
        let count = HumanCount(row.pageview_count).to_string();
        // Writing into memory does not fail.
        let _ = write!(text, "{}{:<16} {count:>15}", window(row), row.postcode);
        let _ = match bars {
            true => writeln!(text, "  {}", bar(row.pageview_count, most)),
            false => {
                let (in_time, late) = (HumanCount(row.pageview_count - row.late), HumanCount(row.late));
                writeln!(text, " {:>10} {:>12}", in_time.to_string(), late.to_string())
            }
        };
    }
    let (sum, in_time, late) =
        (HumanCount(total.total()), HumanCount(total.aggregates), HumanCount(total.late));
    let _ = write!(
        text,
        "{sum} pageviews in all = {in_time} in aggregates/ + {late} in late/: a count is always their sum"
    );
    text
}

/// For programs.
pub(super) fn json(rows: &[Row], total: Count) -> serde_json::Result<String> {
    let Count { aggregates, late } = total;
    serde_json::to_string_pretty(&Document { rows, pageview_count: total.total(), aggregates, late })
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A bar as long as `value` is of `most`, to an eighth of a character.
fn bar(value: u64, most: u64) -> String {
    let eighths = (u128::from(value) * u128::from(BAR) * 8 / u128::from(most.max(1))) as usize;
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

#[cfg(test)]
mod tests {
    use model::PageviewAggregate;
    use serde_json::json;

    use super::super::sums::Folder;
    use super::*;

    fn sums() -> Sums {
        let mut sums = Sums::default();
        for (folder, postcode, pageview_count) in
            [(Folder::Aggregates, "SW19", 1200), (Folder::Late, "SW19", 34), (Folder::Aggregates, "EC1", 617)]
        {
            let window_start = "2021-01-26T12:04:00".parse().unwrap();
            let postcode = postcode.parse().unwrap();
            sums.add(folder, &PageviewAggregate { postcode, window_start, pageview_count });
        }
        sums
    }

    #[test]
    fn a_table_says_that_a_count_is_a_sum() {
        let expected = "\
window               postcode               pageviews    in time         late
2021-01-26T12:04:00  EC1                          617        617            0
2021-01-26T12:04:00  SW19                       1,234      1,200           34
1,851 pageviews in all = 1,817 in aggregates/ + 34 in late/: a count is always their sum";
        assert_eq!(text(&rows(&sums(), None), sums().total(), false), expected);
    }

    #[test]
    fn bars_are_as_long_as_their_share_of_the_longest() {
        let chart = text(&rows(&sums(), Some(9)), sums().total(), true);
        let lengths: Vec<_> = chart.lines().map(|line| line.matches('█').count()).collect();
        assert_eq!(lengths, [0, 50, 25, 0], "{chart}");
        assert_eq!([bar(0, 0), bar(1, 400), bar(3, 400), bar(400, 400)], ["", "▏", "▍", &"█".repeat(50)]);
    }

    #[test]
    fn programs_get_the_parts_too() {
        let json: serde_json::Value =
            serde_json::from_str(&super::json(&rows(&sums(), None), sums().total()).unwrap()).unwrap();
        let window_start = "2021-01-26T12:04:00";
        assert_eq!(
            json["rows"],
            json!([
                {"postcode": "EC1", "window_start": window_start, "pageview_count": 617},
                {"postcode": "SW19", "window_start": window_start, "pageview_count": 1234, "late": 34},
            ])
        );
        assert_eq!((&json["aggregates"], &json["late"]), (&1817.into(), &34.into()));
    }
}
