//! Steps, worked out but not carried out.

use super::*;
use crate::language::Languages;

const PLACE: Place<'_> = Place {
    interpreter: "python3",
    packages: "/opt/dispatch/packages",
    directory: "/tmp/work",
    mirror: None,
};

fn try_step(language: &str, text: &str, place: &Place<'_>) -> Result<Step, String> {
    step(Languages::builtin().get(language).unwrap(), text, place)
}

fn variable<'a>(step: &'a Step, name: &str) -> &'a str {
    &step.environment.iter().find(|(found, _)| found == name).unwrap().1
}

#[test]
fn a_mirror_takes_the_place_of_where_a_tool_looks_by_itself() {
    let public = try_step("python3", "requests\n", &PLACE).unwrap();
    assert!(public.environment.iter().all(|(name, _)| name != "PIP_INDEX_URL"));
    let maven = try_step("java", "<project/>", &PLACE).unwrap();
    assert!(!maven.files[1].1.contains("<mirror>"), "{:?}", maven.files);
    let place = Place { mirror: Some("http://mirror/simple"), ..PLACE };
    let mirrored = try_step("python3", "requests\n", &place).unwrap();
    assert_eq!(variable(&mirrored, "PIP_INDEX_URL"), "http://mirror/simple");
    let (path, text) = &mirrored.files[0];
    assert_eq!((path.as_str(), text.as_str()), ("/tmp/work/requirements.txt", "requests\n"));
    assert_eq!(mirrored.command[0], "python3");
    assert!(mirrored.command.contains(path));
    let maven = try_step("java", "<project/>", &place).unwrap();
    assert!(maven.files[1].1.contains("<url>http://mirror/simple</url>"), "{:?}", maven.files);
}

#[test]
fn every_language_writes_below_two_directories() {
    let manifests = [
        ("python3", "requests"),
        ("nodejs", "{}"),
        ("ruby", "gem 'rack'"),
        ("php", "{}"),
        ("java", "<project/>"),
        ("powershell", "@{}"),
    ];
    for (language, text) in manifests {
        let step = try_step(language, text, &PLACE).unwrap();
        for (path, _) in &step.files {
            let below = [PLACE.packages, PLACE.directory].iter().any(|b| path.starts_with(b));
            assert!(below, "{language}: {path}");
        }
        assert_eq!(variable(&step, "HOME"), "/tmp/work");
    }
}

#[test]
fn a_lock_file_alone_is_enough() {
    let lock = r#"{"lockfileVersion": 3, "packages": {"": {"dependencies": {"a": "1"}}}}"#;
    let step = try_step("nodejs", lock, &PLACE).unwrap();
    let paths: Vec<_> = step.files.iter().map(|(path, _)| path.as_str()).collect();
    let packages = "/opt/dispatch/packages";
    let expected = [format!("{packages}/package-lock.json"), format!("{packages}/package.json")];
    assert_eq!(paths, expected);
    assert_eq!(step.files[1].1, r#"{"dependencies":{"a":"1"}}"#);
    assert_eq!(step.command[1], "ci");
    let plain = try_step("nodejs", r#"{"dependencies": {}}"#, &PLACE).unwrap();
    assert_eq!(plain.command[1], "install");
}

#[test]
fn several_commands_are_one_that_stops_at_the_first_failure() {
    let step = try_step("ruby", "gem 'rack'", &PLACE).unwrap();
    assert_eq!(step.command[..2], ["/bin/sh", "-c"]);
    assert!(step.command[2].starts_with("'bundle' 'install'"), "{}", step.command[2]);
    assert!(step.command[2].contains("' && 'find'"), "{}", step.command[2]);
    assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
}

#[test]
fn a_manifest_that_cannot_be_used_is_refused() {
    let old = r#"{"lockfileVersion": 1, "dependencies": {}}"#;
    let cases = [
        ("python3", "", "empty"),
        ("python3", " \n", "empty"),
        ("python3", "requests\0", "no text"),
        ("nodejs", "requests", "package.json is not JSON"),
        ("nodejs", "[]", "no JSON object"),
        ("nodejs", old, "newer tool"),
        ("java", "gem 'rack'", "not XML"),
        ("binary", "libssl", "binary has no packages"),
    ];
    for (language, text, words) in cases {
        let error = try_step(language, text, &PLACE).unwrap_err();
        assert!(error.contains(words), "{language} {text:?}: {error}");
    }
    for mirror in ["mirror", "file:///srv", "http://a/\"", "http://a/?b&c", "http://a b"] {
        let place = Place { mirror: Some(mirror), ..PLACE };
        let error = try_step("php", "{}", &place).unwrap_err();
        assert!(error.contains("the mirror is") && error.contains("https://"), "{error}");
    }
    let most = "#".repeat(MAX_MANIFEST_BYTES);
    assert!(try_step("python3", &most, &PLACE).is_ok());
    let error = try_step("python3", &format!("{most}#"), &PLACE).unwrap_err();
    assert!(error.contains("4194305 bytes; 4194304 are allowed"), "{error}");
}
