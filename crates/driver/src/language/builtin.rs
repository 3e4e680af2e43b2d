//! The languages that come with the server: the folders of `runtimes/`.

/// A description, and the host's files by name.
pub struct Folder {
    pub path: &'static str,
    pub description: &'static str,
    pub files: &'static [(&'static str, &'static str)],
}

macro_rules! folder {
    ($language:literal $($file:literal)*) => {
        Folder {
            path: concat!("runtimes/", $language, "/language.toml"),
            description: include_str!(
                concat!("../../../../runtimes/", $language, "/language.toml")
            ),
            files: &[$(
                ($file, include_str!(concat!("../../../../runtimes/", $language, "/", $file))),
            )*],
        }
    };
}

pub const FOLDERS: &[Folder] = &[
    folder!("binary"),
    folder!("java" "Host.java" "Serve.java" "Json.java"),
    folder!("nodejs" "host.js" "serve.js" "managed.js"),
    folder!("php" "host.php" "serve.php"),
    folder!("powershell" "host.ps1" "handler.ps1" "serve.ps1"),
    folder!("python3" "host.py" "serve.py" "managed.py"),
    folder!("ruby" "host.rb" "serve.rb" "managed.rb"),
];
