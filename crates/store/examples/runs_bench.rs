//! What writing runs costs: `runs_bench [URL]`, without one in a fresh SQLite file.
//!
//! Prints CPU time for each finished run recorded, and how many accepted runs a second are
//! committed for 64 callers, with each way SQLite treats a commit.

use std::time::{Duration, Instant};

use dispatch_model::{Logs, Name, OrgName, Run, State, Tags, resource::now_ms};
use dispatch_store::{Options, Store, Synchronous};
use uuid::Uuid;

const RECORDS: u32 = 400_000;
/// Records a second that are offered in the paced part.
const PACE: u32 = 40_000;
const CLIENTS: usize = 64;
const ACCEPTS_EACH: usize = 500;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let given = std::env::args().nth(1);
    for synchronous in [Synchronous::Full, Synchronous::Normal] {
        let file = format!("sqlite:{}/{synchronous:?}.db", folder.path().display());
        let url = given.as_ref().unwrap_or(&file);
        let store = Store::open(url, Options { synchronous, ..Options::default() }).await?;
        println!("synchronous {synchronous:?}");
        record(&store, RECORDS, None).await?;
        record(&store, 5 * PACE, Some(PACE)).await?;
        accept(&store).await?;
        store.close().await;
        if given.is_some() {
            break;
        }
    }
    Ok(())
}

/// Records finished runs as fast as they are taken, or at a pace.
async fn record(store: &Store, runs: u32, pace: Option<u32>) -> Outcome<()> {
    let template = run(true)?;
    let (cpu, began) = (cpu()?, Instant::now());
    for i in 0..runs {
        let mut run = template.clone();
        run.id = Uuid::now_v7();
        store.run_record(&run).await;
        if let Some(pace) = pace
            && i % 400 == 0
        {
            let due = Duration::from_secs_f64(f64::from(i) / f64::from(pace));
            tokio::time::sleep(due.saturating_sub(began.elapsed())).await;
        }
    }
    store.flush().await?;
    let took = began.elapsed().as_secs_f64();
    let each = (self::cpu()? - cpu).as_secs_f64() / f64::from(runs) * 1e6;
    let (rate, stats) = (f64::from(runs) / took, store.run_writer_stats());
    println!("  recorded {rate:.0}/s, {each:.2} µs CPU each, lost {}", stats.lost);
    Ok(())
}

async fn accept(store: &Store) -> Outcome<()> {
    let (cpu, began) = (cpu()?, Instant::now());
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let (store, template) = (store.clone(), run(false)?);
        clients.push(tokio::spawn(async move {
            for _ in 0..ACCEPTS_EACH {
                let run = Run { id: Uuid::now_v7(), ..template.clone() };
                store.run_accept(&run, None, None).await?;
            }
            Ok::<(), dispatch_store::Error>(())
        }));
    }
    for client in clients {
        client.await??;
    }
    let runs = (CLIENTS * ACCEPTS_EACH) as f64;
    let each = (self::cpu()? - cpu).as_secs_f64() / runs * 1e6;
    let rate = runs / began.elapsed().as_secs_f64();
    println!("  accepted {rate:.0}/s by {CLIENTS} clients, {each:.2} µs CPU each");
    Ok(())
}

fn run(blocking: bool) -> Outcome<Run> {
    let now_us = now_ms() * 1_000;
    Ok(Run {
        id: Uuid::now_v7(),
        org: OrgName::new("dispatch")?,
        function_name: Name::new("hello-py")?,
        function_id: Uuid::now_v7(),
        faas_id: Some(Uuid::now_v7()),
        engine: Some("process".into()),
        qualifier: None,
        version: Some(1),
        placement: None,
        blocking,
        state: if blocking { State::Ready } else { State::Initialized },
        reason: Vec::new(),
        input: Some(serde_json::from_str(r#"{"name": "Ada", "place": "London"}"#)?),
        output: Some(serde_json::from_str(r#"{"myField": "Hello, Ada from London"}"#)?),
        error: None,
        logs: Logs { stdout: vec!["a line that was printed".into()], stderr: Vec::new() },
        secrets: Vec::new(),
        secrets_used: Default::default(),
        services: Vec::new(),
        event: None,
        http_context: None,
        tags: Tags::new(),
        attempts: 1,
        accepted_us: now_us,
        executed_us: Some(now_us),
        finished_us: blocking.then_some(now_us + 250),
    })
}

/// CPU time of this process so far.
fn cpu() -> Outcome<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit_once(')').ok_or("no name in /proc/self/stat")?.1;
    // utime and stime are fields 14 and 15, in hundredths of a second; the name is field 2.
    let ticks = after_name.split_ascii_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.map(str::parse::<u64>).sum::<Result<_, _>>()?;
    Ok(Duration::from_millis(ticks * 10))
}
