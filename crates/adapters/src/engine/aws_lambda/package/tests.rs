//! Archives, read back.

use std::collections::BTreeMap;

use dispatch_driver::Languages;
use dispatch_driver::conformance::Program;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

fn packed(source: &Bytes) -> Result<Vec<u8>> {
    let languages = Languages::builtin();
    let deployment = Program::Conformance.deployment("python3");
    pack(&deployment, languages.get("python3").unwrap(), source)
}

/// Names of files, and whether each may be run.
fn files(bytes: Vec<u8>) -> BTreeMap<String, (bool, String)> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let all = (0..archive.len()).map(|at| {
        let mut file = archive.by_index(at).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        (file.name().unwrap().into_owned(), (file.unix_mode().unwrap() & 0o111 != 0, text))
    });
    all.collect()
}

fn tar(entries: &[(&str, u32, &str)]) -> tar::Builder<GzEncoder<Vec<u8>>> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, mode, text) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(*mode);
        // `set_path` would refuse what somebody may send.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        archive.append(&header, text.as_bytes()).unwrap();
    }
    archive
}

fn archive(entries: &[(&str, u32, &str)]) -> Bytes {
    tar(entries).into_inner().unwrap().finish().unwrap().into()
}

#[test]
fn one_file_is_beside_the_host() {
    let source = Bytes::from_static(b"def handle(c, p): return p");
    let bytes = packed(&source).unwrap();
    assert_eq!(bytes, packed(&source).unwrap(), "equal functions are equal bytes");
    let files = files(bytes);
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    let all = ["bootstrap", "function/handler.py", "host.py", "managed.py", "serve.py"];
    assert_eq!(names, all);
    let (executable, script) = &files["bootstrap"];
    assert!(
        executable & script.contains("exec 'python3' '-I' '-B' ''\"$here\"'/serve.py'"),
        "{script}"
    );
}

#[test]
fn folders_keep_their_files_and_what_may_be_run() {
    let files = files(
        packed(&archive(&[("./handler.py", 0o644, "x"), ("tools//run.sh", 0o755, "y")])).unwrap(),
    );
    assert_eq!(files["function/handler.py"], (false, "x".to_owned()));
    assert_eq!(files["function/tools/run.sh"], (true, "y".to_owned()));
}

#[test]
fn what_leaves_its_folder_or_is_no_file_is_refused() {
    for name in ["../handler.py", "/etc/passwd"] {
        let error = packed(&archive(&[(name, 0o644, "x")])).unwrap_err();
        assert_eq!(error.code, code::ENGINE002);
        assert!(error.message.contains(name), "{}", error.message);
    }
    let mut link = tar(&[]);
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    link.append_link(&mut header, "link", "/etc").unwrap();
    let error = packed(&link.into_inner().unwrap().finish().unwrap().into()).unwrap_err();
    assert!(error.message.contains("link"), "{}", error.message);
    let error = packed(&Bytes::from_static(&[0x1f, 0x8b, 1, 2, 3])).unwrap_err();
    assert!(error.message.contains("damaged"), "{}", error.message);
}

#[test]
fn what_is_too_large_for_lambda_is_said() {
    let zeros = "\0".repeat(1 << 20);
    let many: Vec<_> = (0..251).map(|n| format!("file-{n}")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), 0o644, zeros.as_str())).collect();
    let error = packed(&archive(&many)).unwrap_err();
    assert!(error.message.contains("250 MiB"), "{}", error.message);
}
