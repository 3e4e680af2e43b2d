//! Directories over LDAP: OpenLDAP and its kin, and Active Directory. A password is proven by
//! binding with it, and is kept nowhere.

mod connection;
mod filter;
mod groups;
mod person;
mod reason;
mod settings;

use std::sync::Arc;

use async_trait::async_trait;
use dispatch_driver::identity::{
    IdentityProvider, IdentityType, Methods, Refresh, SecretText, SignedIn, plain,
};
use dispatch_driver::{Config, Error, Health, Result, Retry, Setting};
use dispatch_model::code;
use ldap3::{Scope, SearchEntry};

use super::over;
use connection::{Connection, Server};
use filter::{bound, equal, filled, is_dn};
use settings::Settings;

/// Longest password, in bytes.
const PASSWORD_BYTES: usize = 1_024;

/// Makes sign-ins by a directory.
pub struct LdapType;

impl IdentityType for LdapType {
    fn name(&self) -> &'static str {
        "ldap"
    }

    fn about(&self) -> &'static str {
        "a directory over LDAP: Active Directory, OpenLDAP, 389 Directory Server"
    }

    fn settings(&self) -> &'static [Setting] {
        settings::SETTINGS
    }

    fn make(&self, config: Config) -> Result<Arc<dyn IdentityProvider>> {
        let settings = Settings::read(&config)?;
        let url = config.text("url").unwrap_or_default();
        let (plain, ca_file) = (config.flag("plain"), config.text("caFile"));
        Ok(Arc::new(Ldap {
            server: Server::new(url, plain, ca_file, settings.timeout)?,
            password: config.text("bindPassword").map(SecretText::new),
            settings,
            name: config.name,
        }))
    }
}

struct Ldap {
    name: String,
    server: Server,
    settings: Settings,
    /// Of the account by which people are looked for.
    password: Option<SecretText>,
}

impl Ldap {
    /// A connection as the account by which people are looked for.
    async fn service(&self) -> Result<Connection> {
        let (Some(dn), Some(password)) = (&self.settings.bind_dn, &self.password) else {
            return Err(self.lacks("account to look people up by (settings.bindDn)"));
        };
        let mut connection = self.server.connect().await?;
        let result = connection.bind(dn, password).await?;
        if result.rc != 0 {
            let text = format!(
                "the directory does not let in settings.bindDn: {} (result {})",
                reason::of_bind(&result),
                result.rc
            );
            return Err(Error::backend(code::IDENTITY003, Retry::Never, text));
        }
        Ok(connection)
    }

    /// The one entry that a filter finds; none when there is none or more than one.
    async fn find(
        &self,
        connection: &mut Connection,
        base: &str,
        scope: Scope,
        filter: &str,
    ) -> Result<Option<SearchEntry>> {
        let attributes = person::attributes(&self.settings);
        let found = connection.search(base, scope, filter, &attributes, 2).await?;
        if found.entries.len() > 1 {
            tracing::warn!(
                provider = self.name,
                "a name leads to several entries: nobody signs in"
            );
            return Ok(None);
        }
        // A directory that gave up, or knows only where else, has not said that nobody is there.
        if found.entries.is_empty() && !found.all {
            let text = "the directory does not say whether the account is there";
            return Err(Error::backend(code::IDENTITY002, Retry::Now, text));
        }
        Ok(found.entries.into_iter().next())
    }

    /// Looks somebody up by the service's account, and binds as them.
    async fn bind_found(&self, name: &str, password: &SecretText) -> Result<SignedIn> {
        let mut service = self.service().await?;
        let filter = filled(&self.settings.user_filter, name, "");
        let base = &self.settings.base;
        let entry = self.find(&mut service, base, Scope::Subtree, &filter).await?;
        let mut connection = self.server.connect().await?;
        let Some(entry) = entry else {
            // Whoever tries must not learn from the time either that nobody is called so.
            let nobody = format!("cn={},{base}", uuid::Uuid::new_v4());
            connection.bind(&nobody, password).await?;
            return Err(self.wrong(None, "nobody is called so"));
        };
        self.prove(&mut connection, &entry.dn, &entry.dn, password).await?;
        self.admitted(&entry, &mut service).await
    }

