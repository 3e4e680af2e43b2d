//! SQLite takes many rows as one long list of values. The lists have a few fixed lengths, so that
//! each statement is prepared once.

use std::fmt::Write;
use std::sync::{Arc, LazyLock};

use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, AssertSqlSafe, SqliteConnection};

use super::{Batch, RunRow, WriteRuns};

/// Rows of one statement. Times nine columns this stays below SQLite's limit on parameters.
const SIZES: [usize; 5] = [512, 64, 16, 4, 1];

/// Columns of a run that is recorded once; the others hold constants then.
const PLAIN: usize = 6;
const ALL: usize = 9;

type Statements = LazyLock<Vec<Arc<str>>>;

static INSERT_PLAIN: Statements = LazyLock::new(|| {
    let head = "INSERT INTO run (org, id, function_name, function_id, state, body, dead) VALUES ";
    statements(head, PLAIN, ", 0", " ON CONFLICT DO NOTHING")
});

static INSERT: Statements = LazyLock::new(|| {
    let head = "INSERT INTO run (org, id, function_name, function_id, state, body, dead, due_us, \
                lease_owner) VALUES ";
    statements(head, ALL, "", " ON CONFLICT DO NOTHING")
});

static UPDATE: Statements = LazyLock::new(|| {
    let head = "WITH v (org, id, function_name, function_id, state, body, dead, due_us, \
                lease_owner) AS (VALUES ";
    let tail = ") UPDATE run SET state = v.state, dead = v.dead, body = v.body, \
                due_us = v.due_us, lease_owner = v.lease_owner FROM v \
                WHERE run.org = v.org AND run.id = v.id AND run.state NOT IN ('READY', 'ERROR')";
    statements(head, ALL, "", tail)
});

/// One statement for each of [`SIZES`].
fn statements(head: &str, columns: usize, constants: &str, tail: &str) -> Vec<Arc<str>> {
    let tuple = format!("({}{constants})", vec!["?"; columns].join(", "));
    SIZES
        .iter()
        .map(|size| {
            let mut sql = String::from(head);
            for i in 0..*size {
                let comma = if i == 0 { "" } else { ", " };
                write!(sql, "{comma}{tuple}").expect("a String takes everything");
            }
            sql.push_str(tail);
            sql.into()
        })
        .collect()
}

impl WriteRuns for SqliteConnection {
    async fn write_runs(&mut self, batch: &Batch<'_>) -> sqlx::Result<()> {
        let (plain, queued): (Vec<&RunRow>, Vec<&RunRow>) =
            batch.new.iter().partition(|row| row.is_plain());
        write(self, &INSERT_PLAIN, &plain, PLAIN).await?;
        write(self, &INSERT, &queued, ALL).await?;
        write(self, &UPDATE, &batch.changed, ALL).await
    }
}

async fn write(
    connection: &mut SqliteConnection,
    statements: &Statements,
    mut rows: &[&RunRow],
    columns: usize,
) -> sqlx::Result<()> {
    for (size, sql) in SIZES.into_iter().zip(statements.iter()) {
        while rows.len() >= size {
            let (slice, rest) = rows.split_at(size);
            let arguments = arguments(slice, columns).map_err(sqlx::Error::Encode)?;
            let sql = AssertSqlSafe(sql.clone());
            sqlx::query_with(sql, arguments).execute(&mut *connection).await?;
            rows = rest;
        }
    }
    Ok(())
}

fn arguments(
    rows: &[&RunRow],
    columns: usize,
) -> Result<SqliteArguments, sqlx::error::BoxDynError> {
    let mut arguments = SqliteArguments::default();
    arguments.reserve(rows.len() * columns, 0);
    for row in rows {
        arguments.add(row.org.clone())?;
        arguments.add(row.id)?;
        arguments.add(row.function_name.clone())?;
        arguments.add(row.function_id)?;
        arguments.add(row.state)?;
        arguments.add(row.body.clone())?;
        if columns == ALL {
            arguments.add(row.dead)?;
            arguments.add(row.due_us)?;
            arguments.add(row.lease_owner)?;
        }
    }
    Ok(arguments)
}
