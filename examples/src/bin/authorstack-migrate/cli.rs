//! The command line.

use std::{convert::Infallible, num::NonZeroU32, path::PathBuf};

use authorstack_core::migrate::Kind;
use clap::{
    Args, Parser, Subcommand, ValueEnum,
    builder::{OsStringValueParser, TypedValueParser},
};
use secrecy::SecretString;

const LONG_ABOUT: &str = "\
Moves an author platform's data to Supabase: documents from MongoDB, analytics from PostgreSQL,
for example on Azure, accounts from Appwrite. A store without an address is left out.

  1. authorstack-migrate plan      says what would move and what would not; changes nothing
  2. authorstack-migrate run       moves; if it is cut off or killed, run it again to resume
  3. authorstack-migrate verify    compares both sides and names what differs
  4. authorstack-migrate replay authorstack-rejects.jsonl
                                   loads rejects again, after you have fixed their lines
  5. authorstack-migrate repair    copies again what has changed in the source since;
                                   --prune also removes what is gone there
  6. authorstack-migrate flush-cache
                                   empties the cache in Redis, once apps use the other side
  7. authorstack-migrate send-resets
                                   sends a link to accounts that could not keep their password

With --from supabase each of them works the other way: records go back from Supabase to MongoDB,
PostgreSQL and Appwrite.";

const AFTER_HELP: &str = "\
Settings:
  Each has one name, as a flag, in the environment and in the file authorstack.toml; the flag wins,
  then the environment. Flags are visible in the list of processes: keep addresses with passwords
  in the environment or the file, which may hold kinds, rejects_file, set_aside_file,
  strict, batch_records, batch_bytes, postgres_ids, id_map_file and from as well.

    --mongodb-url       AUTHORSTACK_MONGODB_URL       mongodb_url       database in its path
    --mongodb-ca-file   AUTHORSTACK_MONGODB_CA_FILE   mongodb_ca_file
    --postgres-url      AUTHORSTACK_POSTGRES_URL      postgres_url
    --postgres-ca-file  AUTHORSTACK_POSTGRES_CA_FILE  postgres_ca_file
    --appwrite-endpoint AUTHORSTACK_APPWRITE_ENDPOINT appwrite_endpoint with its /v1
    --appwrite-project  AUTHORSTACK_APPWRITE_PROJECT  appwrite_project
    --appwrite-key      AUTHORSTACK_APPWRITE_KEY      appwrite_key
    --supabase-db-url   AUTHORSTACK_SUPABASE_DB_URL   supabase_db_url
    --supabase-ca-file  AUTHORSTACK_SUPABASE_CA_FILE  supabase_ca_file  from the project's settings
    --supabase-auth-url AUTHORSTACK_SUPABASE_AUTH_URL supabase_auth_url for send-resets and plan
    --supabase-service-key
                        AUTHORSTACK_SUPABASE_SERVICE_KEY
                                                      supabase_service_key
    --redis-url         AUTHORSTACK_REDIS_URL         redis_url         for flush-cache only
    --redis-ca-file     AUTHORSTACK_REDIS_CA_FILE     redis_ca_file

  The address of MongoDB, PostgreSQL or Appwrite may be left out; its records are then left out,
  too. The file may hold move_anonymous and same_address as well.

Connections:
  Servers on other machines must show a certificate for their name. A CA file names the authority
  that signs it, unless it is a public one; that of a Supabase project can be downloaded from its
  database settings. Clear text needs ?sslmode=disable, or ?tls=false for MongoDB and Redis. `plan`
  says how each connection is secured.

Ids of the analytics:
  They are UUIDs that hold MongoDB's ids: in AuthorStack's form, or padded with zeros. The tool
  looks which form fits and whose ids are known, and says what it found; where forms are mixed, or
  none fits, it stops before anything moves, and --postgres-ids says which one is right.
  --id-map-file names a file with other UUIDs and their ids, one pair a line: a UUID, a comma, 24
  hex digits. A UUID that means no id is rejected.

