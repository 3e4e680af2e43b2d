//! What is attached to images: listed where a registry keeps a list, and where it does not.

use dispatch_images::manifest::artifact::Parts;
use dispatch_images::manifest::index::Index;
use dispatch_images::manifest::wasm;
use dispatch_images::registry::{Credentials, Reference, Registries};
use dispatch_images::{Artifact, Digest, Error, Image};

use super::bed::{Bed, Registry, documents, run, tar};

const SBOM: &str = "application/vnd.cyclonedx+json";
const SIGNATURE: &str = "application/vnd.example.signature";

pub async fn image(bed: &Bed) -> Image {
    let layer = tar(&[("a", tar::EntryType::Regular, "x")]);
    let digest = bed.content.put(&layer).await.unwrap();
    let (manifest, config) = documents(&[(digest.clone(), layer.len() as u64, digest)]);
    bed.content.put(&config).await.unwrap();
    Image::load(&bed.content, &bed.content.put(&manifest).await.unwrap()).await.unwrap()
}

async fn attached(bed: &Bed, subject: &Digest, kind: &str, text: &str) -> Artifact {
    let parts = Parts {
        artifact_type: kind.to_owned(),
        subject: Some(subject.clone()),
        files: vec![(kind.to_owned(), text.as_bytes().to_vec())],
        annotations: [("made-by".to_owned(), "a test".to_owned())].into(),
    };
    let made = Artifact::make(&bed.content, &parts).await.unwrap();
    assert_eq!(Artifact::make(&bed.content, &parts).await.unwrap().digest, made.digest);
    made
}

async fn list(
    registries: &Registries,
    reference: &Reference,
    subject: &Digest,
    kind: Option<&str>,
) -> Vec<Digest> {
    let listed = registries.referrers(reference, subject, kind, &Credentials::Nobody).await;
    listed.unwrap().into_iter().map(|referrer| referrer.digest).collect()
}

/// Debian's registry keeps no list of its own, so the one under a tag is used.
#[tokio::test]
async fn what_is_attached_is_listed_fetched_and_deleted() {
    let (bed, registry) = (Bed::new(), Registry::start());
    let (registries, nobody) = (bed.registries(&registry.address), Credentials::Nobody);
    let to: Reference = format!("{}/a/b:1", registry.address).parse().unwrap();
    let image = image(&bed).await;
    registries.push(&image, &to, &nobody, &bed.content).await.unwrap();
    assert!(list(&registries, &to, &image.digest, None).await.is_empty());
    let sbom = attached(&bed, &image.digest, SBOM, "{}").await;
    let signature = attached(&bed, &image.digest, SIGNATURE, "signed").await;
    let (one, two) = (to.at(&sbom.digest), to.at(&signature.digest));
    let (one, two) = tokio::join!(
        registries.push_artifact(&sbom, &one, &nobody, &bed.content),
        registries.push_artifact(&signature, &two, &nobody, &bed.content),
    );
    one.and(two).unwrap();
    // Again changes nothing.
    registries.push_artifact(&sbom, &to.at(&sbom.digest), &nobody, &bed.content).await.unwrap();
    let mut all = list(&registries, &to, &image.digest, None).await;
    all.sort();
    let mut expected = [sbom.digest.clone(), signature.digest.clone()];
    expected.sort();
    assert_eq!(all, expected);
    let sboms = list(&registries, &to, &image.digest, Some(SBOM)).await;
    assert_eq!(sboms, std::slice::from_ref(&sbom.digest));

    let other = Bed::new();
    let at = to.at(&signature.digest);
    let fetched = registries.pull_artifact(&at, &nobody, &other.content).await.unwrap();
    assert_eq!(fetched.subject().unwrap(), Some(image.digest.clone()));
    let files: Vec<_> = fetched.files().collect();
    assert_eq!(files[0].0, SIGNATURE);
    assert_eq!(other.content.document(files[0].1).await.unwrap(), b"signed");

    assert!(registries.delete(&to.at(&sbom.digest), &nobody).await.unwrap());
    assert_eq!(list(&registries, &to, &image.digest, None).await, [signature.digest]);
    assert!(registries.delete(&to, &nobody).await.unwrap());
    assert!(!registries.delete(&to, &nobody).await.unwrap(), "it is gone already");
    let gone = registries.resolve(&to, &nobody).await.unwrap_err();
    assert!(matches!(&gone, Error::Refused(text) if text.contains("404")), "{gone}");
}

