//! OpenLDAP's server with people and groups, over TLS, StartTLS and without either.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::certificates::Authority;
use crate::group::Group;
use crate::programs::{finished, free_address, has};

/// Of everybody there.
pub const PASSWORD: &str = "a-password-of-people";
pub const BASE: &str = "dc=example,dc=org";
/// Finds people, and may do nothing else.
pub const SERVICE: &str = "cn=service,dc=example,dc=org";
/// How many groups `many` is in: more than one page of an answer.
pub const MANY: usize = 450;

const START: Duration = Duration::from_secs(30);

/// A running directory; ended when dropped.
pub struct Directory {
    /// `ldaps://127.0.0.1:PORT`.
    pub secure: String,
    /// `ldap://127.0.0.1:PORT`, where StartTLS is known too.
    pub plain: String,
    /// Who vouches for it.
    pub authority: PathBuf,
    _running: Group,
    _state: TempDir,
}

impl Directory {
    /// None, plainly said, where it cannot be.
    pub fn start() -> Option<Self> {
        if !has(&["slapd", "slapadd"]) {
            return None;
        }
        let state = tempfile::tempdir().expect("a temporary directory");
        let names = ["127.0.0.1", "localhost"];
        Authority::new(state.path()).server(state.path(), "a directory of a test", &names);
        let config = state.path().join("slapd.conf");
        fs::write(&config, configuration(state.path())).expect("a file");
        fs::create_dir(state.path().join("data")).expect("a directory");
        let people = state.path().join("people.ldif");
        fs::write(&people, entries()).expect("a file");
        finished(Command::new("slapadd").arg("-q").arg("-f").arg(&config).arg("-l").arg(&people));
        let (plain, secure) = (free_address(), free_address());
        let mut slapd = Group::command("slapd");
        slapd.arg("-f").arg(&config).args(["-d", "0", "-h"]);
        slapd.arg(format!("ldap://{plain} ldaps://{secure}"));
        let log = state.path().join("log");
        let output = File::create(&log).expect("a log");
        slapd.stdout(Stdio::from(output.try_clone().expect("a log"))).stderr(output);
        let running = Group::start(slapd);
        let deadline = Instant::now() + START;
        while [plain, secure].iter().any(|address| TcpStream::connect(address).is_err()) {
            let said = || fs::read_to_string(&log).unwrap_or_default();
            assert!(Instant::now() < deadline, "slapd does not listen; its log:\n{}", said());
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Self {
            secure: format!("ldaps://{secure}"),
            plain: format!("ldap://{plain}"),
            authority: state.path().join("authority.crt"),
            _running: running,
            _state: state,
        })
    }
}

/// A name without a password binds as nobody and succeeds, as many directories have it.
fn configuration(state: &Path) -> String {
    let state = state.display();
    let schemas = ["core", "cosine", "inetorgperson", "nis"];
    let includes: String =
        schemas.iter().map(|name| format!("include /etc/ldap/schema/{name}.schema\n")).collect();
    format!(
        "{includes}
modulepath /usr/lib/ldap
moduleload back_mdb
allow bind_anon_dn
pidfile {state}/slapd.pid
TLSCACertificateFile {state}/authority.crt
TLSCertificateFile {state}/server.crt
TLSCertificateKeyFile {state}/server.key
database mdb
suffix \"{BASE}\"
directory {state}/data
maxsize 33554432
index objectClass,uid,member,entryUUID eq
access to attrs=userPassword by anonymous auth by * none
access to * by users read by * none
"
    )
}

fn entries() -> String {
    let mut all = format!(
        "dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example\n\n"
    );
    for unit in ["people", "others", "groups"] {
        write!(all, "dn: ou={unit},{BASE}\nobjectClass: organizationalUnit\nou: {unit}\n\n")
            .expect("a text takes all");
    }
    let service = "objectClass: organizationalRole\nobjectClass: simpleSecurityObject";
    write!(all, "dn: {SERVICE}\n{service}\ncn: service\nuserPassword: {PASSWORD}\n\n")
        .expect("a text takes all");
    for uid in ["ann", "bob", "many", "star*", "paren(x)", "twin", "comma\\, name"] {
        all += &person(uid, "people", "");
    }
    all += &person("twin", "others", "");
    all += &person("expired", "people", "objectClass: shadowAccount\nshadowExpire: 15000\n");
    // Leads to another directory, where nobody must go.
    write!(
        all,
        "dn: cn=elsewhere,{BASE}\nobjectClass: referral\nobjectClass: extensibleObject\n\
         cn: elsewhere\nref: ldap://127.0.0.1:1/dc=elsewhere\n\n"
    )
    .expect("a text takes all");
    all + &groups()
}

/// `uid` as it stands in the entry's name; its value has no backslash.
fn person(uid: &str, unit: &str, more: &str) -> String {
    let value = uid.replace('\\', "");
    format!(
        "dn: uid={uid},ou={unit},{BASE}\nobjectClass: inetOrgPerson\n{more}uid: {value}\n\
         cn: {value} Example\nsn: Example\nmail: {}@example.org\nuserPassword: {PASSWORD}\n\n",
        value.replace(|c: char| !c.is_ascii_alphanumeric(), "-")
    )
}

fn groups() -> String {
    let ann = format!("uid=ann,ou=people,{BASE}");
    let group = |name: &str| format!("cn={name},ou=groups,{BASE}");
    let of_names = |name: &str, members: &[String]| {
        let members: String = members.iter().map(|dn| format!("member: {dn}\n")).collect();
        format!("dn: {}\nobjectClass: groupOfNames\ncn: {name}\n{members}\n", group(name))
    };
    // Groups in groups, in a circle.
    let mut all = of_names("developers", &[ann.clone(), group("circle")]);
    all += &of_names("engineering", &[group("developers")]);
    all += &of_names("company", &[group("engineering"), format!("uid=bob,ou=people,{BASE}")]);
    all += &of_names("circle", &[group("company")]);
    all += &of_names("strangers", &[format!("uid=twin,ou=people,{BASE}")]);
    let unique = "objectClass: groupOfUniqueNames\ncn: unique";
    write!(all, "dn: {}\n{unique}\nuniqueMember: {ann}\n\n", group("unique"))
        .expect("a text takes all");
    let posix = "objectClass: posixGroup\ncn: posix\ngidNumber: 5000\nmemberUid: ann";
    write!(all, "dn: {}\n{posix}\n\n", group("posix")).expect("a text takes all");
    for n in 0..MANY {
        all += &of_names(&format!("group-{n:03}"), &[format!("uid=many,ou=people,{BASE}")]);
    }
    all
}
