//! Signatures held against OpenSSL, and what must not count as one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dispatch_images::Digest;
use dispatch_images::sign::{
    KeyError, PublicKey, SignatureImage, SigningKey, VerifyError, listed, tag, verify,
};
use oci_spec::image::{ImageConfiguration, ImageManifest};
use proptest::prelude::*;

use crate::image::output;

fn image() -> Digest {
    Digest::of(b"a manifest")
}

/// As cosign writes it.
fn payload(reference: &str, optional: &str) -> String {
    let identity = format!(r#""identity":{{"docker-reference":"{reference}"}}"#);
    let digest = format!(r#""image":{{"docker-manifest-digest":"{}"}}"#, image());
    let kind = r#""type":"cosign container image signature""#;
    format!(r#"{{"critical":{{{identity},{digest},{kind}}},"optional":{optional}}}"#)
}

#[test]
fn openssl_verifies_what_we_sign() {
    let directory = tempfile::tempdir().expect("a directory");
    let key = SigningKey::generate().expect("a key");
    let signed = key.sign(&image(), "registry.example.com/hello").expect("signed");
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(directory.path().join(name), bytes).expect("a file");
    };
    write("key.pub", key.public_pem().as_bytes());
    write("payload", &signed.payload);
    write("signature", &STANDARD.decode(&signed.signature).expect("base64"));
    let arguments = "dgst -sha256 -verify key.pub -signature signature payload";
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let said = output("openssl", &arguments, directory.path());
    assert_eq!(said.trim(), "Verified OK");
    let text = String::from_utf8(signed.payload).expect("text");
    assert_eq!(text, payload("registry.example.com/hello", "null"));
    assert_eq!(tag(&image()), format!("sha256-{}.sig", image().hex()));
}

#[test]
fn we_verify_what_openssl_signs_with_its_own_keys() {
    let directory = tempfile::tempdir().expect("a directory");
    let run =
        |line: &str| output("openssl", &line.split(' ').collect::<Vec<_>>(), directory.path());
    run("ecparam -name prime256v1 -genkey -noout -out sec1.pem");
    run("pkcs8 -topk8 -nocrypt -in sec1.pem -out pkcs8.pem");
    run("ec -in sec1.pem -pubout -out key.pub");
    let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).expect(name);
    let payload = payload("x", r#"{"creator":"y"}"#);
    std::fs::write(directory.path().join("payload"), &payload).expect("a file");
    run("dgst -sha256 -sign sec1.pem -out signature payload");
    let bytes = std::fs::read(directory.path().join("signature")).expect("a signature");
    let public = PublicKey::from_pem(&read("key.pub")).expect("a public key");
    let other = SigningKey::generate().expect("a key").public();
    let keys = [other, public.clone()];
    let verified = verify(&keys, &image(), payload.as_bytes(), &STANDARD.encode(&bytes));
    let verified = verified.expect("it holds");
    assert_eq!((verified.key, verified.reference.as_str()), (1, "x"));
    // The private key in both forms is the same key.
    for name in ["sec1.pem", "pkcs8.pem"] {
        let key = SigningKey::from_pem(&read(name)).expect(name);
        assert_eq!(key.public(), public, "{name}");
    }
    assert_eq!(public.to_pem(), read("key.pub"));
    run("ecparam -name secp384r1 -genkey -noout -out other.pem");
    run("ec -in other.pem -pubout -out other.pub");
    let wrong = SigningKey::from_pem(&read("other.pem")).map(|_| ());
    assert_eq!(wrong, Err(KeyError::OtherKind));
    assert_eq!(PublicKey::from_pem(&read("other.pub")), Err(KeyError::OtherKind));
}

#[test]
fn what_is_not_signed_by_us_for_this_image_is_refused() {
    let key = SigningKey::generate().expect("a key");
    let again = SigningKey::from_pem(&key.to_pem().expect("PEM")).expect("the same key");
    let keys = [again.public()];
    let signed = key.sign(&image(), "a/b").expect("signed");
    let refused = |keys: &[PublicKey], digest: &Digest, payload: &[u8], signature: &str| {
        verify(keys, digest, payload, signature).expect_err("it must not hold")
    };
    assert!(verify(&keys, &image(), &signed.payload, &signed.signature).is_ok());
    let none = refused(&[], &image(), &signed.payload, &signed.signature);
    assert_eq!(none, VerifyError::NoKeys);
    let other = Digest::of(b"another manifest");
    let error = refused(&keys, &other, &signed.payload, &signed.signature);
    assert_eq!(error.to_string(), format!("the signature is for {}, not for {other}", image()));
    let foreign = [SigningKey::generate().expect("a key").public()];
    let error = refused(&foreign, &image(), &signed.payload, &signed.signature);
    assert_eq!(error, VerifyError::OtherKey(1));
    let changed = String::from_utf8(signed.payload.clone()).expect("text").replace("a/b", "a/c");
    let error = refused(&keys, &image(), changed.as_bytes(), &signed.signature);
    assert_eq!(error, VerifyError::OtherKey(1));
    for garbage in ["", "!", &"A".repeat(1025), "AAAA"] {
        let error = refused(&keys, &image(), &signed.payload, garbage);
        let expected = [VerifyError::NoSignature, VerifyError::OtherKey(1)];
        assert!(expected.contains(&error), "{garbage}: {error}");
    }
    let long = vec![b' '; 65 << 10];
    assert!(matches!(refused(&keys, &image(), &long, "AAAA"), VerifyError::Payload(_)));
}

#[test]
fn signatures_are_kept_as_an_image() {
    let key = SigningKey::generate().expect("a key");
    let signed = ["a/b", "c/d"].map(|name| key.sign(&image(), name).expect("signed"));
    let kept = SignatureImage::new(&signed);
    let manifest: ImageManifest = serde_json::from_slice(&kept.manifest).expect("a manifest");
    let config: ImageConfiguration = serde_json::from_slice(&kept.config).expect("a config");
    assert_eq!(manifest.config().digest().to_string(), Digest::of(&kept.config).to_string());
    assert_eq!(config.rootfs().diff_ids().len(), 2);
    let layer = &manifest.layers()[1];
    let kind = "application/vnd.dev.cosign.simplesigning.v1+json";
    assert_eq!(layer.media_type().to_string(), kind);
    assert_eq!(layer.size(), signed[1].payload.len() as u64);
    let annotations = layer.annotations().as_ref().expect("annotations");
    assert_eq!(annotations["dev.cosignproject.cosign/signature"], signed[1].signature);

    let found = listed(&kept.manifest).expect("a list");
    for (found, signed) in found.iter().zip(&signed) {
        assert_eq!(found.payload, Digest::of(&signed.payload));
        let verified = verify(&[key.public()], &image(), &signed.payload, &found.signature);
        assert!(verified.is_ok());
    }
    assert_eq!(found.len(), 2);
    let other = String::from_utf8(kept.manifest).expect("text").replace("simplesigning", "other");
    assert_eq!(listed(other.as_bytes()), Ok(Vec::new()));
    let many = SignatureImage::new(&vec![signed[0].clone(); 101]);
    assert_eq!(listed(&many.manifest), Err("101 signatures, more than 100".to_owned()));
    assert!(listed(b"{}").is_err() && listed(&vec![b' '; (1 << 20) + 1]).is_err());
}

#[test]
fn keys_that_are_none_say_why_and_never_show_themselves() {
    let pem = SigningKey::generate().expect("a key").to_pem().expect("PEM");
    let key = SigningKey::from_pem(&pem).expect("a key");
    let secret = pem.lines().nth(1).expect("its first line").to_owned();
    assert!(!format!("{key:?}").contains(&secret[..20]));
    let error = |text: &str| SigningKey::from_pem(text).map(|_| ()).expect_err("no key");
    assert_eq!(error(""), KeyError::NoPem("PRIVATE KEY"));
    assert_eq!(error(&key.public_pem()), KeyError::NoPem("PRIVATE KEY"));
    let encrypted = pem.replace("PRIVATE KEY", "ENCRYPTED SIGSTORE PRIVATE KEY");
    assert_eq!(error(&encrypted), KeyError::Encrypted);
    assert_eq!(error(&pem.replace(&secret, "AAAA")), KeyError::OtherKind);
    assert_eq!(error(&format!("{}{}", " ".repeat(16 << 10), *pem)), KeyError::NoPem("PRIVATE KEY"));
    assert_eq!(PublicKey::from_pem(&pem), Err(KeyError::NoPem("PUBLIC KEY")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_garbage_is_a_signature_or_a_key(
        payload in prop::collection::vec(any::<u8>(), 0..100),
        signature in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let key = SigningKey::generate().expect("a key");
        let text = STANDARD.encode(&signature);
        prop_assert!(verify(&[key.public()], &image(), &payload, &text).is_err());
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n");
        prop_assert!(SigningKey::from_pem(&pem).is_err());
        prop_assert!(PublicKey::from_pem(&pem.replace("PRIVATE", "PUBLIC")).is_err());
    }
}
