//! What GitHub's REST API tells of the one whose token it is.

use std::collections::BTreeSet;
use std::time::Duration;

use dispatch_driver::identity::SecretText;
use dispatch_driver::{Error, Result, Retry};
use dispatch_model::code;
use reqwest::header::LINK;
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::browser::now_s;
use super::super::http::{Http, Reply, unwell};
use super::super::over;

/// Most pages of one list, of a hundred entries each.
const PAGES: usize = 20;
/// Longest wait that a rate limit may ask for.
const LIMITED_MOST_S: u64 = 3_600;

#[derive(Debug, Deserialize)]
pub struct User {
    pub id: u64,
    pub login: String,
    pub name: Option<String>,
    #[serde(rename = "type")]
    pub kind: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Email {
    email: String,
    primary: bool,
    verified: bool,
}

#[derive(Debug, Deserialize)]
struct Organization {
    login: String,
}

#[derive(Debug, Deserialize)]
struct Team {
    slug: String,
    organization: Organization,
}

/// The API as one person sees it.
pub struct Api<'a> {
    pub http: &'a Http,
    pub base: &'a str,
    pub token: &'a SecretText,
}

/// What a person belongs to.
pub struct Groups {
    /// In lower case: GitHub tells organizations apart by nothing else.
    pub organizations: BTreeSet<String>,
    /// `ORG` and `ORG/TEAM`.
    pub names: Vec<String>,
    /// What is missing, and why.
    pub notices: Vec<String>,
}

impl Api<'_> {
    pub async fn user(&self) -> Result<User> {
        let reply = self.get(&self.http.url(&format!("{}/user", self.base))?).await?;
        refused(&reply, "the user")?;
        reply.json("user")
    }

    /// The primary e-mail, if it is verified; none where the token may not read it.
    pub async fn email(&self) -> Result<Option<String>> {
        let (emails, _) = self.list::<Email>("user/emails").await?;
        let good = emails.into_iter().find(|email| email.primary && email.verified);
        Ok(good.map(|email| email.email))
    }

    pub async fn groups(&self) -> Result<Groups> {
        let (organizations, seen) = self.list::<Organization>("user/orgs").await?;
        let (teams, all_seen) = self.list::<Team>("user/teams").await?;
        let mut groups =
            Groups { organizations: BTreeSet::new(), names: Vec::new(), notices: Vec::new() };
        for organization in organizations {
            groups.organizations.insert(organization.login.to_ascii_lowercase());
            groups.names.push(organization.login);
        }
        for Team { slug, organization } in teams {
            groups.names.push(format!("{}/{slug}", organization.login));
        }
        if !seen || !all_seen {
            let text = "GitHub does not tell all organizations or teams: the app lacks the scope \
                        read:org, or there are too many";
            groups.notices.push(text.to_owned());
        }
        Ok(groups)
    }

    /// All entries of a list, and whether they are all. A token that may not read it sees none.
    async fn list<T: DeserializeOwned>(&self, path: &str) -> Result<(Vec<T>, bool)> {
        let first = format!("{}/{path}?per_page=100", self.base);
        let (mut url, mut all) = (self.http.url(&first)?, Vec::new());
        for _ in 0..PAGES {
            let reply = self.get(&url).await?;
            if matches!(reply.status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND) {
                return Ok((all, false));
            }
            refused(&reply, path)?;
            all.extend(reply.json::<Vec<T>>("list")?);
            match self.next(&reply)? {
                Some(next) => url = next,
                None => return Ok((all, true)),
            }
        }
        Ok((all, false))
    }

    /// The next page: where the first was, as the token is sent there.
    fn next(&self, reply: &Reply) -> Result<Option<Url>> {
        let links = reply.headers.get(LINK).and_then(|value| value.to_str().ok());
        let Some(next) = links.and_then(next_of) else { return Ok(None) };
        let (next, base) = (self.http.url(next)?, self.http.url(self.base)?);
        match next.origin() == base.origin() {
            true => Ok(Some(next)),
            false => {
                let text = "GitHub's list goes on at another host, which is not followed";
                Err(Error::backend(code::IDENTITY007, Retry::Never, text))
            }
        }
    }

    async fn get(&self, url: &Url) -> Result<Reply> {
        let request = self.http.client.get(url.clone()).bearer_auth(self.token.reveal());
        let request = request.header("accept", "application/vnd.github+json");
        let reply = self.http.send(request.header("x-github-api-version", "2022-11-28")).await?;
        match limited(&reply) {
            Some(error) => Err(error),
            None => Ok(reply),
        }
    }
}

/// Rate limits come as 403 with a header that says so.
fn limited(reply: &Reply) -> Option<Error> {
    let header = |name: &str| reply.headers.get(name).and_then(|value| value.to_str().ok());
    if reply.status != StatusCode::FORBIDDEN {
        return None;
    }
    if header("retry-after").is_some() {
        return Some(unwell(reply.status, &reply.headers));
    }
    if header("x-ratelimit-remaining") != Some("0") {
        return None;
    }
    let reset = header("x-ratelimit-reset").and_then(|at| at.parse::<u64>().ok()).unwrap_or(0);
    let wait = reset.saturating_sub(now_s()).clamp(1, LIMITED_MOST_S);
    let retry = Retry::After(Duration::from_secs(wait));
    let text = "GitHub has had enough requests for now (rate limit)";
    Some(Error::backend(code::IDENTITY002, retry, text))
}

fn refused(reply: &Reply, what: &str) -> Result<()> {
    match reply.status {
        status if status.is_success() => Ok(()),
        StatusCode::UNAUTHORIZED => Err(over("GitHub does not know the sign-in any more")),
        status => {
            let text = format!("GitHub answers {status} for {what}");
            Err(Error::backend(code::IDENTITY002, Retry::After(Duration::from_secs(1)), text))
        }
    }
}

/// The `next` of a Link header (RFC 8288), as GitHub writes it.
fn next_of(links: &str) -> Option<&str> {
    links.split(',').find_map(|link| {
        let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let mut parameters = parameters.split(';').map(str::trim);
        parameters.any(|p| p == "rel=\"next\"" || p == "rel=next").then_some(target)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_in_a_link_header() {
        let links = "<https://api.github.com/user/orgs?page=1>; rel=\"prev\", \
                     <https://api.github.com/user/orgs?page=3>; rel=\"next\"";
        assert_eq!(next_of(links), Some("https://api.github.com/user/orgs?page=3"));
        assert_eq!(next_of("<https://api.github.com/?page=1>; rel=\"last\""), None);
        assert_eq!(next_of("nonsense"), None);
    }

    #[test]
    fn a_rate_limit_says_when_it_ends() {
        let limit = |pairs: &[(&'static str, String)]| {
            let headers = pairs
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect();
            limited(&Reply { status: StatusCode::FORBIDDEN, headers, body: Vec::new() })
        };
        assert!(limit(&[]).is_none(), "a plain refusal");
        let reset = (now_s() + 120).to_string();
        let pairs = [("x-ratelimit-remaining", "0".to_owned()), ("x-ratelimit-reset", reset)];
        let error = limit(&pairs).unwrap();
        assert_eq!(error.code, code::IDENTITY002);
        assert!(matches!(error.retry, Retry::After(wait) if wait.as_secs() > 100), "{error:?}");
        let error = limit(&[("retry-after", "7".to_owned())]).unwrap();
        assert_eq!(error.retry, Retry::After(Duration::from_secs(7)));
    }
}
