//! Commands on the state of a service: orgs and their keys, the keys that seal, the audit log. The
//! service may be running.

use crate::{
    exit::{Exit, Failure, OrExit},
    terminal,
};
use anyhow::anyhow;
use clap::{ArgGroup, Args, Subcommand};
use reverse_sync_service::{
    app::State,
    links::context,
    secrets::{Keyring, Sealed},
    state_file::StateFile,
    store::{Head, OwnQuota, Role, Store, Verified},
};
use secrecy::ExposeSecret;
use serde_json::json;
use std::{collections::BTreeSet, path::PathBuf};

/// Where the service keeps what lasts.
#[derive(Args)]
pub(crate) struct StateArgs {
    /// The folder of its state, made if it is not there [default: ~/.local/state/reverse-sync]
    #[arg(long, value_name = "DIR", env = "REVERSE_SYNC_STATE", hide_env_values = true)]
    state: Option<PathBuf>,
    /// The database: sqlite:///path or postgres://user@host/database [default: SQLite in the state
    /// folder]
    #[arg(long, value_name = "URL", env = "REVERSE_SYNC_DATABASE", hide_env_values = true)]
    pub(crate) database: Option<String>,
}

impl StateArgs {
    pub(crate) fn dir(&self) -> Result<PathBuf, Failure> {
        if let Some(dir) = &self.state {
            return Ok(dir.clone());
        }
        let absolute =
            |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
        let dir =
            absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
        let dir = dir.ok_or_else(|| {
            Failure::new(
                Exit::Usage,
                anyhow!("there is no home folder; say where the state goes with --state DIR"),
            )
        })?;
        Ok(dir.join("reverse-sync"))
    }
}

#[derive(Subcommand)]
pub(crate) enum OrgsCommand {
    /// Make an org, and an admin's key for it, which is shown this once
    Add(AddOrgArgs),
    /// List the orgs
    List(StateArgs),
    /// Give an org limits of its own: how many runs it may start, and how much it may keep
    Quota(QuotaArgs),
}

#[derive(Args)]
pub(crate) struct AddOrgArgs {
    /// The name people use
    name: String,
    /// It is the org of one person, and stays so
    #[arg(long)]
    solo: bool,
    /// Its first user, an admin
    #[arg(long, value_name = "NAME", default_value = "admin")]
    user: String,
    #[command(flatten)]
    state: StateArgs,
}

#[derive(Args)]
#[command(group(ArgGroup::new("limits").args(["runs_an_hour", "runs_a_month", "stored_bytes"]).required(true).multiple(true)))]
pub(crate) struct QuotaArgs {
    /// The org
    #[arg(long, value_name = "ORG_ID")]
    org: String,
    /// Runs within an hour
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    runs_an_hour: Option<i64>,
    /// Runs within 30 days
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    runs_a_month: Option<i64>,
    /// Bytes of plans, runs and golden records that it may keep
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    stored_bytes: Option<i64>,
    #[command(flatten)]
    state: StateArgs,
}

#[derive(Subcommand)]
pub(crate) enum ApiKeysCommand {
    /// Make a key, which is shown this once
    Add(AddKeyArgs),
}

#[derive(Args)]
pub(crate) struct AddKeyArgs {
    /// The org
    #[arg(long, value_name = "ORG_ID")]
    org: String,
    /// Who or what it is for
    #[arg(long, value_name = "NAME")]
    name: String,
    /// viewer, operator or admin
    #[arg(long, value_name = "ROLE")]
    role: Role,
    #[command(flatten)]
    state: StateArgs,
}

#[derive(Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a new key, and seal every stored credential with it. Older keys are kept: a running
    /// service may still use them
    Rotate(RotateArgs),
}

#[derive(Args)]
pub(crate) struct RotateArgs {
    /// Make no new key, but drop those that nothing is sealed with and no row of the audit log was
    /// written with. For when every service was started again after a rotation
    #[arg(long)]
    drop_unused: bool,
    #[command(flatten)]
    state: StateArgs,
}

#[derive(Subcommand)]
pub(crate) enum AuditCommand {
    /// Go through the whole chain of the audit log, and say where it ends or where it does not hold
    Verify(VerifyArgs),
}

#[derive(Args)]
pub(crate) struct VerifyArgs {
    /// What an earlier `audit verify` printed as `rows` and `hash`: the log has to go through that
    /// row; may be given several times
    #[arg(long, value_name = "ROWS:HASH")]
    since: Vec<Head>,
    #[command(flatten)]
    state: StateArgs,
}

/// Who did it, for the audit log, when it was not somebody with a key.
pub(crate) const COMMAND: &str = "command";

async fn open(args: &StateArgs) -> Result<State, Failure> {
    State::open(&args.dir()?, args.database.as_deref()).await.or_exit(Exit::Usage)
}

