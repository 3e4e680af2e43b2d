//! How the next call would be decided, for people: `dispatch get placement FUNCTION --explain`.

use serde::Serialize;

use crate::plan::{Group, Member, Misfit};
use crate::{Plan, Refusal, RefusalKind, Why};

/// Engines an error names before it says how many more there are.
const NAMED: usize = 8;

/// One engine in the eyes of a plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explained {
    pub engine: String,
    pub role: Role,
    /// Whether the next call may go there; with several, chance decides between them.
    pub next: bool,
    /// Which tier it is in, from 1; engines of one tier are equally good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<usize>,
    /// Sum of the weights of the preferences it matches.
    pub score: u32,
    pub cost: u32,
    /// Its part of the calls, 0 to 1, with the strategy `weighted`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    pub in_flight: u32,
    /// 0 for no limit.
    pub max_concurrency: u32,
    /// Mean time of a call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_us: Option<u64>,
    /// Why the next call does not go there: a sentence without its subject and full stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passed_over: Option<String>,
    /// It gets no new deployments; this one is served.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cordoned: bool,
}

/// What an engine is to a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    Primary,
    Burst,
    /// It cannot take calls of the function.
    Unfit,
}

impl Plan {
    /// All candidates: those that fit in the order they are asked, then the others.
    pub fn explain(&self, now_ns: u64) -> Vec<Explained> {
        let next = self.next(now_ns);
        let first = next.first().map(|(role, at)| self.group(*role).engine(*at).name().to_owned());
        let mut all = Vec::with_capacity(self.members.len());
        for role in [Role::Primary, Role::Burst] {
            let group = self.group(role);
            for (tier, range) in group.ranges().enumerate() {
                for at in range {
                    let member = &self.members[group.member(at)];
                    let mut line = line(member, role);
                    line.tier = Some(tier + 1);
                    line.share = group.share(at);
                    line.next = next.contains(&(role, at));
                    if !line.next {
                        let text = self.why_later(role, member, now_ns, first.as_deref());
                        line.passed_over = Some(text);
                    }
                    all.push(line);
                }
            }
        }
        for member in &self.members {
            if let Some(misfit) = &member.misfit {
                let passed_over = Some(misfit.to_string());
                all.push(Explained { passed_over, ..line(member, Role::Unfit) });
            }
        }
        all
    }

    /// A refusal for the caller: what is wrong, engine by engine.
    pub fn refusal(&self, refusal: &Refusal, now_ns: u64) -> String {
        let head = match refusal.kind {
            RefusalKind::NoneFits if self.members.is_empty() => return "there is no engine".into(),
            RefusalKind::NoneFits => "no engine fits",
            RefusalKind::NoneHealthy => "every engine that fits is out of order",
            RefusalKind::NoRoom => "no engine has room",
            RefusalKind::NoneLeft => "no engine is left to try the call on",
        };
        let parts = self.members.iter().filter_map(|member| {
            let name = member.engine.name();
            match &member.misfit {
                Some(misfit) if refusal.kind == RefusalKind::NoneFits => {
                    Some(format!("{name} {misfit}"))
                }
                Some(_) => None,
                None => Some(format!("{name} {}", member.why_not(now_ns)?)),
            }
        });
        let parts: Vec<String> = parts.collect();
        let more = parts.len().saturating_sub(NAMED);
        let mut text = format!("{head}: {}", parts[..parts.len() - more].join("; "));
        if parts.is_empty() {
            text.truncate(head.len());
        }
        if more > 0 {
            text.push_str(&format!("; and {more} more"));
        }
        text
    }

    fn group(&self, role: Role) -> &Group {
        if role == Role::Burst { &self.burst } else { &self.primary }
    }

    /// Where the next call may go: the open engines of the first tier that has any, in the order
    /// of the decision itself.
    fn next(&self, now_ns: u64) -> Vec<(Role, usize)> {
        let queued = self.when_queued.is_some_and(|limit| self.queue.waiting() > limit);
        let mut roles = vec![Role::Primary];
        if queued {
            roles.insert(0, Role::Burst);
        }
        let why = |at| self.primary.why_not(at, now_ns);
        let busy = (0..self.primary.len()).any(|at| why(at).is_none_or(Why::is_busy));
        if !queued && if busy { self.when_saturated } else { self.failover } {
            roles.push(Role::Burst);
        }
        let open = |group: &Group, at| group.why_not(at, now_ns).is_none();
        let last = |group: &Group, at| group.why_never(at, now_ns).is_none();
        let waits = |group: &Group, at: usize| last(group, at) && !group.engine(at).draining();
        let first = roles.iter().find_map(|role| self.open(*role, &open));
        first
            .or_else(|| roles.iter().find_map(|role| self.open(*role, &waits)))
            .or_else(|| [Role::Primary, Role::Burst].iter().find_map(|r| self.open(*r, &last)))
            .unwrap_or_default()
    }

    fn open(&self, role: Role, open: &dyn Fn(&Group, usize) -> bool) -> Option<Vec<(Role, usize)>> {
        let group = self.group(role);
        let tiers = if self.failover || role == Role::Burst { usize::MAX } else { 1 };
        let mut found = group.ranges().take(tiers).map(|range| {
            let open = range.filter(|at| open(group, *at));
            open.map(|at| (role, at)).collect::<Vec<_>>()
        });
        found.find(|tier| !tier.is_empty())
    }

    fn why_later(&self, role: Role, member: &Member, now_ns: u64, first: Option<&str>) -> String {
        if let Some(why) = member.why_not(now_ns) {
            return why.to_string();
        }
        match (role, first) {
            (Role::Burst, _) => {
                let queued = self.when_queued.map(|limit| format!("more than {limit} calls wait"));
                let full = self.when_saturated.then(|| "the others are full".to_owned());
                let when: Vec<String> = full.into_iter().chain(queued).collect();
                format!("takes calls when {}", when.join(" or "))
            }
            (_, Some(first)) if self.failover => format!("comes after {first}"),
            _ => "comes later, and failover is off".to_owned(),
        }
    }
}

fn line(member: &Member, role: Role) -> Explained {
    let engine = &member.engine;
    Explained {
        engine: engine.name().to_owned(),
        role,
        next: false,
        tier: None,
        score: member.score,
        cost: member.cost,
        share: None,
        in_flight: engine.in_flight(),
        max_concurrency: engine.max_concurrency(),
        latency_us: engine.latency_ns().map(|ns| ns / 1_000),
        passed_over: None,
        cordoned: engine.cordoned(),
    }
}

impl std::fmt::Display for Misfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Misfit::Label { name, wanted, found: Some(found) } => {
                write!(f, "has the label {name}: {found}, not {wanted}")
            }
            Misfit::Label { name, wanted, found: None } => {
                write!(f, "has no label {name}, which must be {wanted}")
            }
            Misfit::NotListed => f.write_str("is not among the placement's engines"),
            Misfit::Memory { most, asked } => {
                write!(f, "takes functions of up to {most} MiB, this one asks for {asked}")
            }
            Misfit::Outside(text) => f.write_str(text),
        }
    }
}
