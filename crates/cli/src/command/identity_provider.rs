//! `dispatch iam get identityprovider`: what there is to sign in with.

use anyhow::Result;

use super::{Context, get};
use crate::table;

pub const PATH: &str = "iam/identityprovider";

pub async fn run(context: &Context) -> Result<()> {
    let answer = context.session.client.get(PATH).await?;
    let providers = answer.as_array().cloned().unwrap_or_default();
    get::print_list_as(context.printer, providers, table::sign_in::identity_providers)
}
