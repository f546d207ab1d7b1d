//! `authorstack-migrate`: the tool that moves everything. `--help` explains it.

mod accounts;
mod cli;
mod console;
mod endpoints;
mod output;
mod progress;
mod rejects;
mod settings;
mod sides;

use std::{
    env,
    num::NonZeroU32,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use authorstack_core::{
    Error, ErrorKind, Result,
    migrate::{self, Destination, Kind, Status},
    shown,
};
use authorstack_redis::RedisStore;
use authorstack_supabase::{SupabaseAccounts, SupabaseStore};
use clap::Parser;
use futures::StreamExt;

use cli::{Cli, Command, Form, Options, Side};
use console::{Tone, say};
use output::Answer;
use progress::Reporter;
use rejects::Listing;
use settings::{Settings, places};
use sides::Sides;

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
        Err(error) => return wrong_usage(&error, &arguments),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            say(format_args!(
                "error: the system cannot start threads: {error}"
            ));
            return ExitCode::from(FAILED);
        }
    };
    let code = runtime.block_on(run(&cli, &arguments));
    // Only reads are still running, and nobody waits for their answers.
    runtime.shutdown_timeout(Duration::from_millis(100));
    ExitCode::from(code)
}

fn wrong_usage(error: &clap::Error, arguments: &[String]) -> ExitCode {
    // Help and version are answers, not errors.
    if !error.use_stderr() {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    // clap repeats arguments as they are: it is given legible ones.
    let legible = arguments.iter().map(|argument| {
        if console::is_legible(argument) {
            return argument.clone();
        }
        shown(&cli::veiled(argument, arguments)).to_string()
    });
    let again = Cli::try_parse_from(legible).err();
    let error = again.as_ref().unwrap_or(error);
    let plain = error.to_string();
    let text = cli::veiled(&plain, arguments);
    if text == plain && again.is_some() {
        let _ = error.print();
    } else {
        eprint!("{}", console::legible_lines(&text));
    }
    if cli::asks_for_json(arguments) {
        let is_advice = |line: &str| line.starts_with("Usage:") || line.starts_with("For more");
        let problem = text.lines().take_while(|line| !is_advice(line));
        let words = problem.flat_map(str::split_whitespace);
        let words: Vec<_> = words.skip_while(|word| *word == "error:").collect();
        let answer = Answer::failed(Status::Failed, &[], words.join(" "));
        answer.print(cli::named_command(arguments), Form::Json);
    }
    ExitCode::from(USAGE)
}

async fn run(cli: &Cli, arguments: &[String]) -> u8 {
    let reporter = Reporter::new(cli.options.quiet);
    let outcome = tokio::select! {
        outcome = obey(cli, &reporter) => Some(outcome),
        () = interrupted() => None,
    };
    reporter.end();
    let (answer, code) = match outcome {
        Some(Ok(answer)) => {
            let code = match answer.status {
                Status::Complete => 0,
                _ => LOOK_AT,
            };
            (answer, code)
        }
        Some(Err(failure)) => {
            let rejects = &failure.rejects;
            let counted = reporter.so_far();
            let Verdict {
                status,
                code,
                message,
                hint,
            } = Verdict::of(&failure, !counted.is_empty());
            let message = cli::veiled(&message, arguments);
            console::toned(Tone::Bad, format_args!("error: {message}"));
            if let Some(file) = rejects {
                say(format_args!("the rejects so far are in {}", file.display()));
            }
            say(format_args!("hint: {hint}"));
            let mut answer = Answer::failed(status, &counted, message);
            answer.rejects_file.clone_from(rejects);
            (answer, code)
        }
        None => {
            let message = "interrupted; nothing is half-written, run again to resume";
            say(message);
            let counted = reporter.so_far();
            let answer = Answer::failed(Status::Failed, &counted, message.to_owned());
            (answer, INTERRUPTED)
        }
    };
    let form = cli.options.output.unwrap_or_default();
    answer.print(Some(cli.command.name()), form);
    code
}

async fn interrupted() {
    tokio::select! {
        Ok(()) = tokio::signal::ctrl_c() => {}
        () = terminated() => {}
    }
}

#[cfg(unix)]
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn terminated() {
    std::future::pending().await
}

/// Why a command failed.
struct Failure {
    error: Error,
    /// The rejects file, if it could still be written.
    rejects: Option<PathBuf>,
    /// Where the addresses of the targets can be given.
    targets: String,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            error,
            rejects: None,
            targets: String::new(),
        }
    }
}

