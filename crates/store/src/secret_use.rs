//! Which runs read a secret. It stands in their bodies, which no index covers: the newest runs are
//! looked through, a bounded number of them.

use dispatch_model::{Name, OrgName, Run};
use sqlx::QueryBuilder;

use crate::database::read;
use crate::run_body::{self, RunColumns};
use crate::{Result, Store};

impl Store {
    /// The newest of those runs of an organization, or of one of its functions, that read a secret,
    /// among the `among` newest.
    pub async fn secret_uses(
        &self,
        org: &OrgName,
        secret: &Name,
        function: Option<&Name>,
        among: u32,
        limit: u32,
    ) -> Result<Vec<Run>> {
        let rows: Vec<RunColumns> = read!(self, |pool| {
            let columns = run_body::COLUMNS;
            let mut sql = QueryBuilder::new(format!(
                "SELECT {columns} FROM (SELECT {columns} FROM run WHERE org = "
            ));
            sql.push_bind(org.as_str());
            if let Some(function) = function {
                sql.push(" AND function_name = ").push_bind(function.as_str());
            }
            sql.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(among));
            sql.push(") newest WHERE body LIKE ");
            // What a run was given or answered may look like it, so each is looked at again.
            sql.push_bind(format!("%\"u\":[%\"n\":\"{secret}\"%"));
            sql.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(limit));
            sql.build_query_as().fetch_all(pool).await?
        });
        let runs = rows.into_iter().map(run_body::read).collect::<Result<Vec<Run>>>()?;
        let read = |run: &Run| {
            let uses = run.secrets_used.as_slice();
            uses.iter().any(|used| used.name == secret.as_str())
        };
        Ok(runs.into_iter().filter(read).collect())
    }
}
