//! Images held against the policies of their organization.

use chrono::{DateTime, Utc};
use dispatch_images::policy::{Facts, ImageFact, Since, Violation, evaluate};
use dispatch_images::sign::{PublicKey, Signature};
use dispatch_images::vulnerability::Finding;
use dispatch_images::{Digest, Result};
use dispatch_model::base_image::BaseImage;
use dispatch_model::image_policy::{ImagePolicy, ImagePolicySpec, MAX_RULES};
use dispatch_model::{ListQuery, OrgName, Resource, State};
use dispatch_store::inspection::{SignatureRow, ViolationRow};

use super::bill::{self, Known};
use super::signing::signed;
use super::{Contents, store_failed};

/// Violations that are told one by one.
const TOLD: usize = 10;

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

impl Contents {
    /// Holds a base image against the policies, before anything is built on it.
    pub async fn judge_base(&self, base: &Resource<BaseImage>) -> Result<Verdict> {
        self.judge(&base.meta.org, base, None).await
    }

    /// Holds content that stands on a base image against the policies: all its packages, what is
    /// known against them, and the base.
    pub async fn judge(
        &self,
        org: &OrgName,
        base: &Resource<BaseImage>,
        digest: Option<&str>,
    ) -> Result<Verdict> {
        let policies = self.store.list::<ImagePolicy>(org, &ListQuery::default()).await;
        let policies = policies.map_err(store_failed)?.items;
        let mut policies = policies.into_iter().filter(|p| p.meta.state != State::Deleting);
        let Some(first) = policies.next() else { return Ok(Verdict::default()) };
        let (mut packages, mut findings) = (Vec::new(), Vec::new());
        if let Some(digest) = digest
            && let Some(known) = bill::known(&self.store, digest).await.map_err(store_failed)?
        {
            findings = self.findings(&known).await?;
            packages = known.packages;
        }
        let at: Option<Digest> = base.status.digest.as_deref().and_then(|text| text.parse().ok());
        let signatures = match &at {
            Some(digest) => self.store.signature_list(digest.as_str()).await,
            None => Ok(Vec::new()),
        };
        let signatures = signatures.map_err(store_failed)?;
        let signatures: Vec<_> = signatures.into_iter().map(signature).collect();
        let mut verdict = Verdict::default();
        for policy in std::iter::once(first).chain(policies) {
            let keys = self.trusted(&policy.spec);
            let signed = at.as_ref().is_some_and(|digest| signed(&keys, digest, &signatures));
            let image = ImageFact {
                reference: base.spec.docker_url.clone(),
                digest: at.clone(),
                base: true,
                signed,
            };
            let since = self.since(&policy).await?;
            let facts = Facts {
                packages: &packages,
                findings: &findings,
                images: &[image],
                since: &since,
                now: Utc::now(),
            };
            let mut found = evaluate(&policy.spec, &facts);
            self.remember(&policy, &since, &found, facts.now).await?;
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

    /// The keys whose signatures count.
    fn trusted(&self, policy: &ImagePolicySpec) -> Vec<PublicKey> {
        let given = policy.keys.iter().filter_map(|pem| PublicKey::from_pem(pem).ok());
        std::iter::once(self.signer.public()).chain(given).collect()
    }

    /// Since when rules with a grace period are broken.
    async fn since(&self, policy: &Resource<ImagePolicy>) -> Result<Since> {
        if policy.spec.rules.iter().all(|rule| rule.grace_days == 0) {
            return Ok(Since::new());
        }
        let rows = self.store.violation_list(&policy.meta.org, policy.meta.name.as_str()).await;
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
            graceful(&violation.rule) && !since.contains_key(&key)
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
        let put = self.store.violation_put(&policy.meta.org, policy.meta.name.as_str(), &rows);
        put.await.map_err(store_failed)
    }
}

fn signature(row: SignatureRow) -> Signature {
    Signature { payload: row.payload, signature: row.signature }
}
