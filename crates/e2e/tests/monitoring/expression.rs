//! CloudWatch's metric math, as far as our alarms use it: `IF(produced > 0 AND consumed == 0, 1, 0)`.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html>

use anyhow::{Context as _, Result, bail, ensure};

/// The value of `expression`, where `of` tells those of its metrics; `None` where one of them has no data point, or there
/// would be a division by zero.
pub(crate) fn evaluate(expression: &str, of: impl Fn(&str) -> Result<Option<f64>>) -> Result<Option<f64>> {
    let mut parser = Parser { rest: expression, of: &of };
    let value = parser.either()?;
    ensure!(parser.rest.trim().is_empty(), "{:?} in {expression:?} is not understood", parser.rest);
    Ok(value.filter(|value| value.is_finite()))
}

/// A sign, and what it does.
type Operator = (&'static str, fn(f64, f64) -> f64);

struct Parser<'a, F> {
    rest: &'a str,
    of: F,
}

impl<F: Fn(&str) -> Result<Option<f64>>> Parser<'_, F> {
    /// `a OR b`, and what binds tighter.
    fn either(&mut self) -> Result<Option<f64>> {
        self.chain(Self::both, &[("OR", |a, b| truth(a != 0.0 || b != 0.0))])
    }

    fn both(&mut self) -> Result<Option<f64>> {
        self.chain(Self::comparison, &[("AND", |a, b| truth(a != 0.0 && b != 0.0))])
    }

    fn comparison(&mut self) -> Result<Option<f64>> {
        self.chain(
            Self::sum,
            &[
                ("==", |a, b| truth(a == b)),
                ("!=", |a, b| truth(a != b)),
                (">=", |a, b| truth(a >= b)),
                ("<=", |a, b| truth(a <= b)),
                (">", |a, b| truth(a > b)),
                ("<", |a, b| truth(a < b)),
            ],
        )
    }

    fn sum(&mut self) -> Result<Option<f64>> {
        self.chain(Self::product, &[("+", |a, b| a + b), ("-", |a, b| a - b)])
    }

    fn product(&mut self) -> Result<Option<f64>> {
        self.chain(Self::atom, &[("*", |a, b| a * b), ("/", |a, b| a / b)])
    }

    fn chain(
        &mut self,
        part: fn(&mut Self) -> Result<Option<f64>>,
        operators: &[Operator],
    ) -> Result<Option<f64>> {
        let mut left = part(self)?;
        while let Some((_, apply)) = operators.iter().find(|(sign, _)| self.take(sign)) {
            let right = part(self)?;
            left = left.zip(right).map(|(left, right)| apply(left, right));
        }
        Ok(left)
    }

    /// A number, a metric, `IF(…)`, or something in brackets.
    fn atom(&mut self) -> Result<Option<f64>> {
        if self.take("(") {
            let value = self.either()?;
            self.expect(")")?;
            return Ok(value);
        }
        if self.take("IF(") {
            let condition = self.either()?;
            self.expect(",")?;
            let then = self.either()?;
            self.expect(",")?;
            let otherwise = self.either()?;
            self.expect(")")?;
            return Ok(condition.and_then(|condition| if condition != 0.0 { then } else { otherwise }));
        }
        let text = self.rest.trim_start();
        let end =
            text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.').unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        self.rest = rest;
        match word.chars().next() {
            None => bail!("{rest:?} is not understood"),
            Some(first) if first.is_ascii_digit() => {
                Ok(Some(word.parse().with_context(|| format!("{word:?} is no number"))?))
            }
            Some(_) => (self.of)(word),
        }
    }

    fn take(&mut self, sign: &str) -> bool {
        let rest = self.rest.trim_start().strip_prefix(sign);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, sign: &str) -> Result<()> {
        ensure!(self.take(sign), "{sign:?} is missing before {:?}", self.rest);
        Ok(())
    }
}

fn truth(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}

#[test]
fn metric_math_is_evaluated() -> Result<()> {
    let of = |name: &str| match name {
        "a" => Ok(Some(2.0)),
        "zero" => Ok(Some(0.0)),
        "missing" => Ok(None),
        other => bail!("no metric {other}"),
    };
    for (expression, value) in [
        ("a / (a + a)", Some(0.5)),
        ("1 - a * 3", Some(-5.0)),
        ("IF(a > 0 AND zero == 0, 1, 0)", Some(1.0)),
        ("IF(a > 0 AND zero > 0 OR a < 1, 1, 0)", Some(0.0)),
        ("zero / zero", None),
        ("IF(missing > 0, 1, 0)", None),
    ] {
        assert_eq!(evaluate(expression, of)?, value, "{expression}");
    }
    assert!(evaluate("a b", of).is_err() && evaluate("nobody", of).is_err() && evaluate("(a", of).is_err());
    Ok(())
}
