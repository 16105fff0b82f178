//! The command line.
//!
//! Standard output is data, standard error is talk. Exit codes: 0 done, 1 done but some units failed, 2 wrong usage or recipe,
//! 130 interrupted.

mod args;
mod card;
#[cfg(feature = "cluster")]
mod cluster;
mod demo;
mod index;
mod inspect;
mod output;
mod plan;
mod reshard;
mod run;
mod search;
mod select;
mod validate;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

pub use args::{Cli, Verb};
use output::{print, say};

/// How long the program waits, at its end, for uploads that are being aborted.
const UPLOADS: std::time::Duration = std::time::Duration::from_secs(20);

/// What a verb ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done,
    /// Done, but some units failed.
    Partly,
}

/// Runs the program with these arguments.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let matches = Cli::command().get_matches_from(dashed(arguments));
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("TROMMEL_LOG").unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("error"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match cli.common.log_format {
        args::LogFormat::Text => log.init(),
        args::LogFormat::Json => log.json().init(),
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(cli.common.threads().max(2)).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say(&format!("error: the runtime cannot start: {error}"));
            return ExitCode::from(2);
        }
    };
    let result = runtime.block_on(verb(cli));
    // Uploads that were given up are aborted in the background: parts that stay open cost money.
    for error in trommel_shards::storage::settle(UPLOADS) {
        say(&format!("warning: an upload that was given up may still lie in the store: {error}"));
    }
    // A blocking read that nobody waits for must not hold the exit up.
    runtime.shutdown_background();
    match result {
        Ok(Exit::Done) => ExitCode::SUCCESS,
        Ok(Exit::Partly) => ExitCode::from(1),
        Err(error) => {
            say(&format!("error: {}", output::chain(&error)));
            if let Some(crate::select::SelectError::Interrupted) = error.downcast_ref::<crate::select::SelectError>() {
                return ExitCode::from(130);
            }
            match error.downcast_ref::<crate::job::JobError>() {
                Some(crate::job::JobError::Interrupted) => ExitCode::from(130),
                Some(
                    crate::job::JobError::Pass { .. }
                    | crate::job::JobError::Storage(_)
                    | crate::job::JobError::Table(_)
                    | crate::job::JobError::Parts { .. },
                ) => ExitCode::from(1),
                _ => ExitCode::from(2),
            }
        }
    }
}

async fn verb(cli: Cli) -> anyhow::Result<Exit> {
    let common = cli.common;
    match cli.verb {
        Verb::Run(args) => run::recipe(&common, args).await,
        Verb::Extract(args) => run::extract(&common, *args).await,
        Verb::Fetch(args) => run::fetch(&common, *args).await,
        Verb::Hash(args) => run::hash(&common, *args).await,
        Verb::Embed(args) => run::embed(&common, *args).await,
        Verb::Select(args) => select::run(&common, *args).await,
        Verb::Index(args) => index::run(&common, *args).await,
        Verb::Search(args) => search::run(&common, *args).await,
        Verb::Reshard(args) => reshard::run(&common, *args).await,
        Verb::Demo(args) => demo::demo(&common, args).await,
        Verb::Miniweb(args) => demo::serve(args).await,
        Verb::Card(args) => card::run(*args, common.quiet).await,
        Verb::Plan(args) => plan::run(&common, *args).await,
        Verb::Stats { dir } => inspect::stats(&common, &dir).await,
        Verb::Status { dir } => inspect::status(&common, &dir).await,
        Verb::Validate { path } => validate::validate(&common, &path).await,
        #[cfg(feature = "cluster")]
        Verb::Scheduler(args) => cluster::scheduler(&common, args).await,
        #[cfg(feature = "cluster")]
        Verb::Executor(args) => cluster::executor(&common, args).await,
        Verb::Schema => {
            print(&format!("{:#}\n", crate::recipe::json_schema()))?;
            Ok(Exit::Done)
        }
        Verb::Functions => inspect::functions(&common),
        Verb::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "trommel", &mut script);
            print(&String::from_utf8_lossy(&script))?;
            Ok(Exit::Done)
        }
    }
}

/// img2dataset's users write `--image_size`: underscores in the name of a flag are dashes.
fn dashed(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut plain = false;
    arguments
        .map(|argument| match argument.to_str() {
            Some("--") => {
                plain = true;
                argument
            }
            Some(text) if !plain && text.starts_with("--") => {
                let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
                let name = name.replace('_', "-");
                value.map_or_else(|| name.clone(), |value| format!("{name}={value}")).into()
            }
            _ => argument,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn underscores_in_flags_are_dashes_and_values_stay() {
        let words = ["trommel", "fetch", "a_b.txt", "--image_size=1_0", "--url_col", "my_url", "--", "--x_y"];
        let dashed = dashed(words.iter().map(OsString::from));
        assert_eq!(dashed, ["trommel", "fetch", "a_b.txt", "--image-size=1_0", "--url-col", "my_url", "--", "--x_y"]);
    }
}
