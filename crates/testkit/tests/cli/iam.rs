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
    assert!(!wide.contains("group:"), "{wide}");
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

/// Each server's account keeps its key, whatever is set up after it.
#[test]
fn two_servers_are_bootstrapped_from_one_home() {
    let first = Bench::start();
    let second = Bench::start();
    let cli = &first.cli;
    cli.ok("manage bootstrap");
    let (host, port) = second.server.api.trim_start_matches("http://").split_once(':').unwrap();
    let there = format!("--host {host} --port {port}");
    let said = cli.ok(&format!("manage bootstrap {there}"));
    assert!(said.contains(".dispatch/127-0-0-1-2-dispatch-default-svc.pem"), "{said}");
    for server in ["", &there] {
        assert_eq!(cli.json(&format!("get functions {server}")), json!([]), "{server}");
    }
    let key = cli.home().join(".dispatch");
    let keys = || std::fs::read_dir(&key).unwrap().count();
    let before = keys();
    // A second time there is such an account already: its key stays as it is.
    let said = cli.fails("manage bootstrap");
    assert!(said.contains("service account") && said.contains("[Code: 409]"), "{said}");
    assert_eq!(cli.json("get functions"), json!([]));
    assert_eq!(keys(), before, "no key that nobody takes is left behind");
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
fn roles_groups_and_rules_with_all_there_is_to_them() {
    let bench = Bench::start();
    let cli = &bench.cli;
    cli.ok("manage bootstrap");
    let made = cli.ok("iam create role deployer -a get,create,update -r function,api");
    assert_eq!(made, "Created role: deployer\n");
    assert_eq!(cli.ok("iam create group shop --member ada,ci"), "Created group: shop\n");
    let roles = cli.ok("iam get roles");
    for part in ["viewer", "BUILT IN", "get, create, update function, api"] {
        assert!(roles.contains(part), "{roles}");
    }
    assert!(cli.fails("iam create role admin -a get -r runs").contains("every organization has"));
    cli.ok("iam create policy shop -s group:shop --role deployer,invoker --application shop");
    cli.ok("iam create policy night -s * -a delete -r function/pay-* --deny --tag stage=prod \
         --hours 18:00-08:00 --days mon-fri --time-zone Europe/Vienna --source 10.0.0.0/8,::1 \
         --not-before 2026-01-01T00:00:00Z --not-after 1893456000");
    let night = cli.json("iam get policy night");
    let rule = json!({"subjects": ["*"], "actions": ["delete"], "resources": ["function/pay-*"],
        "effect": "deny", "condition": {"tags": [{"key": "stage", "value": "prod"}],
        "notBefore": "2026-01-01T00:00:00Z", "notAfter": "2030-01-01T00:00:00Z",
        "hours": {"from": "18:00", "to": "08:00", "timeZone": "Europe/Vienna",
                  "days": ["monday", "tuesday", "wednesday", "thursday", "friday"]},
        "sourceAddresses": ["10.0.0.0/8", "::1"]}});
    assert_eq!(night["rules"], json!([rule]));
    let wide = cli.ok("iam get policy shop --wide");
    assert!(wide.contains("group:shop is deployer, invoker, in application shop"), "{wide}");
    for (line, part) in [
        ("iam create policy x -s a", "--action"),
        ("iam create policy x -s a --role viewer -a get", "cannot be used with"),
        ("iam create policy x -s a --role viewer --time-zone UTC", "--hours"),
        ("iam create policy x -s a --role viewer --hours 9-17", "09:00-17:30"),
        ("iam create policy x -s a --role viewer --days someday", "mon-fri"),
        ("iam create policy x -s a --role viewr", "does not exist"),
        ("iam create policy x -s a --role viewer --source home", "10.0.0.0/8"),
        ("iam delete role deployer", "used by policy shop"),
    ] {
        let said = cli.fails(line);
        assert!(said.contains(part), "{line}: {said}");
    }
    assert_eq!(cli.ok("iam update group shop --add grace --remove ci"), "Updated group: shop\n");
    assert_eq!(cli.json("iam get group shop")["members"], json!(["ada", "grace"]));
    cli.ok("iam update role deployer -a * -r function");
    let permissions = json!([{"actions": ["*"], "resources": ["function"]}]);
    assert_eq!(cli.json("iam get role deployer")["permissions"], permissions);
    cli.ok("iam delete policy shop");
    assert_eq!(cli.ok("iam delete roles deployer"), "Deleted role: deployer\n");
    assert_eq!(cli.ok("iam delete group shop"), "Deleted group: shop\n");
}

#[test]
fn roles_and_groups_come_from_documents_before_the_policies_that_name_them() {
    let bench = Bench::start();
    let cli = &bench.cli;
    let documents = "\
kind: Policy
name: shop
rules:
- subjects: [\"group:shop\"]
  roles: [deployer]
  applications: [shop]
  condition:
    sourceAddresses: [10.0.0.0/8]
---
kind: Role
name: deployer
permissions:
- actions: [get, create]
  resources: [function]
---
kind: Group
name: shop
members: [ada]
";
    std::fs::write(cli.home().join("access.yaml"), documents).unwrap();
    // The user of this machine may make them; with the policy, that ends.
    cli.ok("manage bootstrap");
    let said = cli.ok("create -f access.yaml");
    assert_eq!(said, "Created Role: deployer\nCreated Group: shop\nCreated Policy: shop\n");
    assert!(cli.ok("apply -f access.yaml").contains("Policy: shop"));
    cli.ok("delete -f access.yaml");
    assert_eq!(cli.json("iam get groups"), json!([]));
}

#[test]
fn one_asks_what_one_may_do() {
    let bench = Bench::start();
    let cli = &bench.cli;
    assert_eq!(cli.ok("auth can-i create function"), "yes\n");
    let said = cli.ok("auth can-i create function --explain");
    assert!(said.starts_with("yes: whoever uses this machine"), "{said}");
    cli.ok("manage bootstrap");
    key(cli);
    cli.ok("iam create serviceaccount ci --public-key key.pub.pem");
    cli.ok("iam create policy ci-deploys -s ci --role developer --application shop");
    cli.ok("iam create policy ci-never -s ci -a delete -r api/* --deny");
    cli.ok("iam create organization shop");
    let explained =
        "yes: allowed by rule 0 of global policy default-policy of organization dispatch\n";
    assert_eq!(cli.ok("auth can-i create function -n shop --explain"), explained);
    let ci = "--service-account dispatch/ci --jwt-private-key key.pem";
    let no = |line: &str| {
        let outcome = cli.run(&format!("auth can-i {line} {ci}"));
        assert_eq!((outcome.status.code(), &*outcome.stderr), (Some(1), ""), "{line}");
        outcome.stdout
    };
    assert_eq!(no("create function"), "no\n");
    assert_eq!(no("create function -n shop -a shop"), "no\n");
    assert_eq!(cli.ok(&format!("auth can-i create functions --application shop {ci}")), "yes\n");
    let said = no("delete api checkout -a shop --explain");
    assert_eq!(said, "no: denied by rule 0 of policy ci-never of organization dispatch\n");
    let said = no("create function --explain");
    assert!(said.contains("policy ci-deploys"), "{said}");
    let answer = cli.json(&format!("auth can-i get run f -a shop --explain {ci}"));
    assert_eq!((&answer["allowed"], &answer["name"]), (&json!(true), &json!("f")));
    assert_eq!(cli.ok("auth can-i get runs --as default-svc"), "yes\n");
    let list = cli.ok(&format!("auth can-i --list {ci}"));
    for part in ["EFFECT", "deny", "ci-never", "serviceinstance", "shop"] {
        assert!(list.contains(part), "{part}: {list}");
    }
    assert!(cli.ok(&format!("auth can-i --list -o wide {ci}")).contains("developer"));
    for (line, part) in [
        ("auth can-i read function", "possible values: get, create"),
        ("auth can-i get", "RESOURCE"),
        ("auth can-i get gadget", "is none of"),
        ("auth can-i get function/a b", "names two things"),
    ] {
        let said = cli.fails(line);
        assert!(said.contains(part), "{line}: {said}");
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