What stays behind:
  A record is rejected, with its reasons, where a value makes no sense that identity, ownership or
  money depends on; nothing else is held up by it. Any other value that makes no sense is set aside:
  the record moves without it, and keeps the original in `extra`, under `_setAside`; a file lists
  these fields, and the way back restores them. --strict rejects such records, too. `plan` also names the collections and tables that the schema does not know, and those
  that the source lacks: of these kinds there is nothing to move.

Exit codes:
    0  all moved and equal
    1  finished, with rejects, differences or blockers to look at
    2  wrong usage or settings; nothing was moved
    3  a store failed on the way; run again to resume
    4  another run holds the target's lock
  130  interrupted; run again to resume

Examples:
  export AUTHORSTACK_MONGODB_URL='mongodb+srv://app:…@cluster.example.net/authorstack'
  export AUTHORSTACK_POSTGRES_URL='postgres://app:…@db.example.com/authorstack'
  export AUTHORSTACK_SUPABASE_DB_URL='postgres://postgres:…@db.example.net/postgres'
  export AUTHORSTACK_SUPABASE_CA_FILE='prod-ca-2021.crt'
  authorstack-migrate plan
  authorstack-migrate run --output json | jq .status

Progress and messages go to stderr, data to stdout.";

#[derive(Debug, Parser)]
#[command(
    name = "authorstack-migrate",
    version,
    about = "Moves an author platform's data from MongoDB and PostgreSQL to Supabase, and back",
    long_about = LONG_ABOUT,
    after_long_help = AFTER_HELP,
    after_help = "--help shows the steps, the settings and the exit codes."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) options: Options,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Command {
    /// Read the source and look at the target, and say what `run` would do; change neither
    ///
    /// The summary comes first: what moves, what does not, what to do.
    Plan {
        /// Also list the first rejects of each kind, the fields to look at, the migrations of the
        /// schema, notes and connections
        #[arg(long)]
        details: bool,
    },
    /// Bring the target's schema up to date and move the records; resumes where it stopped
    ///
    /// Replaces the rejects file: before that, replay the lines that you have fixed.
    Run,
    /// Compare both sides; change neither
    Verify {
        /// A rejects file: exactly the rejects that it lists are accepted. Exits with 0 if both
        /// sides are otherwise equal, else the rejects that are not listed, or none any more, are
        /// named
        #[arg(long, value_name = "FILE")]
        accept_rejects: Option<PathBuf>,
    },
    /// Compare both sides, and copy again what differs
    ///
    /// Records that only the target has are listed, and stay, unless --prune removes them.
    Repair {
        /// First remove from the target what earlier runs took from this source and the source no
        /// longer has. What was written to the target itself stays, and so does what other records
        /// refer to; of a kind that the source has none of, nothing is removed
        #[arg(long)]
        prune: bool,
    },
    /// Load the lines of a rejects file again, after they were fixed
    Replay {
        /// The rejects file; a field marked $leftOut is filled in from the source, where the mark
        /// stays in its field. Lines that are no open rejects are refused
        file: PathBuf,
    },
    /// Empty the cache in Redis: after a move, it may hold what the other side had
    ///
    /// Removes the keys of users, books, sales and dashboards. Rate limits, queues and the keys of
    /// other apps stay.
    FlushCache,
    /// Send a link to each account that lost its password in the move and has set no new one yet
    ///
    /// Supabase Auth does not take over every hash. Needs the project's database, the address of its
    /// Auth server and a secret key. Repeated, it sends again to those that have not followed theirs.
    SendResets {
        /// The most links in a minute: projects and providers of mail have limits
        #[arg(long, value_name = "N", default_value = "30")]
        per_minute: NonZeroU32,
        /// Only count the accounts, and send nothing
        #[arg(long)]
        dry_run: bool,
    },
}

