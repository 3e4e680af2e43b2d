//! What it costs to decide whether somebody may do something, with 10,000 policies.

use std::process::Command;

use anyhow::{Context, Result};

use super::Row;
use super::measures::Bench;
use crate::shell;

/// The shapes as the example prints them, and what they are measured as.
const SHAPES: [(&str, &str); 9] = [
    ("each-one", "authorization, 10,000 policies, one for each subject"),
    ("in-100", "authorization, 10,000 policies, 100 for each subject"),
    ("in-all", "authorization, 10,000 policies for one subject"),
    ("everybody", "authorization, 10,000 policies for all subjects"),
    ("refused", "authorization, 10,000 policies, refused"),
    ("denied", "authorization, 10,000 policies, denied by one"),
    ("conditions", "authorization, 10,000 policies, tag, time and source"),
    ("groups", "authorization, 10,000 policies, subjects of 20 groups"),
    ("64-subjects", "authorization, 10,000 policies of 64 subjects each"),
];
/// Columns of the example's lines.
const P50: usize = 1;
const TWO_P99: usize = 4;
const COLD_P99: usize = 6;
const COMPILE_MS: usize = 7;
/// The bar, in nanoseconds.
const BAR_NS: u64 = 20_000;

pub fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let mut example = Command::new(bench.example("access_bench"));
    if bench.quick {
        example.arg("quick");
    }
    let text = shell::run_quietly("deciding", &mut example)?;
    SHAPES.iter().map(|(shape, measure)| row(&text, shape, measure)).collect()
}

fn row(text: &str, shape: &str, measure: &'static str) -> Result<Row> {
    let line = text.lines().find(|line| line.split_whitespace().next() == Some(shape));
    let cells: Vec<&str> = line.into_iter().flat_map(str::split_whitespace).collect();
    let cell = |column: usize| -> Result<u64> {
        let number = cells.get(column).and_then(|word| word.parse().ok());
        number.with_context(|| format!("no column {column} of {shape} in {text}"))
    };
    let (p50, two, cold) = (cell(P50)?, cell(TWO_P99)?, cell(COLD_P99)?);
    let us = |ns: u64| format!("{:.1} µs", ns as f64 / 1_000.0);
    Ok(Row {
        measure,
        bar: "≤ 20 µs p99",
        seen: format!(
            "p50 {}, p99 of two threads at once {} (caches emptied before each: {}); compiled in \
             {} ms",
            us(p50),
            us(two),
            us(cold),
            cell(COMPILE_MS)?
        ),
        reached: two <= BAR_NS,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_99th_percentile_of_two_threads_counts() {
        let text = "shape p50 p99 2p50 2p99 cold cold compile again\n\
                    each-one 3000 9000 3500 19000 8000 30000 900 40\n\
                    in-all 3000 9000 3500 21000 8000 9000 900 40\n";
        let row = |shape: &str| super::row(text, shape, "m");
        assert!(row("each-one").unwrap().reached);
        assert!(!row("in-all").unwrap().reached);
        assert!(
            row("each-one").unwrap().seen.starts_with("p50 3.0 µs, p99 of two threads at once")
        );
        assert!(row("groups").is_err());
    }
}
