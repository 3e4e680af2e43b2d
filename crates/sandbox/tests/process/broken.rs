//! Images whose interpreter is missing or broken: whoever made the image reads what it said.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use dispatch_driver::{Engine, Error, Fault, Retry};

use crate::bed::{Bed, call};
use crate::image::{DIGEST, on};
use crate::layers::{Images, Layer, PATH};

const HANDLER: &str = "def handle(c, p): return p\n";

/// An image in which a script takes the place of an interpreter.
fn script(program: &str, lines: &str) -> Layer {
    let layer = Layer::busybox();
    let path = format!("/opt/python/bin/{program}");
    layer.file(&path, &format!("#!/bin/sh\n{lines}\n"));
    fs::set_permissions(layer.place(&path), PermissionsExt::from_mode(0o755)).unwrap();
    layer
}

async fn on_image(layer: &Layer) -> Bed {
    let images = Arc::new(Images::default());
    images.add(DIGEST, &[layer], &[("PATH", PATH)]);
    Bed::with_images(images, |_| {}).await
}

/// What building a function on such an image comes to.
async fn refused(language: &str, layer: &Layer) -> Error {
    let bed = on_image(layer).await;
    let deployment = bed.deployment(language, HANDLER, on(DIGEST));
    bed.engine.build(&deployment).await.unwrap_err()
}

fn blames_the_image(error: &Error, words: &str) {
    assert_eq!((error.fault, error.retry), (Fault::Caller, Retry::Never), "{error}");
    assert!(error.message.contains("the image's"), "{error}");
    assert!(error.message.contains(words), "{error}");
}

#[tokio::test]
async fn a_broken_interpreter_is_heard() {
    let lines = "echo \"ModuleNotFoundError: No module named 'ctypes'\" >&2\nexit 3";
    for (language, program) in [("python3", "python3"), ("nodejs", "node")] {
        let error = refused(language, &script(program, lines)).await;
        blames_the_image(&error, "status 3; it last said: ModuleNotFoundError: No module named");
        assert!(error.message.contains(&format!("{program:?}")), "{error}");
    }
}

#[tokio::test]
async fn of_many_words_the_last_are_shown() {
    let lines = "i=0; while [ $i -lt 9000 ]; do echo \"frame $i of the trace\" >&2\n\
                 i=$((i+1)); done\necho no ctypes >&2\nexit 1";
    let error = refused("python3", &script("python3", lines)).await;
    blames_the_image(&error, "frame 8999 of the trace\nno ctypes");
    assert!(error.message.len() < 2_200, "{} bytes", error.message.len());
}

#[tokio::test]
async fn an_interpreter_that_goes_without_a_word_is_named() {
    let error = refused("python3", &script("python3", "exit 0")).await;
    blames_the_image(&error, "\"python3\" ended as it started: status 0; it said nothing");
}

#[tokio::test]
async fn a_python_without_ctypes_says_so() {
    let layer = Layer::python();
    let libraries = fs::read_dir(layer.path().join("opt/python/lib")).unwrap().flatten();
    let taken = libraries.filter(|l| fs::remove_dir_all(l.path().join("ctypes")).is_ok());
    assert_eq!(taken.count(), 1);
    let error = refused("python3", &layer).await;
    blames_the_image(&error, "ModuleNotFoundError: No module named 'ctypes'");
}

#[tokio::test]
async fn a_missing_interpreter_is_named() {
    for (language, words) in [("python3", "python3: No such"), ("nodejs", "node: No such")] {
        blames_the_image(&refused(language, &Layer::busybox()).await, words);
    }
    let closed = script("python3", "exit 0");
    let program = closed.place("/opt/python/bin/python3");
    fs::set_permissions(program, PermissionsExt::from_mode(0o644)).unwrap();
    blames_the_image(&refused("python3", &closed).await, "python3: Permission denied");
}

#[tokio::test]
async fn calls_hear_of_it_too() {
    let layer = script("python3", "echo no ctypes >&2; exit 1");
    let bed = on_image(&layer).await;
    let deployment = bed.deployment("python3", HANDLER, on(DIGEST));
    bed.engine.ensure(&deployment).await.unwrap();
    let error = bed.engine.invoke(deployment.id, call("1")).await.unwrap_err();
    blames_the_image(&error, "no ctypes");
}

#[tokio::test]
async fn a_sandbox_that_cannot_be_made_is_no_fault_of_the_image() {
    for language in ["python3", "nodejs"] {
        let layer = script("python3", "exit 0");
        let bed = on_image(&layer).await;
        fs::remove_dir_all(layer.path()).unwrap();
        let deployment = bed.deployment(language, HANDLER, on(DIGEST));
        let error = bed.engine.build(&deployment).await.unwrap_err();
        assert_eq!((error.fault, error.retry), (Fault::Backend, Retry::Now), "{error}");
    }
}
