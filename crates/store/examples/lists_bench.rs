//! What lists, gets and updates cost with many functions: `lists_bench [N] [postgres://…]`.

use std::time::{Duration, Instant};

use dispatch_model::function::{Function, FunctionSpec};
use dispatch_model::{ListQuery, Name, OrgName, Resource, Sort, State, Tags};
use dispatch_store::{Options, Store, Synchronous};

const SAMPLES: usize = 300;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let functions: usize = std::env::args().nth(1).map_or(Ok(100_000), |n| n.parse())?;
    let file = format!("sqlite:{}/lists.db", folder.path().display());
    let url = std::env::args().nth(2).unwrap_or(file);
    let options = Options { synchronous: Synchronous::Normal, ..Options::default() };
    let store = Store::open(&url, options).await?;
    let org = OrgName::new("dispatch")?;
    for i in 0..functions {
        store.insert(&function(&org, i)?).await?;
        if i + 1 == functions / 100 {
            updates(&store, &org, i + 1).await?;
        }
    }
    updates(&store, &org, functions).await?;
    lists(&store, &org).await?;
    store.close().await;
    Ok(())
}

fn function(org: &OrgName, i: usize) -> Outcome<Resource<Function>> {
    let spec = FunctionSpec { image: format!("image-{}", i % 10), ..FunctionSpec::default() };
    let tags = [("group", (i % 100).to_string()), ("rare", (i / 10).to_string())];
    let tags: Tags = tags.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    Ok(Resource::new(org.clone(), name(i)?, tags, State::Ready, spec))
}

fn name(i: usize) -> Outcome<Name> {
    Ok(Name::new(&format!("fill-{:06}", i.wrapping_mul(7_919) % 1_000_000))?)
}

async fn updates(store: &Store, org: &OrgName, stored: usize) -> Outcome<()> {
    let (mut gets, mut updates) = (Vec::new(), Vec::new());
    for i in 0..SAMPLES {
        let name = name(i * 31 % stored)?;
        let began = Instant::now();
        let found = store.by_name::<Function>(org, &name).await?;
        gets.push(began.elapsed());
        let mut found = found.ok_or("a function is missing")?;
        let began = Instant::now();
        store.update(&mut found).await?;
        updates.push(began.elapsed());
    }
    println!("with {stored} functions");
    print("get", gets);
    print("update", updates);
    Ok(())
}

async fn lists(store: &Store, org: &OrgName) -> Outcome<()> {
    let sorts = [Sort::Name, Sort::NameDescending, Sort::CreatedDescending, Sort::Modified];
    let pair = |key: &str, value: &str| vec![(key.to_owned(), value.to_owned())];
    let selections = [
        ("everything", ListQuery::default()),
        ("1 in 100 by tag", ListQuery { tags: pair("group", "7"), ..ListQuery::default() }),
        ("10 by tag", ListQuery { tags: pair("rare", "77"), ..ListQuery::default() }),
        ("1 in 10 by image", ListQuery { spec: pair("image", "image-3"), ..ListQuery::default() }),
        ("READY", ListQuery { state: Some(State::Ready), ..ListQuery::default() }),
        ("ERROR", ListQuery { state: Some(State::Error), ..ListQuery::default() }),
    ];
    for (words, selection) in selections {
        for sort in sorts {
            let mut query = ListQuery { sort, limit: Some(100), ..selection.clone() };
            let mut times = Vec::new();
            for _ in 0..SAMPLES {
                let began = Instant::now();
                let page = store.list::<Function>(org, &query).await?;
                times.push(began.elapsed());
                query.continue_token = page.continue_token;
            }
            print(&format!("page of 100, {words}, {sort:?}"), times);
        }
    }
    Ok(())
}

fn print(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
    println!("  {what}: p50 {:.2?}, p99 {:.2?}", at(50), at(99));
}
