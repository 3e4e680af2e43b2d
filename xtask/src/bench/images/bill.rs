//! Bills of materials of a Debian image: the records of 300 packages of this machine as a base
//! image, looked into and told.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::wait_ready;
use crate::bench::Row;
use crate::bench::http::{Http, quantile_ms};
use crate::bench::measures::Bench;
use crate::shell;

const STATUS: &str = "var/lib/dpkg/status";
const PACKAGES: usize = 300;
const BAR_MS: f64 = 1_000.0;

pub fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let Some(status) = records() else {
        return Ok(vec![Row {
            measure: "bill of materials of a 300-package Debian image",
            bar: "≤ 1 s",
            seen: "this machine has no dpkg records of 300 packages".to_owned(),
            reached: false,
        }]);
    };
    let folder = bench.folder("images-debian")?;
    let settings = [("DISPATCH_IMAGES__FOLDERS", folder.display().to_string())];
    let server = bench.server_with("images-bill", &settings)?;
    let mut api = Http::connect(&server.api)?;
    let mut made = Vec::new();
    // Content is looked into once, so each is another.
    for i in 0..bench.samples.min(10) {
        let (layout, name) = (folder.join(format!("debian-{i}")), format!("debian-{i}"));
        layout_of(&status, i, &layout)?;
        let base = json!({"name": name, "language": "python3",
            "dockerUrl": format!("oci:{}:debian", layout.display())});
        let (path, began) = (format!("/v1/baseimage/{name}"), Instant::now());
        api.call("POST", "/v1/baseimage", &base.to_string())?.ok()?;
        wait_ready(&mut api, &path, None)?;
        made.push(began.elapsed());
        let content = api.call("GET", &format!("{path}/content"), "")?.ok()?.body;
        let content: Value = serde_json::from_str(&content)?;
        let found = content["packages"].as_array().map_or(0, Vec::len);
        ensure!(found == PACKAGES, "{found} packages were found, not {PACKAGES}");
    }
    let (mut cyclonedx, mut spdx) = (Vec::new(), Vec::new());
    for _ in 0..bench.samples.min(50) {
        for (format, times) in [("cyclonedx", &mut cyclonedx), ("spdx", &mut spdx)] {
            let path = format!("/v1/baseimage/debian-0/bill?format={format}");
            times.push(api.call("GET", &path, "")?.ok()?.took);
        }
    }
    let (p50, worst) = (quantile_ms(&mut made, 0.5), quantile_ms(&mut made, 1.0));
    let (first, second) = (quantile_ms(&mut cyclonedx, 0.5), quantile_ms(&mut spdx, 0.5));
    Ok(vec![
        Row {
            measure: "bill of a 300-package Debian image, CycloneDX / SPDX, p50",
            bar: "≤ 1 s",
            seen: format!("{first:.1} ms / {second:.1} ms of {}", cyclonedx.len()),
            reached: first <= BAR_MS && second <= BAR_MS,
        },
        Row {
            measure: "the same image's create → READY with its inventory, p50 / worst",
            bar: "≤ 1 s",
            seen: format!("{p50:.0} ms / {worst:.0} ms of {}", made.len()),
            reached: worst <= BAR_MS,
        },
    ])
}

/// The first 300 installed packages of this machine, as dpkg wrote them down.
fn records() -> Option<Vec<String>> {
    let text = fs::read_to_string(Path::new("/").join(STATUS)).ok()?;
    let installed = text.split("\n\n").filter(|p| p.contains("\nStatus: install ok installed"));
    let records: Vec<_> = installed.take(PACKAGES).map(str::to_owned).collect();
    (records.len() == PACKAGES).then_some(records)
}

/// Writes an OCI layout of the records and their packages' copyright files, tagged `debian`; a
/// `version` makes other content of it.
fn layout_of(records: &[String], version: usize, layout: &Path) -> Result<()> {
    let root = layout.with_extension("root");
    let put = |path: &str, text: &[u8]| {
        let place = root.join(path);
        fs::create_dir_all(place.parent().context("it is below the root")?)?;
        fs::write(place, text).context("cannot write")
    };
    put("etc/os-release", format!("ID=debian\nVERSION_ID=12.{version}\n").as_bytes())?;
    put(STATUS, (records.join("\n\n") + "\n").as_bytes())?;
    for record in records {
        let name = record.lines().find_map(|line| line.strip_prefix("Package: "));
        let file = format!("usr/share/doc/{}/copyright", name.context("a record has no name")?);
        // Some packages have none, others a link into another's folder.
        if let Ok(text) = fs::read(Path::new("/").join(&file)) {
            put(&file, &text)?;
        }
    }
    let tar = layout.with_extension("tar");
    let mut pack = Command::new("tar");
    pack.args(["--sort=name", "--owner=0", "--group=0", "--mtime=@0", "-C"]).arg(&root);
    shell::run_quietly("packing", pack.arg("-cf").arg(&tar).arg("."))?;
    let diff_id = digest(&tar)?;
    let mut gzip = Command::new("gzip");
    shell::run_quietly("compressing", gzip.arg("-n").arg(&tar))?;

    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    let layer = blob(&blobs, &layout.with_extension("tar.gz"), "layer.v1.tar+gzip")?;
    let json = |name: &str, kind: &str, value: &Value| {
        let file = layout.with_extension(name);
        fs::write(&file, value.to_string())?;
        blob(&blobs, &file, kind)
    };
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let config = json!({"architecture": architecture, "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [diff_id]}});
    let config = json("config", "config.v1+json", &config)?;
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": [layer],
        "mediaType": "application/vnd.oci.image.manifest.v1+json"});
    let mut manifest = json("manifest", "manifest.v1+json", &manifest)?;
    manifest["annotations"] = json!({"org.opencontainers.image.ref.name": "debian"});
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    fs::write(layout.join("index.json"), index.to_string())?;
    fs::write(layout.join("oci-layout"), json!({"imageLayoutVersion": "1.0.0"}).to_string())?;
    Ok(())
}

/// Moves a file among the blobs, and describes it.
fn blob(blobs: &Path, file: &Path, kind: &str) -> Result<Value> {
    let (digest, size) = (digest(file)?, fs::metadata(file)?.len());
    fs::rename(file, blobs.join(digest.trim_start_matches("sha256:")))?;
    let media_type = format!("application/vnd.oci.image.{kind}");
    Ok(json!({"mediaType": media_type, "digest": digest, "size": size}))
}

fn digest(file: &Path) -> Result<String> {
    let text = shell::run_quietly("adding up", Command::new("sha256sum").arg(file))?;
    let hex = text.split_whitespace().next().context("sha256sum said nothing")?;
    Ok(format!("sha256:{hex}"))
}
