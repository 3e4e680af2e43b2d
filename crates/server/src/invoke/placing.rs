//! Which engines a function belongs on, and what holds for its placement: its own words over its
//! application's over its organization's.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use dispatch_model::application::{APPLICATION_TAG, Application};
use dispatch_model::base_image::HOST_SCHEME;
use dispatch_model::function::{DEFAULT_MEMORY_MIB, Function, FunctionSpec};
use dispatch_model::function_version::FunctionVersionSpec;
use dispatch_model::organization::Organization;
use dispatch_model::placement::{Burst, PlacementSpec};
use dispatch_model::{Name, OrgName, Resource};
use dispatch_placement::{Candidate, Plan, Queue, Role};
use dispatch_store::Store;

use super::engines::Engines;
use super::member::Member;
use crate::app::Result;

/// Engines a function is deployed on at most: those that come first.
pub const MAX_PLACES: usize = 64;

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
            .map(|m| Candidate { engine: m.state().clone(), unfit: self.misfit(m) })
            .collect();
        let all = self.plan(&Arc::default(), plain).explain(now_ns());
        let fits = |name: &str| all.iter().any(|l| l.engine == name && l.role != Role::Unfit);
        let more = |member: &Member| fits(member.name()).then(|| unfit(member)).flatten();
        open.map(|member| Candidate {
            engine: member.state().clone(),
            unfit: self.misfit(member).or_else(|| more(member)),
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
        let has = |member: &Member| there.iter().any(|name| name == member.name());
        let closed = |member: &Member| {
            let how = if member.spec.draining { "is being drained" } else { "is cordoned" };
            let text = || format!("{how}: it takes no new functions");
            (!member.takes_new() && !has(member)).then(text)
        };
        let plan = self.plan(&Arc::default(), self.candidates(closed));
        let explained = plan.explain(now_ns());
        let fits = explained.iter().filter(|line| line.role != Role::Unfit);
        let mut names: Vec<String> = fits.map(|line| line.engine.clone()).collect();
        let draining =
            |name: &String| self.engines.member(name).is_some_and(|member| member.spec.draining);
        if names.iter().any(|name| !draining(name)) {
            names.retain(|name| !draining(name));
        }
        names.truncate(if says_nothing(self.placement) { 1 } else { MAX_PLACES });
        if !names.is_empty() {
            return Ok(names);
        }
        let unfit = explained.iter().filter_map(|line| {
            line.passed_over.as_ref().map(|why| format!("{} {why}", line.engine))
        });
        Err(unfit.collect::<Vec<_>>().join("; "))
    }

    /// The plan for calls, of the engines that have the version. `queue` outlives plans.
    pub fn for_calls(&self, places: &BTreeSet<&str>, queue: &Arc<Queue>) -> Plan {
        let members = self.engines.members();
        let there = members.iter().filter(|member| places.contains(member.name()));
        let candidate =
            |member: &Arc<Member>| Candidate { engine: member.state().clone(), unfit: None };
        let candidates: Vec<Candidate> = there.map(candidate).collect();
        let plan = self.plan(queue, candidates.clone());
        if plan.fitting() > 0 || candidates.is_empty() {
            return plan;
        }
        // Nothing fits any more, as the function says: what serves goes on where it is.
        Placing { placement: &PlacementSpec::default(), ..*self }.plan(queue, candidates)
    }

    /// The same with every engine there is, for people.
    pub fn for_people(&self, places: &BTreeSet<&str>, queue: &Arc<Queue>) -> Plan {
        let absent = |member: &Member| {
            let text = || format!("has no deployment of version {}", self.version.number);
            (!places.contains(member.name())).then(text)
        };
        self.plan(queue, self.candidates(absent))
    }

    fn plan(&self, queue: &Arc<Queue>, candidates: Vec<Candidate>) -> Plan {
        let memory_mib = self.version.spec.memory_mib.unwrap_or(DEFAULT_MEMORY_MIB);
        let mut spec = Cow::Borrowed(self.placement);
        // An engine of this server is full for a function when that has all its workers busy.
        if let Some(burst) = &self.placement.burst
            && burst.when_queued.is_none()
            && burst.when_saturated_or_default()
        {
            let burst = Burst { when_queued: Some(0), when_saturated: Some(true), ..burst.clone() };
            spec.to_mut().burst = Some(burst);
        }
        Plan::compile(self.engines.fleet(), &spec, candidates, memory_mib, queue)
    }
}
