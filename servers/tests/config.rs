//! The daemons' configuration against spec 06: users' files, every key, defaults and errors.

use fdfs_core::config::{ConfigError, Ini};
use fdfs_servers::config_file::{Framework, load};
use fdfs_servers::storage::config::StorageConfig;
use fdfs_servers::tracker::config::TrackerConfig;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn conf(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/confs").join(name)
}

fn tracker(text: &str) -> Result<TrackerConfig, ConfigError> {
    TrackerConfig::from_ini(&Ini::parse(&format!("base_path=/t\n{text}")), Path::new("t.conf"))
}

fn storage(text: &str) -> Result<StorageConfig, ConfigError> {
    let text = format!("base_path=/s\ntracker_server=10.0.0.1\n{text}");
    StorageConfig::from_ini(&Ini::parse(&text))
}

/// The keys that warnings name in one way.
fn named<'w>(warnings: &'w [String], how: &str) -> Vec<&'w str> {
    let texts = warnings.iter().filter(|warning| warning.contains(how));
    texts.filter_map(|text| text.split(": ").nth(1)?.split(' ').next()).collect()
}

const LEGACY: &str = "no longer has an effect in 6.16";

#[test]
fn tracker_files_of_users_load_and_each_idle_key_is_named() {
    let path = conf("v4-tracker.conf");
    let config = TrackerConfig::from_ini(&load(&path).unwrap(), &path).unwrap();
    let framework = &config.framework;
    assert_eq!(framework.base_path, Path::new("/data/dfs/tracker"));
    assert_eq!(framework.listen, ["0.0.0.0:22122".parse().unwrap()]);
    assert_eq!(framework.keys.connect_timeout, Duration::from_secs(30));
    assert_eq!(framework.network_timeout, Duration::from_secs(60));
    assert_eq!(framework.log.sync_buff_interval, Duration::from_secs(10));
    assert_eq!(config.check_active_interval, Duration::from_secs(120));
    let http = [
        "http.server_port",
        "http.check_alive_interval",
        "http.check_alive_type",
        "http.check_alive_uri",
    ];
    assert_eq!(named(&config.warnings, LEGACY), http);
    assert!(config.warnings.iter().any(|w| w.starts_with("v4-tracker.conf:44: http.server_port")));
    assert_eq!(named(&config.warnings, "unknown key"), [""; 0]);

    let path = conf("v406-tracker.conf");
    let config = TrackerConfig::from_ini(&load(&path).unwrap(), &path).unwrap();
    assert_eq!(named(&config.warnings, LEGACY), ["http.disabled", "http.server_port"]);
    assert_eq!(named(&config.warnings, "only read when store_lookup=1"), ["store_group"]);
    assert_eq!(named(&config.warnings, "unknown key"), [""; 0]);
}

#[test]
fn storage_files_of_users_load_and_each_idle_key_is_named() {
    let config = StorageConfig::from_ini(&load(&conf("v4-storage.conf")).unwrap()).unwrap();
    let trackers: Vec<String> = config.trackers.iter().map(ToString::to_string).collect();
    assert_eq!(trackers, ["192.168.88.134:22122", "192.168.88.149:22122", "192.168.88.150:22122"]);
    assert_eq!(config.group.as_deref(), Some("groupA"));
    assert_eq!(config.keys.stat_report_interval, Duration::from_secs(60));
    assert_eq!(config.keys.sync_binlog_buff_interval, Duration::from_secs(10));
    assert_eq!(config.sync_window(), None);
    assert_eq!(config.sync_threads_max, 2);
    assert!(!config.access_log.enabled && !config.access_log.log.rotate_everyday);
    assert!(!config.framework.log.rotate_everyday);
    assert_eq!(named(&config.warnings, LEGACY), ["http.domain_name", "http.server_port"]);
    assert_eq!(named(&config.warnings, "unknown key"), [""; 0]);

    let config = StorageConfig::from_ini(&load(&conf("v406-storage.conf")).unwrap()).unwrap();
    let legacy = [
        "disk_rw_direct",
        "http.disabled",
        "http.server_port",
        "http.trunk_size",
        "http.domain_name",
    ];
    assert_eq!(named(&config.warnings, LEGACY), legacy);
    assert_eq!(named(&config.warnings, "unknown key"), [""; 0]);
}

