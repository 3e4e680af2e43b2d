//! Policies of images, held against what is known of an image.

mod evaluate;
mod glob;

pub use evaluate::{Facts, ImageFact, Since, Violation, evaluate};
