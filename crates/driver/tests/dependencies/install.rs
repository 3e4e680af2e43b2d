//! Each language's packages: installed, found by a handler, the same when installed again; and a
//! package that does not exist, of which the tool's own words tell.

use crate::bed::Bed;
use crate::mirror::Mirror;

fn lacks(bed: &Bed, manifest: &str, mirror: &str, words: &str) {
    let (well, said) = bed.install(manifest, mirror);
    assert!(!well && said.contains(words), "{said}");
}

#[test]
fn python3_wheels_also_with_native_code() {
    let Some(bed) = Bed::of("python3", &["python3", "cc"]) else { return };
    bed.make("python3", "wheels.py", &[]);
    let mirror = Mirror::start(vec![bed.path("mirror")]);
    let index = format!("{}/simple", mirror.url);
    bed.installs_the_same_again("greet==1.0\nnative>=1\n", &index);
    let names: Vec<_> = std::fs::read_dir(bed.path("packages")).unwrap().flatten().collect();
    assert!(names.iter().all(|n| n.file_name() != "__pycache__"));
    let source =
        "import greet, native\ndef handle(c, p): return [greet.hello(), native.answer()]\n";
    assert_eq!(bed.call("f.handle", source), serde_json::json!(["hello", 42]));
    lacks(&bed, "lost==3\n", &index, "No matching distribution found for lost==3");
}

#[test]
fn nodejs_packages_of_both_kinds() {
    let Some(bed) = Bed::of("nodejs", &["node", "npm"]) else { return };
    let mirror = Mirror::start(vec![bed.path("mirror")]);
    bed.make("node", "registry.js", &[&mirror.url]);
    let manifest = r#"{"dependencies": {"shout": "^1.0.0"}}"#;
    bed.installs_the_same_again(manifest, &mirror.url);
    let common = "module.exports = async () => \
                  [require('greet').hello(), (await import('shout')).default()];";
    assert_eq!(bed.call("./f.js", common), serde_json::json!(["hello", "HELLO"]));
    let module = "import { hello } from 'greet';\nimport shout from 'shout';\n\
                  export default () => [hello(), shout()];";
    assert_eq!(bed.call("./f.mjs", module), serde_json::json!(["hello", "HELLO"]));
    // A lock file alone is enough, and brings what it says.
    let lock = std::fs::read_to_string(bed.path("packages/package-lock.json")).unwrap();
    bed.installs_the_same_again(&lock, &mirror.url);
    assert_eq!(bed.call("./f.mjs", module), serde_json::json!(["hello", "HELLO"]));
    lacks(&bed, r#"{"dependencies": {"lost": "3"}}"#, &mirror.url, "404");
}

#[test]
fn ruby_gems() {
    let Some(bed) = Bed::of("ruby", &["ruby", "gem", "bundle"]) else { return };
    bed.make("ruby", "gems.rb", &[]);
    let mirror = Mirror::start(vec![bed.path("mirror")]);
    let manifest = "source 'https://rubygems.org'\ngem 'shout', '~> 1.0'\n";
    bed.installs_the_same_again(manifest, &mirror.url);
    let source = "require 'shout'\ndef handle(c, p) = Shout.hello\n";
    assert_eq!(bed.call("f.handle", source), serde_json::json!("HELLO"));
    let lost = "source 'https://rubygems.org'\ngem 'lost', '3'\n";
    lacks(&bed, lost, &mirror.url, "lost");
}

#[test]
fn php_packages() {
    let Some(bed) = Bed::of("php", &["php", "composer"]) else { return };
    let mirror = Mirror::start(vec![bed.path("mirror")]);
    bed.make("php", "packages.php", &[&mirror.url]);
    let manifest = r#"{"require": {"acme/shout": "^1.0"}}"#;
    bed.installs_the_same_again(manifest, &mirror.url);
    let source = "<?php function handle($c, $p) { return Acme\\Shout\\hello(); }";
    assert_eq!(bed.call("f.handle", source), serde_json::json!("HELLO"));
    lacks(&bed, r#"{"require": {"acme/lost": "3"}}"#, &mirror.url, "acme/lost");
}

const POM: &str = "<project><modelVersion>4.0.0</modelVersion><groupId>org.example</groupId>\
    <artifactId>function</artifactId><version>1</version><dependencies><dependency>\
    <groupId>org.example</groupId><artifactId>shout</artifactId><version>1.0</version>\
    </dependency></dependencies></project>";

#[test]
fn java_artifacts() {
    let Some(bed) = Bed::of("java", &["javac", "jar", "mvn"]) else { return };
    // Maven's own plugins, which come from the same mirror.
    let debian = std::path::PathBuf::from("/usr/share/maven-repo");
    if !debian.join("org/apache/maven/plugins/maven-dependency-plugin").is_dir() {
        println!("could not run: no maven-dependency-plugin in {}", debian.display());
        return;
    }
    bed.make("sh", "artifacts.sh", &[]);
    let mirror = Mirror::start(vec![bed.path("mirror"), debian]);
    bed.installs_the_same_again(POM, &mirror.url);
    let source = "public class f implements java.util.function.BiFunction<Object, Object, Object> {\
                  public Object apply(Object c, Object p) { return org.example.Shout.hello(); } }";
    assert_eq!(bed.call("f", source), serde_json::json!("HELLO"));
    lacks(&bed, &POM.replace("shout", "lost"), &mirror.url, "org.example:lost");
}
