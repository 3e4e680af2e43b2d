//! The checked-in document is the one the code makes.

use std::path::Path;

#[test]
fn openapi_file_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../api/openapi.json");
    let made = dispatch_server::http::openapi::document_text();
    if std::env::var_os("DISPATCH_UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == made,
        "api/openapi.json differs from the code: DISPATCH_UPDATE=1 cargo test -p dispatch-server \
         --test http openapi"
    );
}
