//! Images come from a real registry and go to one, and others read what we wrote.

use dispatch_images::base::Source;
use dispatch_images::manifest::{Edits, pack_layer};
use dispatch_images::registry::{Credentials, Reference};
use dispatch_images::{Base, Digest, Error, Image, PackageManager};

use super::bed::{Bed, Registry, run};

async fn pushed(bed: &Bed, registry: &Registry) -> Reference {
    let name = format!("{}/base/busybox:1", registry.address);
    let from = format!("oci:{}:base", bed.layout().display());
    run("skopeo", &["copy", "--dest-tls-verify=false", &from, &format!("docker://{name}")]);
    name.parse().unwrap()
}

#[tokio::test]
async fn an_image_is_pulled_extended_and_pushed_and_others_read_it() {
    let (bed, registry) = (Bed::new(), Registry::start());
    let reference = pushed(&bed, &registry).await;
    let registries = bed.registries(&registry.address);
    let nobody = Credentials::Nobody;
    let base = Base::pull(&registries, &Source::Registry(reference.clone()), &nobody, &bed.content)
        .await
        .unwrap();
    assert_eq!((base.os.unwrap().id.as_str(), base.package_manager), ("alpine", None));
    assert_eq!(registries.resolve(&reference, &nobody).await.unwrap(), base.image.digest);

    let source = bed.path("source");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("hello.sh"), "echo hello").unwrap();
    let layer = pack_layer(&bed.content, &source, "function".as_ref(), "source").await.unwrap();
    let edits = Edits {
        environment: vec![("GREETING".to_owned(), "hello".to_owned())],
        entrypoint: Some(vec!["/bin/sh".to_owned(), "/function/hello.sh".to_owned()]),
        ..Edits::default()
    };
    let image = base.image.extend(&bed.content, &[layer.clone()], &edits).await.unwrap();
    let again = base.image.extend(&bed.content, &[layer], &edits).await.unwrap();
    assert_eq!(image.digest, again.digest);

    let to: Reference = format!("{}/functions/hello:v1", registry.address).parse().unwrap();
    registries.push(&image, &to, &nobody, &bed.content).await.unwrap();
    let inspected = run("skopeo", &["inspect", "--tls-verify=false", &format!("docker://{to}")]);
    let inspected: serde_json::Value = serde_json::from_str(&inspected).unwrap();
    assert_eq!(inspected["Digest"], image.digest.as_str());
    assert!(inspected["Env"].as_array().unwrap().contains(&"GREETING=hello".into()));

    let (out, bundle) = (bed.path("out"), bed.path("bundle").display().to_string());
    let out = format!("oci:{}:v1", out.display());
    run("skopeo", &["copy", "--src-tls-verify=false", &format!("docker://{to}"), &out]);
    let image = out.trim_start_matches("oci:");
    run("umoci", &["unpack", "--rootless", "--image", image, &bundle]);
    let text = std::fs::read_to_string(bed.path("bundle/rootfs/function/hello.sh")).unwrap();
    assert_eq!(text, "echo hello");
}

#[tokio::test]
async fn another_store_gets_all_of_it_by_its_digest() {
    let (bed, registry) = (Bed::new(), Registry::start());
    let reference = pushed(&bed, &registry).await;
    let registries = bed.registries(&registry.address);
    let nobody = Credentials::Nobody;
    let image = registries.pull(&reference, &nobody, &bed.content).await.unwrap();
    let other = Bed::new();
    let pinned = reference.at(&image.digest);
    let same = registries.pull(&pinned, &nobody, &other.content).await.unwrap();
    assert_eq!(same.digest, image.digest);
    assert_eq!(Image::load(&other.content, &image.digest).await.unwrap().size(), image.size());
    let root = same.unpack(&other.content).await.unwrap();
    assert!(root.layers.iter().any(|layer| layer.join("bin/busybox").is_file()));
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let (bed, registry) = (Bed::new(), Registry::start());
    let registries = bed.registries(&registry.address);
    let ask = async |name: &str| {
        let reference: Reference = name.parse().unwrap();
        registries.resolve(&reference, &Credentials::Nobody).await.unwrap_err()
    };
    let missing = ask(&format!("{}/no/such:image", registry.address)).await;
    assert!(matches!(&missing, Error::Refused(text) if text.contains("404")), "{missing}");
    let gone = super::bed::free_address();
    let registries = bed.registries(&gone.to_string());
    let reference: Reference = format!("{gone}/a/b:c").parse().unwrap();
    let unreachable = registries.resolve(&reference, &Credentials::Nobody).await.unwrap_err();
    let text = unreachable.to_string();
    assert!(unreachable.is_passing() && text.contains("cannot be reached"), "{text}");
    assert!("not an image".parse::<Reference>().is_err());
    // Without TLS only where the operator says so.
    let strict = bed.registries("another:1");
    let reference: Reference = format!("{}/a/b:c", registry.address).parse().unwrap();
    assert!(strict.resolve(&reference, &Credentials::Nobody).await.is_err());
}

