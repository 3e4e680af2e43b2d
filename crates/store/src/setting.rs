//! Small values the server keeps about itself.

use crate::database::{read, write};
use crate::{Result, Store};

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
        write!(&self.0.database, |tx| {
            sqlx::query(
                "INSERT INTO setting (name, value) VALUES ($1, $2) \
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            )
            .bind(name)
            .bind(value)
            .execute(tx)
            .await?;
        });
        Ok(())
    }

    /// Stores a value in place of the one that was read; false when it is another by now.
    pub async fn setting_swap(&self, name: &str, read: &str, value: &str) -> Result<bool> {
        let changed = write!(&self.0.database, |tx| {
            sqlx::query("UPDATE setting SET value = $1 WHERE name = $2 AND value = $3")
                .bind(value)
                .bind(name)
                .bind(read)
                .execute(tx)
                .await?
                .rows_affected()
        });
        Ok(changed == 1)
    }
}
