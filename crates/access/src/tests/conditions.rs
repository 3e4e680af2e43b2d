//! Time and source address.

use dispatch_model::policy::{Condition, Day, Hours, Rule};

use super::kit::*;

const HOUR_MS: i64 = 3_600_000;

fn both(condition: Condition) -> (Rule, Vec<Rule>) {
    let allowing = when(allow("ada", "get", "function"), condition.clone());
    let denying = when(deny("ada", "get", "function"), condition);
    (allowing, vec![allow("*", "*", "*"), denying])
}

/// A condition allows exactly where the same condition denies.
#[track_caller]
fn holds(condition: &Condition, question: &Ask, expected: bool) {
    let (allowing, denying) = both(condition.clone());
    let (allowing, denying) = (one(vec![allowing]), one(denying));
    assert!(allowing.broken().is_empty(), "{:?}", allowing.broken());
    assert_eq!(question.allowed(&allowing), expected, "{question:?}");
    assert_eq!(question.allowed(&denying), !expected, "denied: {question:?}");
}

#[test]
fn a_rule_holds_from_its_beginning_until_before_its_end() {
    let condition =
        Condition { not_before_ms: Some(1_000), not_after_ms: Some(2_000), ..Condition::default() };
    for (now_ms, expected) in
        [(-1, false), (999, false), (1_000, true), (1_999, true), (2_000, false), (i64::MAX, false)]
    {
        holds(&condition, &ask("a/ada get function/f").at(now_ms), expected);
    }
    let open = Condition { not_before_ms: Some(-5), ..Condition::default() };
    holds(&open, &ask("a/ada get function/f").at(-6), false);
    holds(&open, &ask("a/ada get function").at(-5), true);
}

fn hours(from: u16, to: u16, days: &[Day], zone: &str) -> Condition {
    let hours =
        Hours { from_minute: from, to_minute: to, days: days.to_vec(), time_zone: zone.to_owned() };
    Condition { hours: Some(hours), ..Condition::default() }
}

#[test]
fn hours_are_those_of_their_time_zone() {
    let office = hours(9 * 60, 17 * 60, &[], "Europe/Vienna");
    // 12:00 UTC is 13:00 in Vienna in winter.
    let noon = MONDAY_NOON_MS;
    for (hour, expected) in [(-5, false), (-4, true), (0, true), (3, true), (4, false)] {
        holds(&office, &ask("a/ada get function/f").at(noon + hour * HOUR_MS), expected);
    }
    // In summer, 06:59 UTC is 08:59, and 07:00 UTC is 09:00 there.
    let july = 1_783_321_200_000;
    holds(&office, &ask("a/ada get function/f").at(july - 60_000), false);
    holds(&office, &ask("a/ada get function/f").at(july), true);
    let there = hours(0, 60, &[], "Asia/Kathmandu");
    // 18:15 UTC is midnight, 5:45 ahead.
    holds(&there, &ask("a/ada get function/f").at(noon + 6 * HOUR_MS + HOUR_MS / 4), true);
    holds(&there, &ask("a/ada get function/f").at(noon + 6 * HOUR_MS), false);
}

#[test]
fn hours_may_end_on_the_next_day_and_over_the_week() {
    let night = hours(22 * 60, 6 * 60, &[Day::Sunday, Day::Friday], "UTC");
    let noon = MONDAY_NOON_MS;
    for (hours_later, expected) in [
        (-7, true),          // Monday 05:00
        (-6, false),         // Monday 06:00
        (10, false),         // Monday 22:00
        (4 * 24 + 9, false), // Friday 21:00
        (4 * 24 + 10, true), // Friday 22:00
        (5 * 24 - 7, true),  // Saturday 05:00
        (5 * 24 + 10, false),
        (6 * 24 + 11, true), // Sunday 23:00
    ] {
        let at = noon + hours_later * HOUR_MS;
        holds(&night, &ask("a/ada get function/f").at(at), expected);
    }
    let whole = hours(60, 60, &[Day::Monday], "UTC");
    holds(&whole, &ask("a/ada get function/f").at(noon), true);
    holds(&whole, &ask("a/ada get function/f").at(noon + 13 * HOUR_MS - 1), true);
    holds(&whole, &ask("a/ada get function/f").at(noon + 13 * HOUR_MS), false);
}

#[test]
fn the_source_must_be_in_one_of_the_ranges() {
    let sources = ["10.0.0.0/8", "192.168.7.9", "2001:db8::/32", "::ffff:172.16.0.0/108"];
    let condition =
        Condition { source_addresses: sources.map(str::to_owned).to_vec(), ..Condition::default() };
    for (address, expected) in [
        ("10.255.0.1", true),
        ("11.0.0.1", false),
        ("192.168.7.9", true),
        ("192.168.7.8", false),
        ("2001:db8:1::1", true),
        ("2001:db9::1", false),
        ("::ffff:10.1.1.1", true),
        ("172.16.1.1", true),
        ("172.32.1.1", false),
        ("::1", false),
    ] {
        holds(&condition, &ask("a/ada get function/f").from(address), expected);
    }
    let (allowing, denying) = both(condition);
    let unknown = ask("a/ada get function/f");
    assert!(!unknown.allowed(&one(vec![allowing])), "an unknown address is in no range");
    assert!(!unknown.allowed(&one(denying)), "and does not evade a denial");
    for (range, address) in
        [("0.0.0.0/0", "8.8.8.8"), ("::/0", "2001::1"), ("10.0.0.7/8", "10.9.9.9")]
    {
        let all = Condition { source_addresses: vec![range.to_owned()], ..Condition::default() };
        holds(&all, &ask("a/ada get function/f").from(address), true);
    }
}

#[test]
fn all_parts_must_hold() {
    let condition = Condition {
        not_before_ms: Some(1_000),
        source_addresses: vec!["10.0.0.0/8".to_owned()],
        ..tagged(&[("env", "test")])
    };
    let fitting = ask("a/ada get function/f").from("10.0.0.1").tagged(&[("env", "test")]);
    holds(&condition, &fitting, true);
    holds(&condition, &fitting.clone().at(0), false);
    holds(&condition, &fitting.clone().from("11.0.0.1"), false);
    holds(&condition, &fitting.clone().tagged(&[]), false);
}
