//! `authorstack-migrate`: the tool that moves everything. `--help` explains it.

mod cli;
mod output;
mod progress;
mod rejects;
mod settings;

use std::{env, process::ExitCode, sync::Arc, time::Duration};

use authorstack_core::{
    Error, ErrorKind, Result,
    migrate::{self, Source, Status, Target},
};
use authorstack_mongo::{MongoConfig, MongoStore};
use authorstack_supabase::{SupabaseConfig, SupabaseStore};
use clap::Parser;
use secrecy::ExposeSecret;

use cli::{Cli, Command, Form};
use output::Answer;
use progress::Reporter;
use settings::{Settings, places};

const LOOK_AT: u8 = 1;
const USAGE: u8 = 2;
const FAILED: u8 = 3;
const LOCKED: u8 = 4;
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args_os()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return wrong_usage(&error, cli::asks_for_json(&arguments)),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the system gives no threads: {error}");
            return ExitCode::from(FAILED);
        }
    };
    let code = runtime.block_on(run(&cli));
    // What still runs are reads whose answers nobody waits for.
    runtime.shutdown_timeout(Duration::from_millis(100));
    ExitCode::from(code)
}

fn wrong_usage(error: &clap::Error, as_json: bool) -> ExitCode {
    // Help and version are answers, not errors.
    let is_error = error.use_stderr();
    let _ = error.print();
    if is_error && as_json {
        let text = error.to_string();
        let text = text
            .lines()
            .next()
            .unwrap_or_default()
            .trim_start_matches("error: ");
        Answer::failed(Status::Failed, &[], text.to_owned()).print(None, Form::Json);
    }
    ExitCode::from(if is_error { USAGE } else { 0 })
}

async fn run(cli: &Cli) -> u8 {
    let reporter = Reporter::new(cli.options.quiet);
    let outcome = tokio::select! {
        outcome = obey(cli, &reporter) => outcome,
        () = interrupted() => {
            let message = "interrupted; nothing is half-written, run again to resume";
            eprintln!("{message}");
            let answer = Answer::failed(Status::Failed, &reporter.so_far(), message.to_owned());
            answer.print(Some(cli.command.name()), cli.options.output.unwrap_or_default());
            return INTERRUPTED;
        }
    };
    let (answer, code) = match outcome {
        Ok(answer) => {
            let code = if answer.status == Status::Complete {
                0
            } else {
                LOOK_AT
            };
            (answer, code)
        }
        Err(error) => {
            let (status, code) = verdict(&error);
            let (message, hint) = explain(&error);
            eprintln!("error: {message}");
            eprintln!("hint: {hint}");
            (Answer::failed(status, &reporter.so_far(), message), code)
        }
    };
    answer.print(
        Some(cli.command.name()),
        cli.options.output.unwrap_or_default(),
    );
    code
}

async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        Ok(()) = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}

async fn obey(cli: &Cli, reporter: &Reporter) -> Result<Answer> {
    let settings = Settings::of(&cli.options).await?;
    let file = settings.rejects_file.as_path();
    if matches!(cli.command, Command::Run | Command::Replay { .. }) {
        rejects::check_place(file).await?;
    }
    let lines = match &cli.command {
        Command::Replay { file } => Some(rejects::read(file).await?),
        _ => None,
    };

    let mongo = MongoConfig::new(settings.mongodb_url.clone());
    let mongo = MongoStore::connect(mongo)
        .await
        .map_err(|error| at_start("mongodb_url", error))?;
    let supabase = SupabaseConfig::new(settings.supabase_db_url.expose_secret());
    let supabase = SupabaseStore::connect(supabase)
        .await
        .map_err(|error| at_start("supabase_db_url", error))?;
    let source: Arc<dyn Source> = Arc::new(mongo);
    let target: Arc<dyn Target> = Arc::new(supabase.target());
    let into = Arc::clone(&target);

    let report = match (&cli.command, lines) {
        (Command::Plan, _) => {
            let plan = migrate::plan(source, target, &settings.run.kinds, reporter).await?;
            return Ok(output::of_plan(&plan));
        }
        (Command::Verify, _) => {
            let found = migrate::verify(source, target, &settings.run.kinds, reporter).await?;
            return Ok(output::of_verification(&found));
        }
        (_, Some(lines)) => migrate::replay(source, target, lines, reporter).await?,
        (_, None) => migrate::run(source, target, &settings.run, reporter).await?,
    };
    let open = rejects::write(into.as_ref(), file).await?;
    supabase.close().await;
    Ok(output::of_report(
        &report,
        (open > 0).then_some((file, open)),
    ))
}

/// A store that cannot be reached at all is most likely not where the setting says.
fn at_start(setting: &'static str, error: Error) -> Error {
    match error.kind() {
        ErrorKind::Unavailable { .. } | ErrorKind::Timeout { .. } => {
            let reason = format!("{error}; check the address, and that the server runs");
            Error::configuration(setting, reason)
        }
        _ => error,
    }
}

fn verdict(error: &Error) -> (Status, u8) {
    match error.kind() {
        ErrorKind::Configuration { .. } | ErrorKind::Invalid { .. } => (Status::Failed, USAGE),
        ErrorKind::Blocked { .. } => (Status::Blocked, LOOK_AT),
        ErrorKind::Locked => (Status::Blocked, LOCKED),
        _ => (Status::Failed, FAILED),
    }
}

/// What went wrong, and the way out.
fn explain(error: &Error) -> (String, &'static str) {
    match error.kind() {
        ErrorKind::Configuration { setting, reason } => {
            let message = format!("{}: {reason}", places(setting));
            (
                message,
                "nothing was moved; `authorstack-migrate --help` explains the settings",
            )
        }
        ErrorKind::Invalid { .. } => (error.to_string(), "nothing was loaded; mend it and repeat"),
        ErrorKind::Blocked { .. } => {
            let message = format!("{}: {error}", places("supabase_db_url"));
            (
                message,
                "nothing was moved; clear what stands in the way, `plan` shows it all",
            )
        }
        ErrorKind::Locked => (error.to_string(), "nothing was moved by this run"),
        _ => (
            error.to_string(),
            "nothing is half-written; run again to resume where this stopped",
        ),
    }
}
