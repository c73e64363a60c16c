/*
 * libfdfs: client of FastDFS clusters. Generated from bindings/c/src; do not edit.
 *
 * Rules for all functions:
 *  - A function that returns int returns FDFS_OK or one of FDFS_E_…; fdfs_last_error() has the
 *    detail, for the thread that called. Results go to the last pointers and are written only on
 *    success.
 *  - Texts are UTF-8 and end with a NUL. Pointers are not NULL unless it is said that they may be;
 *    a NULL that may not be gives FDFS_E_INVAL. Nothing of the caller's is kept after the call, but
 *    the buffers of calls on a queue until those have ended.
 *  - What this library gives out is ended by the function named beside it, once; all those take
 *    NULL. File ids and structures of numbers and arrays need no end.
 *  - Clients may be used by all threads at the same time, and so may everything of which nothing
 *    else is said. Callbacks run on the thread that called and must not call this library with
 *    the same reader or writer, nor make blocking calls of it at all.
 *  - Nothing survives a fork but the right to free it: a child makes its own client.
 *  - Structures with a struct_size are begun with their init function, so that they can grow.
 */

#ifndef LIBFDFS_H
#define LIBFDFS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define FDFS_VERSION_MAJOR 0
#define FDFS_VERSION_MINOR 1
#define FDFS_VERSION_PATCH 0

enum {
  FDFS_OK = 0,
  FDFS_E_NOT_FOUND = 1,
  FDFS_E_NO_SERVER = 2,
  FDFS_E_EXISTS = 3,
  FDFS_E_INVAL = 4,
  FDFS_E_NO_SPACE = 5,
  FDFS_E_PERM = 6,
  FDFS_E_BUSY = 7,
  FDFS_E_UNSUPPORTED = 8,
  FDFS_E_CONNECT = 9,
  FDFS_E_TIMEOUT = 10,
  FDFS_E_PROTOCOL = 11,
  FDFS_E_SERVER = 12,
  FDFS_E_IO = 13,
  FDFS_E_CONFIG = 14,
  FDFS_E_CLOSED = 15,
  FDFS_E_INTERNAL = 16,
  FDFS_E_CANCELLED = 17,
};


/**
 * Bytes of a file id with its NUL, at most.
 */
#define FDFS_FILE_ID_SIZE 192

/**
 * Bytes of a token with its NUL.
 */
#define FDFS_TOKEN_SIZE 33

/**
 * Numbers in the statistics of a storage.
 */
#define FDFS_STAT_COUNT 45

/**
 * Flag of `fdfs_set_metadata`: items that are not named stay.
 */
#define FDFS_MERGE 1

/**
 * What kind of file a name says it is.
 */
typedef enum {
  /**
   * A file of its own.
   */
  FDFS_NORMAL = 0,
  /**
   * A file that can grow.
   */
  FDFS_APPENDER = 1,
  /**
   * A file named after a master.
   */
  FDFS_SLAVE = 2,
  /**
   * A file inside a trunk file.
   */
  FDFS_TRUNK = 3,
} fdfs_file_kind;

/**
 * How much a log callback is told.
 */
typedef enum {
  /**
   * What needs someone's attention.
   */
  FDFS_LOG_ERROR = 1,
  /**
   * What may.
   */
  FDFS_LOG_WARNING = 2,
  /**
   * What happens.
   */
  FDFS_LOG_INFO = 3,
  /**
   * Everything.
   */
  FDFS_LOG_DEBUG = 4,
} fdfs_log_level;

/**
 * Ends calls from another thread. All threads may use it at the same time.
 */
typedef struct fdfs_cancel fdfs_cancel;

/**
 * A client of one cluster. All threads may use it at the same time; only freeing it must be left
 * to the last. Make one and keep it: it holds the connections.
 */
typedef struct fdfs_client fdfs_client;

/**
 * A tracker and storages inside this process, for development and tests. All threads may ask it
 * for its addresses.
 */
typedef struct fdfs_embedded fdfs_embedded;

/**
 * Calls under way, and those that have ended and wait for being collected. All threads may use it
 * at the same time; only freeing it must be left to the last.
 *
 * A call is begun by a function named after the one that waits, with queue and tag before its
 * arguments. It copies what it is told but the content: buffers must stay, and those that are
 * written to belong to the call, until it has been collected or the queue was freed. The client
 * may be freed before. What the begin function returns is no outcome: it fails only for arguments
 * that are wrong, with `FDFS_E_BUSY` when the queue is full, and with `FDFS_E_CLOSED` after a
 * fork; then there is nothing to collect. Calls run at the same time, in no order; those beyond the
 * client's `pool_size` wait for a connection, and fail with `FDFS_E_TIMEOUT` after 5 s of that.
 *
 * There are no such functions for local files and callbacks, which would keep the threads of this
 * library from everything else, and none for what is rarely asked: metadata, and lists of the
 * cluster. For the same reason clients with a progress callback (`fdfs_client_with`) are refused
 * with `FDFS_E_INVAL`; a timeout and a cancel handle count as elsewhere.
 */
typedef struct fdfs_queue fdfs_queue;

/**
 * An open file, read piece by piece. One thread at a time may use it.
 */
typedef struct fdfs_reader fdfs_reader;

/**
 * A file that is written piece by piece. One thread at a time may use it.
 */
typedef struct fdfs_writer fdfs_writer;

/**
 * What went wrong in a call: see `fdfs_last_error`, and `fdfs_completion` for calls on a queue.
 */
typedef struct {
  /**
   * `FDFS_E_…`, or `FDFS_OK` when nothing has failed yet.
   */
  int code;
  /**
   * One line: what failed, where, and what came back.
   */
  const char *message;
  /**
   * `host:port` of the server, or NULL when none was involved.
   */
  const char *server;
  /**
   * The file the call was about, or the one that was stored before the call failed; or NULL.
   */
  const char *file_id;
  /**
   * The number of the command that was sent, or -1.
   */
  int command;
  /**
   * The status that the server answered, an errno value as on Linux, or 0.
   */
  int status;
  /**
   * Whether the same call may succeed later or elsewhere.
   */
  bool retryable;
  /**
   * Whether the server may have done the work although no answer came.
   */
  bool outcome_unknown;
} fdfs_error;

/**
 * Called with the bytes moved so far, on the thread that called.
 */
typedef void (*fdfs_progress_cb)(void *ctx, uint64_t moved);

/**
 * What calls can be told; see `fdfs_client_with`. Begin with `fdfs_call_options_init`.
 */
typedef struct {
  /**
   * Set by `fdfs_call_options_init`.
   */
  size_t struct_size;
  /**
   * Milliseconds that the whole call may take; 0 for what the client says.
   */
  int64_t timeout_ms;
  /**
   * Called as content moves, or NULL.
   */
  fdfs_progress_cb progress;
  /**
   * Its first argument.
   */
  void *progress_ctx;
  /**
   * Ends the calls when it is triggered, or NULL.
   */
  const fdfs_cancel *cancel;
} fdfs_call_options;

