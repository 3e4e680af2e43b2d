//! Tokens that must not be taken, from a provider that makes them.

use dispatch_driver::Result;
use dispatch_driver::identity::{SignedIn, Start};
use dispatch_systems::identity::Browser;
use dispatch_systems::identity::token_forge::TokenForge;

use super::kit::{answer, fails, make};

const BAD: &[(&str, &str)] = &[
    ("alg none", "algorithm"),
    ("alg None", "algorithm"),
    ("alg none signed", "algorithm"),
    ("no alg", "algorithm"),
    ("HS256 with the public key", "algorithm"),
    ("HS256 with the DER of it", "algorithm"),
    ("HS256 with its modulus", "algorithm"),
    ("kid is a path", "algorithm"),
    ("kid is a path, RS256", "no such key"),
    ("kid is an address", "no such key"),
    ("kid is SQL", "no such key"),
    ("kid is a list", "key has no name"),
    ("kid of another algorithm", "no such key"),
    ("another key under the same kid", "signature"),
    ("another key and no kid", "signature"),
    ("its own key in the header", "signature"),
    ("an address of keys in the header", "no such key"),
    ("claims changed after signing", "signature"),
    ("signature cut", "signature"),
    ("demands in the header", "demands"),
    ("a logout token", "something else"),
    ("another issuer", "another issuer"),
    ("issuer with a slash", "another issuer"),
    ("no issuer", "no iss"),
    ("another audience", "another audience"),
    ("no audience", "no aud"),
    ("two audiences and no azp", "several"),
    ("another azp", "another client"),
    ("another nonce", "another sign-in"),
    ("no nonce", "another sign-in"),
    ("expired", "expired"),
    ("no end", "no exp"),
    ("end is a text", ""),
    ("not valid yet", "not valid yet"),
    ("issued in the future", "future"),
    ("no subject", "no sub"),
    ("an empty subject", "subject"),
    ("a subject of two lines", "subject"),
    ("another access token", "access token"),
    ("huge", "bytes"),
    ("no ID token", "no ID token"),
    ("an access token", ""),
];

async fn sign_in(forge: &TokenForge, wrong: &str) -> Result<SignedIn> {
    let settings = [("issuer", forge.issuer()), ("clientId", "dispatch")];
    let at = make("oidc", &settings, &[]).unwrap();
    let back = reqwest::Url::parse_with_params("https://dispatch.example/back", [("wrong", wrong)]);
    let started = at.start(Start::new(back.unwrap().as_str())).await.unwrap();
    let left = Browser::new().open(&started.url).await.left();
    at.finish(started.pending, answer(&left)).await
}

#[tokio::test]
async fn no_forged_token_signs_anybody_in() {
    let Some(forge) = TokenForge::start() else { return };
    for (wrong, why) in BAD {
        let refused = sign_in(&forge, wrong).await;
        let error = refused.map(|who| who.subject).expect_err(wrong);
        assert_eq!(error.code, "IDENTITY004", "{wrong}: {error}");
        assert!(error.message.contains(why), "{wrong}: {error}");
    }
    fails(sign_in(&forge, "a server error").await, "IDENTITY002");
    // The forge can make good ones: what is refused above is refused for what is wrong with it.
    for good in ["nothing", "within the skew", "two audiences and azp", "no kid"] {
        let john = sign_in(&forge, good).await.unwrap_or_else(|error| panic!("{good}: {error}"));
        assert_eq!((john.subject.as_str(), john.name.as_str()), ("johndoe", "john@example.org"));
    }
    let many = sign_in(&forge, "many groups").await.unwrap();
    assert_eq!((many.groups.len(), many.notices.len()), (1_000, 1), "{:?}", many.notices);
}
