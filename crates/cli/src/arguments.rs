//! Flags every command has, and the commands.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::command::{
    api_object, audit, auth, context, create, delete, edit, engine, exec, explain, get, iam, init,
    inspect, log, login, manage, prune, rebuild, replay, rollback, rollout, rotate, scan, service,
    version,
};
use crate::printer::Format;
use crate::value;

/// Functions, images, secrets and routes on any engine.
///
/// Without a configuration file and without flags, the server is expected at
/// http://127.0.0.1:8080, where `dispatch-server run` listens.
#[derive(Debug, Parser)]
#[command(name = "dispatch", version, max_term_width = 100, arg_required_else_help = true)]
pub struct Arguments {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

const COMPLETION_EXAMPLES: &str = "\
Examples:
  source <(dispatch completion bash)
  dispatch completion zsh > ~/.zfunc/_dispatch";

#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Configuration file [default: $HOME/.dispatch/config.json]
    #[arg(long, global = true, env = "DISPATCH_CONFIG", value_name = "FILE", hide_env = true)]
    pub config: Option<PathBuf>,
    /// Host of the server
    #[arg(long, global = true, env = "DISPATCH_HOST", hide_env = true)]
    pub host: Option<String>,
    /// Port of the server
    #[arg(long, global = true, env = "DISPATCH_PORT", hide_env = true,
          value_parser = value::number::<u16>)]
    pub port: Option<u16>,
    /// http or https
    #[arg(long, global = true, env = "DISPATCH_SCHEME", hide_env = true)]
    pub scheme: Option<String>,
    /// Organization the command is for
    #[arg(long, global = true, env = "DISPATCH_ORGANIZATION", hide_env = true)]
    pub organization: Option<String>,
    /// Accept any certificate of the server
    #[arg(long, global = true, env = "DISPATCH_INSECURE", hide_env = true,
          num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub insecure: Option<bool>,
    /// Print as JSON (same as -o json)
    #[arg(long, global = true, env = "DISPATCH_JSON", hide = true)]
    pub json: bool,
    /// How to print
    #[arg(long, short, global = true, env = "DISPATCH_OUTPUT", hide_env = true)]
    pub output: Option<Format>,
    /// Token to sign in with
    #[arg(long, global = true, env = "DISPATCH_TOKEN", hide_env = true, hide_env_values = true)]
    pub token: Option<String>,
    /// Service account to sign in with: [ORG/]NAME
    #[arg(long, global = true, env = "DISPATCH_SERVICE_ACCOUNT", hide_env = true)]
    pub service_account: Option<String>,
    /// File with the service account's private key (PEM)
    #[arg(
        long,
        global = true,
        env = "DISPATCH_JWT_PRIVATE_KEY",
        hide_env = true,
        value_name = "FILE"
    )]
    pub jwt_private_key: Option<PathBuf>,
    /// Whom its tokens are for: the server's `auth.audience` [default: dispatch]
    #[arg(long, global = true, env = "DISPATCH_AUDIENCE", hide_env = true, value_name = "TEXT")]
    pub audience: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create resources, from a file or one by one
    Create(create::Create),
    /// Show resources
    Get(get::Get),
    /// Change resources to what a file says; they must exist
    #[command(after_help = api_object::UPDATE_EXAMPLES)]
    Update(api_object::FromFile),
    /// Create or change resources to what a file says
    Apply(api_object::Apply),
    /// Delete resources
    Delete(delete::Delete),
    Cordon(service::Cordon),
    Uncordon(service::Uncordon),
    Drain(service::Drain),
    /// Change a resource in an editor
    Edit(edit::Edit),
    /// Run a function
    Exec(exec::Exec),
    /// Make a folder with a function that deploys as it is
    Init(init::Init),
    /// Show what an image or a function is made of: layers, packages, its bill of materials; or how
    /// an engine is
    #[command(visible_alias = "describe")]
    Inspect(inspect::Inspect),
    /// Show known vulnerabilities of images and functions
    Scan(scan::Scan),
    Rebuild(rebuild::Rebuild),
    Rollback(rollback::Rollback),
    Rollout(rollout::Rollout),
    /// Give all calls to the version of a function that is on trial
    #[command(after_help = rollout::PROMOTE_EXAMPLES)]
    Promote(rollout::End),
    /// End the trial of a version, or go back to the version before
    #[command(after_help = rollout::UNDO_EXAMPLES)]
    Undo(rollout::End),
    Rotate(rotate::Rotate),
    /// Delete layers that nothing needs any more
    Prune(prune::Prune),
    /// Show what runs of a function printed
    Log(log::Log),
    /// Run a dead letter again
    Replay(replay::Replay),
    /// Organizations, policies, roles, groups, service accounts and sessions
    Iam(iam::Iam),
    /// What one may do, and why
    Auth(auth::Auth),
    /// Who changed what and who was refused
    Audit(audit::Audit),
    Login(login::Login),
    /// End the session, and forget how to sign in
    Logout,
    /// Show and choose contexts
    Context(context::Context),
    /// Set up a server and its contexts
    Manage(manage::Manage),
    /// Engines of your own making
    Engine(engine::Engine),
    /// Tell what an error code means
    Explain(explain::Explain),
    /// Versions of the command and of the server
    Version(version::Version),
    /// Print shell completions
    #[command(after_help = COMPLETION_EXAMPLES)]
    Completion {
        #[arg(default_value = "bash")]
        shell: clap_complete::Shell,
    },
    /// Start a server: runs dispatch-server with the words that follow
    #[command(trailing_var_arg = true, allow_hyphen_values = true, disable_help_flag = true)]
    Server {
        words: Vec<String>,
    },
    /// Write the reference of all commands
    #[command(hide = true)]
    GenerateDocs,
}