#[tokio::test]
async fn a_registry_may_want_to_know_who_asks() {
    let users = tempfile::tempdir().unwrap();
    let file = users.path().join("htpasswd");
    // The password is "secret"; bcrypt, as the registry wants it.
    let line = run("htpasswd", &["-nbB", "me", "secret"]);
    std::fs::write(&file, line.trim()).unwrap();
    let auth = format!("auth: {{htpasswd: {{realm: r, path: {}}}}}\n", file.display());
    let (bed, registry) = (Bed::new(), Registry::start_with(&auth));
    let registries = bed.registries(&registry.address);
    let me = Credentials::Password { user: "me".to_owned(), password: "secret".to_owned() };
    let to: Reference = format!("{}/a/b:1", registry.address).parse().unwrap();
    let from = format!("oci:{}:base", bed.layout().display());
    let dest = format!("docker://{to}");
    run("skopeo", &["copy", "--dest-tls-verify=false", "--dest-creds=me:secret", &from, &dest]);
    let image = registries.pull(&to, &me, &bed.content).await.unwrap();
    registries.push(&image, &to.tagged("2"), &me, &bed.content).await.unwrap();
    let wrong = Credentials::Password { user: "me".to_owned(), password: "other".to_owned() };
    for who in [Credentials::Nobody, wrong] {
        let refused = registries.resolve(&to, &who).await.unwrap_err().to_string();
        assert!(refused.contains("401"), "{refused}");
    }
}

#[tokio::test]
async fn distributions_are_known_by_what_is_in_them() {
    use PackageManager::{Apk, Apt, Tdnf};
    let photon = "ID=photon\nVERSION_ID=5.0\nPRETTY_NAME=\"VMware Photon OS/Linux\"\n";
    let debian = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\n";
    let cases = [
        (photon, "usr/bin/tdnf", ("photon", "5.0"), Some(Tdnf)),
        (debian, "usr/bin/apt-get", ("debian", "12"), Some(Apt)),
        ("ID=ubuntu\nVERSION_ID=\"24.04\"\n", "usr/bin/apt-get", ("ubuntu", "24.04"), Some(Apt)),
        ("ID=alpine\nVERSION_ID=3.20.1\n", "sbin/apk", ("alpine", "3.20.1"), Some(Apk)),
        // Distroless: Debian's name, and no program to add to it.
        (debian, "usr/bin/true", ("debian", "12"), None),
        ("", "hello", ("", ""), None),
    ];
    let bed = Bed::new();
    for (n, (os_release, program, (id, version), manager)) in cases.into_iter().enumerate() {
        let root = bed.path(&format!("root{n}"));
        let program = root.join(program);
        std::fs::create_dir_all(program.parent().unwrap()).unwrap();
        std::fs::write(program, "").unwrap();
        if !os_release.is_empty() {
            std::fs::create_dir_all(root.join("usr/lib")).unwrap();
            std::fs::create_dir_all(root.join("etc")).unwrap();
            std::fs::write(root.join("usr/lib/os-release"), os_release).unwrap();
            let link = root.join("etc/os-release");
            std::os::unix::fs::symlink("../usr/lib/os-release", link).unwrap();
        }
        let layer = pack_layer(&bed.content, &root, "".as_ref(), "x").await.unwrap();
        let empty = Image::empty(&bed.content).await.unwrap();
        let image = empty.extend(&bed.content, &[layer], &Edits::default()).await.unwrap();
        let base = Base::here(&image.digest, &bed.content).await.unwrap();
        assert_eq!((base.os.id.as_str(), base.os.version_id.as_str()), (id, version));
        assert_eq!(base.package_manager, manager, "{os_release}");
    }
    assert!(Base::here(&Digest::of(b"another"), &bed.content).await.is_err());
}
