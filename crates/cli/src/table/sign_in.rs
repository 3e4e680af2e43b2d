//! Tables of sessions, and of what they begin with.

use serde_json::Value;

use super::{Cell, or, table, text};
use crate::time;

/// A table of sessions; a star marks the one that asks.
pub fn sessions(items: &[Value], wide: bool) -> String {
    let mut shown = vec![
        column!("NAME", "name"),
        (
            "CURRENT",
            (|v| if v["current"] == true { "*".to_owned() } else { String::new() }) as Cell,
        ),
        column!("SUBJECT", "subject"),
        column!("PROVIDER", "provider"),
        column!("CLIENT", "client"),
        column!("FROM", "from"),
        column!("CREATED", time "createdTime"),
        column!("EXPIRES", time "expires"),
    ];
    if wide {
        shown.push(column!("KIND", "subjectKind"));
        shown.push(column!("CONFIRMED", time "confirmed"));
        shown.push(("GROUPS", groups));
    }
    table(&shown, items)
}

/// The groups a session's user is in, of each organization.
fn groups(session: &Value) -> String {
    let all = session["memberships"].as_array().into_iter().flatten();
    let one = |member: &Value| {
        format!("{}: {}", text(&member["organization"]), or(member, "groups", "-"))
    };
    all.map(one).collect::<Vec<_>>().join("\n")
}

/// A table of what there is to sign in with.
pub fn identity_providers(items: &[Value], _wide: bool) -> String {
    let shown = [
        column!("NAME", "name"),
        column!("TYPE", "type"),
        column!("TITLE", "title"),
        ("SIGN-IN", (|v| ways(v)) as Cell),
    ];
    table(&shown, items)
}

/// How people and programs sign in with a provider.
fn ways(provider: &Value) -> String {
    let ways = ["browser", "device", "password", "token"].into_iter();
    ways.filter(|way| provider[*way] == true).collect::<Vec<_>>().join(", ")
}