pub(crate) async fn orgs(command: &OrgsCommand) -> Result<Exit, Failure> {
    match command {
        OrgsCommand::Add(args) => {
            let store = open(&args.state).await?.store;
            let org_id =
                store.add_org(&args.name, args.solo, COMMAND).await.or_exit(Exit::Usage)?;
            let key = store
                .add_key(&org_id, &args.user, &args.user, Role::Admin, COMMAND)
                .await
                .or_exit(Exit::Usage)?;
            terminal::print(format_args!(
                "{}\n",
                json!({ "org_id": org_id, "key_id": key.row.key_id, "api_key": key.api_key.expose_secret() })
            ));
        }
        OrgsCommand::List(args) => {
            let orgs = open(args).await?.store.orgs().await.or_exit(Exit::Usage)?;
            let orgs: Vec<_> = orgs
                .iter()
                .map(|(org_id, name, solo)| json!({ "org_id": org_id, "name": name, "solo": solo }))
                .collect();
            terminal::print(format_args!("{}\n", json!(orgs)));
        }
        OrgsCommand::Quota(args) => {
            let store = known(&args.state, &args.org).await?;
            let QuotaArgs { runs_an_hour, runs_a_month, stored_bytes, .. } = *args;
            let named = OwnQuota { runs_an_hour, runs_a_month, stored_bytes };
            terminal::print(format_args!(
                "{}\n",
                json!(store.set_quota(&args.org, named, COMMAND).await.or_exit(Exit::Usage)?)
            ));
        }
    }
    Ok(Exit::Ok)
}

pub(crate) async fn api_keys(command: &ApiKeysCommand) -> Result<Exit, Failure> {
    let ApiKeysCommand::Add(args) = command;
    let store = known(&args.state, &args.org).await?;
    let key = store
        .add_key(&args.org, &args.name, &args.name, args.role, COMMAND)
        .await
        .or_exit(Exit::Usage)?;
    terminal::print(format_args!(
        "{}\n",
        json!({ "key_id": key.row.key_id, "name": key.row.name, "role": key.row.role, "api_key": key.api_key.expose_secret() })
    ));
    Ok(Exit::Ok)
}

/// The store, if it has this org.
async fn known(args: &StateArgs, org_id: &str) -> Result<Store, Failure> {
    let store = open(args).await?.store;
    match store.org(org_id).await.or_exit(Exit::Usage)? {
        Some(_) => Ok(store),
        None => Err(Failure::new(
            Exit::Usage,
            anyhow!("there is no org `{org_id}`; `reverse-sync orgs list` lists those there are"),
        )),
    }
}

pub(crate) async fn keys(command: &KeysCommand) -> Result<Exit, Failure> {
    let KeysCommand::Rotate(args) = command;
    let State { store, keyring, .. } = open(&args.state).await?;
    if args.drop_unused {
        return drop_unused(&store, &keyring).await;
    }
    let keyring = keyring.rotated().or_exit(Exit::Usage)?;
    let mut sealed_again = 0;
    for (org_id, source_id, sealed) in store.sealed_credentials().await.or_exit(Exit::Usage)? {
        sealed_again +=
            u64::from(seal_again(&store, &keyring, &org_id, &source_id, &sealed).await?);
    }
    terminal::print(format_args!(
        "{}\n",
        json!({ "active_key": keyring.active_id(), "keys": keyring.ids().collect::<Vec<_>>(), "sealed_again": sealed_again })
    ));
    Ok(Exit::Ok)
}

/// Whether it was: one that was replaced meanwhile was sealed by somebody else.
async fn seal_again(
    store: &Store,
    keyring: &Keyring,
    org_id: &str,
    source_id: &str,
    sealed: &str,
) -> Result<bool, Failure> {
    let context = context(org_id, source_id);
    let whose = |error: &dyn std::fmt::Display| {
        Failure::new(Exit::Usage, anyhow!("the credential of source {source_id}: {error}"))
    };
    let before: Sealed = sealed.parse().map_err(|error| whose(&error))?;
    let secret = keyring.open(&context, &before).map_err(|error| whose(&error))?;
    let after = keyring.seal(&context, &secret).to_string();
    store.seal_again(org_id, source_id, sealed, &after).await.or_exit(Exit::Usage)
}

async fn drop_unused(store: &Store, keyring: &Keyring) -> Result<Exit, Failure> {
    let mut used = BTreeSet::from([keyring.active_id().to_owned()]);
    // Without the key that a row of the audit log was written with, nobody can tell whether it is
    // what was written.
    used.extend(store.audit_key_ids().await.or_exit(Exit::Usage)?);
    for (_, source_id, sealed) in store.sealed_credentials().await.or_exit(Exit::Usage)? {
        let sealed: Sealed = sealed.parse().map_err(|error| {
            Failure::new(Exit::Usage, anyhow!("the credential of source {source_id}: {error}"))
        })?;
        used.insert(sealed.key_id().to_owned());
    }
    let unused: Vec<&str> = keyring.ids().filter(|id| !used.contains(*id)).collect();
    let left = keyring.without(&unused).or_exit(Exit::Usage)?;
    terminal::print(format_args!(
        "{}\n",
        json!({ "active_key": left.active_id(), "keys": left.ids().collect::<Vec<_>>(), "dropped": unused })
    ));
    Ok(Exit::Ok)
}

pub(crate) async fn audit(command: &AuditCommand) -> Result<Exit, Failure> {
    let AuditCommand::Verify(args) = command;
    let State { store, dir, .. } = open(&args.state).await?;
    let mut places = args.since.clone();
    // The folder has seen where it ended, whatever the database says now.
    places.extend(
        StateFile::read(&dir)
            .or_exit(Exit::Usage)?
            .map(|file| file.audit)
            .filter(|head| head.seq > 0),
    );
    match store.verify_audit_log(&places).await.or_exit(Exit::Usage)? {
        Ok(Verified { head, without_key }) => {
            terminal::print(format_args!(
                "{}\n",
                json!({ "ok": true, "rows": head.seq, "hash": head.hash, "without_key": without_key })
            ));
            Ok(Exit::Ok)
        }
        Err(broken) => Err(Failure::new(Exit::RecordsFailed, broken)),
    }
}
