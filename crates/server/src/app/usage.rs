//! Use cases of usage: what an organization used, by the hour or the day.

use dispatch_model::{Name, Violation};
use dispatch_store::usage::{DAY, MAX_ROWS, UsageOf, UsageQuery, UsageRow};

use super::{App, Caller, Result};
use crate::authz::Action;

/// The word policies use for it.
const RESOURCE: &str = "usage";
/// What is told when nothing is said, in days.
const DAYS: i64 = 7;
const SECONDS_PER_HOUR: i64 = 3_600;

/// What is asked for, times in unix seconds.
#[derive(Debug, Clone, Default)]
pub struct UsageAsked {
    pub since: Option<i64>,
    pub until: Option<i64>,
    pub by_day: bool,
    /// A function, or `*` for each of them.
    pub function: Option<String>,
    /// Of all organizations: for those who may see it in each of them.
    pub everywhere: bool,
}

impl App {
    pub async fn usage_list(&self, caller: &Caller, asked: &UsageAsked) -> Result<Vec<UsageRow>> {
        match asked.everywhere {
            true => self.authorizer.authorize_global(caller, Action::Get, RESOURCE)?,
            false => self.authorizer.authorize(caller, Action::Get, RESOURCE)?,
        }
        let query = query(caller, asked, now_s())?;
        // What was used on this server until now is part of the answer.
        self.invoker.tell_usage().await;
        let rows = self.store.usage_list(&query).await?;
        if rows.len() > MAX_ROWS {
            let rule = format!("asks for more than {MAX_ROWS} rows: ask for less time, or by=day");
            return Err(Violation::new("since", rule).into());
        }
        Ok(rows)
    }
}

fn query(caller: &Caller, asked: &UsageAsked, now: i64) -> Result<UsageQuery> {
    let until = asked.until.unwrap_or(now + 1);
    let since = asked.since.unwrap_or(until.saturating_sub(DAYS * DAY * SECONDS_PER_HOUR));
    if since >= until {
        return Err(Violation::new("since", format!("{since} is not before {until}")).into());
    }
    let (first, last) = (since.div_euclid(SECONDS_PER_HOUR), until - 1);
    // Whole days are told whole, and hours, too.
    let first = if asked.by_day { first.div_euclid(DAY) * DAY } else { first };
    let of = match asked.function.as_deref() {
        None => UsageOf::Organization,
        Some("*") => UsageOf::EachFunction,
        Some(name) => {
            let named = |violation: Violation| Violation::new("function", violation.rule);
            UsageOf::Function(Name::new(name).map_err(named)?)
        }
    };
    Ok(UsageQuery {
        org: (!asked.everywhere).then(|| caller.org.clone()),
        of,
        hours: (first, last.div_euclid(SECONDS_PER_HOUR) + 1),
        by_day: asked.by_day,
    })
}

fn now_s() -> i64 {
    dispatch_model::resource::now_ms().div_euclid(1_000)
}

#[cfg(test)]
mod tests {
    use dispatch_model::OrgName;

    use super::*;
    use crate::app::Principal;

    #[test]
    fn times_are_widened_to_whole_hours_and_days() {
        let caller = Caller {
            org: OrgName::trusted("acme"),
            principal: Principal::LocalAdmin,
            token: None,
            request_id: "r".into(),
        };
        let hours = |since, until, by_day| {
            let asked = UsageAsked { since, until, by_day, ..UsageAsked::default() };
            query(&caller, &asked, 100 * 3_600 + 5).map(|query| query.hours)
        };
        assert_eq!(hours(Some(7_199), Some(7_201), false).unwrap(), (1, 3));
        assert_eq!(hours(Some(3_600), Some(7_200), false).unwrap(), (1, 2));
        assert_eq!(hours(Some(90_000), None, true).unwrap(), (24, 101));
        assert!(hours(Some(5), Some(5), false).is_err());
    }
}
