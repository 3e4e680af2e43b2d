//! How a list is asked for and answered: paged, sorted, selected.

use crate::{State, Violation};

/// Entries on a page when the caller names no `limit` but pages; and the most it may name.
pub const MAX_LIMIT: u32 = 1_000;
/// Most `tags` and fields one query may select by.
pub const MAX_SELECTORS: usize = 16;

/// What a list is narrowed by. All conditions must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// Page size; `None` is everything (v1's behaviour).
    pub limit: Option<u32>,
    /// The token the previous page gave.
    pub continue_token: Option<String>,
    pub tags: Vec<(String, String)>,
    pub name: Option<String>,
    pub state: Option<State>,
    /// Fields of the spec by their stored path and exact value: (`function`, `hello`).
    pub spec: Vec<(String, String)>,
    pub sort: Sort,
}

/// The order of a list. Ties are broken by name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sort {
    #[default]
    Name,
    NameDescending,
    Created,
    CreatedDescending,
    Modified,
    ModifiedDescending,
}

impl Sort {
    /// Reads `name`, `created`, `modified`, with `-` before it for descending.
    pub fn parse(text: &str) -> Result<Sort, Violation> {
        Ok(match text {
            "name" => Sort::Name,
            "-name" => Sort::NameDescending,
            "created" => Sort::Created,
            "-created" => Sort::CreatedDescending,
            "modified" => Sort::Modified,
            "-modified" => Sort::ModifiedDescending,
            other => {
                let rule = format!("{other:?} is none of name, created, modified (or -name, …)");
                return Err(Violation::new("sort", rule));
            }
        })
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Set when there is more.
    pub continue_token: Option<String>,
}
