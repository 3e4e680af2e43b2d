//! System packages: what a distribution's package manager is asked to do.

use dispatch_model::image::SystemPackage;

/// What installs packages on a base image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PackageManager {
    /// Debian, Ubuntu.
    Apt,
    /// Alpine.
    Apk,
    /// Photon OS.
    Tdnf,
}

impl PackageManager {
    pub const ALL: [PackageManager; 3] =
        [PackageManager::Apt, PackageManager::Apk, PackageManager::Tdnf];

    pub fn as_str(self) -> &'static str {
        match self {
            PackageManager::Apt => "apt",
            PackageManager::Apk => "apk",
            PackageManager::Tdnf => "tdnf",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|manager| manager.as_str() == text)
    }

    /// Programs, any of which being there says that the manager is.
    pub fn programs(self) -> &'static [&'static str] {
        match self {
            PackageManager::Apt => &["/usr/bin/apt-get"],
            PackageManager::Apk => &["/sbin/apk", "/usr/sbin/apk"],
            PackageManager::Tdnf => &["/usr/bin/tdnf"],
        }
    }

    /// A package as the manager's command line names it.
    fn argument(self, package: &SystemPackage) -> String {
        let separator = match self {
            PackageManager::Apt | PackageManager::Apk => "=",
            PackageManager::Tdnf => "-",
        };
        match &package.version {
            Some(version) => format!("{}{separator}{version}", package.name),
            None => package.name.clone(),
        }
    }

    /// The shell script that installs packages and leaves nothing behind that depends on when or
    /// where it ran. Names and versions have been checked: see [`SystemPackage::check`].
    pub fn script(self, packages: &[SystemPackage]) -> String {
        let arguments: Vec<_> = packages.iter().map(|package| self.argument(package)).collect();
        let arguments = arguments.join(" ");
        match self {
            // One user is all there is in a build, so apt must not become its own.
            PackageManager::Apt => format!(
                "set -e\n\
                 apt='apt-get -q -y -o APT::Sandbox::User=root -o Dpkg::Use-Pty=0'\n\
                 $apt update\n\
                 $apt install --no-install-recommends {arguments}\n\
                 $apt clean\n\
                 rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old \
                 /var/lib/dpkg/*-old /var/log/* /var/cache/ldconfig/aux-cache\n"
            ),
            PackageManager::Apk => format!(
                "set -e\n\
                 apk add --no-cache --no-progress {arguments}\n\
                 rm -rf /var/cache/apk/* /var/log/*\n"
            ),
            PackageManager::Tdnf => format!(
                "set -e\n\
                 tdnf install -y --noplugins {arguments}\n\
                 tdnf clean all\n\
                 rm -rf /var/cache/tdnf /var/log/*\n"
            ),
        }
    }

    /// What its programs want in their environment.
    pub fn environment(self) -> &'static [(&'static str, &'static str)] {
        match self {
            PackageManager::Apt => &[("DEBIAN_FRONTEND", "noninteractive")],
            PackageManager::Apk | PackageManager::Tdnf => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_written_as_each_manager_reads_them() {
        let version = Some("1.2-3".to_owned());
        let pinned = SystemPackage { name: "curl".to_owned(), version };
        let any = SystemPackage { name: "jq".to_owned(), version: None };
        let script = |manager: PackageManager| manager.script(&[pinned.clone(), any.clone()]);
        assert!(script(PackageManager::Apt).contains("--no-install-recommends curl=1.2-3 jq\n"));
        assert!(script(PackageManager::Apk).contains("--no-progress curl=1.2-3 jq\n"));
        assert!(script(PackageManager::Tdnf).contains("--noplugins curl-1.2-3 jq\n"));
    }
}
