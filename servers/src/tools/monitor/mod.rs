//! `fdfs monitor`, also known as `fdfs_monitor`: shows the cluster and changes it (spec 07 §5).

mod json;
mod text;

use chrono::Local;
use fdfs_core::client::{
    CallOptions, Client, ClientOptions, GroupInfo, ServerAddress, StorageInfo, StorageStatus,
};
use fdfs_core::protocol::replication::ReplicationStatus;
use fdfs_core::protocol::{Status, TRACKER_PORT_DEFAULT};
use std::collections::HashMap;
use std::process::ExitCode;
use std::time::Duration;
use tokio::task::JoinSet;

/// The configuration that is read when none is named.
const CONF_DEFAULT: &str = "/etc/fdfs/client.conf";
/// Longest wait for a storage to tell how far its peers are.
const REPLICATION_TIME_MAX: Duration = Duration::from_secs(5);
/// Exit codes: those of the original, which are errno values.
const EXIT_UNKNOWN_TRACKER: u8 = 2;
const EXIT_NO_TRACKER: u8 = 115;

const USAGE: &str = "
Usage:
  fdfs_monitor <client_cfg_file> [-h <tracker_server>]
  [list|delete|set_trunk_server <group_name> [storage_id]]
  [--json]

Note:
  the tracker server format: host[:port], the tracker default port is 22122
  fdfs_monitor without parameter equals: fdfs_monitor /etc/fdfs/client.conf
  --json prints the list as JSON, with what each storage says of its replication
";

/// What the tool can be told: the original's arguments, whose `-h` names a tracker.
#[derive(Debug, Clone, clap::Args)]
#[command(disable_help_flag = true)]
pub struct Options {
    /// [CLIENT_CONF] [-h TRACKER] [list|delete|set_trunk_server GROUP [STORAGE_ID]] [--json]
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
enum Action {
    List { group: Option<String> },
    Delete { group: String, id: Option<String> },
    SetTrunkServer { group: String, id: Option<String> },
    Unknown(String),
}

#[derive(Debug, PartialEq, Eq)]
struct Request {
    conf: String,
    tracker: Option<String>,
    json: bool,
    action: Action,
}

/// Why nothing is done: the usage is printed, and this is the exit code.
#[derive(Debug, PartialEq, Eq)]
struct Usage(u8);

impl Request {
    fn parse(args: &[String]) -> Result<Self, Usage> {
        let is_json = |arg: &&String| *arg == "--json";
        let json = args.iter().any(|arg| is_json(&arg));
        let mut words = args.iter().filter(|arg| !is_json(arg)).map(String::as_str).peekable();
        let conf = match words.next() {
            None => CONF_DEFAULT,
            Some("-h" | "--help") => return Err(Usage(0)),
            Some(conf) => conf,
        };
        let tracker = match words.next_if(|word| word.starts_with("-h")) {
            Some("-h") => Some(words.next().ok_or(Usage(1))?),
            Some(joined) => joined.get(2..),
            None => None,
        };
        let verb = words.next().unwrap_or("list");
        let mut rest = words.map(str::to_owned);
        let (group, id) = (rest.next(), rest.next().filter(|id| !id.is_empty()));
        let action = match (verb, group) {
            ("list", group) => Action::List { group },
            ("delete", Some(group)) => Action::Delete { group, id },
            ("set_trunk_server", Some(group)) => Action::SetTrunkServer { group, id },
            ("delete" | "set_trunk_server", None) => return Err(Usage(1)),
            (other, _) => Action::Unknown(other.to_owned()),
        };
        Ok(Self { conf: conf.to_owned(), tracker: tracker.map(str::to_owned), json, action })
    }
}

/// A group with its storages, and what those tell of their replication.
#[derive(Debug)]
struct Shown {
    group: GroupInfo,
    storages: Vec<StorageInfo>,
    replication: HashMap<ServerAddress, Told>,
}

/// What a storage tells of its replication; `None` from one of the original.
type Told = Result<Option<ReplicationStatus>, String>;

/// Runs the tool.
pub async fn run(options: Options) -> ExitCode {
    let request = match Request::parse(&options.args) {
        Ok(request) => request,
        Err(Usage(code)) => {
            println!("{USAGE}");
            return code.into();
        }
    };
    let options = match ClientOptions::from_conf(&request.conf) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("ERROR - {}: {error}", request.conf);
            let status = error.status().map_or(EXIT_UNKNOWN_TRACKER, |status| status.0);
            return status.into();
        }
    };
    let first = match &request.tracker {
        None => usize::try_from(std::process::id()).unwrap_or(0) % options.trackers.len().max(1),
        Some(named) => match position(&options, named) {
            Some(index) => index,
            None => {
                println!("tracker server: {named} not exists!");
                return EXIT_UNKNOWN_TRACKER.into();
            }
        },
    };
    let Some((client, tracker)) = reach(&options, first).await else {
        return EXIT_NO_TRACKER.into();
    };
    if !request.json {
        let count = options.trackers.len();
        println!("tracker server count={count}, current server index={first}\n");
        println!("tracker server is {tracker}\n");
    }
    let all = options.connect();
    if let Err(error) = act(&request, &client, &all, &tracker).await {
        eprintln!("ERROR - {error}");
    }
    ExitCode::SUCCESS
}

/// The configured tracker with this name.
fn position(options: &ClientOptions, named: &str) -> Option<usize> {
    let (host, port) = match named.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (named, TRACKER_PORT_DEFAULT),
    };
    options
        .trackers
        .iter()
        .position(|tracker| tracker.port == port && tracker.hosts.iter().any(|known| known == host))
}