async fn obey(cli: &Cli, reporter: &Reporter) -> Result<Answer, Failure> {
    if matches!(cli.command, Command::FlushCache) {
        let config = settings::redis(&cli.options).await?;
        let redis = RedisStore::connect(config).await?;
        return Ok(output::of_flush(redis.flush_cache().await?));
    }
    if let Command::SendResets {
        per_minute,
        dry_run,
    } = cli.command
    {
        return Ok(send_resets(&cli.options, per_minute, dry_run).await?);
    }
    let settings = Settings::of(&cli.options).await?;
    let done = obey_with(cli, &settings, reporter).await;
    done.map_err(|failure| {
        let targets: Vec<String> = settings.target_settings().map(places).collect();
        Failure {
            targets: targets.join(", "),
            ..failure
        }
    })
}

/// Sends links to the accounts without their passwords, or counts them.
async fn send_resets(options: &Options, per_minute: NonZeroU32, is_dry: bool) -> Result<Answer> {
    let access = settings::project(options).await?;
    let store = SupabaseStore::connect(access.database).await?;
    let accounts = SupabaseAccounts::new(&store, access.auth)?;
    accounts.check().await?;
    if !is_dry {
        return Ok(output::of_resets(&accounts.send_resets(per_minute).await?));
    }
    let (mut waiting, mut without_address) = (0, 0);
    let mut lost = accounts.lost_passwords();
    while let Some(account) = lost.next().await {
        match account?.email {
            Some(_) => waiting += 1,
            None => without_address += 1,
        }
    }
    Ok(output::of_lost(waiting, without_address))
}

async fn obey_with(cli: &Cli, settings: &Settings, reporter: &Reporter) -> Result<Answer, Failure> {
    let file = settings.rejects_file.as_path();
    if matches!(
        cli.command,
        Command::Run | Command::Repair { .. } | Command::Replay { .. }
    ) {
        rejects::check_place(Listing::Rejects, file).await?;
        rejects::check_place(Listing::SetAside, &settings.set_aside_file).await?;
    }
    let lines = match &cli.command {
        Command::Replay { file } => Some(rejects::read(file).await?),
        _ => None,
    };
    let accepted = match &cli.command {
        Command::Verify {
            accept_rejects: Some(file),
        } => Some(rejects::accepted(file).await?),
        _ => None,
    };

    let Sides {
        source,
        target,
        security,
        ids,
    } = Sides::open(settings).await?;
    if let Some(found) = ids.as_ref().filter(|_| !cli.options.quiet) {
        for line in output::ids_found(found) {
            say(line);
        }
    }
    let is_replay = lines.is_some();
    let moved = match (&cli.command, lines) {
        (Command::Plan { details }, _) => {
            let project = project_of(cli, settings).await?;
            let found = output::Found {
                security: &security,
                ids: ids.as_ref(),
                project: project.as_ref(),
            };
            let plan = migrate::plan(source, &target, &settings.run.kinds, reporter).await?;
            return Ok(output::of_plan(&plan, &target, settings, &found, *details));
        }
        (Command::Verify { .. }, _) => {
            let kinds = &settings.run.kinds;
            let found = match accepted {
                Some(accepted) => {
                    migrate::verify_accepting(source, &target, kinds, accepted, reporter).await?
                }
                None => migrate::verify(source, &target, kinds, reporter).await?,
            };
            let reasons = rejects::by_field(&target).await?;
            return Ok(output::of_verification(&found, &reasons));
        }
        (Command::Repair { prune }, _) => {
            let kinds = &settings.run.kinds;
            let pruned = if *prune {
                migrate::prune(Arc::clone(&source), &target, kinds, reporter)
                    .await?
                    .kinds
            } else {
                Vec::new()
            };
            let mut found = migrate::repair(source, &target, kinds, reporter).await?;
            for (repaired, pruned) in found.kinds.iter_mut().zip(pruned) {
                repaired.pruned = pruned.pruned;
            }
            let reasons = rejects::by_field(&target).await?;
            let mut answer = output::of_verification(&found, &reasons);
            let open = rejects::write(&target, file).await?;
            if open > 0 {
                answer.text.line(output::where_rejects_are(file, open));
                answer.rejects_file = Some(file.to_owned());
            }
            let aside = rejects::write_set_aside(&target, &settings.set_aside_file).await?;
            answer.set_aside(&settings.set_aside_file, aside);
            return Ok(answer);
        }
        (_, Some(lines)) => migrate::replay(source, &target, lines, reporter).await,
        (_, None) => migrate::run(source, &target, &settings.run, reporter).await,
    };
    let report = match moved {
        Ok(report) => report,
        // The file of a replay may have fixed lines that are not loaded yet, so it stays.
        Err(error) if is_replay || reporter.so_far().is_empty() => return Err(error.into()),
        Err(error) => {
            let rejects = rejects_until_now(&target, file).await;
            return Err(Failure {
                rejects,
                ..error.into()
            });
        }
    };
    let open = rejects::write(&target, file).await?;
    let rejects = (open > 0).then_some((file, open));
    let aside = rejects::write_set_aside(&target, &settings.set_aside_file).await?;
    let mut answer = output::of_report(&report, rejects);
    answer.set_aside(&settings.set_aside_file, aside);
    Ok(answer)
}

