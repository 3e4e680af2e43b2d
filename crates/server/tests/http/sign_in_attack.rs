//! What others try with sign-ins: answers that are not theirs, addresses that lead elsewhere,
//! requests of other web sites, passwords by the thousand.

use dispatch_systems::identity::Browser;
use dispatch_systems::identity::browser::Page;
use dispatch_systems::identity::directory::PASSWORD;
use dispatch_systems::identity::oidc_provider::ANN;
use dispatch_testkit::{Answer, send};
use reqwest::header::{LOCATION, SET_COOKIE};
use reqwest::{Client, Method, Response};
use serde_json::json;

use crate::sign_in_bed::{Bed, CHALLENGE, With};

/// Goes where it is told, and nowhere else.
fn client() -> Client {
    Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap()
}

fn cookie_of(answer: &Response) -> String {
    let cookie = answer.headers().get(SET_COOKIE).expect("a cookie").to_str().unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

/// Begins a sign-in. Returns the browser's cookie, and where the provider would be asked.
async fn begun(bed: &Bed) -> (String, String) {
    let answer = client().get(bed.start_url("rd=/v1/version")).send().await.unwrap();
    assert_eq!(answer.status(), 302);
    let to = answer.headers()[LOCATION].to_str().unwrap().to_owned();
    (cookie_of(&answer), to)
}

/// The callback that the provider sends ann's browser to; it is not followed.
async fn callback(bed: &Bed, to: &str) -> String {
    let browser = Browser::new();
    let page = browser.open(to).await;
    let page = browser.send(&page, &[("login", ANN), ("password", "any")]).await;
    // Without the cookie of the sign-in the callback ends in a page, whose address is what counts.
    let Page::Here { url, .. } = browser.send(&page, &[]).await else { panic!("left") };
    assert!(url.as_str().starts_with(&bed.url), "{url}");
    url.to_string()
}

async fn come_back(url: &str, cookie: &str) -> (u16, String, Vec<String>) {
    let answer = client().get(url).header("cookie", cookie).send().await.unwrap();
    let cookies = answer.headers().get_all(SET_COOKIE).iter();
    let cookies = cookies.map(|cookie| cookie.to_str().unwrap().to_owned()).collect();
    (answer.status().as_u16(), answer.text().await.unwrap(), cookies)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_good_once_and_in_the_browser_that_asked() {
    let Some(bed) = Bed::start().await else { return };
    let (cookie, to) = begun(&bed).await;
    let (others, _) = begun(&bed).await;
    let answer = callback(&bed, &to).await;
    // In the browser of another, who would be ann then; and in one that began nothing.
    let (status, text, _) = come_back(&answer, &others).await;
    assert!(status == 401 && text.contains("IDENTITY005"), "{status} {text}");
    assert_eq!(come_back(&answer, "a=b").await.0, 401);
    let (status, text, cookies) = come_back(&answer, &cookie).await;
    assert_eq!(status, 302, "{text}");
    let session = cookies.iter().find(|c| c.starts_with("dispatch_session=")).unwrap();
    assert!(session.contains("HttpOnly") && session.contains("SameSite=Lax"), "{session}");
    let (status, text, cookies) = come_back(&answer, &cookie).await;
    assert!(status == 401 && text.contains("finished before"), "{status} {text}");
    assert!(!cookies.iter().any(|c| c.starts_with("dispatch_session=")), "{cookies:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_or_a_code_of_another_sign_in_is_not_taken() {
    let Some(bed) = Bed::start().await else { return };
    let (mine, to) = begun(&bed).await;
    let (_, to_of_another) = begun(&bed).await;
    let (own, another) = (callback(&bed, &to).await, callback(&bed, &to_of_another).await);
    let part = |url: &str, name: &str| {
        let url = reqwest::Url::parse(url).unwrap();
        let found = url.query_pairs().find(|(key, _)| key == name);
        found.unwrap().1.into_owned()
    };
    // The code of another sign-in, with the state of one's own: nonce and verifier do not fit.
    let swapped = own.replace(&part(&own, "code"), &part(&another, "code"));
    let (status, text, cookies) = come_back(&swapped, &mine).await;
    assert!(status == 401 || status == 502, "{status} {text}");
    assert!(!cookies.iter().any(|c| c.starts_with("dispatch_session=")), "{cookies:?}");
    let (mine, to) = begun(&bed).await;
    let own = callback(&bed, &to).await;
    let swapped = own.replace(&part(&own, "state"), &part(&another, "state"));
    let (status, text, _) = come_back(&swapped, &mine).await;
    assert!(status == 401 && text.contains("another sign-in"), "{status} {text}");
    // What is sealed for one purpose, or by somebody else, is nothing.
    let forged = "dispatch_signin=AAAA";
    assert_eq!(come_back(&own, forged).await.0, 401);
    let long = format!("{}&x={}", own, "y".repeat(40_000));
    assert!(matches!(come_back(&long, &mine).await.0, 401 | 414 | 431));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_led_elsewhere() {
    let Some(bed) = Bed::start().await else { return };
    let get =
        async |path: String| -> Answer { send(bed.iam.server.request(Method::GET, &path)).await };
    for rd in ["https://evil.example/", "//evil.example", "/%5Cevil.example", "javascript:alert(1)"]
    {
        let answer = get(format!("/v1/iam/oauth2/start?provider=corp&rd={rd}")).await;
        assert_eq!(answer.expect(400).json()["field"], "rd", "{rd}");
    }
    for redirect in
        ["https://evil.example/", "http://evil.example/", "http://127.0.0.1@evil.example"]
    {
        let path = format!(
            "/v1/iam/oauth2/start?provider=corp&redirect={redirect}&code_challenge={CHALLENGE}"
        );
        assert_eq!(get(path).await.expect(400).json()["field"], "redirect", "{redirect}");
        let path = format!("/v1/iam/redirect?redirect={redirect}");
        assert_eq!(get(path).await.expect(400).json()["field"], "redirect", "{redirect}");
    }
    let path = "/v1/iam/oauth2/start?provider=corp&redirect=http://127.0.0.1:1/".to_owned();
    assert_eq!(get(path).await.expect(400).json()["field"], "code_challenge");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v1s_cli_is_handed_the_session_on_the_browsers_own_machine() {
    let Some(bed) = Bed::start().await else { return };
    let (cookie, to) = begun(&bed).await;
    let answer = callback(&bed, &to).await;
    let (_, _, cookies) = come_back(&answer, &cookie).await;
    let session = cookies.iter().find(|c| c.starts_with("dispatch_session=")).unwrap();
    let session = session.split(';').next().unwrap();
    let path = format!("{}/v1/iam/redirect?redirect=http://localhost:9/catcher", bed.url);
    let answer = client().get(&path).header("cookie", session).send().await.unwrap();
    assert_eq!(answer.status(), 302);
    let to = reqwest::Url::parse(answer.headers()[LOCATION].to_str().unwrap()).unwrap();
    let handed: Vec<_> = to.query_pairs().into_owned().collect();
    assert_eq!((to.host_str(), to.path()), (Some("localhost"), "/catcher"));
    assert_eq!(handed, [("cookie".to_owned(), session.to_owned())]);
    // As v1's CLI sends it from then on.
    let own = bed.iam.server.request(Method::GET, "/v1/function").header("cookie", session);
    send(own).await.expect(200);
    // A link of another site gives nothing away, but asks.
    for path in [
        path.clone(),
        bed.start_url(&format!(
            "provider=corp&redirect=http://localhost:9/&code_challenge={CHALLENGE}"
        )),
    ] {
        let link = client().get(&path).header("cookie", session);
        let answer = link.header("sec-fetch-site", "cross-site").send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let page = answer.text().await.unwrap();
        assert!(page.contains("localhost:9") && page.contains("close this window"), "{page}");
    }
    // Nor does it by v1's way, in a browser that is signed in at the provider alone.
    let nested = "rd=%2Fv1%2Fiam%2Fredirect%3Fredirect%3Dhttp%3A%2F%2Flocalhost%3A9%2F";
    for path in [path.clone(), bed.start_url(&format!("provider=corp&{nested}"))] {
        let link = client().get(&path).header("sec-fetch-site", "cross-site");
        let answer = link.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        assert!(answer.text().await.unwrap().contains("close this window"), "{path}");
    }
    // A browser that is not signed in is, first.
    let answer = client().get(&path).send().await.unwrap();
    let to = answer.headers()[LOCATION].to_str().unwrap();
    assert!(to.starts_with("/v1/iam/oauth2/start?rd=%2Fv1%2Fiam%2Fredirect"), "{to}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_web_site_cannot_act_with_a_cookie() {
    let Some(bed) = Bed::start().await else { return };
    let (token, _) = bed.ann().await;
    let cookie = format!("dispatch_session={token}");
    let attempt = async |method: Method, headers: &[(&str, &str)]| {
        let path = "/v1/iam/session/current";
        let mut request = bed.iam.server.request(method, path).header("cookie", &cookie);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        send(request).await
    };
    for headers in [
        [("origin", "https://evil.example")],
        [("origin", "null")],
        [("sec-fetch-site", "cross-site")],
        [("sec-fetch-site", "same-site")],
    ] {
        let refused = attempt(Method::DELETE, &headers).await.expect(401).json();
        assert!(refused["message"].as_str().unwrap().contains("other web sites"), "{refused}");
    }
    // A header of another organization gets nobody in, nor do two of them.
    let headers = [("x-dispatch-org", "dispatch")];
    attempt(Method::GET, &headers).await.expect(200);
    let smuggled = bed.iam.server.request(Method::GET, "/v1/function").header("cookie", &cookie);
    let smuggled = smuggled.header("x-dispatch-org", "acme").header("x-dispatch-org", "other");
    send(smuggled).await.expect(401);
    // A proxy's question is about the request it describes.
    let ask = async |method: &str, origin: &str| {
        let request = bed.iam.server.request(Method::GET, "/v1/iam/auth").header("cookie", &cookie);
        let request = request.header("x-auth-request-redirect", "/v1");
        send(request.header("x-original-method", method).header("origin", origin)).await
    };
    let allowed = ask("POST", &bed.url).await.expect(202);
    assert_eq!(allowed.headers["x-dispatch-org"], "acme");
    ask("POST", "https://evil.example").await.expect(401);
    ask("DELETE", "null").await.expect(401);
    ask("GET", "https://evil.example").await.expect(202);
    attempt(Method::DELETE, &[("origin", &bed.url)]).await.expect(200);
    attempt(Method::GET, &[]).await.expect(401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_are_not_tried_by_the_thousand() {
    let bed = Bed::with(With {
        directory: true,
        settings: "proxies = [\"127.0.0.0/8\"]",
        ..With::default()
    });
    let Some(bed) = bed.await else { return };
    let attempt = async |from: &str, name: &str, password: &str| {
        let body = json!({"provider": "books", "username": name, "password": password});
        let request = bed.iam.server.request(Method::POST, "/v1/iam/session");
        send(request.header("x-forwarded-for", from).json(&body)).await
    };
    for _ in 0..10 {
        attempt("203.0.113.1", "ann", "wrong").await.expect(401);
    }
    let limited = attempt("203.0.113.1", "ann", PASSWORD).await.expect(429);
    assert_eq!(limited.json()["errorCode"], "IAM004");
    let wait: u64 = limited.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    // Neither others there nor ann elsewhere are kept out.
    attempt("203.0.113.2", "ann", PASSWORD).await.expect(201);
    attempt("203.0.113.1", "bob", PASSWORD).await.expect(403);
    // In the page too.
    let form = [("provider", "books"), ("username", "ann"), ("password", PASSWORD)];
    let page = bed.iam.server.request(Method::POST, "/v1/iam/oauth2/start").form(&form);
    let page = send(page.header("x-forwarded-for", "203.0.113.1")).await;
    assert!(page.status == 429 && page.text.contains("too many"), "{}", page.text);
    // What was tried is told, without the name that was typed: it may be a password.
    let log = bed.iam.call("acme/admin", None, Method::GET, "/v1/audit", &serde_json::Value::Null);
    let log = log.await.expect(200).text;
    assert!(!log.contains(PASSWORD), "{log}");
    // A page of another site cannot sign a browser in.
    let page = bed.iam.server.request(Method::POST, "/v1/iam/oauth2/start").form(&form);
    let page = page.header("origin", "https://evil.example");
    send(page.header("x-forwarded-for", "203.0.113.9")).await.expect(401);
}