impl Command {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Plan { .. } => "plan",
            Self::Run => "run",
            Self::Verify { .. } => "verify",
            Self::Repair { .. } => "repair",
            Self::Replay { .. } => "replay",
            Self::FlushCache => "flush-cache",
            Self::SendResets { .. } => "send-resets",
        }
    }
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// The side that records move from [default: services]
    #[arg(long, global = true, value_enum, value_name = "SIDE")]
    pub(crate) from: Option<Side>,
    /// The MongoDB of the documents, with the database in its path (default: authorstack)
    #[arg(long, global = true, value_name = "URL", value_parser = secret)]
    #[arg(env = "AUTHORSTACK_MONGODB_URL", hide_env_values = true)]
    pub(crate) mongodb_url: Option<SecretString>,
    /// The certificate of the authority that signs MongoDB's
    #[arg(long, global = true, value_name = "FILE", value_parser = file())]
    #[arg(env = "AUTHORSTACK_MONGODB_CA_FILE")]
    pub(crate) mongodb_ca_file: Option<PathBuf>,
    /// The PostgreSQL of the analytics, with the database in its path (default: authorstack)
    #[arg(long, global = true, value_name = "URL", value_parser = secret)]
    #[arg(env = "AUTHORSTACK_POSTGRES_URL", hide_env_values = true)]
    pub(crate) postgres_url: Option<SecretString>,
    /// The certificate of the authority that signs PostgreSQL's
    #[arg(long, global = true, value_name = "FILE", value_parser = file())]
    #[arg(env = "AUTHORSTACK_POSTGRES_CA_FILE")]
    pub(crate) postgres_ca_file: Option<PathBuf>,
    /// How the analytics' uuid columns hold ids; auto looks at them [default: auto]
    #[arg(long, global = true, value_enum, value_name = "FORM")]
    pub(crate) postgres_ids: Option<Ids>,
    /// A file that maps other UUIDs of the analytics to ids, one pair a line
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) id_map_file: Option<PathBuf>,
    /// The Appwrite of the accounts, such as `https://REGION.cloud.appwrite.io/v1`
    #[arg(long, global = true, value_name = "URL", value_parser = secret)]
    #[arg(env = "AUTHORSTACK_APPWRITE_ENDPOINT", hide_env_values = true)]
    pub(crate) appwrite_endpoint: Option<SecretString>,
    /// The id of the project at Appwrite
    #[arg(long, global = true, value_name = "ID", value_parser = secret)]
    #[arg(env = "AUTHORSTACK_APPWRITE_PROJECT", hide_env_values = true)]
    pub(crate) appwrite_project: Option<SecretString>,
    /// An API key of that project with the scope users.read, for the way back users.write, too
    #[arg(long, global = true, value_name = "KEY", value_parser = secret)]
    #[arg(env = "AUTHORSTACK_APPWRITE_KEY", hide_env_values = true)]
    pub(crate) appwrite_key: Option<SecretString>,
    /// Move anonymous accounts, too, although nobody can sign in to them again
    #[arg(long, global = true)]
    pub(crate) move_anonymous: bool,
    /// Which one of several accounts with one e-mail address moves [default: first]
    #[arg(long, global = true, value_enum, value_name = "ACCOUNT")]
    pub(crate) same_address: Option<Keeper>,
    /// The Supabase project's database, directly or through the pooler in session mode
    #[arg(long, global = true, value_name = "URL", value_parser = secret)]
    #[arg(env = "AUTHORSTACK_SUPABASE_DB_URL", hide_env_values = true)]
    pub(crate) supabase_db_url: Option<SecretString>,
    /// The certificate of the authority that signs the Supabase database's
    #[arg(long, global = true, value_name = "FILE", value_parser = file())]
    #[arg(env = "AUTHORSTACK_SUPABASE_CA_FILE")]
    pub(crate) supabase_ca_file: Option<PathBuf>,
    /// The Supabase project's Auth server, such as `https://REF.supabase.co/auth/v1`
    #[arg(long, global = true, value_name = "URL", value_parser = secret)]
    #[arg(env = "AUTHORSTACK_SUPABASE_AUTH_URL", hide_env_values = true)]
    pub(crate) supabase_auth_url: Option<SecretString>,
    /// A secret key of the Supabase project, or the older one of its service role
    #[arg(long, global = true, value_name = "KEY", value_parser = secret)]
    #[arg(env = "AUTHORSTACK_SUPABASE_SERVICE_KEY", hide_env_values = true)]
    pub(crate) supabase_service_key: Option<SecretString>,
    /// The Redis of the cache, for flush-cache
    #[arg(long, global = true, value_name = "URL", value_parser = secret)]
    #[arg(env = "AUTHORSTACK_REDIS_URL", hide_env_values = true)]
    pub(crate) redis_url: Option<SecretString>,
    /// The certificate of the authority that signs Redis's
    #[arg(long, global = true, value_name = "FILE", value_parser = file())]
    #[arg(env = "AUTHORSTACK_REDIS_CA_FILE")]
    pub(crate) redis_ca_file: Option<PathBuf>,
    /// A file with settings [default: authorstack.toml, if it exists]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// A kind of record to move, such as books or checklists; may be repeated [default: all]
    #[arg(long = "kind", global = true, value_name = "KIND", value_parser = kind)]
    pub(crate) kinds: Vec<Kind>,
    /// What is printed on stdout [default: text]
    #[arg(long, global = true, value_enum, value_name = "FORM")]
    pub(crate) output: Option<Form>,
    /// Where the records that cannot move are written [default: authorstack-rejects.jsonl]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) rejects_file: Option<PathBuf>,
    /// Where the fields that were set aside are listed, beside the rejects by default [default:
    /// authorstack-set-aside.jsonl]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) set_aside_file: Option<PathBuf>,
    /// Reject a record for any value that makes no sense, instead of setting the value aside
    #[arg(long, global = true)]
    pub(crate) strict: bool,
    /// The most records of a batch; rows of the analytics go in ranges of twenty [default: 10000]
    #[arg(long, global = true, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) batch_records: Option<u32>,
    /// The most bytes of a batch, as the source stores them [default: 4194304]
    #[arg(long, global = true, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) batch_bytes: Option<u32>,
    /// Print no progress on stderr
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

