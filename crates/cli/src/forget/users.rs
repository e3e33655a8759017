//! Whose events are to be forgotten, and which events those are.

use std::collections::HashSet;

use model::Pageview;
use serde_json::Value;

/// The field that names a user.
const FIELD: &str = "user_id";

/// Users, by their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Users(HashSet<u64>);

impl FromIterator<u64> for Users {
    fn from_iter<T: IntoIterator<Item = u64>>(ids: T) -> Self {
        Self(ids.into_iter().collect())
    }
}

impl Users {
    /// Reads ids, one a line; blank lines are left out.
    ///
    /// # Errors
    /// The first line that is no id, in words.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty());
        let id = |(index, line): (usize, &str)| {
            line.parse::<u64>().map_err(|_| format!("line {} is no user id: {line:?}", index + 1))
        };
        lines.map(id).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the record with this value is an event of one of them:
    ///
    /// | the value is | it is theirs if |
    /// | --- | --- |
    /// | a pageview | its `user_id` is one of theirs |
    /// | other JSON | any `user_id` in it, at any depth, as number or text, is one of theirs |
    /// | anything else | a `user_id` can be read out of it that is one of theirs |
    pub(super) fn own(&self, value: Option<&[u8]>) -> bool {
        let Some(value) = value else { return false };
        if let Ok(pageview) = Pageview::parse(value) {
            return self.0.contains(&pageview.user_id);
        }
        match serde_json::from_slice(value) {
            Ok(json) => self.in_json(&json),
            Err(_) => self.in_text(value),
        }
    }

    fn in_json(&self, json: &Value) -> bool {
        match json {
            Value::Object(fields) => fields
                .iter()
                .any(|(name, value)| (name == FIELD && self.named_by(value)) || self.in_json(value)),
            Value::Array(values) => values.iter().any(|value| self.in_json(value)),
            _ => false,
        }
    }

    fn named_by(&self, value: &Value) -> bool {
        match value {
            // A float, as some clients write whole numbers: 1234.0.
            Value::Number(number) => {
                number.to_string().split('.').next().is_some_and(|whole| self.has(whole))
            }
            Value::String(text) => self.has(text.trim()),
            _ => false,
        }
    }

    fn has(&self, digits: &str) -> bool {
        digits.parse().is_ok_and(|id| self.0.contains(&id))
    }

    /// What is no JSON, or JSON cut short: the digits behind every `user_id`, whatever stands between.
    fn in_text(&self, value: &[u8]) -> bool {
        let text = String::from_utf8_lossy(value);
        text.split(FIELD).skip(1).any(|rest| {
            let rest = rest.trim_start_matches(|c: char| !c.is_alphanumeric());
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            self.has(&rest[..end])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(value: &str) -> bool {
        Users::from_iter([1234, 5]).own(Some(value.as_bytes()))
    }

    #[test]
    fn a_pageview_is_its_users() {
        let pageview = r#"{"user_id":1234,"postcode":"N1","webpage":"user_id 5","timestamp":0}"#;
        assert!(own(pageview));
        assert!(
            !own(&pageview.replace("1234", "12345")),
            "what it says elsewhere does not make it another's"
        );
    }

    #[test]
    fn what_is_no_pageview_is_theirs_whose_id_is_in_it() {
        for theirs in [
            r#"{"user_id":1234}"#,
            r#"{"user_id":"1234"}"#,
            r#"{"user_id":1234.0}"#,
            r#"{"user_\u0069d":1234}"#,
            r#"{"event":[{"user_id":5}]}"#,
            r#"{"user_id":1234,"postc"#,
            r#"{"user_id" : "5","#,
            "user_id=5;",
        ] {
            assert!(own(theirs), "{theirs}");
        }
        for others in [
            "",
            "{}",
            "1234",
            r#"{"user_id":12345}"#,
            r#"{"user_id":12345,"#,
            r#"{"id":5}"#,
            "user_id",
            "user_id=x5",
        ] {
            assert!(!own(others), "{others}");
        }
        assert!(!Users::from_iter([5]).own(None));
        assert!(!Users::from_iter([5]).own(Some(b"\xff\xfe")));
    }

    #[test]
    fn ids_are_read_from_lines() {
        assert_eq!(Users::parse("1234\n\n 5 \r\n1234\n"), Ok(Users::from_iter([1234, 5])));
        assert_eq!(Users::parse("1\nx"), Err("line 2 is no user id: \"x\"".to_owned()));
    }
}