/**
 * Gives content: writes up to `capacity` bytes to `buffer` and returns how many; 0 at the end,
 * negative to give up. Called on the thread that called.
 */
typedef int64_t (*fdfs_read_cb)(void *ctx, void *buffer, size_t capacity);

/**
 * A file id; it owns nothing and needs no end.
 */
typedef struct {
  /**
   * Ends with a NUL.
   */
  char value[FDFS_FILE_ID_SIZE];
} fdfs_file_id;

/**
 * An advertised storage address and where it really is, each `host[:port]`.
 */
typedef struct {
  /**
   * As the tracker tells it.
   */
  const char *advertised;
  /**
   * Where to connect instead.
   */
  const char *actual;
} fdfs_address_pair;

/**
 * What a client can be told. Begin with `fdfs_options_init`; NULL and 0 mean the default.
 */
typedef struct {
  /**
   * Set by `fdfs_options_init`.
   */
  size_t struct_size;
  /**
   * The trackers, each `host[:port]`; the port is 22122 when absent.
   */
  const char *const *trackers;
  /**
   * How many.
   */
  size_t tracker_count;
  /**
   * Group for uploads that name none; NULL lets the tracker choose.
   */
  const char *group;
  /**
   * Milliseconds until a connection must stand (5000).
   */
  int64_t connect_timeout_ms;
  /**
   * Milliseconds without a byte until a call fails (30000).
   */
  int64_t io_timeout_ms;
  /**
   * Milliseconds that a whole call may take; 0 for no bound.
   */
  int64_t timeout_ms;
  /**
   * Connections to one server at the same time (16).
   */
  size_t pool_size;
  /**
   * How often a call that has changed nothing yet is tried again; negative for the default (2).
   */
  int retries;
  /**
   * Where advertised storage addresses really are.
   */
  const fdfs_address_pair *address_map;
  /**
   * How many.
   */
  size_t address_map_count;
  /**
   * The secret of download tokens.
   */
  const char *token_secret;
} fdfs_options;

/**
 * A group of storages. Sizes are in MiB.
 */
typedef struct {
  /**
   * The group.
   */
  char name[17];
  /**
   * Space in all.
   */
  int64_t total_mb;
  /**
   * Space left.
   */
  int64_t free_mb;
  /**
   * Space that uploads leave.
   */
  int64_t reserved_mb;
  /**
   * Space left inside trunk files.
   */
  int64_t trunk_free_mb;
  /**
   * Storages.
   */
  int64_t storage_count;
  /**
   * Their port.
   */
  int64_t storage_port;
  /**
   * Storages that can be read from.
   */
  int64_t readable_count;
  /**
   * Storages that can be written to.
   */
  int64_t writable_count;
  /**
   * Store paths of each.
   */
  int64_t store_path_count;
  /**
   * Folders in each folder of a store path.
   */
  int64_t subdir_count_per_path;
  /**
   * -1 when there is none.
   */
  int64_t current_trunk_file_id;
} fdfs_group_info;

/**
 * Where a server is.
 */
typedef struct {
  /**
   * Address or name.
   */
  char host[128];
  /**
   * TCP port.
   */
  uint16_t port;
} fdfs_address;

/**
 * A storage as the tracker knows it. Sizes are in MiB, moments in Unix seconds.
 */
typedef struct {
  /**
   * Its id, or its address where ids are not used.
   */
  char id[48];
  /**
   * Where it is.
   */
  fdfs_address address;
  /**
   * 0 init, 1 waiting for sync, 2 syncing, 3 address changed, 4 deleted, 5 offline, 6 online,
   * 7 active, 9 recovery, 99 none.
   */
  int status;
  /**
   * Of its software.
   */
  char version[16];
  /**
   * When it joined the group.
   */
  int64_t joined;
  /**
   * When it started, or -1.
   */
  int64_t up_since;
  /**
   * Space in all.
   */
  int64_t total_mb;
  /**
   * Space left.
   */
  int64_t free_mb;
  /**
   * Space that uploads leave.
   */
  int64_t reserved_mb;
  /**
   * The lower, the sooner it is chosen.
   */
  int64_t upload_priority;
  /**
   * Its store paths.
   */
  int64_t store_path_count;
  /**
   * Folders in each folder of a store path.
   */
  int64_t subdir_count_per_path;
  /**
   * The store path of the next upload.
   */
  int64_t current_write_path;
  /**
   * Which storage brought it its files; empty when none did.
   */
  char sync_source[48];
  /**
   * Whether it gives out space in trunk files.
   */
  bool is_trunk_server;
  /**
   * Statistics; `fdfs_stat_name` tells which is which.
   */
  int64_t stats[FDFS_STAT_COUNT];
} fdfs_storage_info;

/**
 * A configured tracker.
 */
typedef struct {
  /**
   * As configured.
   */
  char address[256];
  /**
   * Whether it answered.
   */
  bool alive;
  /**
   * Whether it leads the trackers.
   */
  bool is_leader;
} fdfs_tracker_info;

/**
 * Where a tracker sends an upload.
 */
typedef struct {
  /**
   * The group.
   */
  char group[17];
  /**
   * The storage.
   */
  fdfs_address server;
  /**
   * The store path, 0 to 255.
   */
  int store_path_index;
} fdfs_upload_target;

/**
 * Connections to one server.
 */
typedef struct {
  /**
   * `host:port`.
   */
  char server[256];
  /**
   * Lent and kept.
   */
  size_t open;
  /**
   * Kept.
   */
  size_t idle;
  /**
   * Calls that wait for one.
   */
  size_t waiting;
  /**
   * Ever made.
   */
  uint64_t created;
  /**
   * Closed because a call did not end cleanly.
   */
  uint64_t closed_by_error;
} fdfs_pool_info;

/**
 * A group and its storages.
 */
typedef struct {
  /**
   * 1 to 16 letters and digits.
   */
  const char *name;
  /**
   * 1 to 250.
   */
  int storages;
} fdfs_embedded_group;

/**
 * What an embedded cluster consists of. Begin with `fdfs_embedded_options_init`.
 */
typedef struct {
  /**
   * Set by `fdfs_embedded_options_init`.
   */
  size_t struct_size;
  /**
   * Folder for everything, kept at the end; NULL for a temporary one.
   */
  const char *dir;
  /**
   * The groups; none for `group1` with one storage.
   */
  const fdfs_embedded_group *groups;
  /**
   * How many.
   */
  size_t group_count;
  /**
   * Port of the tracker; 0 for a free one.
   */
  uint16_t tracker_port;
} fdfs_embedded_options;

/**
 * What a file id tells.
 */
