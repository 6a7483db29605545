//! The dicts of a destination and a source as the library's values: the keys are those of the
//! project file. No message repeats a value, which may be a secret.

use crate::{
    errors::{OrRaise, internal, mistake},
    process::Process,
};
use pyo3::{
    exceptions::PyTypeError,
    prelude::*,
    types::{PyDict, PyString},
};
use reverse_sync::{
    Account, Allowed, Credential, Destination, Grant, Guards, OnDuplicateId, SourceLimit, Target,
    Workspace, audit,
    egress::{
        base_url::BaseUrl,
        credential::{
            refresh_tokens::{RefreshTokens, SuccessorFile, TokenFile},
            spec::{CredentialSpec, Endpoint, OAuthSpec, Reference, Secret, Site},
        },
    },
    failure::Kind,
    mistakes, private_file,
    records::CsvForm,
    source::{self, LookUpError},
};
use secrecy::SecretString;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The id of the one source, where the destination does not name it.
const SOURCE_ID: &str = "source";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DestinationKeys {
    name: Option<String>,
    destination_type: String,
    entity_type: String,
    config_json: Map<String, Value>,
    #[serde(default)]
    on_duplicate_id: OnDuplicateId,
    #[serde(default)]
    guards: Guards,
    #[serde(default)]
    csv: CsvForm,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceKeys {
    provider: String,
    base_url: Option<String>,
    access_token: Option<Reference>,
    oauth: Option<OAuthSpec<Reference>>,
    ca_file: Option<PathBuf>,
    #[serde(default)]
    allow_private_network: bool,
    account: Option<Account>,
    limit: Option<SourceLimit>,
}

/// What opens a source.
enum Opens {
    Spec(CredentialSpec<Reference>),
    /// A function of Python that returns the access token.
    Function(Py<PyAny>),
}

/// A destination and its source, what carries it out, and where it is recorded.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) process: Arc<Process>,
    pub(crate) workspace: Workspace,
    pub(crate) target: Target,
    pub(crate) audit_log: PathBuf,
}

/// The place that Python names.
pub(crate) fn place(
    py: Python<'_>,
    destination: &Bound<'_, PyDict>,
    source: &Bound<'_, PyDict>,
    state: PathBuf,
) -> PyResult<Place> {
    let process = Process::current(py)?;
    private_file::create_dir(&state)
        .and_then(|()| ignored_by_git(&state))
        .map_err(|error| internal(format!("cannot create {}: {error}", state.display())))?;
    let audit_log = state.join(audit::FILE);
    let grant = Grant { component: process.component.digest(), allowed: Allowed::Everything };
    let workspace = Workspace::new(process.component.clone(), grant, &state);

    let keys: DestinationKeys = read(destination, "destination", Kind::Config)?;
    let mut config_json = keys.config_json;
    config_json.entry("source_id").or_insert_with(|| SOURCE_ID.into());
    let name = keys.name.as_deref().unwrap_or("destination");
    let destination = Destination {
        config_json,
        on_duplicate_id: keys.on_duplicate_id,
        guards: keys.guards,
        csv: keys.csv,
        ..Destination::new(name, &keys.destination_type, &keys.entity_type)
    };
    let source = self::source(py, &workspace, source, state)?;
    let target = workspace.target(destination, &source).or_raise(py)?;
    Ok(Place { process, workspace, target, audit_log })
}