/// The project that accounts move to, if they do.
async fn project_of(cli: &Cli, settings: &Settings) -> Result<Option<accounts::Project>> {
    let mut kinds = settings.run.kinds.iter();
    if settings.from != Side::Services || !kinds.any(|kind| Kind::ACCOUNTS.contains(kind)) {
        return Ok(None);
    }
    accounts::Project::ask(&cli.options).await
}

/// Writes the rejects of a run that failed, if the target still answers.
async fn rejects_until_now(target: &Destination, file: &Path) -> Option<PathBuf> {
    const PATIENCE: Duration = Duration::from_secs(5);
    let write = tokio::time::timeout(PATIENCE, rejects::write(target, file));
    match write.await {
        Ok(Ok(open)) if open > 0 => Some(file.to_owned()),
        _ => None,
    }
}

/// What an error means to the caller.
struct Verdict {
    status: Status,
    code: u8,
    message: String,
    hint: &'static str,
}

impl Verdict {
    /// What an error means, at the start or after the first records.
    fn of(failure: &Failure, on_the_way: bool) -> Self {
        const RESUME: &str = "nothing is half-written; run again to resume where this stopped";
        let Failure { error, targets, .. } = failure;
        let of_target = || match targets.as_str() {
            "" => format!("the target: {error}"),
            targets => format!("the target ({targets}): {error}"),
        };
        let (status, code, message, hint) = match error.kind() {
            // The setting was right at the start: a name server or a password has changed.
            ErrorKind::Configuration { setting, reason } if on_the_way => {
                let message = format!("{}: {reason}", places(setting));
                (Status::Failed, FAILED, message, RESUME)
            }
            ErrorKind::Configuration { setting, reason } => {
                let message = format!("{}: {reason}", places(setting));
                let hint = "nothing was moved; `authorstack-migrate --help` explains the settings";
                (Status::Failed, USAGE, message, hint)
            }
            ErrorKind::Invalid { field, .. } if field == rejects::FILE && !on_the_way => {
                let hint = "nothing was loaded; fix the file and repeat the command";
                (Status::Failed, USAGE, error.to_string(), hint)
            }
            ErrorKind::Blocked { .. } if on_the_way => {
                let hint = "what was moved stays; solve the problem and run again";
                (Status::Blocked, LOOK_AT, of_target(), hint)
            }
            ErrorKind::Blocked { .. } => {
                let hint = "nothing was moved; solve the problem first, `plan` lists everything";
                (Status::Blocked, LOOK_AT, of_target(), hint)
            }
            ErrorKind::Locked => {
                let hint = "nothing was moved by this run";
                (Status::Blocked, LOCKED, of_target(), hint)
            }
            _ => (Status::Failed, FAILED, error.to_string(), RESUME),
        };
        Self {
            status,
            code,
            message,
            hint,
        }
    }
}

/// What is said of an error, at the start or after the first records.
#[cfg(test)]
fn message_of(error: &Error, on_the_way: bool) -> String {
    let failure = Failure::from(Error::new(error.kind().clone()));
    let Verdict { message, .. } = Verdict::of(&failure, on_the_way);
    format!("{message} {error}")
}