impl Options {
    /// The flag of an authority's certificate, by the name of its setting.
    pub(crate) fn ca_file(&self, setting: &str) -> Option<&PathBuf> {
        match setting {
            "mongodb_ca_file" => self.mongodb_ca_file.as_ref(),
            "postgres_ca_file" => self.postgres_ca_file.as_ref(),
            "supabase_ca_file" => self.supabase_ca_file.as_ref(),
            _ => None,
        }
    }

    /// The flag of an address, by the name of its setting.
    pub(crate) fn address(&self, setting: &str) -> Option<&SecretString> {
        match setting {
            "mongodb_url" => self.mongodb_url.as_ref(),
            "postgres_url" => self.postgres_url.as_ref(),
            "appwrite_endpoint" => self.appwrite_endpoint.as_ref(),
            "appwrite_project" => self.appwrite_project.as_ref(),
            "appwrite_key" => self.appwrite_key.as_ref(),
            "supabase_db_url" => self.supabase_db_url.as_ref(),
            _ => None,
        }
    }
}

/// A side of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Side {
    /// MongoDB, PostgreSQL and Appwrite
    Services,
    /// A Supabase project
    Supabase,
}

/// Which one of several accounts with one address moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Keeper {
    /// The one with the first id
    First,
    /// The one that was used last
    LastSeen,
}

/// How `uuid` columns hold ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ids {
    /// In the only form that fits, or whose ids are known; asks where that is not clear
    Auto,
    /// In AuthorStack's form
    Embedded,
    /// Eight zeros, then 24 hex digits
    PaddedLeft,
    /// 24 hex digits, then eight zeros
    PaddedRight,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Form {
    /// For people
    #[default]
    Text,
    /// One JSON object, at the end
    Json,
}

#[expect(clippy::unnecessary_wraps, reason = "what a value parser answers")]
fn secret(text: &str) -> Result<SecretString, Infallible> {
    Ok(SecretString::from(text))
}

