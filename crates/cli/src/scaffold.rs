//! The files `dispatch init` writes: the examples' hello of each language, and its documents.

/// Languages there is a folder for.
pub const LANGUAGES: [&str; 8] =
    ["python3", "nodejs", "java", "ruby", "php", "powershell", "binary", "wasm"];

/// A file of a new folder.
pub struct File {
    pub name: String,
    pub text: String,
    pub executable: bool,
}

struct Template {
    file: &'static str,
    text: &'static str,
    handler: &'static str,
}

macro_rules! template {
    ($file:literal, $handler:literal, $example:literal) => {
        Template {
            file: $file,
            handler: $handler,
            text: include_str!(concat!("../../../examples/", $example)),
        }
    };
}

fn template(language: &str) -> Template {
    match language {
        "nodejs" => template!("hello.js", "./hello.js", "nodejs/hello.js"),
        "java" => template!("Hello.java", "Hello", "java/Hello.java"),
        "ruby" => template!("hello.rb", "hello.handle", "ruby/hello.rb"),
        "php" => template!("hello.php", "hello.handle", "php/hello.php"),
        "powershell" => template!("hello.ps1", "hello.ps1::handle", "powershell/hello.ps1"),
        "binary" => template!("hello", "", "binary/hello"),
        "wasm" => template!("hello.wat", "", "wasm/hello.wat"),
        _ => template!("hello.py", "hello.handle", "python3/hello.py"),
    }
}

/// All files of a new function's folder.
pub fn files(language: &str, name: &str) -> Vec<File> {
    let template = template(language);
    let handler = match template.handler {
        "" => String::new(),
        handler => format!("handler: {handler}\n"),
    };
    let source = template.file;
    let documents = format!(
        "# What `dispatch apply` makes of this folder.\n\
         kind: BaseImage\nname: {language}-base\ndockerUrl: host:{language}\n\
         language: {language}\n---\n\
         kind: Image\nname: {language}\nbaseImageName: {language}-base\n---\n\
         kind: Function\nname: {name}\nimage: {language}\nsourcePath: {source}\n{handler}---\n\
         kind: API\nname: {name}\nfunction: {name}\nuris: [/{name}]\nmethods: [GET, POST]\n"
    );
    let readme = format!(
        "# {name}\n\nA function in {language}.\n\n\
         \x20   dispatch apply -f dispatch.yaml --wait\n\
         \x20   dispatch exec {name} --wait --input '{{\"name\": \"Ada\"}}'\n\n\
         Behind the gateway it answers at /ORGANIZATION/{name}.\n"
    );
    let file = |name: &str, text: String, executable| File { name: name.into(), text, executable };
    vec![
        file(source, template.text.to_owned(), language == "binary"),
        file("dispatch.yaml", documents, false),
        file("README.md", readme, false),
    ]
}