/// Every key of spec 06 §2 with a value that differs from the default.
const FRAMEWORK: &str = "disabled=no\nbind_addr=127.0.0.1\nport=1\ninner_port=2\nouter_port=3\n\
    address_family=ipv4\nconnect_timeout=1\nnetwork_timeout=1\nmax_connections=1\n\
    accept_threads=2\nwork_threads=1\nbuff_size=1M\nmin_buff_size=8K\nmax_buff_size=2M\n\
    tcp_quick_ack=0\nuse_io_uring=1\nuse_send_zc=0\nthread_stack_size=1M\nrun_by_group=g\n\
    run_by_user=u\nlog_level=WARNING\nallow_hosts=10.0.0.1\nuse_connection_pool=1\n\
    connection_pool_max_idle_time=1\n";
const LOG: &str = "sync_log_buff_interval=2\nlog_file_rotate_everyday=0\n\
    log_file_rotate_time=01:00\nlog_file_rotate_on_size=1G\nlog_file_compress_old=1\n\
    log_file_compress_days_before=2\nlog_file_keep_days=7\nlog_file_delete_old_time=02:00\n";

#[test]
fn no_key_of_the_original_is_unknown() {
    let own = "store_lookup=1\nstore_group=g\nstore_server=1\nstore_path=2\ndownload_server=1\n\
        reserved_storage_space=10%\ncheck_active_interval=1\nstorage_ip_changed_auto_adjust=0\n\
        storage_sync_file_max_delay=1\nstorage_sync_file_max_time=1\nuse_trunk_file=1\n\
        slot_min_size=1K\ntrunk_file_size=16M\nslot_max_size=1M\ntrunk_alloc_alignment_size=256\n\
        trunk_free_space_merge=1\ndelete_unused_trunk_files=1\ntrunk_create_file_advance=1\n\
        trunk_create_file_time_base=01:00\ntrunk_create_file_interval=1\n\
        trunk_create_file_space_threshold=1G\ntrunk_init_check_occupying=1\n\
        trunk_init_reload_from_binlog=1\ntrunk_compress_binlog_min_interval=1\n\
        trunk_compress_binlog_interval=1\ntrunk_compress_binlog_time_base=01:00\n\
        trunk_binlog_max_backups=1\nuse_storage_id=0\nstorage_ids_filename=i\n\
        id_type_in_filename=id\ntrust_storage_server_id=0\nstore_slave_file_use_link=1\n\
        response_ip_addr_size=auto\n";
    let config = tracker(&format!("{FRAMEWORK}{own}[error-log]\n{LOG}")).unwrap();
    assert_eq!(named(&config.warnings, "unknown key"), [""; 0], "{:?}", config.warnings);
    assert_eq!(config.framework.log.keep_days, 7);
    let own = "group_name=g1\nserver_id=1\nclient_bind=0\nheart_beat_interval=1\n\
        stat_report_interval=1\ndisk_rw_separated=0\ndisk_reader_threads=2\ndisk_writer_threads=0\n\
        disk_recovery_threads=2\nsync_min_threads=2\nsync_max_threads=9\nsync_wait_msec=1\n\
        sync_interval=1\nsync_start_time=01:00\nsync_end_time=02:00\nwrite_mark_file_freq=1\n\
        sync_binlog_buff_interval=1\nsync_stat_file_interval=1\nstore_path_count=2\n\
        store_path0=/a\nstore_path1=/b\nstore_path1_readonly=1\nsubdir_count_per_path=1\n\
        file_distribute_path_mode=1\nfile_distribute_rotate_count=1\nfsync_after_written_bytes=1\n\
        upload_priority=-1\nif_alias_prefix=eth\ncheck_file_duplicate=1\n\
        file_signature_method=md5\nkey_namespace=F\nkeep_alive=1\ngroup_count=1\n\
        group0=10.0.0.1:11411\nfile_sync_skip_invalid_record=1\ncompress_binlog=1\n\
        compress_binlog_time=02:00\ncheck_store_path_mark=0\n";
    let access = "[access-log]\nenabled=1\ntime_precision=us\nlog_file_keep_days=3\n";
    let config = storage(&format!("{FRAMEWORK}{own}[error-log]\n{LOG}{access}")).unwrap();
    assert_eq!(named(&config.warnings, "unknown key"), [""; 0], "{:?}", config.warnings);
    assert_eq!((config.sync_threads_max, config.sync_window()), (9, Some((3600, 7200))));
    assert!(config.access_log.enabled && config.access_log.in_micros);
    assert_eq!((config.access_log.log.keep_days, config.framework.log.keep_days), (3, 7));
    let ports: Vec<u16> = config.framework.listen.iter().map(|addr| addr.port()).collect();
    assert_eq!(ports, [2, 3]);
    assert_eq!(config.framework.message_len_max(), 2 << 20);
}

