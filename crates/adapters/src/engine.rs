//! Engines that are foreign systems.

#[cfg(feature = "aws-lambda")]
pub mod aws_lambda;
#[cfg(feature = "docker")]
pub mod docker;
#[cfg(feature = "kubernetes")]
pub mod knative;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;
#[cfg(feature = "openfaas")]
pub mod openfaas;
#[cfg(feature = "openwhisk")]
pub mod openwhisk;
#[cfg(feature = "remote")]
pub mod remote;
#[cfg(feature = "kubernetes")]
pub mod riff;

use dispatch_driver::EngineType;

/// All that were built in.
pub fn types() -> Vec<Box<dyn EngineType>> {
    vec![
        #[cfg(feature = "aws-lambda")]
        Box::new(aws_lambda::AwsLambdaType),
        #[cfg(feature = "docker")]
        Box::new(docker::DockerType),
        #[cfg(feature = "kubernetes")]
        Box::new(knative::Knative),
        #[cfg(feature = "kubernetes")]
        Box::new(kubernetes::Kubernetes),
        #[cfg(feature = "openfaas")]
        Box::new(openfaas::OpenFaasType),
        #[cfg(feature = "openwhisk")]
        Box::new(openwhisk::OpenWhiskType),
        #[cfg(feature = "remote")]
        Box::new(remote::RemoteType),
        #[cfg(feature = "kubernetes")]
        Box::new(riff::Riff),
    ]
}