/// All of them have the same empty configuration, over which the registry stumbles when it is
/// uploaded several times at once.
#[tokio::test(flavor = "multi_thread")]
async fn many_are_attached_at_once() {
    let (bed, registry) = (Bed::new(), Registry::start());
    let (registries, nobody) = (bed.registries(&registry.address), Credentials::Nobody);
    let to: Reference = format!("{}/a/b:1", registry.address).parse().unwrap();
    let image = image(&bed).await;
    registries.push(&image, &to, &nobody, &bed.content).await.unwrap();
    let mut tasks = Vec::new();
    for n in 0..12 {
        let made = attached(&bed, &image.digest, SBOM, &n.to_string()).await;
        let (registries, content) = (registries.clone(), bed.content.clone());
        let at = to.at(&made.digest);
        tasks.push(tokio::spawn(async move {
            registries.push_artifact(&made, &at, &Credentials::Nobody, &content).await
        }));
    }
    for pushed in futures::future::join_all(tasks).await {
        pushed.unwrap().unwrap();
    }
    assert_eq!(list(&registries, &to, &image.digest, None).await.len(), 12);
}

/// Controllers run all of it in tasks of their own.
#[tokio::test]
async fn what_is_attached_is_the_work_of_any_task() {
    let bed = Bed::new();
    let gone = super::bed::free_address();
    let to: Reference = format!("{gone}/a/b:1").parse().unwrap();
    let (registries, content) = (bed.registries(&gone.to_string()), bed.content.clone());
    let image = image(&bed).await;
    let sbom = attached(&bed, &image.digest, SBOM, "{}").await;
    let index = Index::make(&content, &[&image]).await.unwrap();
    let tried = tokio::spawn(async move {
        let nobody = Credentials::Nobody;
        [
            registries.push(&image, &to, &nobody, &content).await.is_err(),
            registries.pull(&to, &nobody, &content).await.is_err(),
            registries.push_artifact(&sbom, &to, &nobody, &content).await.is_err(),
            registries.pull_artifact(&to, &nobody, &content).await.is_err(),
            registries.push_index(&index, &to, &nobody, &content).await.is_err(),
            registries.referrers(&to, &image.digest, None, &nobody).await.is_err(),
            registries.delete(&to, &nobody).await.is_err(),
        ]
    });
    assert_eq!(tried.await.unwrap(), [true; 7], "nobody listens there");
}

#[tokio::test]
async fn an_artifact_is_no_base_image() {
    let (bed, registry) = (Bed::new(), Registry::start());
    let (registries, nobody) = (bed.registries(&registry.address), Credentials::Nobody);
    let to: Reference = format!("{}/a/b:sbom", registry.address).parse().unwrap();
    let sbom = attached(&bed, &image(&bed).await.digest, SBOM, "{}").await;
    registries.push_artifact(&sbom, &to, &nobody, &bed.content).await.unwrap();
    let refused = registries.pull(&to, &nobody, &bed.content).await.unwrap_err().to_string();
    assert!(refused.contains("no image but an artifact"), "{refused}");
}

#[tokio::test]
async fn what_an_artifact_needs_is_not_pruned_with_the_rest() {
    let bed = Bed::new();
    let image = image(&bed).await;
    let sbom = attached(&bed, &image.digest, SBOM, "{}").await;
    let index = Index::make(&bed.content, &[&image]).await.unwrap();
    let prune = async |kept: &[Digest]| {
        let pruned = bed.content.prune(kept, std::time::Duration::ZERO, false).await.unwrap();
        pruned.blobs
    };
    assert_eq!(prune(&[sbom.digest.clone(), index.digest.clone()]).await, 0);
    // The artifact's manifest; its file and its configuration are the same two bytes.
    assert_eq!(prune(std::slice::from_ref(&index.digest)).await, 2);
    assert_eq!(prune(&[]).await, 4);
}

