//! What may be set of an OpenWhisk.

use dispatch_driver::{Setting, Value};

pub const SETTINGS: &[Setting] = &[
    Setting::new("url", Value::Url, "Where OpenWhisk's API is, without /api/v1.").required(),
    Setting::new(
        "apiKey",
        Value::Text,
        "Key of the namespace, as `wsk property get --auth` shows it: UUID:KEY.",
    )
    .required()
    .secret(),
    Setting::new("namespace", Value::Text, "Namespace of the actions; `_` is that of the key.")
        .default("_"),
    Setting::new(
        "leastMemory",
        Value::Number,
        "Least memory of an action in MiB that OpenWhisk takes; functions with less get this.",
    )
    .default("128"),
    Setting::new("caFile", Value::Text, "Certificates (PEM) trusted besides the machine's."),
    Setting::new("connectTimeout", Value::Duration, "Longest time until a connection stands.")
        .default("2s"),
    Setting::new("buildTimeout", Value::Duration, "Longest time until a new action runs.")
        .default("5m"),
];
