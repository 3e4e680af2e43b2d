//! What is made of the one random number that a decision is given.

use dispatch_model::placement::Canary;

/// Whether a call goes to the canary's version. Decided before the engine, with a random number
/// of its own: the versions of a function have plans of their own.
pub fn canary(random: u64, canary: &Canary) -> bool {
    below(random, 100) < u64::from(canary.percent)
}

/// Another random number made of one: the finalizer of splitmix64, which maps no two numbers to
/// the same one.
pub fn mix(random: u64) -> u64 {
    let mut z = random.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The next random number within a decision. Not [`mix`] itself: who makes the numbers of calls by
/// that would draw in one call what the next one draws.
pub(crate) fn again(random: u64) -> u64 {
    mix(random ^ 0xD1B5_4A32_D192_ED03)
}

/// A number from 0 below `end`, by multiplying instead of dividing.
pub(crate) fn below(random: u64, end: u64) -> u64 {
    ((u128::from(random) * u128::from(end)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_gets_its_percent_of_the_calls() {
        for percent in [0, 1, 5, 50, 100] {
            let split = Canary { version: 7, percent };
            let hits = (0..100_000).filter(|n| canary(mix(*n), &split)).count() as f64;
            let seen = hits / 1_000.0;
            assert!((seen - f64::from(percent)).abs() < 0.5, "{seen} % for {percent} %");
        }
        assert!(!canary(0, &Canary { version: 7, percent: 0 }));
        assert!(canary(u64::MAX, &Canary { version: 7, percent: 100 }));
    }

    #[test]
    fn a_number_below_an_end_is_below_it() {
        for end in [1, 2, 3, 1_000, u64::MAX] {
            assert_eq!(below(0, end), 0);
            assert_eq!(below(u64::MAX, end), end - 1);
        }
    }
}
