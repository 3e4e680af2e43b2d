//! Packages of the distribution, from its own mirror, by its own package manager.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};

use serde_json::json;

use crate::bed::{Bed, system};

const SOURCE: &str = "\
import subprocess
def handle(context, payload):
    return subprocess.run(['jq', '-c', payload], input='{\"a\": [1, 2]}', text=True,
                          capture_output=True, check=True).stdout
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_runs_a_program_that_apt_installed() {
    let Some(bed) = Bed::start("").await else { return };
    let image = bed.image("tools", system(&["jq"])).await;
    assert_eq!(image["status"], "READY", "{image}");
    bed.function("hello", "tools", SOURCE).await;
    assert_eq!(bed.call("hello", json!(".a")).await, "[1,2]\n");

    // What was installed is known, with what it needed.
    let content = bed.server.get("/v1/image/tools/content").await.expect(200).json();
    let packages = content["packages"].as_array().unwrap();
    for name in ["jq", "libjq1", "python3"] {
        let found = packages.iter().any(|p| p["name"] == name && p["ecosystem"] == "deb");
        assert!(found, "{name} is not in {content}");
    }
    let users = bed.server.get("/v1/package/users?name=jq").await.expect(200).json();
    let mut users: Vec<_> = users.as_array().unwrap().iter().map(|u| u["name"].clone()).collect();
    users.sort_by_key(ToString::to_string);
    assert_eq!(users, ["hello", "tools"]);
    // What apt left behind that depends on when it ran is not in the layer.
    let tell = "import os\ndef handle(context, payload):\n    return os.listdir(payload)\n";
    bed.function("tell", "tools", tell).await;
    let lists = bed.call("tell", json!("/var/lib/apt/lists")).await;
    assert_eq!(lists, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_installed_is_said_in_the_words_of_who_tried() {
    let Some(bed) = Bed::start("").await else { return };
    let lost = bed.image("lost", system(&["no-such-package-anywhere"])).await;
    assert_eq!(lost["status"], "ERROR", "{lost}");
    let reason = lost["reason"][0].as_str().unwrap();
    assert!(reason.contains("Unable to locate package no-such-package-anywhere"), "{reason}");
    assert!(reason.starts_with("apt "), "{reason}");

    // A host that is there and that `images.build_egress` does not name.
    let index = here();
    index.set_nonblocking(true).unwrap();
    let address = index.local_addr().unwrap();
    let manifest = format!(
        "--index-url http://{address}/simple\n--trusted-host {}\nsomething==1.0\n",
        address.ip()
    );
    let closed = json!({"runtimeDependencies": {"manifest": manifest}});
    let closed = bed.image("closed", closed).await;
    assert_eq!(closed["status"], "ERROR", "{closed}");
    let reason = closed["reason"][0].as_str().unwrap();
    assert!(reason.starts_with("python3 ended with status 1: "), "{reason}");
    assert!(reason.contains("No matching distribution found for something==1.0"), "{reason}");
    assert!(reason.contains("Failed to establish a new connection"), "{reason}");
    assert!(index.accept().is_err(), "a build connected to {address}");

    // Neither keeps others from being built.
    let fine = bed.image("fine", json!({})).await;
    assert_eq!(fine["status"], "READY", "{fine}");
}

/// Listens on this machine's address in its network, which a sandbox has none of.
fn here() -> TcpListener {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    // Nothing is sent: the kernel only chooses the address it would send from.
    let chosen = socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr());
    let address = chosen.map_or(Ipv4Addr::LOCALHOST.into(), |chosen| chosen.ip());
    TcpListener::bind((address, 0)).unwrap()
}
