//! Each language's function image.

use dispatch_driver::Language;

use crate::conformance::Case;
use crate::http::post;
use crate::image::{Image, has, languages};

/// Runs a check on a language this machine has.
fn on(name: &str, handler: &str, source: &str, check: impl FnOnce(Case<'_>)) {
    let languages = languages();
    let language: &Language = languages.get(name).unwrap();
    if has(language) {
        check(Case { language, handler, source });
    }
}

/// The same tests of each.
macro_rules! serves {
    ($language:ident $handler:literal $source:literal $broken:literal $($more:ident)*) => {
        mod $language {
            use super::on;

            const SOURCE: &str = include_str!(concat!("functions/", $source));

            #[test]
            fn behaves() {
                on(stringify!($language), $handler, SOURCE, |case| case.behaves());
            }

            #[test]
            fn stops_after_the_call() {
                on(stringify!($language), $handler, SOURCE, |case| case.stops_after_the_call());
            }

            #[test]
            fn says_why_it_does_not_load() {
                on(stringify!($language), $handler, SOURCE, |case| {
                    case.says_why_it_does_not_load($broken);
                });
            }

            $(
                #[test]
                fn $more() {
                    on(stringify!($language), $handler, SOURCE, |case| case.$more());
                }
            )*
        }
    };
}

/// And of those whose handlers run in processes of their own.
macro_rules! forked {
    ($($serves:tt)*) => {
        serves!(
            $($serves)* outlives_its_handler leaves_nothing_behind ends_a_call_that_takes_too_long
            serves_at_the_same_time takes_calls_of_openwhisk begins_no_call_that_nobody_waits_for
        );
    };
}

/// And of those that ask AWS Lambda for calls.
macro_rules! asks {
    ($language:ident $handler:literal $source:literal $broken:literal) => {
        mod $language {
            use crate::language::on;

            const SOURCE: &str = include_str!(concat!("functions/", $source));

            #[test]
            fn asks_for_calls() {
                on(stringify!($language), $handler, SOURCE, |case| case.asks_lambda_for_calls());
            }

            #[test]
            fn keeps_to_what_lambda_takes() {
                let check = |case: crate::conformance::Case<'_>| case.keeps_to_what_lambda_takes();
                on(stringify!($language), $handler, SOURCE, check);
            }

            #[test]
            fn ends_a_call_before_lambda_does() {
                let check =
                    |case: crate::conformance::Case<'_>| case.ends_a_call_before_lambda_does();
                on(stringify!($language), $handler, SOURCE, check);
            }

            #[test]
            fn tells_why_it_does_not_load() {
                on(stringify!($language), $handler, SOURCE, |case| {
                    case.tells_lambda_why_it_does_not_load($broken);
                });
            }
        }
    };
}

mod on_lambda {
    asks!(python3 "f.handle" "f.py" "SyntaxError");
    asks!(nodejs "./f.js" "f.js" "SyntaxError");
    asks!(ruby "f.handle" "f.rb" "syntax error");
    asks!(php "f.handle" "f.php" "defines no function");

    #[test]
    fn its_own_runtimes_call_handlers() {
        for (name, handler, source) in [
            ("python3", "f.handle", include_str!("functions/f.py")),
            ("nodejs", "./f.js", include_str!("functions/f.js")),
            ("ruby", "f.handle", include_str!("functions/f.rb")),
        ] {
            super::on(name, handler, source, |case| case.is_called_by_lambdas_own_runtime());
        }
    }

    /// Its calls are threads, which nothing can end: Lambda ends the whole function.
    mod java {
        use crate::language::on;

        const SOURCE: &str = include_str!("functions/f.java");

        #[test]
        fn asks_for_calls() {
            on("java", "f", SOURCE, |case| case.asks_lambda_for_calls());
        }

        #[test]
        fn keeps_to_what_lambda_takes() {
            on("java", "f", SOURCE, |case| case.keeps_to_what_lambda_takes());
        }
    }
}

forked!(python3 "f.handle" "f.py" "SyntaxError");
forked!(nodejs "./f.js" "f.js" "SyntaxError");
forked!(ruby "f.handle" "f.rb" "syntax error");
forked!(php "f.handle" "f.php" "defines no function");
serves!(perl "f.handle" "f.pl" "syntax error");
serves!(powershell "f.ps1::handle" "f.ps1" "f.ps1");

mod java {
    use super::on;

    const SOURCE: &str = include_str!("functions/f.java");

    #[test]
    fn behaves() {
        on("java", "f", SOURCE, |case| case.behaves());
    }

    #[test]
    fn takes_calls_of_openwhisk() {
        on("java", "f", SOURCE, |case| case.takes_calls_of_openwhisk());
    }

    #[test]
    fn serves_at_the_same_time() {
        on("java", "f", SOURCE, |case| case.serves_at_the_same_time());
    }

    #[test]
    fn begins_no_call_that_nobody_waits_for() {
        on("java", "f", SOURCE, |case| case.begins_no_call_that_nobody_waits_for());
    }

    #[test]
    fn stops_after_the_call() {
        on("java", "f", SOURCE, |case| case.stops_after_the_call());
    }
}

/// The function itself is what serves.
#[test]
fn an_executable_that_serves_is_its_own_entry_point() {
    if !has(languages().get("python3").unwrap()) {
        return;
    }
    let languages = languages();
    let source = include_str!("../../../../examples/binary/served");
    let binary = languages.get("binary").unwrap();
    let image = Image::start(binary, "http:./handler", source, &[]);
    let (status, answer) = post(image.port, r#"{"payload": {"name": "Jon"}}"#);
    assert_eq!((status, answer["payload"]["greeting"].as_str()), (200, Some("Hello, Jon")));
}

#[test]
fn a_setting_that_is_no_number_is_named() {
    for name in ["python3", "nodejs", "ruby", "php", "perl"] {
        on(name, "f.handle", "", |case| {
            let variables = [("DISPATCH_MAX_PAYLOAD_BYTES", "6 MiB")];
            let mut image = Image::try_start(case.language, case.handler, "", &variables);
            let (code, said) = image.ended();
            let named = said.contains("DISPATCH_MAX_PAYLOAD_BYTES") && said.contains("6 MiB");
            assert!(code != Some(0) && named, "{name}: {code:?} {said}");
        });
    }
}
