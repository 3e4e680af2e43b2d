//! Package URLs of packages (<https://github.com/package-url/purl-spec>).

use packageurl::PackageUrl;

use super::{Ecosystem, Os, Package};

/// Modules of the PowerShell Gallery are NuGet packages of another registry.
const POWERSHELL_GALLERY: &str = "https://www.powershellgallery.com/api/v2";

/// The package URL of a package, empty when its name cannot be written as one.
pub fn of(package: &Package, os: Option<&Os>) -> String {
    build(package, os).unwrap_or_default()
}

fn build(package: &Package, os: Option<&Os>) -> packageurl::Result<String> {
    let (namespace, name) = split(package, os);
    let kind = match package.ecosystem {
        Ecosystem::Powershell => "nuget",
        other => other.as_str(),
    };
    let mut purl = PackageUrl::new(kind, name)?;
    if let Some(namespace) = namespace {
        purl.with_namespace(namespace)?;
    }
    // An epoch is no part of an rpm's version in a purl; it is a qualifier.
    let (epoch, version) = match (package.ecosystem, package.version.split_once(':')) {
        (Ecosystem::Rpm, Some((epoch, version))) => (Some(epoch), version),
        _ => (None, package.version.as_str()),
    };
    purl.with_version(version)?;
    if let Some(epoch) = epoch {
        purl.add_qualifier("epoch", epoch)?;
    }
    if let Some(architecture) = &package.architecture {
        purl.add_qualifier("arch", architecture.as_str())?;
    }
    match package.ecosystem {
        Ecosystem::Deb | Ecosystem::Rpm | Ecosystem::Apk => {
            if let Some(os) = os {
                purl.add_qualifier("distro", os.distro())?;
            }
        }
        Ecosystem::Powershell => {
            purl.add_qualifier("repository_url", POWERSHELL_GALLERY)?;
        }
        _ => {}
    }
    Ok(purl.to_string())
}

/// Namespace and name.
fn split<'a>(package: &'a Package, os: Option<&'a Os>) -> (Option<&'a str>, String) {
    let name = package.name.as_str();
    let parts = match package.ecosystem {
        Ecosystem::Deb | Ecosystem::Rpm | Ecosystem::Apk => {
            return (os.map(|os| os.id.as_str()), name.to_owned());
        }
        Ecosystem::Pypi => return (None, super::pypi::normalized(name)),
        Ecosystem::Maven => name.split_once(':'),
        Ecosystem::Npm | Ecosystem::Composer => name.split_once('/'),
        Ecosystem::Gem | Ecosystem::Powershell | Ecosystem::Generic => None,
    };
    match parts {
        Some((namespace, name)) => (Some(namespace), name.to_owned()),
        None => (None, name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_specification_writes_them() {
        let debian = Os { id: "debian".into(), version_id: "12".into(), name: String::new() };
        let purl = |ecosystem, name, version, arch: Option<&str>| {
            let mut package = Package::new(ecosystem, name, version, "/");
            package.architecture = arch.map(str::to_owned);
            of(&package, Some(&debian))
        };
        let openssl = purl(Ecosystem::Deb, "openssl", "3.0.11-1~deb12u2", Some("amd64"));
        assert_eq!(openssl, "pkg:deb/debian/openssl@3.0.11-1~deb12u2?arch=amd64&distro=debian-12");
        let epoch = purl(Ecosystem::Rpm, "bind", "32:9.16-1", None);
        assert_eq!(epoch, "pkg:rpm/debian/bind@9.16-1?distro=debian-12&epoch=32");
        let scoped = purl(Ecosystem::Npm, "@angular/core", "12.3.1", None);
        assert_eq!(scoped, "pkg:npm/%40angular/core@12.3.1");
        let maven = purl(Ecosystem::Maven, "org.apache.xmlgraphics:batik-anim", "1.9.1", None);
        assert_eq!(maven, "pkg:maven/org.apache.xmlgraphics/batik-anim@1.9.1");
        let python = purl(Ecosystem::Pypi, "Django_Rest.Framework", "1.0", None);
        assert_eq!(python, "pkg:pypi/django-rest-framework@1.0");
        let php = purl(Ecosystem::Composer, "laravel/framework", "5.5.0", None);
        assert_eq!(php, "pkg:composer/laravel/framework@5.5.0");
    }
}
