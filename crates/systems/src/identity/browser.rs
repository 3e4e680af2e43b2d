//! A browser without a screen: follows redirects, keeps cookies, fills in forms.

use std::collections::BTreeMap;
use std::sync::Mutex;

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, RequestBuilder, Url};

/// Most redirects in a row.
const HOPS: usize = 20;

/// Cookies by path and name; of one host, as tests visit one.
#[derive(Default)]
pub struct Browser {
    client: Client,
    cookies: Mutex<BTreeMap<(String, String), String>>,
}

/// Where a visit has ended.
#[derive(Debug, Clone)]
pub enum Page {
    /// A page to read, with its address.
    Here { url: Url, html: String },
    /// The browser was sent to somewhere else than this machine.
    Left(Url),
}

impl Page {
    /// The query the browser was sent away with.
    #[track_caller]
    pub fn left(&self) -> BTreeMap<String, String> {
        match self {
            Page::Left(url) => url.query_pairs().into_owned().collect(),
            Page::Here { url, html } => panic!("still at {url}:\n{html}"),
        }
    }
}

impl Browser {
    pub fn new() -> Self {
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
        Self { client: client.build().expect("a client"), cookies: Mutex::default() }
    }

    /// Opens an address, and goes where it leads.
    pub async fn open(&self, url: &str) -> Page {
        let url = Url::parse(url).expect("an address");
        self.follow(self.client.get(url.clone()), url).await
    }

    /// Sends the only form of a page, with its hidden fields and some of one's own.
    pub async fn send(&self, page: &Page, fields: &[(&str, &str)]) -> Page {
        let Page::Here { url, html } = page else { panic!("no form at {page:?}") };
        let form = html.split("<form").nth(1).unwrap_or_else(|| panic!("no form in\n{html}"));
        let form = form.split("</form>").next().unwrap_or_default();
        let action = attribute(form, "action").unwrap_or_default();
        let mut all: Vec<(String, String)> = Vec::new();
        for input in form.split("<input").skip(1).filter(|input| input.contains("hidden")) {
            let (name, value) = (attribute(input, "name"), attribute(input, "value"));
            all.extend(name.zip(value));
        }
        all.extend(fields.iter().map(|(name, value)| (name.to_string(), value.to_string())));
        let target = url.join(&action).expect("an action");
        self.follow(self.client.post(target.clone()).form(&all), target).await
    }

    async fn follow(&self, mut request: RequestBuilder, mut url: Url) -> Page {
        for _ in 0..HOPS {
            let cookies = self.cookies_of(&url);
            let answer = request.header(COOKIE, cookies).send().await.expect("an answer");
            for cookie in answer.headers().get_all(SET_COOKIE) {
                self.keep(cookie.to_str().expect("a cookie"));
            }
            let Some(next) = answer.headers().get(LOCATION) else {
                return Page::Here { url, html: answer.text().await.expect("a page") };
            };
            url = url.join(next.to_str().expect("an address")).expect("an address");
            if url.host_str() != Some("127.0.0.1") {
                return Page::Left(url);
            }
            request = self.client.get(url.clone());
        }
        panic!("{HOPS} redirects in a row, the last to {url}");
    }

    fn cookies_of(&self, url: &Url) -> String {
        let cookies = self.cookies.lock().expect("nobody panics with it");
        let mine = cookies.iter().filter(|((path, _), _)| url.path().starts_with(path.as_str()));
        mine.map(|((_, name), value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    fn keep(&self, cookie: &str) {
        let mut parts = cookie.split(';').map(str::trim);
        let (name, value) = parts.next().and_then(|pair| pair.split_once('=')).expect("a pair");
        let path = parts.find_map(|part| part.strip_prefix("path=")).unwrap_or("/").to_owned();
        let mut cookies = self.cookies.lock().expect("nobody panics with it");
        match value.is_empty() {
            true => cookies.remove(&(path, name.to_owned())),
            false => cookies.insert((path, name.to_owned()), value.to_owned()),
        };
    }
}

/// An attribute of a tag, as these pages write it.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let rest = tag.split_once(&format!("{name}=\""))?.1;
    Some(rest.split('"').next()?.replace("&amp;", "&"))
}
