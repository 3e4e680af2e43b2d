//! Descriptions: those that are built in, and an operator's own, good and bad.

use std::path::Path;

use super::*;

const GOOD: &str = r#"
name = "perl"
files = ["host.pl"]
[detect]
program = "perl"
arguments = ["-e", "print 1"]
[source]
extensions = ["pl"]
name = "before_first_dot"
[run]
command = ["{interpreter}", "{host}/host.pl"]
[serve]
command = ["{interpreter}", "{host}/host.pl", "serve"]
"#;

fn folder(root: &Path, name: &str, description: &str) {
    let folder = root.join(name);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("language.toml"), description).unwrap();
    std::fs::write(folder.join("host.pl"), "print 'hello'").unwrap();
}

/// What is said of one description.
fn refused(description: &str) -> String {
    let root = tempfile::tempdir().unwrap();
    folder(root.path(), "own", description);
    Languages::builtin().with_directory(root.path()).unwrap_err().to_string()
}

#[test]
fn what_is_built_in_can_be_read() {
    let languages = Languages::builtin();
    let names: Vec<_> = languages.iter().map(|language| language.name.as_str()).collect();
    assert_eq!(names, ["binary", "java", "nodejs", "php", "powershell", "python3", "ruby"]);
    for language in languages.iter().filter(|language| language.name != "binary") {
        assert!(!language.files.is_empty() && language.detect.is_some(), "{}", language.name);
        let files: Vec<_> = language.files.iter().map(|file| &file.name).collect();
        assert_eq!(files, language.names.iter().collect::<Vec<_>>());
        let entry = language.entry_point("a.b").unwrap();
        assert_eq!(entry[0], language.program());
        assert!(language.running()[0].1.contains(PACKAGES_AT), "{:?}", language.running());
    }
    let words = languages.get("java").unwrap().prepare();
    assert!(words[0].contains(&format!("{HOST_AT}/Host.java")), "{words:?}");
}

#[test]
fn a_workers_command_is_filled_in() {
    let languages = Languages::builtin();
    let mut values = RunValues {
        interpreter: "/jdk/bin/java",
        host: "/h/java",
        version: "17",
        memory_mib: 128,
        proxy_properties: vec!["-Da=b".to_owned(), "-Dc=d".to_owned()],
    };
    let java = &languages.get("java").unwrap().run;
    let with = java.command(&values);
    assert_eq!((with[0].as_str(), with[6].as_str()), ("/jdk/bin/java", "-Xmx96m"));
    assert_eq!(with[7..], ["-Da=b", "-Dc=d", "-jar", "/h/java/host.jar"]);
    values.proxy_properties.clear();
    assert_eq!(java.command(&values)[7], "-jar");
    assert_eq!(java.keep("17").unwrap(), ".dispatch-classes-17.jar");
}

#[test]
fn a_binary_is_an_image_only_when_it_serves() {
    let binary = Languages::builtin().get("binary").unwrap().clone();
    assert_eq!(binary.entry_point("http:./bin/served").unwrap(), ["/function/bin/served"]);
    for handler in ["./program", "", "http:", "http:/bin/sh", "http:../sh"] {
        let error = binary.entry_point(handler).unwrap_err();
        assert!(error.contains("http:./PROGRAM"), "{error}");
    }
}

#[test]
fn an_operators_language_is_added() {
    let root = tempfile::tempdir().unwrap();
    folder(root.path(), "perl", GOOD);
    std::fs::write(root.path().join("README"), "not a language").unwrap();
    std::fs::create_dir(root.path().join(".git")).unwrap();
    let languages = Languages::builtin().with_directory(root.path()).unwrap();
    let perl = languages.get("perl").unwrap();
    assert_eq!(&*perl.files[0].text, "print 'hello'");
    assert_eq!(perl.source.file_name("hello.handle"), "hello.pl");
    assert_eq!(languages.iter().count(), 8);
}

#[test]
fn a_built_in_language_is_replaced_only_when_that_is_said() {
    let other = GOOD.replace(r#"name = "perl""#, r#"name = "ruby""#);
    let said = refused(&other);
    assert!(said.contains("language.toml: `name` is \"ruby\"") && said.contains("replaces = true"));
    let root = tempfile::tempdir().unwrap();
    folder(root.path(), "own", &format!("replaces = true\n{other}"));
    let languages = Languages::builtin().with_directory(root.path()).unwrap();
    assert_eq!(languages.get("ruby").unwrap().program(), "perl");
    assert_eq!(languages.iter().count(), 7);
}

/// (what is replaced, by what, words of the error)
const WRONG: &[(&str, &str, &str)] = &[
    (r#"name = "perl""#, r#"name = "Perl""#, "`name` is \"Perl\""),
    (r#"name = "perl""#, r#"name = "wasm""#, "an engine's own"),
    (r#"name = "perl""#, r#"nam = "perl""#, "nam"),
    (r#"["host.pl"]"#, r#"["../host.pl"]"#, "`files` has \"../host.pl\""),
    (r#"["host.pl"]"#, r#"["host.pl", "host.pl"]"#, "twice"),
    (r#"["host.pl"]"#, r#"["lost.pl"]"#, "lost.pl: No such file"),
    (r#"program = "perl""#, r#"program = "/usr/bin/perl""#, "`detect.program`"),
    ("{interpreter}\", \"{host}/host.pl\"]", "{perl}\"]", "unknown placeholder `{perl}`"),
    (r#"["{interpreter}", "{host}/host.pl"]"#, "[]", "`run.command` is empty"),
    (r#""serve"]"#, r#""{memory_mib}"]"#, "`serve.command` has the unknown placeholder"),
    ("[run]", "[run]\nkeep = \"classes\"", "`run.keep`"),
    ("[run]", "[run]\nstart = \"bridge\"", "`run.command` is not used"),
    ("[run]", "[run]\nstart = \"magic\"", "magic"),
    ("\"before_first_dot\"", "\"first\"", "before_first_dot"),
];

#[test]
fn what_is_wrong_is_named_with_its_file() {
    for (from, to, words) in WRONG {
        assert!(GOOD.contains(from), "{from}");
        let said = refused(&GOOD.replacen(from, to, 1));
        assert!(said.contains("/own/") && said.contains(words), "{said}");
    }
    let long = GOOD.replace(r#"name = "perl""#, &format!("name = {:?}", "p".repeat(64)));
    assert!(refused(&long).contains("63 characters"));
    assert!(refused(&format!("{GOOD}#{}", "x".repeat(64 << 10))).contains("65536 bytes"));
    let dependencies = "[dependencies]\n";
    assert!(refused(&format!("{GOOD}{dependencies}")).contains("manifests"));
    let outside = format!(
        "{GOOD}{dependencies}[[dependencies.manifests]]\nname = \"cpanfile\"\n\
         at = \"/etc/passwd\"\ninstall = [[\"cpanm\"]]\n"
    );
    assert!(refused(&outside).contains("`{packages}/`"));
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let error = Languages::builtin().with_directory(Path::new("/no/languages")).unwrap_err();
    assert!(error.to_string().starts_with("/no/languages: "), "{error}");
}
