//! Signatures beside images in a real registry, and lists of them that are none.

use dispatch_images::manifest::artifact::Parts;
use dispatch_images::registry::{Credentials, Reference};
use dispatch_images::sign::{MEDIA_TYPE, SigningKey, tag, verify};
use dispatch_images::{Artifact, Error};

use super::attached::image;
use super::bed::{Bed, Registry, run};

#[tokio::test]
async fn signatures_of_several_are_kept_side_by_side_and_hold_elsewhere() {
    let (bed, registry) = (Bed::new(), Registry::start());
    let (registries, nobody) = (bed.registries(&registry.address), Credentials::Nobody);
    let name = format!("{}/a/signed", registry.address);
    let to: Reference = format!("{name}:1").parse().unwrap();
    let image = image(&bed).await;
    registries.push(&image, &to, &nobody, &bed.content).await.unwrap();
    assert!(registries.signatures(&to, &image.digest, &nobody).await.unwrap().is_empty());
    let keys = [SigningKey::generate().unwrap(), SigningKey::generate().unwrap()];
    for key in &keys {
        let signature = key.sign(&image.digest, &name).unwrap();
        let pushed =
            registries.push_signature(signature, &to, &image.digest, &nobody, &bed.content);
        pushed.await.unwrap();
    }
    // Somebody else, who has nothing but the registry.
    let other = Bed::new();
    let registries = other.registries(&registry.address);
    let all = registries.signatures(&to, &image.digest, &nobody).await.unwrap();
    assert_eq!(all.len(), 2);
    for (key, signature) in keys.iter().zip(&all) {
        let (payload, text) = (&signature.payload, &signature.signature);
        let held = verify(&[key.public()], &image.digest, payload, text).unwrap();
        assert_eq!(held.reference, name);
    }
    // The layout is cosign's: other tools find it under the tag, and the layer's annotation.
    let shown = format!("docker://{name}:{}", tag(&image.digest));
    let raw = run("skopeo", &["inspect", "--raw", "--tls-verify=false", &shown]);
    assert!(
        raw.contains(MEDIA_TYPE) && raw.contains("dev.cosignproject.cosign/signature"),
        "{raw}"
    );
}

#[tokio::test]
async fn a_list_that_names_too_much_is_refused() {
    let (bed, registry) = (Bed::new(), Registry::start());
    let (registries, nobody) = (bed.registries(&registry.address), Credentials::Nobody);
    let to: Reference = format!("{}/a/wrong:1", registry.address).parse().unwrap();
    let image = image(&bed).await;
    registries.push(&image, &to, &nobody, &bed.content).await.unwrap();
    let at = to.tagged(&tag(&image.digest));
    // More signatures than anybody makes.
    let files = vec![(MEDIA_TYPE.to_owned(), b"{}".to_vec()); 101];
    let parts = Parts { artifact_type: MEDIA_TYPE.to_owned(), files, ..Parts::default() };
    let many = Artifact::make(&bed.content, &parts).await.unwrap();
    registries.push_artifact(&many, &at, &nobody, &bed.content).await.unwrap();
    let refused = registries.signatures(&to, &image.digest, &nobody).await.unwrap_err();
    assert!(
        matches!(&refused, Error::Refused(text) if text.contains("101 signatures")),
        "{refused}"
    );
    // Layers without a signature are none; what is there otherwise is passed over.
    let files = vec![(MEDIA_TYPE.to_owned(), b"{}".to_vec())];
    let parts = Parts { artifact_type: MEDIA_TYPE.to_owned(), files, ..Parts::default() };
    let none = Artifact::make(&bed.content, &parts).await.unwrap();
    registries.push_artifact(&none, &at, &nobody, &bed.content).await.unwrap();
    assert!(registries.signatures(&to, &image.digest, &nobody).await.unwrap().is_empty());
}
