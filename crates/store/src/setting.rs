//! Small values the server keeps about itself.

use crate::audit::{append, append_told};
use crate::database::{read, write};
use crate::{Result, Store, Told};

/// Stores a value, instead of the one there was.
pub(crate) const PUT: &str = "INSERT INTO setting (name, value) VALUES ($1, $2) \
                              ON CONFLICT (name) DO UPDATE SET value = excluded.value";

impl Store {
    pub async fn setting_get(&self, name: &str) -> Result<Option<String>> {
        let row: Option<(String,)> = read!(self, |pool| {
            sqlx::query_as("SELECT value FROM setting WHERE name = $1")
                .bind(name)
                .fetch_optional(pool)
                .await?
        });
        Ok(row.map(|(value,)| value))
    }

    /// Stores a value unless there is one; returns the one that holds.
    pub async fn setting_put_new(&self, name: &str, value: &str) -> Result<String> {
        let row: (String,) = write!(&self.0.database, |tx| {
            sqlx::query("INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING")
                .bind(name)
                .bind(value)
                .execute(&mut *tx)
                .await?;
            sqlx::query_as("SELECT value FROM setting WHERE name = $1")
                .bind(name)
                .fetch_one(&mut *tx)
                .await?
        });
        Ok(row.0)
    }

    pub async fn setting_put(&self, name: &str, value: &str) -> Result<()> {
        self.setting_put_told(name, value, None).await
    }

    pub(crate) async fn setting_put_told(
        &self,
        name: &str,
        value: &str,
        told: Option<&Told>,
    ) -> Result<()> {
        let entry = write!(&self.0.database, |tx| {
            sqlx::query(PUT).bind(name).bind(value).execute(&mut *tx).await?;
            append_told!(self, tx, told)
        });
        self.audit_written(entry, 1);
        Ok(())
    }

    /// Stores a value in place of the one that was read; false when it is another by now.
    pub(crate) async fn setting_swap(
        &self,
        name: &str,
        read: &str,
        value: &str,
        told: &Told,
    ) -> Result<bool> {
        let entry = write!(&self.0.database, |tx| {
            let changed =
                sqlx::query("UPDATE setting SET value = $1 WHERE name = $2 AND value = $3")
                    .bind(value)
                    .bind(name)
                    .bind(read)
                    .execute(&mut *tx)
                    .await?
                    .rows_affected();
            match changed {
                0 => None,
                _ => Some(append!(self, tx, told)),
            }
        });
        self.audit_written(entry, 1);
        Ok(entry.is_some())
    }
}
