//! What it costs to decide which of 1,000 engines takes a call.

use std::process::Command;

use anyhow::{Context, Result};

use super::Row;
use super::measures::Bench;
use crate::shell;

/// The strategies as the example prints them, and what they are measured as.
const STRATEGIES: [(&str, &str); 4] = [
    ("ordered", "placement among 1,000 engines, ordered"),
    ("weighted", "placement among 1,000 engines, weighted"),
    ("least-loaded", "placement among 1,000 engines, least-loaded"),
    ("cheapest", "placement among 1,000 engines, cheapest"),
];
/// Columns of the example's lines.
const P50: usize = 2;
const TWO_P99: usize = 5;
const COLD_P99: usize = 7;
/// The bar, in nanoseconds.
const BAR_NS: u64 = 5_000;

/// Each strategy with the state of the fleet (calm, nearly full, an outage, full) it is slowest in.
pub fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let mut example = Command::new(bench.example("placement_bench"));
    let text = shell::run_quietly("deciding", &mut example)?;
    STRATEGIES.iter().map(|(strategy, measure)| row(&text, strategy, measure)).collect()
}

fn row(text: &str, strategy: &str, measure: &'static str) -> Result<Row> {
    let of = |line: &&str| line.split_whitespace().next() == Some(strategy);
    let lines: Vec<Vec<&str>> =
        text.lines().filter(of).map(|line| line.split_whitespace().collect()).collect();
    let worst = |column: usize| -> Result<u64> {
        let cells = lines.iter().filter_map(|line| line.get(column)?.parse().ok());
        cells.max().with_context(|| format!("no column {column} of {strategy} in {text}"))
    };
    let (p50, two, cold) = (worst(P50)?, worst(TWO_P99)?, worst(COLD_P99)?);
    let us = |ns: u64| format!("{:.1} µs", ns as f64 / 1_000.0);
    Ok(Row {
        measure,
        bar: "≤ 5 µs p99",
        seen: format!(
            "p50 {}, p99 of two threads at once {} (caches emptied before each: {})",
            us(p50),
            us(two),
            us(cold)
        ),
        reached: two <= BAR_NS,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_state_counts() {
        let text = "strategy fleet p50 p99\n\
                    ordered calm 90 200 95 400 300 900 100\n\
                    ordered full 120 300 130 5600 300 800 100\n";
        let row = row(text, "ordered", "m").unwrap();
        assert!(!row.reached);
        assert!(row.seen.starts_with("p50 0.1 µs, p99 of two threads at once 5.6 µs"), "{row:?}");
        assert!(super::row(text, "cheapest", "m").is_err());
    }
}
