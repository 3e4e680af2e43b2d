//! The OpenAPI document: what it says beside the paths, and what all operations share.

use std::collections::BTreeMap;

use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{Array, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, Object, Ref, RefOr, Required, Response, ResponseBuilder};
use utoipa::{IntoParams, IntoResponses, Modify, OpenApi};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Dispatch",
        description = "Functions, images, secrets, APIs, runs and who may use them.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    components(schemas(dispatch_wire::ErrorBody)),
    modifiers(&Security),
    security(("bearer" = []), ("cookie" = []), ()),
)]
pub struct Document;

struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some("RS256 JWT of a service account; `iss` is ORGANIZATION/NAME."))
            .build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let cookie = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("Cookie")));
        components.add_security_scheme("cookie", cookie);
    }
}

/// The document of the routes as they are now.
pub fn document_text() -> String {
    text(&super::router::documented().1)
}

/// A document as text, as `api/openapi.json` holds it.
pub fn text(document: &utoipa::openapi::OpenApi) -> String {
    let mut text = document.to_pretty_json().expect("the document is plain data");
    text.push('\n');
    text
}

/// The errors any operation may answer.
pub struct Problems;

impl IntoResponses for Problems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let body = Content::builder().schema(Some(Ref::from_schema_name("ErrorBody"))).build();
        let response = ResponseBuilder::new()
            .description("An error; `errorCode` has a page in docs/errors.")
            .content("application/json", body)
            .build();
        BTreeMap::from([("default".to_owned(), response.into())])
    }
}

type Row = (&'static str, ParameterIn, Type, &'static str);

const ORGANIZATION: Row = (
    "X-Dispatch-Org",
    ParameterIn::Header,
    Type::String,
    "Organization the request is for; the caller's own when absent.",
);
const NAME: Row = ("name", ParameterIn::Path, Type::String, "Name of the resource.");
const TAGS: Row = (
    "tags",
    ParameterIn::Query,
    Type::String,
    "key=value, may be repeated; only what has all the tags named.",
);
const IF_NONE_MATCH: Row =
    ("If-None-Match", ParameterIn::Header, Type::String, "ETag of an earlier answer: 304 if same.");
const IF_MATCH: Row = (
    "If-Match",
    ParameterIn::Header,
    Type::String,
    "ETag of an earlier answer: 412 when the resource was changed since.",
);

/// Declares what a group of operations takes.
macro_rules! parameters {
    ($($(#[$doc:meta])* $name:ident [$($row:expr),* $(,)?])*) => {$(
        $(#[$doc])*
        pub struct $name;

        impl IntoParams for $name {
            fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
                vec![$(parameter($row)),*]
            }
        }
    )*};
}

parameters! {
    /// What every list takes.
    ListDocumentation [
        ("limit", ParameterIn::Query, Type::Integer, "Entries on a page, 1 to 1000; else all."),
        ("continue", ParameterIn::Query, Type::String,
            "Token in the header X-Dispatch-Continue of the page before."),
        ("sort", ParameterIn::Query, Type::String,
            "name, created or modified; -name and so on for descending."),
        TAGS,
        ("name", ParameterIn::Query, Type::String, "Only the one of this name."),
        ("state", ParameterIn::Query, Type::String, "Only those in this state, such as READY."),
        ("watch", ParameterIn::Query, Type::Boolean,
            "Stay and follow changes: server-sent events {type, object}; an event error ends it."),
        ("Last-Event-ID", ParameterIn::Header, Type::String,
            "With watch: the last event seen; only what came after it is sent."),
        ORGANIZATION,
    ]
    /// What getting one thing takes.
    GetParameters [NAME, TAGS, IF_NONE_MATCH, ORGANIZATION]
    /// What getting one secret takes.
    SecretParameters [
        NAME,
        ("version", ParameterIn::Query, Type::Integer, "A version that is kept."),
        ("read", ParameterIn::Query, Type::Boolean,
            "Read the values of a secret that is kept elsewhere."),
        TAGS,
        IF_NONE_MATCH,
        ORGANIZATION,
    ]
    /// What replacing one thing takes.
    PutParameters [NAME, IF_MATCH, ORGANIZATION]
    /// What deleting one thing takes.
    DeleteParameters [
        NAME,
        ("protect", ParameterIn::Query, Type::Boolean, "Refuse (409) when others use it."),
        ("keepRuns", ParameterIn::Query, Type::Boolean, "Keep the runs of a function."),
        ("force", ParameterIn::Query, Type::Boolean,
            "Forget an engine that is gone for good, with what is on it."),
        ("all", ParameterIn::Query, Type::Boolean,
            "Delete an organization with all that is in it, in the background."),
        IF_MATCH,
        ORGANIZATION,
    ]
}

fn parameter((name, place, kind, description): Row) -> Parameter {
    let required = match place {
        ParameterIn::Path => Required::True,
        _ => Required::False,
    };
    let (schema, repeated) = (Object::builder().schema_type(kind).build(), name == "tags");
    let builder = ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .description(Some(description));
    match repeated {
        true => builder.schema(Some(Array::new(schema))).build(),
        false => builder.schema(Some(schema)).build(),
    }
}