/// The name of a file; empty where a variable is set to nothing.
fn file() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

fn kind(text: &str) -> Result<Kind, String> {
    text.parse().map_err(|_| {
        let names: Vec<_> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        format!("the kinds are {}", names.join(", "))
    })
}

/// The command that these arguments name, even if the others are wrong.
pub(crate) fn named_command(arguments: &[String]) -> Option<&str> {
    let names = [
        "plan",
        "run",
        "verify",
        "repair",
        "replay",
        "flush-cache",
        "send-resets",
    ];
    let mut arguments = arguments.iter().map(String::as_str);
    arguments.find(|argument| names.contains(argument))
}

/// Hides addresses in wrong places: messages repeat arguments.
pub(crate) fn veiled(text: &str, arguments: &[String]) -> String {
    let mut veiled = text.to_owned();
    for argument in arguments {
        let Some((before, _)) = argument.split_once("://") else {
            if has_secret(argument) {
                veiled = veiled.replace(argument, "***");
                // A message may repeat the value without the flag.
                let flag = argument.strip_prefix("--");
                if let Some((_, value)) = flag.and_then(|flag| flag.split_once('=')) {
                    veiled = veiled.replace(value, "***");
                }
            }
            continue;
        };
        let is_scheme = |c: char| c.is_ascii_alphanumeric() || c == '+';
        let scheme = before.rsplit(|c| !is_scheme(c)).next().unwrap_or_default();
        let address = &argument[before.len() - scheme.len()..];
        veiled = veiled.replace(address, &format!("{scheme}://***"));
    }
    veiled
}

/// Whether an argument looks like a list of settings with a password, such as `host=… password=…`.
fn has_secret(argument: &str) -> bool {
    const NAMES: [&str; 6] = ["password", "passwd", "pass", "pwd", "secret", "token"];
    let small = argument.to_lowercase();
    small.match_indices(['=', ':']).any(|(at, _)| {
        let name = small[..at].trim_end_matches([' ', '\'', '"']);
        NAMES.iter().any(|secret| name.ends_with(secret))
    })
}

/// Whether these arguments ask for JSON, even if the others are wrong.
pub(crate) fn asks_for_json(arguments: &[String]) -> bool {
    let pairs = arguments
        .windows(2)
        .any(|pair| pair[0] == "--output" && pair[1] == "json");
    pairs || arguments.iter().any(|argument| argument == "--output=json")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_address_in_a_wrong_place_is_hidden() {
        let arguments = [
            "tool",
            "mongodb+srv://u:hush@h/d",
            "--kind=postgres://u:hush@h?a=b",
        ];
        let arguments = arguments.map(str::to_owned);
        let text = format!("neither {} nor {}", arguments[1], arguments[2]);
        let expected = "neither mongodb+srv://*** nor --kind=postgres://***";
        assert_eq!(veiled(&text, &arguments), expected);
    }

    #[test]
    fn settings_with_a_password_are_hidden() {
        for argument in [
            "host=db password=hush",
            "password=hush host=db",
            "user=u PGPASSWORD = hush",
            "host=db Pwd='hush'",
            "--url=host=db password=hush",
            "{\"password\": \"hush\"}",
        ] {
            let arguments = ["tool".to_owned(), argument.to_owned()];
            let shown = veiled(&format!("unexpected argument '{argument}'"), &arguments);
            assert_eq!(shown, "unexpected argument '***'");
        }
        let arguments = ["--output=json".to_owned(), "C:\\passes".to_owned()];
        let text = "neither --output=json nor C:\\passes";
        assert_eq!(veiled(text, &arguments), text);
    }

    #[test]
    fn an_address_is_not_shown_by_debug() {
        let arguments = [
            "authorstack-migrate",
            "plan",
            "--mongodb-url",
            "mongodb://u:hush@h",
        ];
        let cli = Cli::try_parse_from(arguments).unwrap();
        assert!(!format!("{cli:?}").contains("hush"));
    }
}