#[test]
fn wrong_values_end_with_the_errno_of_the_original() {
    for (text, errno) in [
        ("accept_threads=0", 22),
        ("work_threads=-1", 22),
        ("use_connection_pool=1\nconnection_pool_max_idle_time=0", 22),
        ("log_file_rotate_time=24:00", 22),
        ("log_file_rotate_time=", 22),
        ("bind_addr=::1", 22),
        ("address_family=both", 22),
        ("bind_addr=127.0.0.1\naddress_family=x", 22),
        ("store_lookup=1\nstore_group=", 22),
        ("reserved_storage_space=", 22),
        ("slot_min_size=0", 22),
        ("slot_max_size=0", 22),
        ("use_storage_id=1\nstorage_ids_filename=", 22),
        ("use_storage_id=1\nstorage_ids_filename=/nowhere/ids.conf", 2),
    ] {
        assert_eq!(tracker(text).map(|_| ()).unwrap_err().errno(), errno, "{text}");
    }
    for (text, errno) in [
        ("disk_reader_threads=-1", 22),
        ("disk_writer_threads=0", 22),
        ("disk_rw_separated=0\ndisk_reader_threads=0\ndisk_writer_threads=0", 22),
        ("disk_recovery_threads=0", 22),
        ("check_file_duplicate=1", 22),
        ("server_id=01", 22),
        ("server_id=16777216", 22),
        ("compress_binlog_time=x", 22),
        ("store_path_count=-1", 22),
        ("subdir_count_per_path=0", 22),
    ] {
        assert_eq!(storage(text).map(|_| ()).unwrap_err().errno(), errno, "{text}");
    }
    let error = storage("server_id=01").unwrap_err();
    assert!(error.to_string().starts_with("line 3: server_id = 01"), "{error}");
}

#[test]
fn odd_values_are_replaced_with_a_warning() {
    for (text, warning) in [
        ("sync_min_threads=300", "sync_min_threads = 300: 256 is used"),
        ("sync_max_threads=many", "sync_max_threads = many: neither a number nor auto"),
        ("buff_size=64KB", "buff_size = 64KB: 65546 is used"),
        ("buff_size=5B", "buff_size = 5B: no size"),
        ("log_level=loud", "log_level = loud: unknown, info is used"),
        ("group_name=abcdefghijklmnopq", "too long, abcdefghijklmnop is used"),
    ] {
        let warnings = storage(text).unwrap().warnings;
        assert!(warnings.iter().any(|w| w.contains(warning)), "{text}: {warnings:?}");
    }
    assert_eq!(storage("buff_size=64KB").unwrap().framework.message_len_max(), 65546);
    assert_eq!(storage("sync_max_threads=0").unwrap().sync_threads_max, 2);
    assert_eq!(storage("sync_min_threads=3\nsync_max_threads=1").unwrap().sync_threads_max, 3);
    assert_eq!(storage("server_id=\nsync_interval=-5").unwrap().keys.server_id, None);
    for (text, warning) in [
        ("store_server=7", "store_server = 7: unknown, 0 is used"),
        ("slot_min_size=1M\nslot_max_size=4M", "slot_min_size = 1M: 65536 is used"),
        ("trunk_file_size=1M", "trunk_file_size = 1M: 4194304 is used"),
        ("slot_max_size=60M", "slot_max_size = 60M: 33554432 is used"),
        ("use_trunk_file=1\nstore_server=0", "store_server = 0: trunk files have one writer"),
    ] {
        let warnings = tracker(text).unwrap().warnings;
        assert!(warnings.iter().any(|w| w.contains(warning)), "{text}: {warnings:?}");
    }
}

