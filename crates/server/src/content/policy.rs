//! Images held against the policies of their organization.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use dispatch_images::base::Source;
use dispatch_images::inventory::Package;
use dispatch_images::policy::{Facts, ImageFact, Since, Violation, evaluate};
use dispatch_images::sign::{PublicKey, Signature};
use dispatch_images::vulnerability::Finding;
use dispatch_images::{Digest, Error, Result};
use dispatch_model::base_image::{BaseImage, HOST_SCHEME};
use dispatch_model::image::ImageStatus;
use dispatch_model::image_policy::{Effect, ImagePolicy, ImagePolicySpec, MAX_RULES, Rule};
use dispatch_model::{ListQuery, OrgName, Resource, State};
use dispatch_store::inspection::{SignatureRow, ViolationRow};

use super::base::repository;
use super::bill::{self, Known};
use super::signing::{Ours, signed};
use super::{Contents, store_failed, unknown};

/// Violations that are told one by one.
const TOLD: usize = 10;
/// Bytes of a subject that gets a grace period: longer ones fit in no index.
const MAX_SUBJECT: usize = 1_024;

/// What an image breaks of its organization's policies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Those that stop it stand first.
    violations: Vec<Violation>,
}

impl Verdict {
    /// Whether it may be built or deployed.
    pub fn admits(&self) -> bool {
        !self.violations.first().is_some_and(|violation| violation.enforced)
    }

    /// What stops it; without that, what is discouraged.
    pub fn reasons(&self) -> Vec<String> {
        let stops = !self.admits();
        let told: Vec<_> = self.violations.iter().filter(|v| v.enforced == stops).collect();
        let (first, rest) = told.split_at(told.len().min(TOLD));
        let mut reasons: Vec<_> = first.iter().map(|violation| violation.message.clone()).collect();
        if !rest.is_empty() {
            reasons.push(format!("and {} more", rest.len()));
        }
        reasons
    }
}

/// What is held against policies.
#[derive(Debug, Clone, Default)]
pub struct Subject {
    /// Where the base image was fetched from, and its digest.
    pub base_url: String,
    pub base_digest: Option<String>,
    /// Digest of the content that stands on it; `None` while there is none.
    pub content: Option<String>,
    /// Packages beside those of the content.
    pub packages: Vec<Package>,
}

impl Subject {
    /// A base image, before anything is built on it.
    pub fn base(base: &Resource<BaseImage>) -> Self {
        Self {
            base_url: base.spec.docker_url.clone(),
            base_digest: base.status.digest.clone(),
            ..Self::default()
        }
    }

    /// What an image was built into, on what it was built on: its base image may be another by now.
    pub fn image(status: &ImageStatus) -> Self {
        Self {
            base_url: status.base_url.clone().unwrap_or_default(),
            base_digest: status.base_digest.clone(),
            content: status.digest.clone(),
            packages: Vec::new(),
        }
    }
}

impl Contents {
    /// Whether an organization has any policy.
    pub async fn has_policies(&self, org: &OrgName) -> Result<bool> {
        Ok(!self.policies(org).await?.is_empty())
    }

    async fn policies(&self, org: &OrgName) -> Result<Vec<Resource<ImagePolicy>>> {
        let policies = self.store.list::<ImagePolicy>(org, &ListQuery::default()).await;
        let mut policies = policies.map_err(store_failed)?.items;
        policies.retain(|policy| policy.meta.state != State::Deleting);
        Ok(policies)
    }

    /// Holds something against all policies of its organization: all its packages, what is known
    /// against them, and its base.
    ///
    /// # Errors
    /// Also when nothing is known of the content: it is never taken for harmless.
    pub async fn judge(&self, org: &OrgName, subject: &Subject) -> Result<Verdict> {
        let policies = self.policies(org).await?;
        if policies.is_empty() {
            return Ok(Verdict::default());
        }
        let mut packages = subject.packages.clone();
        let mut findings = match packages.is_empty() {
            true => Vec::new(),
            false => self.vulnerabilities.against(packages.clone()).await?,
        };
        if let Some(digest) = &subject.content {
            let known = bill::known(&self.store, digest).await.map_err(store_failed)?;
            let known = known.ok_or_else(|| unknown(digest))?;
            findings.extend(self.findings(&known).await?);
            packages.extend(known.packages);
        }
        let scanned = self.vulnerabilities.current().await?.is_some();
        let (packages, findings) = (Arc::new(packages), Arc::new(findings));
        let base = self.fact(subject);
        let at = base.digest.clone();
        let signatures = self.signatures_of(subject, at.as_ref()).await?;
        let mut verdict = Verdict::default();
        for policy in policies {
            let since = self.since(&policy).await?;
            let (keys, ours) = (self.trusted(&policy.spec), self.ours(org));
            let (at, mut base) = (at.clone(), base.clone());
            let (signatures, packages) = (signatures.clone(), packages.clone());
            let (findings, spec) = (findings.clone(), policy.spec.clone());
            let (known, now) = (since.clone(), Utc::now());
            // Many packages and many rules take long: not on a thread that serves.
            let turn = self.judging.acquire().await;
            let evaluated = tokio::task::spawn_blocking(move || {
                base.signed = at.is_some_and(|at| signed(&keys, &ours, &at, &signatures));
                let (packages, findings, images) = (&packages, &findings, &[base]);
                let facts = Facts { packages, findings, images, since: &known, now };
                evaluate(&spec, &facts)
            });
            let evaluated = evaluated.await;
            drop(turn);
            let mut found =
                evaluated.map_err(|e| Error::Unavailable(format!("a policy failed: {e}")))?;
            if !scanned {
                found.extend(unscanned(&policy.spec));
            }
            self.remember(&policy, &since, &found, now).await?;
            let name = &policy.meta.name;
            for violation in &mut found {
                violation.message = format!("{} of image policy {name}", violation.message);
            }
            verdict.violations.extend(found);
        }
        verdict.violations.sort_by_key(|violation| !violation.enforced);
        self.metrics.judged(verdict.admits());
        Ok(verdict)
    }