fn source(
    py: Python<'_>,
    workspace: &Workspace,
    dict: &Bound<'_, PyDict>,
    state: PathBuf,
) -> PyResult<reverse_sync::Source> {
    let dict = dict.copy()?;
    let function = match dict.get_item("access_token")? {
        Some(token) if token.is_callable() => {
            dict.del_item("access_token")?;
            Some(token.unbind())
        }
        Some(token) if token.is_instance_of::<PyString>() => {
            let message = "`access_token` says where the token is: {\"env\": \"HUBSPOT_TOKEN\"}, {\"file\": \"token.txt\"}, or a function that returns it; the token itself is never written here";
            let pointer = "/access_token".to_owned();
            return Err(mistake(py, Kind::Input, pointer, message.to_owned()));
        }
        _ => None,
    };
    let keys: SourceKeys = read(&dict, "source", Kind::Input)?;
    let both = || {
        let message = "`source` has both `access_token` and `oauth`; it needs exactly one of them";
        mistake(py, Kind::Input, "/oauth".to_owned(), message.to_owned())
    };
    let opens = match (function, keys.access_token, keys.oauth) {
        (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => return Err(both()),
        (Some(function), ..) => Some(Opens::Function(function)),
        (None, token, oauth) => CredentialSpec::of(token, oauth).map(Opens::Spec),
    };
    let (provider, url) = (keys.provider, keys.base_url.as_deref());
    let private_network = keys.allow_private_network;
    let base_url = source::base_url(&provider, url, private_network).or_raise(py)?;
    let mut described = workspace
        .source(&provider)
        .or_raise(py)?
        .base_url(base_url.as_str())
        .allow_private_network(private_network)
        .limit(keys.limit)
        .account(keys.account);
    if let Some(path) = &keys.ca_file {
        described = described.ca_file(path);
    }
    let Some(opens) = opens else { return described.build().or_raise(py) };
    let ca_file = keys.ca_file;
    let credential = move || match &opens {
        Opens::Function(function) => called(function),
        Opens::Spec(spec) => {
            let endpoint = Endpoint::Own { private_network, ca_file: ca_file.as_deref() };
            looked_up(spec, &provider, &base_url, endpoint, &state)
        }
    };
    described.credential_with(credential).build().or_raise(py)
}

/// The token that a function of Python returns.
fn called(function: &Py<PyAny>) -> Result<Credential, LookUpError> {
    Python::attach(|py| {
        let token = function
            .bind(py)
            .call0()
            .map_err(|error| format!("the function of `access_token` has failed: {error}"))?;
        let token = token.extract::<String>().map_err(|_| {
            "the function of `access_token` has to return the token as a string".to_owned()
        })?;
        Ok(Credential::bearer(secrecy::ExposeSecret::expose_secret(&SecretString::from(token)))?)
    })
}

fn looked_up(
    spec: &CredentialSpec<Reference>,
    provider: &str,
    base_url: &BaseUrl,
    endpoint: Endpoint<'_>,
    state: &Path,
) -> Result<Credential, LookUpError> {
    let dir = Path::new("");
    let site = Site { provider, base_url, dir, endpoint };
    let refresh_tokens = |token: &Reference| {
        // A file is read again with each use; here a mistake is found before anything is sent.
        let text = token.read(dir, "refresh_token")?;
        Ok(match token {
            Reference::File(path) => Arc::new(TokenFile::new(path)) as Arc<dyn RefreshTokens>,
            Reference::Env(_) => {
                let kept = state.join("credentials").join(format!("{SOURCE_ID}.json"));
                Arc::new(SuccessorFile::new(kept, &text, token.to_string()))
            }
        })
    };
    spec.credential(&site, refresh_tokens)
        .map_err(|error| format!("source{}: {error}", error.pointer.replace('/', ".")).into())
}

/// What is kept has customers' data in it, and does not belong in a repository.
fn ignored_by_git(state: &Path) -> std::io::Result<()> {
    let path = state.join(".gitignore");
    if path.exists() { Ok(()) } else { fs::write(path, "*\n") }
}

/// A dict as these keys.
fn read<T: DeserializeOwned>(dict: &Bound<'_, PyDict>, whole: &str, kind: Kind) -> PyResult<T> {
    let py = dict.py();
    serde_path_to_error::deserialize(value(dict)?).map_err(|error| {
        let steps: Vec<String> = error.path().iter().map(ToString::to_string).collect();
        let message = mistakes::explained(whole, &steps, &error.inner().to_string());
        let pointer = steps.iter().map(|step| format!("/{step}")).collect();
        mistake(py, kind, pointer, format!("{whole}: {message}"))
    })
}

/// As JSON has it.
fn value(dict: &Bound<'_, PyDict>) -> PyResult<Value> {
    let text: String = dict.py().import("json")?.call_method1("dumps", (dict,))?.extract()?;
    serde_json::from_str(&text).map_err(|error| PyTypeError::new_err(error.to_string()))
}

/// A value of the library as Python's dicts, lists and texts.
pub(crate) fn to_python<'py>(
    py: Python<'py>,
    value: &impl serde::Serialize,
) -> PyResult<Bound<'py, PyAny>> {
    let text = serde_json::to_string(value).map_err(internal)?;
    py.import("json")?.call_method1("loads", (text,))
}
