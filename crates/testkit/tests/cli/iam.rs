//! `iam`, `login`, `logout` and `manage bootstrap`.

use std::os::unix::fs::PermissionsExt as _;

use dispatch_testkit::{Cli, Database, Process};
use serde_json::json;

use crate::bench::Bench;

/// A key pair as files: `key.pem`, `key.pub.pem`.
fn key(cli: &Cli) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../server/src/authn/tests");
    for (from, to) in [("private.pem", "key.pem"), ("public.pem", "key.pub.pem")] {
        std::fs::copy(format!("{folder}/{from}"), cli.home().join(to)).unwrap();
    }
}

#[test]
fn everything_of_iam_is_created_shown_and_deleted() {
    let bench = Bench::start();
    let cli = &bench.cli;
    key(cli);
    let acme = "Created organization: acme\n";
    assert_eq!(cli.ok("iam create organization acme"), acme);
    let line = "iam create serviceaccount ci.bot --public-key key.pub.pem --organization acme";
    assert_eq!(cli.ok(line), "Created service account: ci.bot\n");
    assert!(cli.fails("iam create serviceaccount x --public-key nothing").contains("nothing"));
    assert!(cli.json("iam get serviceaccounts --organization acme")[0]["publicKey"].is_string());
    assert_eq!(cli.json("iam get serviceaccounts"), json!([]), "they are the organization's");
    assert!(cli.ok("iam get organizations").contains("acme"));
    assert_eq!(cli.json("iam get organization acme")["name"], "acme");
    let gone = "Deleted service account: ci.bot\n";
    assert_eq!(cli.ok("iam delete serviceaccount ci.bot --organization acme"), gone);
    assert_eq!(cli.ok("iam delete organizations acme"), "Deleted organization: acme\n");
    assert!(cli.fails("iam get organization acme").contains("[Code: 404]"));
}

#[test]
fn from_the_local_user_to_signed_in_accounts() {
    let Bench { cli, server, data: _data } = Bench::start();
    let said = cli.ok("manage bootstrap --bootstrap-user ada@example.org --bootstrap-org acme");
    for part in ["Created organization: acme\n", "Created service account: default-svc\n"] {
        assert!(said.contains(part), "{said}");
    }
    let config = cli.home().join(".dispatch/config.json");
    let mode = std::fs::metadata(&config).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it holds what signs in");
    // Who is not signed in gets nothing now; who bootstrapped is signed in by the context.
    let stranger = Cli::of(&server.api);
    assert!(stranger.fails("get functions").contains("[Code: 401]"));
    assert_eq!(cli.json("context")["contexts"]["127-0-0-1"]["serviceaccount"], "acme/default-svc");
    assert_eq!(cli.json("get functions"), json!([]));
    // The context knows where the server is, too.
    let cli = cli.with("DISPATCH_HOST", "").with("DISPATCH_PORT", "");
    let policy = cli.json("iam get policy default-policy");
    let subjects = &policy["rules"][0]["subjects"];
    assert_eq!(*subjects, json!(["default-svc", "ada@example.org"]));
    // An account that may only read.
    key(&cli);
    cli.ok("iam create serviceaccount reader --public-key key.pub.pem");
    let made = cli.ok("iam create policy readers -s reader -a get -r function,image,api");
    assert_eq!(made, "Created policy: readers\n");
    assert!(!cli.ok("iam get policies").contains("RULES"));
    let wide = cli.ok("iam get policy -w");
    assert!(wide.contains("reader may get function, image, api"), "{wide}");
    let as_reader = "--service-account acme/reader --jwt-private-key key.pem";
    assert_eq!(cli.json(&format!("get functions {as_reader}")), json!([]));
    let said = cli.fails(&format!("create application a {as_reader}"));
    assert!(said.contains("[Code: 403]") && said.contains("hint: "), "{said}");
    // Signing in, and out.
    assert_eq!(cli.ok(&format!("login {as_reader}")), "You have successfully logged in\n");
    assert!(cli.fails("create application a").contains("[Code: 403]"));
    assert_eq!(cli.ok("logout"), "You have successfully logged out\n");
    let said = cli.fails("get functions");
    assert!(said.contains("[Code: 401]") && said.contains("dispatch login"), "{said}");
    assert!(cli.fails("login --token nonsense").contains("[Code: 401]"));
    let said = cli.fails("login --service-account acme/reader");
    assert!(said.contains("--jwt-private-key FILE"), "{said}");
    assert!(cli.fails("login").contains("--token TOKEN"));
    // Signed in as the first account again, everything is undone.
    let key = cli.home().join(".dispatch/acme-default-svc.pem");
    let key = key.display();
    cli.ok(&format!("login --service-account acme/default-svc --jwt-private-key {key}"));
    cli.ok("iam delete policy readers");
    let said = cli.ok("manage bootstrap --disable");
    assert_eq!(said, "The bootstrap user can no longer sign in\nDeleted policy: default-policy\n");
}