#[tokio::test]
async fn images_for_several_platforms_have_one_name() {
    let (bed, registry) = (Bed::new(), Registry::start());
    let (registries, nobody) = (bed.registries(&registry.address), Credentials::Nobody);
    let to: Reference = format!("{}/a/b:all", registry.address).parse().unwrap();
    let ours = image(&bed).await;
    let other = r#"{"architecture":"s390x","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
    let config = bed.content.put(other).await.unwrap();
    let manifest = serde_json::json!({"schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": [],
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": config, "size": other.len()}});
    let manifest = bed.content.put(manifest.to_string()).await.unwrap();
    let other = Image::load(&bed.content, &manifest).await.unwrap();

    let both = Index::make(&bed.content, &[&other, &ours]).await.unwrap();
    registries.push_index(&both, &to, &nobody, &bed.content).await.unwrap();
    assert_eq!(registries.resolve(&to, &nobody).await.unwrap(), ours.digest);
    let raw = run("skopeo", &["inspect", "--raw", "--tls-verify=false", &format!("docker://{to}")]);
    assert_eq!(Digest::of(raw.as_bytes()), both.digest);

    let foreign = Index::make(&bed.content, &[&other]).await.unwrap();
    registries.push_index(&foreign, &to, &nobody, &bed.content).await.unwrap();
    let refused = registries.resolve(&to, &nobody).await.unwrap_err().to_string();
    assert!(refused.contains("is for linux/s390x, not linux/amd64"), "{refused}");
}

#[tokio::test]
async fn a_program_for_wasm_engines_is_an_artifact_too() {
    let (bed, registry) = (Bed::new(), Registry::start());
    let (registries, nobody) = (bed.registries(&registry.address), Credentials::Nobody);
    let to: Reference = format!("{}/a/wasm:1", registry.address).parse().unwrap();
    let component = b"\0asm\x0d\0\x01\0";
    let interfaces = wasm::Interfaces {
        imports: vec!["wasi:io/streams@0.2.0".to_owned()],
        exports: vec!["wasi:http/incoming-handler@0.2.0".to_owned()],
    };
    let made = wasm::artifact(&bed.content, component, &interfaces).await.unwrap();
    registries.push_artifact(&made, &to, &nobody, &bed.content).await.unwrap();
    let at = format!("docker://{to}");
    let raw = run("skopeo", &["inspect", "--raw", "--tls-verify=false", &at]);
    let manifest: serde_json::Value = serde_json::from_str(&raw).unwrap();
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.wasm.config.v0+json");
    assert_eq!(manifest["layers"][0]["mediaType"], "application/wasm");
    let raw = run("skopeo", &["inspect", "--config", "--raw", "--tls-verify=false", &at]);
    let config: serde_json::Value = serde_json::from_str(&raw).unwrap();
    assert_eq!(config["os"], "wasip2");
    assert_eq!(config["layerDigests"][0], Digest::of(component).as_str());
    assert_eq!(config["component"]["exports"][0], "wasi:http/incoming-handler@0.2.0");
    let module = wasm::artifact(&bed.content, b"\0asm\x01\0\0\0", &interfaces).await.unwrap();
    let config = module.blobs().next().unwrap().0.clone();
    let config = bed.content.document(&config).await.unwrap();
    assert!(!String::from_utf8(config).unwrap().contains("component"));
    for wrong in [&b"\0asm"[..], b"", b"\0asm\x02\0\0\0", b"\x7fELF\x01\0\0\0"] {
        assert!(wasm::artifact(&bed.content, wrong, &interfaces).await.is_err());
    }
}
