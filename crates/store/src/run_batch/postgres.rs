//! PostgreSQL takes many rows as one array for each column.

use sqlx::postgres::PgArguments;
use sqlx::{Arguments as _, PgConnection};

use super::{Batch, RunRow, WriteRuns};

const INSERT: &str = "INSERT INTO run (org, id, function_name, function_id, state, body, dead, \
    due_us, lease_owner) SELECT * FROM UNNEST($1::text[], $2::uuid[], $3::text[], $4::uuid[], \
    $5::text[], $6::text[], $7::bigint[], $8::bigint[], $9::uuid[]) ON CONFLICT DO NOTHING";

const UPDATE: &str = "UPDATE run SET state = v.state, dead = v.dead, body = v.body, \
    due_us = v.due_us, lease_owner = v.lease_owner FROM UNNEST($1::text[], $2::uuid[], \
    $3::text[], $4::uuid[], $5::text[], $6::text[], $7::bigint[], $8::bigint[], $9::uuid[]) AS v \
    (org, id, function_name, function_id, state, body, dead, due_us, lease_owner) \
    WHERE run.org = v.org AND run.id = v.id AND run.state NOT IN ('READY', 'ERROR')";

impl WriteRuns for PgConnection {
    async fn write_runs(&mut self, batch: &Batch<'_>) -> sqlx::Result<()> {
        for (sql, rows) in [(INSERT, &batch.new), (UPDATE, &batch.changed)] {
            if !rows.is_empty() {
                let arguments = arguments(rows).map_err(sqlx::Error::Encode)?;
                sqlx::query_with(sql, arguments).execute(&mut *self).await?;
            }
        }
        Ok(())
    }
}

fn arguments(rows: &[&RunRow]) -> Result<PgArguments, sqlx::error::BoxDynError> {
    let texts = |of: fn(&RunRow) -> &str| rows.iter().map(|row| of(row)).collect::<Vec<_>>();
    let mut arguments = PgArguments::default();
    arguments.add(texts(|row| &row.org))?;
    arguments.add(rows.iter().map(|row| row.id).collect::<Vec<_>>())?;
    arguments.add(texts(|row| &row.function_name))?;
    arguments.add(rows.iter().map(|row| row.function_id).collect::<Vec<_>>())?;
    arguments.add(texts(|row| row.state))?;
    arguments.add(texts(|row| &row.body))?;
    arguments.add(rows.iter().map(|row| i64::from(row.dead)).collect::<Vec<_>>())?;
    arguments.add(rows.iter().map(|row| row.due_us).collect::<Vec<_>>())?;
    arguments.add(rows.iter().map(|row| row.lease_owner).collect::<Vec<_>>())?;
    Ok(arguments)
}