#[test]
fn old_log_keys_count_where_the_new_ones_are_absent() {
    let old = "rotate_error_log=1\nerror_log_rotate_time=03:00\nrotate_error_log_size=10K\n\
        compress_old_error_log=1\ncompress_error_log_days_before=4\nlog_file_keep_days=9\n";
    let log = tracker(old).unwrap().framework.log;
    assert!(log.rotate_everyday && log.compress_old);
    assert_eq!((log.rotate_time_secs, log.rotate_on_size), (10800, 1 << 20), "1 MB at least");
    assert_eq!((log.compress_days_before, log.keep_days), (4, 9));
    let config = tracker(&format!("{old}log_file_rotate_everyday=0\n")).unwrap();
    assert!(!config.framework.log.rotate_everyday);
    assert_eq!(
        named(&config.warnings, LEGACY),
        ["rotate_error_log", "error_log_rotate_time", "rotate_error_log_size"]
    );
    let log = storage("use_access_log=true\nrotate_access_log=1\n").unwrap().access_log;
    assert!(log.enabled && log.log.rotate_everyday && !log.in_micros);
    let log = storage("enabled=true\n").unwrap().access_log;
    assert!(!log.enabled && log.log.rotate_everyday, "enabled is read in its section alone");
}

#[test]
fn a_missing_base_path_is_made_but_not_its_parents() {
    let dir = tempfile::tempdir().unwrap();
    let listen = "127.0.0.1:0".parse().unwrap();
    let prepare = |path: &Path| Framework::new(path, listen).unwrap().prepare_base_path();
    prepare(&dir.path().join("new")).unwrap();
    prepare(&dir.path().join("new")).unwrap();
    assert_eq!(prepare(&dir.path().join("no/new")).unwrap_err().errno(), 2);
    std::fs::write(dir.path().join("file"), "").unwrap();
    assert_eq!(prepare(&dir.path().join("file")).unwrap_err().errno(), 20);
}

#[test]
fn errors_name_the_file_and_line_also_of_included_files() {
    let dir = tempfile::tempdir().unwrap();
    let main = dir.path().join("tracker.conf");
    std::fs::write(&main, "base_path=/t\nuse_storage_id=1\n#include more.conf\n").unwrap();
    std::fs::write(dir.path().join("more.conf"), "\nstorage_ids_filename=ids.conf\n").unwrap();
    std::fs::write(dir.path().join("ids.conf"), "1 g 10.0.0.1\n2 g 10.0.0.1\n").unwrap();
    let error = TrackerConfig::from_ini(&load(&main).unwrap(), &main).unwrap_err();
    assert_eq!(error.to_string(), "ids.conf:2: address 10.0.0.1:23000 stands twice");
    assert_eq!(error.errno(), 17);
    std::fs::write(dir.path().join("more.conf"), "\nwork_threads=0\n").unwrap();
    let error = TrackerConfig::from_ini(&load(&main).unwrap(), &main).unwrap_err();
    assert_eq!(error.to_string(), "more.conf:2: work_threads = 0: must be 1 to 1024");
    std::fs::write(dir.path().join("ids.conf"), "1 g fd00::1\n").unwrap();
    let text = "use_storage_id=1\nid_type_in_filename=id\nstorage_ids_filename=ids.conf\n";
    std::fs::write(&main, format!("base_path=/t\nbind_addr=[::1]\n{text}")).unwrap();
    let config = TrackerConfig::from_ini(&load(&main).unwrap(), &main).unwrap();
    assert!(config.storage_ids.has_ipv6());
}

#[test]
fn code_builds_configurations_without_a_file() {
    let config = TrackerConfig::new(Path::new("/t")).unwrap();
    assert_eq!(config.framework.network_timeout, Duration::from_secs(60));
    let trackers = vec!["127.0.0.1:1".parse().unwrap()];
    let mut config = StorageConfig::new(Path::new("/s"), "g1", trackers).unwrap();
    config.framework.listen = vec!["127.0.0.1:0".parse().unwrap()];
    assert_eq!(config.trackers.len(), 1, "loopback is fine on one machine");
    assert!(StorageConfig::new(Path::new("/s"), "a/b", Vec::new()).is_err());
    assert_eq!(StorageConfig::new(Path::new("/s"), "g1", Vec::new()).unwrap_err().errno(), 2);
}
