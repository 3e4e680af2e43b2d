//! Which engines a function belongs on, and what holds for its placement: its own words over its
//! application's over its organization's.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use dispatch_model::application::{APPLICATION_TAG, Application};
use dispatch_model::base_image::HOST_SCHEME;
use dispatch_model::function::{DEFAULT_MEMORY_MIB, Function, FunctionSpec};
use dispatch_model::function_version::FunctionVersionSpec;
use dispatch_model::organization::Organization;
use dispatch_model::placement::PlacementSpec;
use dispatch_model::{Name, OrgName, Resource, nearest};
use dispatch_placement::{Candidate, Explained, Plan, Queue, Role};
use dispatch_store::Store;

use super::engines::Engines;
use super::member::Member;
use super::places::Place;
use crate::app::Result;

/// Engines a function is deployed on at most: those that come first.
pub const MAX_PLACES: usize = 64;
/// Of these, so many are kept for a burst, and as many for each preference: else one large region
/// would leave nothing to the others.
const KEPT: usize = 3;

static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Nanoseconds on the clock that placement goes by.
pub fn now_ns() -> u64 {
    u64::try_from(BEGAN.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// What holds for a function.
pub async fn effective(store: &Store, function: &Resource<Function>) -> Result<PlacementSpec> {
    let (org, spec) = (&function.meta.org, &function.spec);
    let application = match function.meta.tags.get(APPLICATION_TAG) {
        Some(name) => store.by_name::<Application>(org, &Name::trusted(name)).await?,
        None => None,
    };
    let organization = store.by_name::<Organization>(org, &Name::trusted(org.as_str())).await?;
    let all = PlacementSpec::effective(
        own(spec).as_ref(),
        application.and_then(|application| application.spec.placement).as_ref(),
        organization.and_then(|organization| organization.spec.placement).as_ref(),
    );
    Ok(all)
}

/// A function's own placement; `engine` is the short form of a list of one.
fn own(spec: &FunctionSpec) -> Option<PlacementSpec> {
    let mut own = spec.placement.clone();
    if let Some(engine) = &spec.engine {
        let own = own.get_or_insert_default();
        own.engines.get_or_insert_with(|| vec![engine.clone()]);
    }
    own
}

/// Whether a placement says nothing about engines: then the first that fits is enough.
fn says_nothing(spec: &PlacementSpec) -> bool {
    PlacementSpec { canary: None, failover: None, ..spec.clone() } == PlacementSpec::default()
}

/// Everything the choice of engines for a version hangs on.
pub struct Placing<'a> {
    pub engines: &'a Engines,
    pub org: &'a OrgName,
    pub version: &'a FunctionVersionSpec,
    pub placement: &'a PlacementSpec,
}

impl Placing<'_> {
    /// All engines the organization may know of, with what keeps the version from them: what
    /// placement says first, then `unfit`.
    fn candidates(&self, unfit: impl Fn(&Member) -> Option<String>) -> Vec<Candidate> {
        let members = self.engines.members();
        let open = members.iter().filter(|member| member.spec.open_to(self.org));
        let plain: Vec<Candidate> = open
            .clone()
            .map(|m| Candidate { engine: m.state().clone(), unfit: self.misfit(m), room: None })
            .collect();
        let all = self.plan(&Arc::default(), plain).explain(now_ns());
        let fits = |name: &str| all.iter().any(|l| l.engine == name && l.role != Role::Unfit);
        let more = |member: &Member| fits(member.name()).then(|| unfit(member)).flatten();
        open.map(|member| Candidate {
            engine: member.state().clone(),
            unfit: self.misfit(member).or_else(|| more(member)),
            room: None,
        })
        .collect()
    }

    /// Why an engine cannot run the version at all.
    fn misfit(&self, member: &Member) -> Option<String> {
        let language = &self.version.language;
        if !member.runs(language) {
            let needs = member.engine.needs(language).map(|needs| format!(": {needs}"));
            return Some(format!("does not run {language}{}", needs.unwrap_or_default()));
        }
        if !member.engine.capabilities().pulls_images {
            return None;
        }
        if self.version.image_url.starts_with(HOST_SCHEME) {
            let image = &self.version.image_url;
            return Some(format!("runs images, and {image} is on this machine only"));
        }
        None
    }

    /// The engines the version belongs on, those asked first first. What has it already may be
    /// cordoned; what is drained is left when another is there.
    ///
    /// # Errors
    /// Why there is none: a sentence that says what is wrong with each.
    pub fn targets(&self, there: &[String]) -> std::result::Result<Vec<String>, String> {
        let explained = self.explained(there);
        let names = self.fitting(&explained);
        if !names.is_empty() {
            return Ok(self.first(&names));
        }
        let unfit = explained.iter().filter_map(|line| {
            line.passed_over.as_ref().map(|why| format!("{} {why}", line.engine))
        });
        let unknown = self.unknown().into_iter().map(|unknown| unknown.to_string());
        Err(unknown.chain(unfit).collect::<Vec<_>>().join("; "))
    }

    /// What every engine is to the version, which some have already.
    fn explained(&self, there: &[String]) -> Vec<Explained> {
        let has = |member: &Member| there.iter().any(|name| name == member.name());
        let closed = |member: &Member| {
            let how = if member.spec.draining { "is being drained" } else { "is cordoned" };
            let text = || format!("{how}: it takes no new functions");
            (!member.takes_new() && !has(member)).then(text)
        };
        self.plan(&Arc::default(), self.candidates(closed)).explain(now_ns())
    }

    /// Those of them the version may be deployed on, in order.
    fn fitting(&self, explained: &[Explained]) -> Vec<String> {
        let fits = explained.iter().filter(|line| line.role != Role::Unfit);
        let mut names: Vec<String> = fits.map(|line| line.engine.clone()).collect();
        let draining =
            |name: &String| self.engines.member(name).is_some_and(|member| member.spec.draining);
        if names.iter().any(|name| !draining(name)) {
            names.retain(|name| !draining(name));
        }
        if says_nothing(self.placement) {
            names.truncate(1);
        }
        names
    }

    /// Of engines in order, those a function is deployed on.
    fn first(&self, names: &[String]) -> Vec<String> {
        if names.len() <= MAX_PLACES {
            return names.to_vec();
        }
        let burst = self.placement.burst.iter().flat_map(|burst| &burst.to);
        let burst: BTreeSet<&String> = burst.collect();
        let bursts = |name: &String| burst.contains(name);
        let mut kept: BTreeSet<usize> =
            (0..names.len()).filter(|at| bursts(&names[*at])).take(KEPT).collect();
        for preference in self.placement.prefer.iter().flatten() {
            let matches = |name: &String| {
                let member = self.engines.member(name);
                member.is_some_and(|member| preference.matches(&member.state().settings().labels))
            };
            kept.extend((0..names.len()).filter(|at| matches(&names[*at])).take(KEPT));
        }
        for at in 0..names.len() {
            if kept.len() < MAX_PLACES {
                kept.insert(at);
            }
        }
        kept.into_iter().map(|at| names[at].clone()).collect()
    }

    /// Engines that fit and that a version is not deployed on, as there are too many.
    fn too_many(&self, there: &[String]) -> Vec<String> {
        let mut names = self.fitting(&self.explained(there));
        let first = self.first(&names);
        names.retain(|name| !first.contains(name));
        names
    }

    fn unknown(&self) -> Vec<Unknown> {
        unknown(self.engines, self.org, self.placement)
    }

    /// The plan for calls, of the engines that are to have the version and are open to the
    /// organization. `queue` outlives plans.
    pub fn for_calls(&self, places: &[Arc<Place>], queue: &Arc<Queue>) -> Plan {
        let mut there = Vec::with_capacity(places.len());
        for place in places {
            there.extend(self.engines.member(place.state.name()).map(|member| (member, place)));
        }
        there.retain(|(member, _)| member.spec.open_to(self.org));
        there.sort_by(|(a, _), (b, _)| a.preference().cmp(&b.preference()));
        let candidate = |(_, place): (Arc<Member>, &Arc<Place>)| Candidate {
            engine: place.state.clone(),
            unfit: None,
            room: Some(place.room.clone()),
        };
        let candidates: Vec<Candidate> = there.into_iter().map(candidate).collect();
        let plan = self.plan(queue, candidates.clone());
        if plan.fitting() > 0 || candidates.is_empty() {
            return plan;
        }
        // Nothing fits any more, as the function says: what serves goes on where it is.
        Placing { placement: &PlacementSpec::default(), ..*self }.plan(queue, candidates)
    }

    /// The same with every engine there is, for people.
    pub fn for_people(&self, places: &[Arc<Place>], queue: &Arc<Queue>) -> Plan {
        let place = |name: &str| places.iter().find(|place| place.state.name() == name);
        let there: Vec<String> = places.iter().map(|p| p.state.name().to_owned()).collect();
        let too_many = self.too_many(&there);
        let absent = |member: &Member| {
            let text = || match too_many.iter().any(|name| name == member.name()) {
                true => format!("is beyond the {MAX_PLACES} engines a function is deployed on"),
                false => format!("has no deployment of version {}", self.version.number),
            };
            place(member.name()).is_none().then(text)
        };
        let mut candidates = self.candidates(absent);
        for candidate in &mut candidates {
            candidate.room = place(candidate.engine.name()).map(|place| place.room.clone());
        }
        let plan = self.plan(queue, candidates.clone());
        if plan.fitting() > 0 {
            return plan;
        }
        // As for calls: what serves goes on where it is.
        let lines = plan.explain(now_ns());
        for candidate in &mut candidates {
            let line = lines.iter().find(|line| line.engine == candidate.engine.name());
            let why = line.and_then(|line| line.passed_over.clone());
            candidate.unfit = why.filter(|_| candidate.room.is_none());
        }
        Placing { placement: &PlacementSpec::default(), ..*self }.plan(queue, candidates)
    }

    fn plan(&self, queue: &Arc<Queue>, candidates: Vec<Candidate>) -> Plan {
        let memory_mib = self.version.spec.memory_mib.unwrap_or(DEFAULT_MEMORY_MIB);
        Plan::compile(self.engines.fleet(), self.placement, candidates, memory_mib, queue)
    }
}