typedef struct {
  /**
   * The group.
   */
  char group[17];
  /**
   * The part behind the group, `M00/…`.
   */
  char path[FDFS_FILE_ID_SIZE];
  /**
   * Address or id of the storage it was uploaded to; empty when unknown.
   */
  char source[48];
  /**
   * What the name says it is.
   */
  fdfs_file_kind kind;
  /**
   * 0 to 255.
   */
  int store_path_index;
  /**
   * Bytes, or -1 when the name does not tell: appender and slave files.
   */
  int64_t size;
  /**
   * Unix seconds, or -1 when the name does not tell.
   */
  int64_t created;
  /**
   * CRC-32 of the content, or -1 when the name does not tell.
   */
  int64_t crc32;
} fdfs_file_id_info;

/**
 * Takes one line. Called on any thread, but on one at a time; must not call this library.
 */
typedef void (*fdfs_log_cb)(void *ctx, int level, const char *message);

/**
 * An item of metadata: up to 64 bytes of name and 256 of value.
 */
typedef struct {
  /**
   * Not empty.
   */
  const char *name;
  /**
   * May be empty.
   */
  const char *value;
} fdfs_pair;

/**
 * Metadata of a file; ended by `fdfs_metadata_free`.
 */
typedef struct {
  /**
   * The items, by name.
   */
  const fdfs_pair *pairs;
  /**
   * How many.
   */
  size_t count;
} fdfs_metadata;

/**
 * What an upload can be told. Begin with `fdfs_upload_options_init`.
 */
typedef struct {
  /**
   * Set by `fdfs_upload_options_init`.
   */
  size_t struct_size;
  /**
   * Extension of the name: up to 6 characters, without the dot; or NULL.
   */
  const char *ext;
  /**
   * Metadata to set, or NULL.
   */
  const fdfs_pair *metadata;
  /**
   * How many items.
   */
  size_t metadata_count;
  /**
   * Group to upload to, or NULL.
   */
  const char *group;
  /**
   * Store path to upload to, 0 to 255; -1 lets the tracker choose.
   */
  int store_path_index;
  /**
   * Make a file that can grow.
   */
  bool appender;
} fdfs_upload_options;

/**
 * A call that has ended.
 */
typedef struct {
  /**
   * What it was begun with.
   */
  void *tag;
  /**
   * `FDFS_OK` or one of `FDFS_E_…`.
   */
  int code;
  /**
   * Detail when it failed, or NULL; valid until this thread collects again.
   */
  const fdfs_error *error;
  /**
   * The file it stored (upload, slave, finalize); empty otherwise.
   */
  fdfs_file_id file_id;
  /**
   * Bytes it wrote to the caller's buffer.
   */
  size_t size;
} fdfs_completion;

/**
 * What a storage knows of a file.
 */
typedef struct {
  /**
   * Bytes.
   */
  uint64_t size;
  /**
   * Time of the last change, in Unix seconds.
   */
  int64_t modified;
  /**
   * CRC-32 of the content.
   */
  uint32_t crc32;
  /**
   * What the name says it is.
   */
  fdfs_file_kind kind;
  /**
   * Address of the storage it was uploaded to; empty when unknown.
   */
  char source[48];
} fdfs_file_info;

/**
 * Bytes of this library; ended by `fdfs_bytes_free`.
 */
typedef struct {
  /**
   * The bytes.
   */
  uint8_t *data;
  /**
   * How many.
   */
  size_t len;
} fdfs_bytes;

/**
 * Takes content: `len` bytes at `data`; returns 0 to go on, anything else to give up. Called on
 * the thread that called.
 */
typedef int (*fdfs_write_cb)(void *ctx, const void *data, size_t len);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Detail of the last call of this thread that failed; valid until this thread's next call that
 * fails. Never NULL.
 */
const fdfs_error *fdfs_last_error(void);

/**
 * Sets all fields to their defaults.
 */
void fdfs_call_options_init(fdfs_call_options *options);

/**
 * Makes a handle that ends calls. End it with `fdfs_cancel_free`.
 */
int fdfs_cancel_new(fdfs_cancel **out);

/**
 * Ends all calls that were given this handle, now and in future, with `FDFS_E_CANCELLED`.
 */
int fdfs_cancel_trigger(const fdfs_cancel *cancel);

/**
 * Ends the handle; calls that have it go on. NULL is fine.
 */
void fdfs_cancel_free(fdfs_cancel *cancel);

/**
 * Adds `len` bytes to the end of an appender file.
 */
int fdfs_append_buffer(const fdfs_client *client,
                       const char *file_id,
                       const void *data,
                       size_t len);

/**
 * Adds what a callback gives to the end of an appender file; see `fdfs_upload_stream`.
 */
int fdfs_append_stream(const fdfs_client *client,
                       const char *file_id,
                       fdfs_read_cb read,
                       void *ctx,
                       int64_t len);

/**
 * Adds a local file to the end of an appender file.
 */
int fdfs_append_file(const fdfs_client *client, const char *file_id, const char *path);

/**
 * Overwrites part of an appender file with `len` bytes; `offset` is at most its size.
 */
int fdfs_modify_buffer(const fdfs_client *client,
                       const char *file_id,
                       uint64_t offset,
                       const void *data,
                       size_t len);

/**
 * Overwrites part of an appender file with what a callback gives; see `fdfs_upload_stream`.
 */
int fdfs_modify_stream(const fdfs_client *client,
                       const char *file_id,
                       uint64_t offset,
                       fdfs_read_cb read,
                       void *ctx,
                       int64_t len);

/**
 * Sets the size of an appender file; a larger one extends it with zero bytes.
 */
int fdfs_truncate(const fdfs_client *client, const char *file_id, uint64_t len);

/**
 * Turns an appender file into a normal one; `out` is its new id, and the old one is gone. Its
 * metadata stays behind under the old name: set it again.
 */
int fdfs_finalize(const fdfs_client *client, const char *file_id, fdfs_file_id *out);

/**
 * Deletes a file; `FDFS_E_NOT_FOUND` when there is none.
 */
int fdfs_delete(const fdfs_client *client, const char *file_id);

/**
 * Makes a client, which connects when it is used. End it with `fdfs_client_free`.
 */
int fdfs_client_new(const fdfs_options *options, fdfs_client **out);

/**
 * Makes a client for the cluster of a `client.conf`. End it with `fdfs_client_free`.
 */
int fdfs_client_from_conf(const char *path, fdfs_client **out);

/**
 * The same client, whose calls have these options: it shares the connections of the first. End it
 * with `fdfs_client_free`, too; the order does not matter.
 */
int fdfs_client_with(const fdfs_client *client,
                     const fdfs_call_options *options,
                     fdfs_client **out);

/**
 * Closes all connections. Calls from now on fail with `FDFS_E_CLOSED`. Doing it again is fine.
 */