    /// Binds as what a name is by the pattern, and looks up who that is.
    async fn bind_by_pattern(
        &self,
        pattern: &str,
        name: &str,
        password: &SecretText,
    ) -> Result<SignedIn> {
        let Some(account) = bound(pattern, name) else {
            return Err(self.wrong(None, "no account is called so"));
        };
        let mut connection = self.server.connect().await?;
        self.prove(&mut connection, &account, &account, password).await?;
        let entry = if is_dn(pattern) {
            self.find(&mut connection, &account, Scope::Base, "(objectClass=*)").await?
        } else {
            self.of_account(&mut connection, &account, name).await?
        };
        match entry {
            Some(entry) => self.admitted(&entry, &mut connection).await,
            None => Err(self.wrong(Some(&account), "the account's entry is not found")),
        }
    }

    /// The entry of `NAME@DOMAIN`: one that is called so, else one whose short name it is. In this
    /// order Active Directory itself looks.
    async fn of_account(
        &self,
        connection: &mut Connection,
        account: &str,
        name: &str,
    ) -> Result<Option<SearchEntry>> {
        let base = &self.settings.base;
        let whole = equal("userPrincipalName", account.as_bytes());
        match self.find(connection, base, Scope::Subtree, &whole).await? {
            Some(entry) => Ok(Some(entry)),
            None => {
                let short = equal(&self.settings.login, name.as_bytes());
                self.find(connection, base, Scope::Subtree, &short).await
            }
        }
    }

    async fn prove(
        &self,
        connection: &mut Connection,
        account: &str,
        shown: &str,
        password: &SecretText,
    ) -> Result<()> {
        let result = connection.bind(account, password).await?;
        match result.rc {
            0 => Ok(()),
            // Busy, unavailable: says nothing of the password.
            51 | 52 | 80 => {
                let text = format!("the directory answers with result {}", result.rc);
                let retry = Retry::After(std::time::Duration::from_secs(1));
                Err(Error::backend(code::IDENTITY002, retry, text))
            }
            _ => Err(self.wrong(Some(shown), reason::of_bind(&result))),
        }
    }

    async fn admitted(&self, entry: &SearchEntry, by: &mut Connection) -> Result<SignedIn> {
        if let Some(why) = reason::of_entry(entry) {
            return Err(self.wrong(Some(&entry.dn), why));
        }
        let person = person::signed_in(entry, &self.settings)?;
        groups::add(person, entry, by, &self.settings).await
    }

    /// The same whatever is wrong. The reason is for the log; what was typed as a name is not, as
    /// it may be a password that was typed in the wrong place.
    fn wrong(&self, account: Option<&str>, why: &str) -> Error {
        let account = account.unwrap_or("(none)");
        tracing::info!(provider = self.name, account, why, "a sign-in was refused");
        Error::caller(code::IDENTITY001, "the name or the password is wrong")
    }
}

#[async_trait]
impl IdentityProvider for Ldap {
    fn name(&self) -> &str {
        &self.name
    }

    fn methods(&self) -> Methods {
        let refresh = self.settings.bind_dn.is_some();
        Methods { password: true, refresh, ..Methods::default() }
    }

    async fn health(&self) -> Health {
        let reached = match self.settings.bind_dn {
            Some(_) => self.service().await.map(drop),
            None => self.server.connect().await.map(drop),
        };
        match reached {
            Ok(()) => Health { ok: true, message: format!("{} answers", self.server.shown()) },
            Err(error) => Health { ok: false, message: error.to_string() },
        }
    }

    async fn bind(&self, name: &str, password: &SecretText) -> Result<SignedIn> {
        let length = password.reveal().len();
        // An empty password binds as nobody, which directories call a success.
        if !plain(name) || length == 0 || length > PASSWORD_BYTES {
            return Err(self.wrong(None, "the name or password is empty, or no plain text"));
        }
        match &self.settings.user_pattern {
            Some(pattern) => self.bind_by_pattern(pattern, name, password).await,
            None => self.bind_found(name, password).await,
        }
    }

    async fn refresh(&self, refresh: Refresh) -> Result<SignedIn> {
        let mut service = self.service().await?;
        let gone = || over("the directory does not know the account any more");
        let filter = person::subject_filter(&refresh.subject, &self.settings.subject);
        let (base, filter) = (&self.settings.base, filter.ok_or_else(gone)?);
        let entry = self.find(&mut service, base, Scope::Subtree, &filter).await?;
        let entry = entry.ok_or_else(gone)?;
        if let Some(why) = reason::of_entry(&entry) {
            let (provider, account) = (&self.name, &entry.dn);
            tracing::info!(provider, account, why, "a sign-in is over");
            return Err(over("the account may not sign in any more"));
        }
        let person = person::signed_in(&entry, &self.settings)?;
        groups::add(person, &entry, &mut service, &self.settings).await
    }
}
