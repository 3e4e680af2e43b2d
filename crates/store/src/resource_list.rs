//! Lists of resources: selected by labels, sorted, paged by the key of the last row.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dispatch_model::list::{MAX_LIMIT, MAX_SELECTORS};
use dispatch_model::{Kind, ListQuery, OrgName, Page, Resource, ResourceKind, Sort, Violation};
use serde::{Deserialize, Serialize};

use crate::database::read;
use crate::label;
use crate::resource_select::{Bind, List, Statement};
use crate::row::{COLUMNS, ResourceRow};
use crate::{Error, Result, Store};

/// Where the next page begins: the sort key, the organization and the name of the last row.
#[derive(Serialize, Deserialize)]
pub(crate) struct Token {
    pub key: i64,
    pub name: String,
    pub org: String,
}

impl Token {
    fn parse(text: &str) -> Result<Token> {
        let invalid = || Error::Invalid(Violation::new("continue", "is not a token of this list"));
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid())?;
        serde_json::from_slice(&bytes).map_err(|_| invalid())
    }

    fn text(&self) -> Result<String> {
        Ok(URL_SAFE_NO_PAD.encode(serde_json::to_vec(self)?))
    }
}

/// The column a list is sorted by beside the name, and whether it descends.
pub(crate) fn order(sort: Sort) -> (Option<&'static str>, bool) {
    match sort {
        Sort::Name => (None, false),
        Sort::NameDescending => (None, true),
        Sort::Created => (Some("created_ms"), false),
        Sort::CreatedDescending => (Some("created_ms"), true),
        Sort::Modified => (Some("modified_ms"), false),
        Sort::ModifiedDescending => (Some("modified_ms"), true),
    }
}

/// The token of the page that begins after a resource, for a list that is cut elsewhere.
pub fn token_after<K: Kind>(last: &Resource<K>, sort: Sort) -> Result<String> {
    token(&ResourceRow::from_resource(last)?, sort).text()
}

impl Store {
    /// One organization's resources of a kind.
    pub async fn list<K: Kind>(
        &self,
        org: &OrgName,
        query: &ListQuery,
    ) -> Result<Page<Resource<K>>> {
        self.list_of(Some(org), query).await
    }

    /// All organizations' resources of a kind: for controllers and catalogs, never for a caller.
    pub async fn list_all<K: Kind>(&self, query: &ListQuery) -> Result<Page<Resource<K>>> {
        self.list_of(None, query).await
    }

    /// Resources a controller has something to do for, the longest unchanged first.
    pub async fn pending<K: Kind>(&self, limit: u32) -> Result<Vec<Resource<K>>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM resource WHERE kind = $1 AND state IN ('INITIALIZED', \
             'CREATING', 'UPDATING', 'DELETING') ORDER BY modified_ms LIMIT $2"
        );
        let rows: Vec<ResourceRow> = read!(self, |pool| {
            sqlx::query_as(sqlx::AssertSqlSafe(sql))
                .bind(K::KIND.as_str())
                .bind(i64::from(limit))
                .fetch_all(pool)
                .await?
        });
        rows.into_iter().map(ResourceRow::into_resource).collect()
    }

    async fn list_of<K: Kind>(
        &self,
        org: Option<&OrgName>,
        query: &ListQuery,
    ) -> Result<Page<Resource<K>>> {
        check(K::KIND, query)?;
        let after = query.continue_token.as_deref().map(Token::parse).transpose()?;
        let limit = query.limit.map(|limit| limit.clamp(1, MAX_LIMIT) as usize);
        let labels = labels(query);
        let leader = self.leader(K::KIND, org, query, &labels).await?;
        let list = List { kind: K::KIND, org, query, labels, leader, after };
        let Statement { sql, binds } = list.statement(limit.map(|limit| limit as i64 + 1));
        let mut rows: Vec<ResourceRow> = read!(self, |pool| {
            let mut select = sqlx::query_as(sqlx::AssertSqlSafe(sql));
            for bind in binds {
                select = match bind {
                    Bind::Text(text) => select.bind(text),
                    Bind::Number(number) => select.bind(number),
                };
            }
            select.fetch_all(pool).await?
        });
        let more = limit.is_some_and(|limit| rows.len() > limit);
        rows.truncate(limit.unwrap_or(usize::MAX));
        let continue_token = match rows.last().filter(|_| more) {
            Some(last) => Some(token(last, query.sort).text()?),
            None => None,
        };
        let items = rows.into_iter().map(ResourceRow::into_resource).collect::<Result<_>>()?;
        Ok(Page { items, continue_token })
    }

    /// The label whose rows are gone through, instead of all resources of the kind: always the
    /// rarest when sorted by name, as they are in that order; else only a rare one, as its rows
    /// have to be sorted.
    async fn leader(
        &self,
        kind: ResourceKind,
        org: Option<&OrgName>,
        query: &ListQuery,
        labels: &[(String, &str)],
    ) -> Result<Option<usize>> {
        if labels.is_empty() || query.name.is_some() {
            return Ok(None);
        }
        let by_name = order(query.sort).0.is_none();
        if by_name && labels.len() == 1 {
            return Ok(Some(0));
        }
        let mut rarest: Option<(i64, usize)> = None;
        for (at, (label, value)) in labels.iter().enumerate() {
            let (count,): (i64,) = read!(self, |pool| {
                sqlx::query_as(
                    "SELECT COUNT(*) FROM (SELECT 1 FROM resource_label WHERE kind = $1 \
                     AND label = $2 AND value = $3 AND org >= $4 AND org <= $5 LIMIT $6) few",
                )
                .bind(kind.as_str())
                .bind(label)
                .bind(*value)
                .bind(org.map_or("", OrgName::as_str))
                .bind(org.map_or(LAST_ORG, OrgName::as_str))
                .bind(RARE)
                .fetch_one(pool)
                .await?
            });
            rarest = rarest.min(Some((count, at))).or(Some((count, at)));
        }
        Ok(rarest.filter(|(count, _)| by_name || *count < RARE).map(|(_, at)| at))
    }
}

/// Greater than every name.
const LAST_ORG: &str = "\u{7f}";
/// A label on fewer resources than this is rare: sorting so many takes a few milliseconds.
const RARE: i64 = 1_000;

fn token(last: &ResourceRow, sort: Sort) -> Token {
    let key = match order(sort).0 {
        Some("created_ms") => last.created_ms,
        Some(_) => last.modified_ms,
        None => 0,
    };
    Token { key, name: last.name.clone(), org: last.org.clone() }
}

fn labels(query: &ListQuery) -> Vec<(String, &str)> {
    let tags = query.tags.iter().map(|(key, value)| (label::tag(key), value.as_str()));
    let fields = query.spec.iter().map(|(key, value)| (label::field(key), value.as_str()));
    let state = query.state.map(|state| (label::STATE.to_owned(), state.as_str()));
    tags.chain(fields).chain(state).collect()
}

fn check(kind: ResourceKind, query: &ListQuery) -> Result<()> {
    if query.tags.len() + query.spec.len() > MAX_SELECTORS {
        let rule = format!("a list takes at most {MAX_SELECTORS} selectors");
        return Err(Error::Invalid(Violation::new("tags", rule)));
    }
    for (field, _) in &query.spec {
        let known = label::fields(kind);
        if !known.contains(&field.as_str()) {
            let rule = format!("cannot be selected by; these can: {}", known.join(", "));
            return Err(Error::Invalid(Violation::new(field, rule)));
        }
    }
    Ok(())
}