int fdfs_client_close(const fdfs_client *client);

/**
 * Ends a client; the last one that shares its connections closes them. NULL is fine.
 */
void fdfs_client_free(fdfs_client *client);

/**
 * Asks a tracker for a sign of life.
 */
int fdfs_ping(const fdfs_client *client);

/**
 * All groups. End the list with `fdfs_groups_free`.
 */
int fdfs_list_groups(const fdfs_client *client, fdfs_group_info **out, size_t *count);

/**
 * The storages of a group, or the one with the id `storage` unless that is NULL. End the list with
 * `fdfs_storages_free`.
 */
int fdfs_list_storages(const fdfs_client *client,
                       const char *group,
                       const char *storage,
                       fdfs_storage_info **out,
                       size_t *count);

/**
 * The configured trackers, asked one by one. End the list with `fdfs_trackers_free`.
 */
int fdfs_list_trackers(const fdfs_client *client, fdfs_tracker_info **out, size_t *count);

/**
 * Storages that hold a file: one, or all of them. End the list with `fdfs_addresses_free`.
 */
int fdfs_locate(const fdfs_client *client,
                const char *file_id,
                bool all,
                fdfs_address **out,
                size_t *count);

/**
 * The storage that the tracker would send an upload to; `group` may be NULL.
 */
int fdfs_pick_upload(const fdfs_client *client, const char *group, fdfs_upload_target *out);

/**
 * What the pool did, by server. End the list with `fdfs_pool_stats_free`.
 */
int fdfs_pool_stats(const fdfs_client *client, fdfs_pool_info **out, size_t *count);

/**
 * Removes a storage that is offline, at every tracker.
 */
int fdfs_admin_delete_storage(const fdfs_client *client, const char *group, const char *storage);

/**
 * Removes an empty group, at every tracker.
 */
int fdfs_admin_delete_group(const fdfs_client *client, const char *group);

/**
 * Chooses the trunk server of a group, or has one chosen when `storage` is NULL; `out` is its id,
 * to be ended with `fdfs_string_free`.
 */
int fdfs_admin_set_trunk_server(const fdfs_client *client,
                                const char *group,
                                const char *storage,
                                char **out);

/**
 * The URL of a file behind the web front at `base`, with a token when the client has a secret.
 * `filename` may be NULL; `expires` is the moment in Unix seconds that the token carries, -1 for
 * now. Asks no server. End `out` with `fdfs_string_free`.
 */
int fdfs_http_url(const fdfs_client *client,
                  const char *file_id,
                  const char *base,
                  const char *filename,
                  int64_t expires,
                  char **out);

/**
 * Sets all fields to their defaults.
 */
void fdfs_embedded_options_init(fdfs_embedded_options *options);

/**
 * Starts a cluster on free ports of the loopback interface and waits until uploads can come.
 * `options` may be NULL. End it with `fdfs_embedded_free`.
 */
int fdfs_embedded_start(const fdfs_embedded_options *given, fdfs_embedded **out);

/**
 * `host:port` of the tracker, valid until the cluster is freed.
 */
const char *fdfs_embedded_tracker(const fdfs_embedded *cluster);

/**
 * `host:port` of a storage, counted from 0 in the order of the groups; NULL beyond the last. Valid
 * until the cluster is freed.
 */
const char *fdfs_embedded_storage(const fdfs_embedded *cluster, size_t index);

/**
 * Ends all servers in order. Doing it again is fine.
 */
int fdfs_embedded_stop(fdfs_embedded *cluster);

/**
 * Ends the cluster, and removes its folder if that was a temporary one. NULL is fine.
 */
void fdfs_embedded_free(fdfs_embedded *cluster);

/**
 * What a file id tells; asks no server.
 */
int fdfs_file_id_parse(const char *file_id, fdfs_file_id_info *out);

/**
 * The id of a file's slave with that prefix and extension (NULL for none), whether it exists or
 * not.
 */
int fdfs_file_id_slave(const char *master, const char *prefix, const char *ext, fdfs_file_id *out);

/**
 * The token that a web front asks for, made for a moment in Unix seconds: `FDFS_TOKEN_SIZE` bytes
 * with the NUL.
 */
int fdfs_make_token(const char *file_id, int64_t unix_secs, const char *secret, char *out);

/**
 * Detail of the last call of this thread that failed; valid until this thread's next call that
 * fails. Never NULL.
 */
const fdfs_error *fdfs_last_error(void);

/**
 * Sets all fields to their defaults.
 */
void fdfs_call_options_init(fdfs_call_options *options);

/**
 * Makes a handle that ends calls. End it with `fdfs_cancel_free`.
 */
int fdfs_cancel_new(fdfs_cancel **out);

/**
 * Ends all calls that were given this handle, now and in future, with `FDFS_E_CANCELLED`.
 */
int fdfs_cancel_trigger(const fdfs_cancel *cancel);

/**
 * Ends the handle; calls that have it go on. NULL is fine.
 */
void fdfs_cancel_free(fdfs_cancel *cancel);

/**
 * Adds `len` bytes to the end of an appender file.
 */
int fdfs_append_buffer(const fdfs_client *client,
                       const char *file_id,
                       const void *data,
                       size_t len);

/**
 * Adds what a callback gives to the end of an appender file; see `fdfs_upload_stream`.
 */
int fdfs_append_stream(const fdfs_client *client,
                       const char *file_id,
                       fdfs_read_cb read,
                       void *ctx,
                       int64_t len);

/**
 * Adds a local file to the end of an appender file.
 */
int fdfs_append_file(const fdfs_client *client, const char *file_id, const char *path);

/**
 * Overwrites part of an appender file with `len` bytes; `offset` is at most its size.
 */
int fdfs_modify_buffer(const fdfs_client *client,
                       const char *file_id,
                       uint64_t offset,
                       const void *data,
                       size_t len);

/**
 * Overwrites part of an appender file with what a callback gives; see `fdfs_upload_stream`.
 */
int fdfs_modify_stream(const fdfs_client *client,
                       const char *file_id,
                       uint64_t offset,
                       fdfs_read_cb read,
                       void *ctx,
                       int64_t len);

/**
 * Sets the size of an appender file; a larger one extends it with zero bytes.
 */
int fdfs_truncate(const fdfs_client *client, const char *file_id, uint64_t len);

/**
 * Turns an appender file into a normal one; `out` is its new id, and the old one is gone. Its
 * metadata stays behind under the old name: set it again.
 */
int fdfs_finalize(const fdfs_client *client, const char *file_id, fdfs_file_id *out);

/**
 * Deletes a file; `FDFS_E_NOT_FOUND` when there is none.
 */
int fdfs_delete(const fdfs_client *client, const char *file_id);

/**
 * Makes a client, which connects when it is used. End it with `fdfs_client_free`.
 */