/// An engine that placement names and the organization has not.
pub struct Unknown {
    pub name: String,
    /// Whether it is named for a burst.
    burst: bool,
    /// The one that may be meant.
    near: Option<String>,
}

/// The engines that a placement names and the organization has not; they may come later.
pub fn unknown(engines: &Engines, org: &OrgName, placement: &PlacementSpec) -> Vec<Unknown> {
    let members = engines.members();
    let open = members.iter().filter(|member| member.spec.open_to(org));
    let known: Vec<&str> = open.map(|member| member.name()).collect();
    let listed = placement.engines.iter().flatten().map(|name| (name, false));
    let burst = placement.burst.iter().flat_map(|burst| &burst.to).map(|name| (name, true));
    let unknown = listed.chain(burst).filter(|(name, _)| !known.contains(&name.as_str()));
    let unknown = unknown.map(|(name, burst)| {
        let near = nearest(name, known.iter().copied()).map(ToOwned::to_owned);
        Unknown { name: name.clone(), burst, near }
    });
    unknown.collect()
}

impl std::fmt::Display for Unknown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let of = if self.burst { " of burst.to" } else { "" };
        write!(f, "engine {}{of} is not known", self.name)?;
        match &self.near {
            Some(near) => write!(f, ", did you mean {near}?"),
            None => Ok(()),
        }
    }
}
