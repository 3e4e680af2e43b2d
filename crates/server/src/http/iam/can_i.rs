//! `/v1/iam/can-i` and `/v1/iam/rights`: what one may do, and why. Additions to v1.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use dispatch_access::RESOURCES;
use dispatch_model::{Tags, Violation};
use dispatch_wire as wire;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::can_i::Question;
use crate::app::{App, Caller};
use crate::authz::Action;
use crate::http::error::{ApiResult, Failure};
use crate::http::openapi::Problems;
use crate::http::query::{Parameters, flag, pairs, tag};

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(can_i)).routes(routes!(rights))
}

/// A question, and of whom it is asked.
struct Asked {
    question: Question,
    subject: Option<String>,
}

impl FromRequestParts<Arc<App>> for Asked {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Failure> {
        let (mut action, mut resource, mut name, mut subject) = (None, None, None, None);
        let (mut tags, mut explain) = (Tags::new(), false);
        for (key, value) in pairs(parts)? {
            match key.as_str() {
                "action" => action = Some(self::action(&value)?),
                "resource" => resource = Some(self::resource(&value)?),
                "name" => name = Some(value),
                "tags" => tags.extend([tag(&value)?]),
                "explain" => explain = flag("explain", &value)?,
                "as" => subject = Some(value),
                other => {
                    let known = "action, resource, name, tags, explain, as";
                    let rule = format!("is no parameter of this request: {known}");
                    return Err(Violation::new(other, rule).into());
                }
            }
        }
        let missing = |field: &str| Violation::new(field, "is required");
        let action = action.ok_or_else(|| missing("action"))?;
        let resource = resource.ok_or_else(|| missing("resource"))?;
        let question = Question { action, resource, name, tags, explain };
        Ok(Self { question, subject })
    }
}

fn action(text: &str) -> Result<Action, Violation> {
    let known = || Action::ALL.map(Action::as_str).join(", ");
    let rule = || format!("{text:?} is none of {}", known());
    Action::parse(text).ok_or_else(|| Violation::new("action", rule()))
}

fn resource(text: &str) -> Result<&'static str, Violation> {
    let rule = || format!("{text:?} is none of {}", RESOURCES.join(", "));
    let known = RESOURCES.into_iter().find(|word| *word == text);
    known.ok_or_else(|| Violation::new("resource", rule()))
}

/// Whether one may do something, in the organization the request is for.
#[utoipa::path(get, path = "/v1/iam/can-i", tag = "iam", operation_id = "can_i",
    params(
        ("action" = String, Query, description = "get, create, update or delete"),
        ("resource" = String, Query, description = "A word of policies: function, runs, iam, …"),
        ("name" = Option<String>, Query,
            description = "One thing; below iam with its kind: policy/readers. Else all there is"),
        ("tags" = Option<Vec<String>>, Query,
            description = "key=value: a tag of the thing; without any, those it has"),
        ("explain" = Option<bool>, Query, description = "Say why, and name the policy"),
        ("as" = Option<String>, Query,
            description = "Ask about another subject of the organization; asks for get on iam"),
    ),
    responses((status = 200, body = wire::CanI), Problems))]
async fn can_i(
    caller: Caller,
    State(app): State<Arc<App>>,
    Asked { question, subject }: Asked,
) -> ApiResult<Json<wire::CanI>> {
    let caller = of(&app, caller, subject.as_deref())?;
    Ok(Json(app.can_i(&caller, question).await?))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Whose {
    /// Another subject of the organization; asks for get on iam.
    #[serde(rename = "as")]
    subject: Option<String>,
}

/// Lists what one may do, and must not do, in the organization the request is for.
#[utoipa::path(get, path = "/v1/iam/rights", tag = "iam", operation_id = "right_list",
    params(Whose), responses((status = 200, body = [wire::Right]), Problems))]
async fn rights(
    caller: Caller,
    State(app): State<Arc<App>>,
    Parameters(Whose { subject }): Parameters<Whose>,
) -> ApiResult<Json<Vec<wire::Right>>> {
    let caller = of(&app, caller, subject.as_deref())?;
    Ok(Json(app.rights(&caller).await?))
}

fn of(app: &App, caller: Caller, subject: Option<&str>) -> ApiResult<Caller> {
    match subject {
        Some(subject) => Ok(app.somebody(&caller, subject)?),
        None => Ok(caller),
    }
}