#[test]
fn from_the_one_time_credential_to_a_signed_in_account() {
    let data = tempfile::tempdir().unwrap();
    let settings = [("DISPATCH_AUTH__MODE", "required")];
    let server = Process::start_on(data.path(), &Database::sqlite(), &settings);
    let credential = server.ready["bootstrapCredential"].as_str().unwrap().to_owned();
    let cli = Cli::of(&server.api);
    let said = cli.fails("manage bootstrap --credential dispatch_bootstrap_wrong");
    assert!(said.contains("one-time credential") && said.contains("[Code: 401]"), "{said}");
    std::fs::write(cli.home().join("credential"), format!("{credential}\n")).unwrap();
    let said = cli.ok("manage bootstrap --credential-file credential");
    assert!(said.contains("Created policy: default-policy\n"), "{said}");
    assert_eq!(cli.json("get functions"), json!([]));
    let again = Cli::of(&server.api).with("DISPATCH_BOOTSTRAP_CREDENTIAL", &credential);
    assert!(again.fails("manage bootstrap").contains("was used"));
}

#[test]
fn keys_of_each_kind_sign_in_for_the_audience_of_the_server() {
    let data = tempfile::tempdir().unwrap();
    let settings =
        [("DISPATCH_AUTH__AUDIENCE", "prod"), ("DISPATCH_AUTH__REQUIRE_AUDIENCE", "true")];
    let server = Process::start_on(data.path(), &Database::sqlite(), &settings);
    let cli = Cli::of(&server.api);
    let openssl = |arguments: &str| {
        let mut command = std::process::Command::new("openssl");
        let output = command.args(arguments.split(' ')).current_dir(cli.home()).output().unwrap();
        assert!(output.status.success(), "openssl {arguments}: {output:?}");
    };
    for (name, kind) in [
        ("rsa", "-algorithm RSA -pkeyopt rsa_keygen_bits:2048"),
        ("ec", "-algorithm EC -pkeyopt ec_paramgen_curve:P-256"),
        ("ed", "-algorithm ED25519"),
    ] {
        openssl(&format!("genpkey {kind} -out {name}.pem"));
        openssl(&format!("pkey -in {name}.pem -pubout -out {name}.pub.pem"));
        cli.ok(&format!("iam create serviceaccount {name} --public-key {name}.pub.pem"));
    }
    openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out p384.pem");
    openssl("pkey -in p384.pem -pubout -out p384.pub.pem");
    let said = cli.fails("iam create serviceaccount p384 --public-key p384.pub.pem");
    assert!(said.contains("RSA, EC (P-256) or Ed25519"), "{said}");
    cli.ok("iam create policy all -s * -a * -r *");
    for name in ["rsa", "ec", "ed"] {
        let account = format!("--service-account dispatch/{name} --jwt-private-key {name}.pem");
        let said = cli.fails(&format!("get functions {account}"));
        assert!(said.contains("for \"dispatch\"") && said.contains("\"prod\""), "{said}");
        assert_eq!(cli.json(&format!("get functions {account} --audience prod")), json!([]));
        cli.ok(&format!("login {account} --audience prod"));
        assert_eq!(cli.json("get functions"), json!([]), "the context remembers it");
        cli.ok("logout");
    }
}

#[test]
fn a_token_signs_in() {
    let bench = Bench::start();
    let (cli, server) = (&bench.cli, &bench.server);
    cli.ok("manage bootstrap");
    let pem = std::fs::read(cli.home().join(".dispatch/dispatch-default-svc.pem")).unwrap();
    let token = token(&pem, "dispatch/default-svc");
    let other = Cli::of(&server.api);
    assert!(other.fails("get functions").contains("[Code: 401]"));
    assert_eq!(other.json(&format!("get functions --token {token}")), json!([]));
    assert_eq!(other.ok(&format!("login --token {token}")), "You have successfully logged in\n");
    assert!(!other.ok("context").contains(&token), "tokens are not shown");
    let other = other.with("DISPATCH_HOST", "").with("DISPATCH_PORT", "");
    assert_eq!(other.json("get functions"), json!([]), "the context knows the server too");
    other.ok("logout");
    let other = other.with("DISPATCH_TOKEN", &token);
    assert_eq!(other.json("get functions"), json!([]));
}

/// An RS256 token as v1's clients made it.
fn token(pem: &[u8], issuer: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({"iss": issuer, "iat": now - 60, "exp": now + 3_600});
    let key = jsonwebtoken::EncodingKey::from_rsa_pem(pem).unwrap();
    let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256);
    jsonwebtoken::encode(&header, &claims, &key).unwrap()
}
