//! One module for each command, and what they share.

pub mod api_object;
pub mod audit;
pub mod auth;
pub mod bootstrap;
pub mod context;
pub mod create;
pub mod create_engine;
pub mod create_placement;
mod create_policy;
pub mod create_secret;
mod create_service_account;
pub mod delete;
pub mod difference;
pub mod docs;
pub mod edit;
pub mod engine;
pub mod exec;
pub mod explain;
pub mod get;
pub mod get_engine_type;
pub mod get_package;
pub mod get_placement;
pub mod get_run;
pub mod get_secret;
pub mod get_usage;
pub mod get_version;
pub mod iam;
pub mod identity_provider;
pub mod init;
pub mod inspect;
mod inspect_engine;
pub mod log;
pub mod login;
mod logout;
pub mod manage;
pub mod prune;
pub mod rebuild;
pub mod replay;
pub mod rollback;
pub mod rollout;
pub mod rotate;
pub mod scan;
pub mod seed;
pub mod server;
pub mod service;
pub mod session;
pub mod version;

use anyhow::Result;

use crate::arguments::{Arguments, Command, Global};
use crate::complete;
use crate::config::Config;
use crate::connect::{self, Session};
use crate::printer::{Format, Printer};

/// What every command gets.
pub struct Context {
    pub session: Session,
    pub printer: Printer,
}

/// Runs a command, from its words to what it prints.
pub async fn run(arguments: Arguments) -> Result<()> {
    let global = &arguments.global;
    let format = if global.json { Format::Json } else { global.output.unwrap_or_default() };
    let printer = Printer { format };
    match arguments.command {
        // These need no server.
        Command::Completion { shell } => return complete::print_script(shell),
        Command::Engine(engine) => return engine.run(printer).await,
        Command::Explain(explain) => return explain.run(printer),
        Command::Init(init) => return init.run(printer),
        Command::Server { words } => return server::run(&words),
        Command::Context(command) => {
            return command.run(Config::load(global.config.as_deref())?, printer);
        }
        Command::Manage(manage) => return manage.run(printer, global).await,
        Command::GenerateDocs => {
            print!("{}", docs::reference());
            return Ok(());
        }
        _ => {}
    }
    let session = match arguments.command {
        // What is left of an earlier sign-in does not matter to these.
        Command::Login(_) | Command::Logout => connect::stranger(global)?,
        _ => {
            let session = connect::session(global)?;
            session.tell_what_is_left_out();
            session
        }
    };
    // v1's older file could ask for JSON for good.
    let printer = match (session.config.wants_json(), global.output) {
        (true, None) => Printer { format: Format::Json },
        _ => printer,
    };
    let notes = session.notes();
    with_server(arguments.command, Context { session, printer }, global)
        .await
        .map_err(|error| notes.explain(error))
}

async fn with_server(command: Command, context: Context, global: &Global) -> Result<()> {
    match command {
        Command::Create(create) => create.run(&context).await,
        Command::Get(get) => get.run(&context).await,
        Command::Update(file) => file.update(&context).await,
        Command::Apply(apply) => apply.run(&context).await,
        Command::Audit(audit) => audit.run(&context).await,
        Command::Cordon(cordon) => cordon.run(&context).await,
        Command::Uncordon(uncordon) => uncordon.run(&context).await,
        Command::Drain(drain) => drain.run(&context).await,
        Command::Delete(delete) => delete.run(&context).await,
        Command::Edit(edit) => edit.run(&context).await,
        Command::Exec(exec) => exec.run(&context).await,
        Command::Inspect(inspect) => inspect.run(&context).await,
        Command::Log(log) => log.run(&context).await,
        Command::Prune(prune) => prune.run(&context).await,
        Command::Scan(scan) => scan.run(&context).await,
        Command::Rebuild(rebuild) => rebuild.run(&context).await,
        Command::Replay(replay) => replay.run(&context).await,
        Command::Rollback(rollback) => rollback.run(&context).await,
        Command::Rollout(rollout) => rollout.run(&context).await,
        Command::Rotate(rotate) => rotate.run(&context).await,
        Command::Promote(promote) => promote.promote(&context).await,
        Command::Undo(undo) => undo.undo(&context).await,
        Command::Iam(iam) => iam.run(&context).await,
        Command::Auth(auth) => auth.run(&context).await,
        Command::Login(login) => login.run(context, global).await,
        Command::Logout => logout::run(context).await,
        Command::Version(version) => version.run(&context).await,
        Command::Completion { .. }
        | Command::Context(_)
        | Command::Manage(_)
        | Command::Engine(_)
        | Command::Explain(_)
        | Command::Init(_)
        | Command::Server { .. }
        | Command::GenerateDocs => Ok(()),
    }
}
