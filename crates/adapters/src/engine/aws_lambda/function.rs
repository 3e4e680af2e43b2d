//! What Dispatch's words are in Lambda's.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dispatch_driver::{Beside, Deployment, Error, Language, Result};
use dispatch_model::code;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::package;
use super::settings::{Package, Settings};

/// Lambda's own limit of one call.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(900);
const MEMORY_MIB: std::ops::RangeInclusive<u64> = 128..=10_240;
/// Bytes of an answer that go to the result's envelope and logs, of the 6 MiB Lambda takes.
const ENVELOPE: usize = 256 << 10;
/// Largest description of a function, in characters.
const DESCRIPTION: usize = 256;
/// Largest request and answer, in bytes.
pub const MAX_BODY: usize = 6 << 20;

/// The function's name there.
pub fn name(id: Uuid) -> String {
    format!("dispatch-{}", id.simple())
}

/// What `UpdateFunctionCode` takes, but for the architecture.
pub async fn code(deployment: &Deployment, settings: &Settings, beside: &Beside) -> Result<Value> {
    if settings.package == Package::Image {
        return Ok(json!({"ImageUri": image(deployment, settings)?}));
    }
    let language = language(deployment, settings, beside)?;
    let source = beside.sources.read(&deployment.source_digest).await?;
    let (deployment, language) = (deployment.clone(), language.clone());
    let packed = tokio::task::spawn_blocking(move || {
        package::pack(&deployment, &language, &source).map(|bytes| STANDARD.encode(bytes))
    });
    let packed = packed.await.map_err(|error| Error::ours(code::ENGINE006, error.to_string()))?;
    Ok(json!({"ZipFile": packed?}))
}

/// The function's own image, where Lambda finds it.
fn image(deployment: &Deployment, settings: &Settings) -> Result<String> {
    let Some(image) = &deployment.function_image else {
        let text = "the function has no image of its own in a registry; set `images.registry` \
                    of the server, or `package` of the engine to zip";
        return Err(Error::caller(code::ENGINE001, text));
    };
    Ok(match (&settings.repository, image.split_once('/')) {
        (Some(repository), Some((_, path))) => format!("{repository}/{path}"),
        _ => image.clone(),
    })
}

fn language<'a>(
    deployment: &Deployment,
    settings: &Settings,
    beside: &'a Beside,
) -> Result<&'a Language> {
    let name = &deployment.language;
    let language = beside.languages.get(name).ok_or_else(|| {
        Error::caller(code::ENGINE001, format!("{name} is no language that is known here"))
    })?;
    if settings.runtime(language).is_none() {
        let text = format!(
            "Lambda has no runtime of its own for {name}; have the function run as an image, or \
             name a runtime in `runtimes` of the engine"
        );
        return Err(Error::caller(code::ENGINE001, text));
    }
    if deployment.image_digest.is_some() {
        let text = format!(
            "the function runs on the image {}, which an archive cannot hold; use an image of the \
             machine's own programs, or an engine whose `package` is image",
            deployment.image_url
        );
        return Err(Error::caller(code::ENGINE001, text));
    }
    Ok(language)
}

/// What `UpdateFunctionConfiguration` takes.
pub fn configuration(
    deployment: &Deployment,
    settings: &Settings,
    beside: &Beside,
) -> Result<Map<String, Value>> {
    let mut of = Map::new();
    of.insert("Role".to_owned(), json!(settings.role));
    of.insert("Description".to_owned(), json!(description(deployment)));
    of.insert("Timeout".to_owned(), json!(timeout_s(deployment)?));
    of.insert("MemorySize".to_owned(), json!(memory_mib(deployment)?));
    of.insert("Environment".to_owned(), json!({"Variables": environment(deployment)}));
    of.insert("EphemeralStorage".to_owned(), json!({"Size": settings.ephemeral_storage_mib}));
    if !settings.subnets.is_empty() {
        let vpc = json!({"SubnetIds": settings.subnets, "SecurityGroupIds": settings.groups});
        of.insert("VpcConfig".to_owned(), vpc);
    }
    if settings.package == Package::Zip {
        let language = language(deployment, settings, beside)?;
        let (runtime, handler) = settings.runtime(language).expect("`language` has checked that");
        of.insert("Runtime".to_owned(), json!(runtime));
        of.insert("Handler".to_owned(), json!(handler));
        if !settings.layers.is_empty() {
            of.insert("Layers".to_owned(), json!(settings.layers));
        }
    }
    Ok(of)
}

fn description(deployment: &Deployment) -> String {
    let Deployment { org, function, version, .. } = deployment;
    let whole = format!("{org}/{function}, version {version}, by Dispatch");
    whole.chars().take(DESCRIPTION).collect()
}

/// In whole seconds, and one more: the language's host ends a call that takes too long, and then
/// its logs are not lost.
fn timeout_s(deployment: &Deployment) -> Result<u64> {
    let timeout = deployment.timeout;
    if timeout > MAX_TIMEOUT {
        let text = format!(
            "the function's timeout is {} s; Lambda allows {} s",
            timeout.as_secs(),
            MAX_TIMEOUT.as_secs()
        );
        return Err(Error::caller(code::ENGINE001, text));
    }
    let whole = timeout.as_millis().div_ceil(1000) as u64;
    Ok((whole + 1).min(MAX_TIMEOUT.as_secs()))
}

fn memory_mib(deployment: &Deployment) -> Result<u64> {
    let memory = deployment.memory_mib;
    if memory > *MEMORY_MIB.end() {
        let text = format!(
            "the function's memory is {memory} MiB; Lambda allows {} MiB",
            MEMORY_MIB.end()
        );
        return Err(Error::caller(code::ENGINE001, text));
    }
    Ok(memory.max(*MEMORY_MIB.start()))
}

fn environment(deployment: &Deployment) -> BTreeMap<String, String> {
    let mut variables = deployment.environment.clone();
    variables.insert("DISPATCH_HANDLER".to_owned(), deployment.handler.clone());
    let most = (MAX_BODY - ENVELOPE).to_string();
    variables.insert("DISPATCH_MAX_PAYLOAD_BYTES".to_owned(), most);
    variables
}

/// Tags of the function.
pub fn tags(deployment: &Deployment, settings: &Settings) -> BTreeMap<String, String> {
    let mut tags = settings.tags.clone();
    let ours = [
        ("io.dispatch/organization", deployment.org.to_string()),
        ("io.dispatch/function", deployment.function.to_string()),
        ("io.dispatch/version", deployment.version.to_string()),
        ("io.dispatch/deployment", deployment.id.to_string()),
        ("app.kubernetes.io/managed-by", "dispatch".to_owned()),
    ];
    tags.extend(ours.map(|(name, value)| (name.to_owned(), value)));
    tags
}

#[cfg(test)]
mod tests {
    use dispatch_driver::conformance::Program;
    use dispatch_model::{Name, OrgName};

    use super::*;

    #[test]
    fn a_description_is_cut() {
        let long = "n".repeat(128);
        let (org, function) = (OrgName::new(&long).unwrap(), Name::new(&long).unwrap());
        let deployment = Deployment { org, function, ..Program::Conformance.deployment("python3") };
        assert_eq!(description(&deployment).chars().count(), DESCRIPTION);
    }
}
