//! Lists of resources: selected by labels, sorted, paged by the key of the last row.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dispatch_model::list::{MAX_LIMIT, MAX_SELECTORS};
use dispatch_model::{Kind, ListQuery, OrgName, Page, Resource, ResourceKind, Sort, Violation};
use serde::{Deserialize, Serialize};
use sqlx::QueryBuilder;

use crate::database::read;
use crate::label;
use crate::row::{COLUMNS, ResourceRow};
use crate::{Error, Result, Store};

/// Where the next page begins: the sort key and the name of the last row, and its organization
/// when all are listed.
#[derive(Serialize, Deserialize)]
struct Token {
    key: i64,
    name: String,
    org: String,
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
fn order(sort: Sort) -> (Option<&'static str>, bool) {
    match sort {
        Sort::Name => (None, false),
        Sort::NameDescending => (None, true),
        Sort::Created => (Some("created_ms"), false),
        Sort::CreatedDescending => (Some("created_ms"), true),
        Sort::Modified => (Some("modified_ms"), false),
        Sort::ModifiedDescending => (Some("modified_ms"), true),
    }
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
        let mut rows: Vec<ResourceRow> = read!(self, |pool| {
            let mut sql = QueryBuilder::new("SELECT ");
            sql.push(COLUMNS).push(" FROM resource WHERE kind = ").push_bind(K::KIND.as_str());
            if let Some(org) = org {
                sql.push(" AND org = ").push_bind(org.as_str());
            }
            if let Some(state) = query.state {
                sql.push(" AND state = ").push_bind(state.as_str());
            }
            if let Some(name) = &query.name {
                sql.push(" AND name = ").push_bind(name.as_str());
            }
            for (label, value) in labels(query) {
                sql.push(" AND id IN (SELECT l.id FROM resource_label l WHERE l.kind = ");
                sql.push_bind(K::KIND.as_str());
                if let Some(org) = org {
                    sql.push(" AND l.org = ").push_bind(org.as_str());
                }
                sql.push(" AND l.label = ").push_bind(label);
                sql.push(" AND l.value = ").push_bind(value).push(")");
            }
            let (column, descending) = order(query.sort);
            let (than, direction) = if descending { (" < ", " DESC") } else { (" > ", "") };
            if let Some(after) = &after {
                sql.push(" AND (");
                if let Some(column) = column {
                    sql.push(column).push(", ");
                }
                sql.push("name, org)").push(than).push("(");
                if column.is_some() {
                    sql.push_bind(after.key).push(", ");
                }
                sql.push_bind(after.name.as_str()).push(", ");
                sql.push_bind(after.org.as_str()).push(")");
            }
            sql.push(" ORDER BY ");
            if let Some(column) = column {
                sql.push(column).push(direction).push(", ");
            }
            sql.push("name").push(direction).push(", org").push(direction);
            if let Some(limit) = limit {
                sql.push(" LIMIT ").push_bind(limit as i64 + 1);
            }
            sql.build_query_as().fetch_all(pool).await?
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
}

fn token(last: &ResourceRow, sort: Sort) -> Token {
    let key = match order(sort).0 {
        Some("created_ms") => last.created_ms,
        Some(_) => last.modified_ms,
        None => 0,
    };
    Token { key, name: last.name.clone(), org: last.org.clone() }
}

fn labels(query: &ListQuery) -> impl Iterator<Item = (String, &str)> {
    let tags = query.tags.iter().map(|(key, value)| (format!("tag:{key}"), value.as_str()));
    let fields = query.spec.iter().map(|(key, value)| (format!("field:{key}"), value.as_str()));
    tags.chain(fields)
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
