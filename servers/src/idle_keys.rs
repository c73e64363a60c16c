//! Keys of a configuration file that do nothing, and why: nobody should have to guess (spec 06
//! §1.5, §3, §4).

use fdfs_core::config::Ini;

/// Keys, or beginnings of keys, with the reason.
type Reasons = &'static [(&'static str, &'static str)];

/// Keys that FastDFS 6.16 reads and this server does not act on, whatever they say.
const WITHOUT_EFFECT: Reasons = &[
    ("thread_stack_size", "this server sizes its stacks itself"),
    ("accept_threads", "this server has one acceptor for each address"),
    ("min_buff_size", "buffers grow and shrink by themselves"),
    ("tcp_quick_ack", "acknowledgements ride on replies"),
    ("use_io_uring", "not used by this server"),
    ("use_send_zc", "not used by this server"),
    ("run_by_", "start the daemon as that user"),
    ("connection_pool_max_idle_time", "connections to trackers are kept open"),
    ("use_connection_pool", "connections to trackers are kept open"),
    ("log_file_compress_", "rotated logs are not compressed by this server"),
    ("compress_old_", "rotated logs are not compressed by this server"),
    ("compress_error_log_days_before", "rotated logs are not compressed by this server"),
    ("compress_access_log_days_before", "rotated logs are not compressed by this server"),
];

/// Keys that are read only when others ask for them.
const CONDITIONAL: Reasons = &[
    ("store_group", "only read when store_lookup=1"),
    ("storage_ids_filename", "only read when use_storage_id=true"),
    ("id_type_in_filename", "only read when use_storage_id=true"),
    ("trust_storage_server_id", "only read when use_storage_id=true"),
    ("group_count", "servers of the signature store are not asked by this server"),
    ("time_precision", "only read in [access-log]"),
    ("enabled", "only read in [access-log]"),
];

/// Keys of older versions that 6.16 ignores.
const LEGACY: Reasons = &[
    ("http.", "the built-in HTTP server is gone since FastDFS 4.05"),
    ("disk_rw_direct", "files always go through the page cache"),
    ("max_threads", "use work_threads"),
    ("rotate_error_log", "use log_file_rotate_everyday, which this file has"),
    ("error_log_rotate_time", "use log_file_rotate_time, which this file has"),
    ("rotate_access_log", "use log_file_rotate_everyday in [access-log]"),
    ("access_log_rotate_time", "use log_file_rotate_time in [access-log]"),
    ("use_access_log", "use enabled in [access-log], which this file has"),
];

fn reason(reasons: Reasons, key: &str) -> Option<&'static str> {
    reasons.iter().find(|(start, _)| key.starts_with(start)).map(|(_, reason)| *reason)
}

/// Why a key does nothing in this server, whatever it says.
pub fn without_effect(key: &str) -> Option<&'static str> {
    reason(WITHOUT_EFFECT, key)
}

/// What to tell about the keys that do nothing, in file order; call it after all were read.
pub(crate) fn idle_keys(ini: &Ini) -> Vec<String> {
    let text = |(place, key, used): (&str, &str, bool)| {
        if let Some(reason) = without_effect(key) {
            return Some(format!("{place}: {key} has no effect: {reason}"));
        }
        if used {
            return None;
        }
        let numbered = |start| {
            let rest: Option<&str> = key.strip_prefix(start);
            rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        };
        if numbered("group") {
            return Some(format!("{place}: {key} has no effect: see group_count"));
        }
        if numbered("store_path") {
            return Some(format!("{place}: {key} has no effect: store_path_count is smaller"));
        }
        Some(match (reason(CONDITIONAL, key), reason(LEGACY, key)) {
            (Some(reason), _) => format!("{place}: {key} has no effect: {reason}"),
            (_, Some(reason)) => {
                format!("{place}: {key} no longer has an effect in 6.16: {reason}")
            }
            _ => format!("{place}: unknown key {key}"),
        })
    };
    ini.entries().filter_map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_idle_key_is_named_with_its_line_and_reason() {
        let ini = Ini::parse(
            "known=1\nhttp.server_port=80\nuse_io_uring=1\nstor_path0=/a\nstore_group=g\ngroup0=h:1\n",
        );
        ini.global().get("known");
        ini.global().get("use_io_uring");
        assert_eq!(
            idle_keys(&ini),
            [
                "line 2: http.server_port no longer has an effect in 6.16: \
                 the built-in HTTP server is gone since FastDFS 4.05",
                "line 3: use_io_uring has no effect: not used by this server",
                "line 4: unknown key stor_path0",
                "line 5: store_group has no effect: only read when store_lookup=1",
                "line 6: group0 has no effect: see group_count",
            ]
        );
    }
}
