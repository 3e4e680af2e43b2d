//! How long to wait before a failed run is tried again.

use std::time::Duration;

/// The wait after the `attempt`-th attempt (1 is the first): `base` doubled each time, at most
/// `cap`, of which a random tenth is taken off so that runs that failed together come apart.
pub fn delay(base: Duration, cap: Duration, attempt: u32, random: f64) -> Duration {
    let doublings = attempt.saturating_sub(1).min(31);
    let full = base.saturating_mul(1 << doublings).min(cap);
    full.mul_f64(1.0 - 0.1 * random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_cap_and_is_spread() {
        let (base, cap) = (Duration::from_millis(100), Duration::from_secs(2));
        let full = |attempt| delay(base, cap, attempt, 0.0).as_millis();
        assert_eq!([full(1), full(2), full(3), full(5)], [100, 200, 400, 1_600]);
        assert_eq!([full(6), full(40), full(u32::MAX)], [2_000, 2_000, 2_000]);
        assert_eq!(delay(base, cap, 1, 1.0), Duration::from_millis(90));
        assert_eq!(delay(Duration::ZERO, cap, 9, 0.5), Duration::ZERO);
    }
}