    /// The base, written in one way however it was typed.
    fn fact(&self, subject: &Subject) -> ImageFact {
        let url = &subject.base_url;
        let reference = match url.strip_prefix(HOST_SCHEME) {
            Some(language) => format!("{HOST_SCHEME}{}", language.to_lowercase()),
            None => match Source::parse(url, &self.settings.folders) {
                Ok(Source::Registry(reference)) => reference.to_string(),
                Ok(layout) => without_detours(&layout.to_string()),
                Err(_) => url.clone(),
            },
        };
        let digest = subject.base_digest.as_deref().and_then(|text| text.parse().ok());
        ImageFact { reference, digest, base: true, signed: false }
    }

    /// What the base's repository lists as its signatures.
    async fn signatures_of(
        &self,
        subject: &Subject,
        at: Option<&Digest>,
    ) -> Result<Vec<Signature>> {
        let source = Source::parse(&subject.base_url, &self.settings.folders).ok();
        let (Some(repository), Some(at)) = (source.as_ref().and_then(repository), at) else {
            return Ok(Vec::new());
        };
        let rows = self.store.signature_list(&repository, at.as_str()).await;
        Ok(rows.map_err(store_failed)?.into_iter().map(signature).collect())
    }

    /// What this installation signed for an organization; for others it signs what they admit.
    fn ours(&self, org: &OrgName) -> Ours {
        Ours { key: self.signer.public(), below: self.kept.below(org) }
    }

    /// What is known against content and what it is made on, of the database that holds.
    pub async fn findings(&self, known: &Known) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for digest in known.digests() {
            self.vulnerabilities.scan(digest).await?;
            let rows = self.store.finding_list(digest).await.map_err(store_failed)?;
            findings.extend(rows.iter().filter_map(|row| serde_json::from_str(&row.body).ok()));
        }
        Ok(findings)
    }

    /// The keys of others whose signatures count.
    fn trusted(&self, policy: &ImagePolicySpec) -> Vec<PublicKey> {
        policy.keys.iter().filter_map(|pem| PublicKey::from_pem(pem).ok()).collect()
    }

    /// Since when rules with a grace period are broken.
    async fn since(&self, policy: &Resource<ImagePolicy>) -> Result<Since> {
        if policy.spec.rules.iter().all(|rule| rule.grace_days == 0) {
            return Ok(Since::new());
        }
        let rows = self.store.violation_list(&policy.meta.org, &policy.meta.id.to_string()).await;
        let since = |row: ViolationRow| {
            let at = DateTime::<Utc>::from_timestamp_millis(row.since_ms)?;
            Some(((row.rule, row.subject), at))
        };
        Ok(rows.map_err(store_failed)?.into_iter().filter_map(since).collect())
    }

    /// Remembers when rules with a grace period were first found broken.
    async fn remember(
        &self,
        policy: &Resource<ImagePolicy>,
        since: &Since,
        found: &[Violation],
        now: DateTime<Utc>,
    ) -> Result<()> {
        let graceful = |name: &str| {
            let mut rules = policy.spec.rules.iter().take(MAX_RULES);
            rules.any(|rule| rule.name == name && rule.grace_days > 0)
        };
        let new = |violation: &&Violation| {
            let key = (violation.rule.clone(), violation.subject.clone());
            let fits = violation.subject.len() <= MAX_SUBJECT;
            fits && graceful(&violation.rule) && !since.contains_key(&key)
        };
        let row = |violation: &Violation| ViolationRow {
            rule: violation.rule.clone(),
            subject: violation.subject.clone(),
            since_ms: now.timestamp_millis(),
        };
        let rows: Vec<_> = found.iter().filter(new).map(row).collect();
        if rows.is_empty() {
            return Ok(());
        }
        let id = policy.meta.id.to_string();
        let put = self.store.violation_put(&policy.meta.org, &id, &rows);
        put.await.map_err(store_failed)
    }
}

fn signature(row: SignatureRow) -> Signature {
    Signature { payload: row.payload, signature: row.signature }
}

/// A path without what leads nowhere.
fn without_detours(text: &str) -> String {
    let mut text = text.to_owned();
    for (detour, straight) in [("//", "/"), ("/./", "/")] {
        while text.contains(detour) {
            text = text.replace(detour, straight);
        }
    }
    text
}

/// Rules on vulnerabilities of which nothing can be known.
fn unscanned(policy: &ImagePolicySpec) -> Vec<Violation> {
    let about = |rule: &&Rule| {
        let matches = &rule.matches;
        let asks = matches.severity.is_some() || matches.vulnerability.is_some();
        asks && rule.effect != Effect::Allow
    };
    let told = |rule: &Rule| Violation {
        rule: rule.name.clone(),
        subject: "no vulnerability database".to_owned(),
        message: format!(
            "no vulnerability database was imported (dispatch scan --import), so that nothing is \
             held against the rule {:?}",
            rule.name
        ),
        enforced: false,
        grace_until: None,
    };
    policy.rules.iter().filter(about).map(told).collect()
}
