//! docs/concepts/placement.md says what the code does.

use dispatch_model::placement::{MAX_ENGINES, MAX_PREFERENCES, Strategy};
use dispatch_placement::{Rules, Word};

use crate::rig::SECOND;

fn page() -> String {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/concepts/placement.md");
    let text = std::fs::read_to_string(file).unwrap();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_reason_and_strategy_is_explained() {
    let page = page();
    for word in Word::ALL {
        let row = format!("| `{}` | {}", word.as_str(), word.meaning());
        assert!(page.contains(&row), "the page lacks: {row}");
    }
    for strategy in Strategy::ALL {
        assert!(page.contains(&format!("| `{}` | ", strategy.as_str())), "{strategy:?}");
    }
}

#[test]
fn the_numbers_of_the_page_are_those_of_the_code() {
    let (page, rules) = (page(), Rules::default());
    let seconds = |ns: u64| ns / SECOND;
    assert_eq!((rules.percent, rules.backoff_ns), (25, SECOND), "a quarter, and 1 second");
    for sentence in [
        format!("after {} failures in a row", rules.consecutive),
        format!("a quarter of at least {} calls failed", rules.at_least),
        format!("within the last {} to 60 seconds", seconds(rules.window_ns)),
        format!("up to {} seconds", seconds(rules.backoff_max_ns)),
        format!("After {} in a row that went well it is **closed**", rules.probes),
        format!("{MAX_PREFERENCES} preferences of"),
        format!("{MAX_ENGINES} engines and {MAX_ENGINES} burst engines"),
    ] {
        assert!(page.contains(&sentence), "the page lacks: {sentence}");
    }
}
