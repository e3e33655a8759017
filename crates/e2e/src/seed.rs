//! The seed of a test's random choices.

use anyhow::{Context, Result};

/// The variable that replays a test's choices.
const VARIABLE: &str = "E2E_SEED";

/// A seed for the choices of a test, and for its load: that of the variable `E2E_SEED`, or a random one. It is printed,
/// so that the choices of a test that failed can be made again.
///
/// # Errors
/// When the variable is no number.
pub fn seed() -> Result<u64> {
    let seed = match std::env::var(VARIABLE) {
        Ok(text) => text.parse().with_context(|| format!("{VARIABLE}={text} is no number"))?,
        Err(_) => rand::random::<u32>().into(),
    };
    println!("{VARIABLE}={seed} makes the same choices again");
    Ok(seed)
}