/// A client of the first tracker that answers, and its address.
async fn reach(options: &ClientOptions, first: usize) -> Option<(Client, String)> {
    let count = options.trackers.len();
    for at in (0..count).map(|step| (first + step) % count) {
        let Some(tracker) = options.trackers.get(at) else { continue };
        let client = ClientOptions { trackers: vec![tracker.clone()], ..options.clone() }.connect();
        match client.ping().await {
            Ok(()) => return Some((client, tracker.to_string())),
            Err(error) => eprintln!("ERROR - connect to tracker server {tracker} fail: {error}"),
        }
    }
    None
}

async fn act(
    request: &Request,
    client: &Client,
    all: &Client,
    tracker: &str,
) -> fdfs_core::Result<()> {
    match &request.action {
        Action::List { group } => {
            let shown = collect(client, group.as_deref(), request.json).await?;
            match request.json {
                true => println!("{:#}", json::cluster(tracker, &shown)),
                false => print!("{}", text::cluster(&shown, group.is_none(), &Local)),
            }
        }
        Action::Delete { group, id: Some(id) } => {
            let done = all.admin().delete_storage(group, id).await;
            said(&format!("delete storage server {group}::{id}"), "", done.map(|()| String::new()));
        }
        Action::Delete { group, id: None } => {
            let done = all.admin().delete_group(group).await;
            said(&format!("delete group: {group}"), "", done.map(|()| String::new()));
        }
        Action::SetTrunkServer { group, id } => {
            let done = all.admin().set_trunk_server(group, id.as_deref()).await;
            let what = format!("set trunk server {group}::{}", id.as_deref().unwrap_or_default());
            said(&what, ", new trunk server: ", done);
        }
        Action::Unknown(verb) => println!("Invalid command {verb}\n\n{USAGE}"),
    }
    Ok(())
}

/// Says what became of a command.
fn said(what: &str, then: &str, done: fdfs_core::Result<String>) {
    match done {
        Ok(result) => println!("{what} success{then}{result}"),
        Err(error) => {
            let status = error.status().unwrap_or(Status::EIO);
            println!("{what} fail, error no: {status}, error info: {}", meaning(status));
        }
    }
}

/// What the operating system calls the errno value.
fn meaning(status: Status) -> String {
    let text = std::io::Error::from_raw_os_error(status.0.into()).to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// The groups, or one of them; storages are asked for their replication only when it is shown.
async fn collect(
    client: &Client,
    group: Option<&str>,
    with_replication: bool,
) -> fdfs_core::Result<Vec<Shown>> {
    let mut shown = Vec::new();
    for info in client.list_groups().await? {
        if group.is_some_and(|group| group != info.name) {
            continue;
        }
        let storages = client.list_storages(&info.name, None).await?;
        let replication = match with_replication {
            true => replication(client, &storages).await,
            false => HashMap::new(),
        };
        shown.push(Shown { group: info, storages, replication });
    }
    Ok(shown)
}

/// What the storages that serve tell, asked side by side.
async fn replication(client: &Client, storages: &[StorageInfo]) -> HashMap<ServerAddress, Told> {
    let client = client.with(CallOptions::timeout(REPLICATION_TIME_MAX));
    let mut asking = JoinSet::new();
    for storage in storages.iter().filter(|storage| storage.status == StorageStatus::ACTIVE) {
        let (client, address) = (client.clone(), storage.address.clone());
        asking.spawn(async move {
            let told = client.replication_status(&address).await;
            (address, told.map_err(|error| error.to_string()))
        });
    }
    let mut told = HashMap::new();
    while let Some(answer) = asking.join_next().await {
        told.extend(answer);
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Request, Usage> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Request::parse(&args)
    }

    #[test]
    fn errors_are_called_what_the_system_calls_them() {
        assert_eq!(meaning(Status::EBUSY), "Device or resource busy");
    }

    #[test]
    fn arguments_are_those_of_the_original() {
        let request = |conf: &str, tracker: Option<&str>, json, action| {
            let (conf, tracker) = (conf.to_owned(), tracker.map(str::to_owned));
            Ok(Request { conf, tracker, json, action })
        };
        let list = |group: Option<&str>| Action::List { group: group.map(str::to_owned) };
        assert_eq!(parse(""), request(CONF_DEFAULT, None, false, list(None)));
        assert_eq!(parse("--json"), request(CONF_DEFAULT, None, true, list(None)));
        assert_eq!(parse("c -h 10.0.0.1:5"), request("c", Some("10.0.0.1:5"), false, list(None)));
        assert_eq!(
            parse("c -h10.0.0.1 list g"),
            request("c", Some("10.0.0.1"), false, list(Some("g")))
        );
        let (group, id) = ("g".to_owned(), Some("10.0.0.3".to_owned()));
        let delete = Action::Delete { group: group.clone(), id: id.clone() };
        assert_eq!(parse("c delete g 10.0.0.3"), request("c", None, false, delete));
        let delete = Action::Delete { group: group.clone(), id: None };
        assert_eq!(parse("c delete g"), request("c", None, false, delete));
        let set = Action::SetTrunkServer { group, id };
        assert_eq!(parse("c --json set_trunk_server g 10.0.0.3"), request("c", None, true, set));
        assert_eq!(parse("c foo"), request("c", None, false, Action::Unknown("foo".into())));
        for (line, code) in [("-h", 0), ("c -h", 1), ("c set_trunk_server", 1), ("c delete", 1)] {
            assert_eq!(parse(line), Err(Usage(code)), "{line}");
        }
    }
}