int fdfs_client_new(const fdfs_options *options, fdfs_client **out);

/**
 * Makes a client for the cluster of a `client.conf`. End it with `fdfs_client_free`.
 */
int fdfs_client_from_conf(const char *path, fdfs_client **out);

/**
 * The same client, whose calls have these options: it shares the connections of the first. End it
 * with `fdfs_client_free`, too; the order does not matter.
 */
int fdfs_client_with(const fdfs_client *client,
                     const fdfs_call_options *options,
                     fdfs_client **out);

/**
 * Closes all connections. Calls from now on fail with `FDFS_E_CLOSED`. Doing it again is fine.
 */
int fdfs_client_close(const fdfs_client *client);

/**
 * Ends a client; the last one that shares its connections closes them. NULL is fine.
 */
void fdfs_client_free(fdfs_client *client);

/**
 * Asks a tracker for a sign of life.
 */
int fdfs_ping(const fdfs_client *client);

/**
 * All groups. End the list with `fdfs_groups_free`.
 */
int fdfs_list_groups(const fdfs_client *client, fdfs_group_info **out, size_t *count);

/**
 * The storages of a group, or the one with the id `storage` unless that is NULL. End the list with
 * `fdfs_storages_free`.
 */
int fdfs_list_storages(const fdfs_client *client,
                       const char *group,
                       const char *storage,
                       fdfs_storage_info **out,
                       size_t *count);

/**
 * The configured trackers, asked one by one. End the list with `fdfs_trackers_free`.
 */
int fdfs_list_trackers(const fdfs_client *client, fdfs_tracker_info **out, size_t *count);

/**
 * Storages that hold a file: one, or all of them. End the list with `fdfs_addresses_free`.
 */
int fdfs_locate(const fdfs_client *client,
                const char *file_id,
                bool all,
                fdfs_address **out,
                size_t *count);

/**
 * The storage that the tracker would send an upload to; `group` may be NULL.
 */
int fdfs_pick_upload(const fdfs_client *client, const char *group, fdfs_upload_target *out);

/**
 * What the pool did, by server. End the list with `fdfs_pool_stats_free`.
 */
int fdfs_pool_stats(const fdfs_client *client, fdfs_pool_info **out, size_t *count);

/**
 * Removes a storage that is offline, at every tracker.
 */
int fdfs_admin_delete_storage(const fdfs_client *client, const char *group, const char *storage);

/**
 * Removes an empty group, at every tracker.
 */
int fdfs_admin_delete_group(const fdfs_client *client, const char *group);

/**
 * Chooses the trunk server of a group, or has one chosen when `storage` is NULL; `out` is its id,
 * to be ended with `fdfs_string_free`.
 */
int fdfs_admin_set_trunk_server(const fdfs_client *client,
                                const char *group,
                                const char *storage,
                                char **out);

/**
 * The URL of a file behind the web front at `base`, with a token when the client has a secret.
 * `filename` may be NULL; `expires` is the moment in Unix seconds that the token carries, -1 for
 * now. Asks no server. End `out` with `fdfs_string_free`.
 */
int fdfs_http_url(const fdfs_client *client,
                  const char *file_id,
                  const char *base,
                  const char *filename,
                  int64_t expires,
                  char **out);

/**
 * Sets all fields to their defaults.
 */
void fdfs_embedded_options_init(fdfs_embedded_options *options);

/**
 * Starts a cluster on free ports of the loopback interface and waits until uploads can come.
 * `options` may be NULL. End it with `fdfs_embedded_free`.
 */
int fdfs_embedded_start(const fdfs_embedded_options *given, fdfs_embedded **out);

/**
 * `host:port` of the tracker, valid until the cluster is freed.
 */
const char *fdfs_embedded_tracker(const fdfs_embedded *cluster);

/**
 * `host:port` of a storage, counted from 0 in the order of the groups; NULL beyond the last. Valid
 * until the cluster is freed.
 */
const char *fdfs_embedded_storage(const fdfs_embedded *cluster, size_t index);

/**
 * Ends all servers in order. Doing it again is fine.
 */
int fdfs_embedded_stop(fdfs_embedded *cluster);

/**
 * Ends the cluster, and removes its folder if that was a temporary one. NULL is fine.
 */
void fdfs_embedded_free(fdfs_embedded *cluster);

/**
 * What a file id tells; asks no server.
 */
int fdfs_file_id_parse(const char *file_id, fdfs_file_id_info *out);

/**
 * The id of a file's slave with that prefix and extension (NULL for none), whether it exists or
 * not.
 */
int fdfs_file_id_slave(const char *master, const char *prefix, const char *ext, fdfs_file_id *out);

/**
 * The token that a web front asks for, made for a moment in Unix seconds: `FDFS_TOKEN_SIZE` bytes
 * with the NUL.
 */
int fdfs_make_token(const char *file_id, int64_t unix_secs, const char *secret, char *out);

/**
 * Name of a number in the statistics, 0 to `FDFS_STAT_COUNT` - 1; NULL beyond. Needs no end.
 */
const char *fdfs_stat_name(size_t index);

/**
 * Ends a list. NULL is fine.
 */
void fdfs_groups_free(fdfs_group_info *list, size_t count);

/**
 * Ends a list. NULL is fine.
 */
void fdfs_storages_free(fdfs_storage_info *list, size_t count);

/**
 * Ends a list. NULL is fine.
 */
void fdfs_trackers_free(fdfs_tracker_info *list, size_t count);

/**
 * Ends a list. NULL is fine.
 */
void fdfs_addresses_free(fdfs_address *list, size_t count);

/**
 * Ends a list. NULL is fine.
 */
void fdfs_pool_stats_free(fdfs_pool_info *list, size_t count);

/**
 * From now on `callback` is told what happens, up to `level` (`FDFS_LOG_…`); NULL ends that. There
 * is one for the process.
 */
int fdfs_set_log_callback(fdfs_log_cb callback,
                          void *ctx,
                          int level);

/**
 * Version of the library, such as `"0.1.0"`.
 */
const char *fdfs_version(void);

/**
 * Name of a code, such as `"not_found"`; `"ok"` for 0 and `"unknown"` for what is none.
 */
const char *fdfs_code_name(int code);

/**
 * The metadata of a file; no items when it has none. End it with `fdfs_metadata_free`.
 */
int fdfs_get_metadata(const fdfs_client *client, const char *file_id, fdfs_metadata **out);

/**
 * Sets the metadata of a file: all of it, or with the flag `FDFS_MERGE` the items named here.
 */
int fdfs_set_metadata(const fdfs_client *client,
                      const char *file_id,
                      const fdfs_pair *pairs,
                      size_t count,
                      unsigned int flags);

/**
 * Ends metadata. NULL is fine.
 */
void fdfs_metadata_free(fdfs_metadata *metadata);

