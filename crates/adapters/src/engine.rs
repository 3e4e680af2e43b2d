//! Engines that are foreign systems.

#[cfg(feature = "aws-lambda")]
mod aws_lambda;

use dispatch_driver::EngineType;

/// All that were built in.
pub fn types() -> Vec<Box<dyn EngineType>> {
    vec![
        #[cfg(feature = "aws-lambda")]
        Box::new(aws_lambda::AwsLambdaType),
    ]
}