/**
 * Sets all fields to their defaults.
 */
void fdfs_options_init(fdfs_options *options);

/**
 * Sets all fields to their defaults.
 */
void fdfs_upload_options_init(fdfs_upload_options *options);

/**
 * Makes a queue for up to `capacity` calls (1 to 65536), counted until they are collected. End it
 * with `fdfs_queue_free`.
 */
int fdfs_queue_new(size_t capacity, fdfs_queue **out);

/**
 * Ends a queue: cancels the calls under way and returns when none of them touches the caller's
 * memory any more. What was not collected is lost. NULL is fine.
 */
void fdfs_queue_free(fdfs_queue *queue);

/**
 * A file descriptor that is readable as long as there is something to collect: for `poll`, `epoll`
 * and event loops. It is the queue's: not to be read from or closed.
 */
int fdfs_queue_fd(const fdfs_queue *queue, int *out);

/**
 * Collects up to `capacity` calls that have ended, in the order in which they did. Waits for the
 * first of them up to `timeout_ms`; 0 only looks, -1 waits as long as it takes. `count` is how
 * many there were: 0 when the time has passed, or when nothing is under way.
 */
int fdfs_queue_wait(const fdfs_queue *queue,
                    int64_t timeout_ms,
                    fdfs_completion *completions,
                    size_t capacity,
                    size_t *count);

/**
 * Begins `fdfs_upload_buffer`.
 */
int fdfs_queue_upload_buffer(const fdfs_queue *queue,
                             void *tag,
                             const fdfs_client *client,
                             const void *data,
                             size_t len,
                             const fdfs_upload_options *options);

/**
 * Begins `fdfs_upload_slave_buffer`.
 */
int fdfs_queue_upload_slave_buffer(const fdfs_queue *queue,
                                   void *tag,
                                   const fdfs_client *client,
                                   const char *master,
                                   const char *prefix,
                                   const void *data,
                                   size_t len,
                                   const fdfs_upload_options *options);

/**
 * Begins `fdfs_append_buffer`.
 */
int fdfs_queue_append_buffer(const fdfs_queue *queue,
                             void *tag,
                             const fdfs_client *client,
                             const char *file_id,
                             const void *data,
                             size_t len);

/**
 * Begins `fdfs_modify_buffer`.
 */
int fdfs_queue_modify_buffer(const fdfs_queue *queue,
                             void *tag,
                             const fdfs_client *client,
                             const char *file_id,
                             uint64_t offset,
                             const void *data,
                             size_t len);

/**
 * Begins `fdfs_truncate`.
 */
int fdfs_queue_truncate(const fdfs_queue *queue,
                        void *tag,
                        const fdfs_client *client,
                        const char *file_id,
                        uint64_t len);

/**
 * Begins `fdfs_finalize`.
 */
int fdfs_queue_finalize(const fdfs_queue *queue,
                        void *tag,
                        const fdfs_client *client,
                        const char *file_id);

/**
 * Begins `fdfs_delete`.
 */
int fdfs_queue_delete(const fdfs_queue *queue,
                      void *tag,
                      const fdfs_client *client,
                      const char *file_id);

/**
 * Begins `fdfs_download_into`; the completion's `size` is how many bytes there were.
 */
int fdfs_queue_download_into(const fdfs_queue *queue,
                             void *tag,
                             const fdfs_client *client,
                             const char *file_id,
                             int64_t offset,
                             void *data,
                             size_t capacity);

/**
 * Begins `fdfs_stat`; `out` is written when the completion is collected.
 */
int fdfs_queue_stat(const fdfs_queue *queue,
                    void *tag,
                    const fdfs_client *client,
                    const char *file_id,
                    fdfs_file_info *out);

/**
 * Downloads a file, or `length` bytes of it from `offset` on, into memory. A negative offset
 * counts from the end; length -1 means all to the end; what lies beyond the end is left out. End
 * the bytes with `fdfs_bytes_free`.
 */
int fdfs_download_buffer(const fdfs_client *client,
                         const char *file_id,
                         int64_t offset,
                         int64_t length,
                         fdfs_bytes *out);

/**
 * Ends bytes and sets them to none. NULL is fine, and so is doing it again.
 */
void fdfs_bytes_free(fdfs_bytes *bytes);

/**
 * Downloads up to `capacity` bytes from `offset` on straight into the caller's buffer; `got` is how
 * many there were.
 */
int fdfs_download_into(const fdfs_client *client,
                       const char *file_id,
                       int64_t offset,
                       void *data,
                       size_t capacity,
                       size_t *got);

/**
 * Downloads to a local file, which appears under its name only when it is whole. `got`, which may
 * be NULL, is the number of bytes.
 */
int fdfs_download_file(const fdfs_client *client,
                       const char *file_id,
                       const char *path,
                       int64_t offset,
                       int64_t length,
                       uint64_t *got);

/**
 * Downloads to a callback in bounded memory.
 */
int fdfs_download_stream(const fdfs_client *client,
                         const char *file_id,
                         int64_t offset,
                         int64_t length,
                         fdfs_write_cb write,
                         void *ctx);

/**
 * Opens a file, or a part of it, for reading. End it with `fdfs_reader_free`.
 */
int fdfs_reader_open(const fdfs_client *client,
                     const char *file_id,
                     int64_t offset,
                     int64_t length,
                     fdfs_reader **out);

/**
 * Reads up to `capacity` bytes; `got` is how many came, 0 at the end.
 */
int fdfs_reader_read(fdfs_reader *reader, void *data, size_t capacity, size_t *got);

/**
 * Continues at a byte of the opened part; the next read makes a new request.
 */
int fdfs_reader_seek(fdfs_reader *reader, uint64_t position);

/**
 * Bytes of the opened part; 0 for NULL.
 */
uint64_t fdfs_reader_size(const fdfs_reader *reader);

/**
 * Ends a reader. NULL is fine.
 */
void fdfs_reader_free(fdfs_reader *reader);

/**
 * Whether a file is there.
 */
int fdfs_exists(const fdfs_client *client, const char *file_id, bool *out);

/**
 * What its storage knows of a file.
 */
int fdfs_stat(const fdfs_client *client, const char *file_id, fdfs_file_info *out);

/**
 * Frees a text that this library gave out. NULL is fine.
 */
void fdfs_string_free(char *text);

/**
 * Uploads `len` bytes. `options` may be NULL. They are sent from where they are, uncopied.
 */
int fdfs_upload_buffer(const fdfs_client *client,
                       const void *data,
                       size_t len,
                       const fdfs_upload_options *options,
                       fdfs_file_id *out);

/**
 * Uploads what a callback gives: `len` bytes, or with -1 all until it ends. Of unknown length,
 * 8 MiB are kept in memory and more in a temporary file until the length is known.
 */
int fdfs_upload_stream(const fdfs_client *client,
                       fdfs_read_cb read,
                       void *ctx,
                       int64_t len,
                       const fdfs_upload_options *options,
                       fdfs_file_id *out);

/**
 * Uploads a local file; its extension is taken from its name unless the options give one.
 */
int fdfs_upload_file(const fdfs_client *client,
                     const char *path,
                     const fdfs_upload_options *options,
                     fdfs_file_id *out);

/**
 * Uploads `len` bytes as a slave of `master`: a file whose name is the master's with `prefix`
 * (1 to 16 characters) added. Group, store path and kind follow from the master.
 */
int fdfs_upload_slave_buffer(const fdfs_client *client,
                             const char *master,
                             const char *prefix,
                             const void *data,
                             size_t len,
                             const fdfs_upload_options *options,
                             fdfs_file_id *out);

/**
 * The same with what a callback gives; see `fdfs_upload_stream`.
 */
int fdfs_upload_slave_stream(const fdfs_client *client,
                             const char *master,
                             const char *prefix,
                             fdfs_read_cb read,
                             void *ctx,
                             int64_t len,
                             const fdfs_upload_options *options,
                             fdfs_file_id *out);

/**
 * The same with a local file; see `fdfs_upload_file`.
 */
int fdfs_upload_slave_file(const fdfs_client *client,
                           const char *master,
                           const char *prefix,
                           const char *path,
                           const fdfs_upload_options *options,
                           fdfs_file_id *out);

/**
 * Begins a file that is written piece by piece: an appender file, which `fdfs_writer_close` turns
 * into a normal one when `finalize` is set. End it with `fdfs_writer_free`.
 */
int fdfs_writer_open(const fdfs_client *client,
                     const fdfs_upload_options *options,
                     bool finalize,
                     fdfs_writer **out);

/**
 * Adds bytes. They are sent in pieces of 256 KiB.
 */
int fdfs_writer_write(fdfs_writer *writer, const void *data, size_t len);

/**
 * Sends the rest; `out` is the id of the whole file. The writer takes nothing more.
 */
int fdfs_writer_close(fdfs_writer *writer, fdfs_file_id *out);

/**
 * Gives the file up and deletes what has been sent. The writer takes nothing more.
 */
int fdfs_writer_abort(fdfs_writer *writer);

/**
 * Ends a writer. What was sent by one that was neither closed nor aborted stays as an appender
 * file. NULL is fine.
 */
void fdfs_writer_free(fdfs_writer *writer);

/**
 * Name of a number in the statistics, 0 to `FDFS_STAT_COUNT` - 1; NULL beyond. Needs no end.
 */
const char *fdfs_stat_name(size_t index);

/**
 * Ends a list. NULL is fine.
 */
void fdfs_groups_free(fdfs_group_info *list, size_t count);

/**
 * Ends a list. NULL is fine.
 */
void fdfs_storages_free(fdfs_storage_info *list, size_t count);

/**
 * Ends a list. NULL is fine.
 */
void fdfs_trackers_free(fdfs_tracker_info *list, size_t count);

/**
 * Ends a list. NULL is fine.
 */
void fdfs_addresses_free(fdfs_address *list, size_t count);

/**
 * Ends a list. NULL is fine.
 */
void fdfs_pool_stats_free(fdfs_pool_info *list, size_t count);

/**
 * From now on `callback` is told what happens, up to `level` (`FDFS_LOG_…`); NULL ends that. There
 * is one for the process.
 */
int fdfs_set_log_callback(fdfs_log_cb callback,
                          void *ctx,
                          int level);

/**
 * Version of the library, such as `"0.1.0"`.
 */
const char *fdfs_version(void);

/**
 * Name of a code, such as `"not_found"`; `"ok"` for 0 and `"unknown"` for what is none.
 */
const char *fdfs_code_name(int code);

/**
 * The metadata of a file; no items when it has none. End it with `fdfs_metadata_free`.
 */
int fdfs_get_metadata(const fdfs_client *client, const char *file_id, fdfs_metadata **out);

/**
 * Sets the metadata of a file: all of it, or with the flag `FDFS_MERGE` the items named here.
 */
int fdfs_set_metadata(const fdfs_client *client,
                      const char *file_id,
                      const fdfs_pair *pairs,
                      size_t count,
                      unsigned int flags);

/**
 * Ends metadata. NULL is fine.
 */
void fdfs_metadata_free(fdfs_metadata *metadata);

/**
 * Sets all fields to their defaults.
 */
void fdfs_options_init(fdfs_options *options);

/**
 * Sets all fields to their defaults.
 */
void fdfs_upload_options_init(fdfs_upload_options *options);

/**
 * Makes a queue for up to `capacity` calls (1 to 65536), counted until they are collected. End it
 * with `fdfs_queue_free`.
 */
int fdfs_queue_new(size_t capacity, fdfs_queue **out);

/**
 * Ends a queue: cancels the calls under way and returns when none of them touches the caller's
 * memory any more. What was not collected is lost. NULL is fine.
 */
void fdfs_queue_free(fdfs_queue *queue);

/**
 * A file descriptor that is readable as long as there is something to collect: for `poll`, `epoll`
 * and event loops. It is the queue's: not to be read from or closed.
 */
int fdfs_queue_fd(const fdfs_queue *queue, int *out);

/**
 * Collects up to `capacity` calls that have ended, in the order in which they did. Waits for the
 * first of them up to `timeout_ms`; 0 only looks, -1 waits as long as it takes. `count` is how
 * many there were: 0 when the time has passed, or when nothing is under way.
 */
int fdfs_queue_wait(const fdfs_queue *queue,
                    int64_t timeout_ms,
                    fdfs_completion *completions,
                    size_t capacity,
                    size_t *count);

/**
 * Begins `fdfs_upload_buffer`.
 */
int fdfs_queue_upload_buffer(const fdfs_queue *queue,
                             void *tag,
                             const fdfs_client *client,
                             const void *data,
                             size_t len,
                             const fdfs_upload_options *options);

/**
 * Begins `fdfs_upload_slave_buffer`.
 */
int fdfs_queue_upload_slave_buffer(const fdfs_queue *queue,
                                   void *tag,
                                   const fdfs_client *client,
                                   const char *master,
                                   const char *prefix,
                                   const void *data,
                                   size_t len,
                                   const fdfs_upload_options *options);

/**
 * Begins `fdfs_append_buffer`.
 */
int fdfs_queue_append_buffer(const fdfs_queue *queue,
                             void *tag,
                             const fdfs_client *client,
                             const char *file_id,
                             const void *data,
                             size_t len);

/**
 * Begins `fdfs_modify_buffer`.
 */
int fdfs_queue_modify_buffer(const fdfs_queue *queue,
                             void *tag,
                             const fdfs_client *client,
                             const char *file_id,
                             uint64_t offset,
                             const void *data,
                             size_t len);

/**
 * Begins `fdfs_truncate`.
 */
int fdfs_queue_truncate(const fdfs_queue *queue,
                        void *tag,
                        const fdfs_client *client,
                        const char *file_id,
                        uint64_t len);

/**
 * Begins `fdfs_finalize`.
 */
int fdfs_queue_finalize(const fdfs_queue *queue,
                        void *tag,
                        const fdfs_client *client,
                        const char *file_id);

/**
 * Begins `fdfs_delete`.
 */
int fdfs_queue_delete(const fdfs_queue *queue,
                      void *tag,
                      const fdfs_client *client,
                      const char *file_id);

/**
 * Begins `fdfs_download_into`; the completion's `size` is how many bytes there were.
 */
int fdfs_queue_download_into(const fdfs_queue *queue,
                             void *tag,
                             const fdfs_client *client,
                             const char *file_id,
                             int64_t offset,
                             void *data,
                             size_t capacity);

/**
 * Begins `fdfs_stat`; `out` is written when the completion is collected.
 */
int fdfs_queue_stat(const fdfs_queue *queue,
                    void *tag,
                    const fdfs_client *client,
                    const char *file_id,
                    fdfs_file_info *out);

/**
 * Downloads a file, or `length` bytes of it from `offset` on, into memory. A negative offset
 * counts from the end; length -1 means all to the end; what lies beyond the end is left out. End
 * the bytes with `fdfs_bytes_free`.
 */
int fdfs_download_buffer(const fdfs_client *client,
                         const char *file_id,
                         int64_t offset,
                         int64_t length,
                         fdfs_bytes *out);

/**
 * Ends bytes and sets them to none. NULL is fine, and so is doing it again.
 */
void fdfs_bytes_free(fdfs_bytes *bytes);

/**
 * Downloads up to `capacity` bytes from `offset` on straight into the caller's buffer; `got` is how
 * many there were.
 */
int fdfs_download_into(const fdfs_client *client,
                       const char *file_id,
                       int64_t offset,
                       void *data,
                       size_t capacity,
                       size_t *got);

/**
 * Downloads to a local file, which appears under its name only when it is whole. `got`, which may
 * be NULL, is the number of bytes.
 */
int fdfs_download_file(const fdfs_client *client,
                       const char *file_id,
                       const char *path,
                       int64_t offset,
                       int64_t length,
                       uint64_t *got);

/**
 * Downloads to a callback in bounded memory.
 */
int fdfs_download_stream(const fdfs_client *client,
                         const char *file_id,
                         int64_t offset,
                         int64_t length,
                         fdfs_write_cb write,
                         void *ctx);

/**
 * Opens a file, or a part of it, for reading. End it with `fdfs_reader_free`.
 */
int fdfs_reader_open(const fdfs_client *client,
                     const char *file_id,
                     int64_t offset,
                     int64_t length,
                     fdfs_reader **out);

/**
 * Reads up to `capacity` bytes; `got` is how many came, 0 at the end.
 */
int fdfs_reader_read(fdfs_reader *reader, void *data, size_t capacity, size_t *got);

/**
 * Continues at a byte of the opened part; the next read makes a new request.
 */
int fdfs_reader_seek(fdfs_reader *reader, uint64_t position);

/**
 * Bytes of the opened part; 0 for NULL.
 */
uint64_t fdfs_reader_size(const fdfs_reader *reader);

/**
 * Ends a reader. NULL is fine.
 */
void fdfs_reader_free(fdfs_reader *reader);

/**
 * Whether a file is there.
 */
int fdfs_exists(const fdfs_client *client, const char *file_id, bool *out);

/**
 * What its storage knows of a file.
 */
int fdfs_stat(const fdfs_client *client, const char *file_id, fdfs_file_info *out);

/**
 * Frees a text that this library gave out. NULL is fine.
 */
void fdfs_string_free(char *text);

/**
 * Uploads `len` bytes. `options` may be NULL. They are sent from where they are, uncopied.
 */
int fdfs_upload_buffer(const fdfs_client *client,
                       const void *data,
                       size_t len,
                       const fdfs_upload_options *options,
                       fdfs_file_id *out);

/**
 * Uploads what a callback gives: `len` bytes, or with -1 all until it ends. Of unknown length,
 * 8 MiB are kept in memory and more in a temporary file until the length is known.
 */
int fdfs_upload_stream(const fdfs_client *client,
                       fdfs_read_cb read,
                       void *ctx,
                       int64_t len,
                       const fdfs_upload_options *options,
                       fdfs_file_id *out);

/**
 * Uploads a local file; its extension is taken from its name unless the options give one.
 */
int fdfs_upload_file(const fdfs_client *client,
                     const char *path,
                     const fdfs_upload_options *options,
                     fdfs_file_id *out);

/**
 * Uploads `len` bytes as a slave of `master`: a file whose name is the master's with `prefix`
 * (1 to 16 characters) added. Group, store path and kind follow from the master.
 */
int fdfs_upload_slave_buffer(const fdfs_client *client,
                             const char *master,
                             const char *prefix,
                             const void *data,
                             size_t len,
                             const fdfs_upload_options *options,
                             fdfs_file_id *out);

/**
 * The same with what a callback gives; see `fdfs_upload_stream`.
 */
int fdfs_upload_slave_stream(const fdfs_client *client,
                             const char *master,
                             const char *prefix,
                             fdfs_read_cb read,
                             void *ctx,
                             int64_t len,
                             const fdfs_upload_options *options,
                             fdfs_file_id *out);

/**
 * The same with a local file; see `fdfs_upload_file`.
 */
int fdfs_upload_slave_file(const fdfs_client *client,
                           const char *master,
                           const char *prefix,
                           const char *path,
                           const fdfs_upload_options *options,
                           fdfs_file_id *out);

/**
 * Begins a file that is written piece by piece: an appender file, which `fdfs_writer_close` turns
 * into a normal one when `finalize` is set. End it with `fdfs_writer_free`.
 */
int fdfs_writer_open(const fdfs_client *client,
                     const fdfs_upload_options *options,
                     bool finalize,
                     fdfs_writer **out);

/**
 * Adds bytes. They are sent in pieces of 256 KiB.
 */
int fdfs_writer_write(fdfs_writer *writer, const void *data, size_t len);

/**
 * Sends the rest; `out` is the id of the whole file. The writer takes nothing more.
 */
int fdfs_writer_close(fdfs_writer *writer, fdfs_file_id *out);

/**
 * Gives the file up and deletes what has been sent. The writer takes nothing more.
 */
int fdfs_writer_abort(fdfs_writer *writer);

/**
 * Ends a writer. What was sent by one that was neither closed nor aborted stays as an appender
 * file. NULL is fine.
 */
void fdfs_writer_free(fdfs_writer *writer);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* LIBFDFS_H */
