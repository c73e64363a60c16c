/* Scenarios that need nothing but servers. */
#define _DEFAULT_SOURCE
#include "play.h"

#include <pthread.h>
#include <unistd.h>

static void round_trips(void) {
  static const size_t LENS[] = {0, 1, 262143, 262144, 262145, 104857600};
  fdfs_client *client = client_of("FDFS_TRACKER", NULL);
  for (size_t at = 0; at < sizeof LENS / sizeof *LENS; at++) {
    size_t len = LENS[at];
    unsigned char *content = bytes(len);
    fdfs_file_id id = upload(client, content, len, "bin");
    fdfs_file_id_info told;
    fdfs_file_info info;
    bool exists = true;
    OK(fdfs_file_id_parse(id.value, &told));
    MUST(told.kind == FDFS_NORMAL && told.size == (int64_t)len && told.created > 1700000000);
    MUST(holds(client, id.value, content, len));
    OK(fdfs_stat(client, id.value, &info));
    MUST(info.size == len && info.crc32 == (uint32_t)told.crc32 && info.kind == FDFS_NORMAL);
    OK(fdfs_delete(client, id.value));
    OK(fdfs_exists(client, id.value, &exists));
    MUST(!exists);
    free(content);
  }
  fdfs_client_free(client);
}

static void ranges(void) {
  static const struct {
    int64_t offset, length;
    size_t from, to;
  } CASES[] = {{10, 20, 10, 30},       {999990, -1, 999990, 1000000}, {999990, 1000, 999990, 1000000},
               {-5, -1, 999995, 1000000}, {1000000, -1, 0, 0},           {0, 0, 0, 0}};
  fdfs_client *client = client_of("FDFS_TRACKER", NULL);
  unsigned char *content = bytes(1000000), buffer[100];
  fdfs_file_id id = upload(client, content, 1000000, NULL);
  size_t got_len;
  for (size_t at = 0; at < sizeof CASES / sizeof *CASES; at++) {
    fdfs_bytes got;
    OK(fdfs_download_buffer(client, id.value, CASES[at].offset, CASES[at].length, &got));
    MUST(got.len == CASES[at].to - CASES[at].from);
    MUST(got.len == 0 || memcmp(got.data, content + CASES[at].from, got.len) == 0);
    fdfs_bytes_free(&got);
    fdfs_bytes_free(&got);
  }
  OK(fdfs_download_into(client, id.value, 7, buffer, sizeof buffer, &got_len));
  MUST(got_len == 100 && memcmp(buffer, content + 7, 100) == 0);
  FAILS(FDFS_E_INVAL, fdfs_download_into(client, id.value, 1000001, buffer, 1, &got_len));
  OK(fdfs_delete(client, id.value));
  free(content);
  fdfs_client_free(client);
}

/* A source or sink in memory. */
typedef struct {
  unsigned char *content;
  size_t len, at;
} memory;

static int64_t give(void *ctx, void *buffer, size_t capacity) {
  memory *from = ctx;
  size_t len = from->len - from->at;
  if (len > capacity) len = capacity;
  if (len > 100000) len = 100000;
  memcpy(buffer, from->content + from->at, len);
  from->at += len;
  return (int64_t)len;
}

static int64_t give_up(void *ctx, void *buffer, size_t capacity) {
  (void)ctx, (void)buffer, (void)capacity;
  return -1;
}

static int take(void *ctx, const void *data, size_t len) {
  memory *to = ctx;
  if (to->at + len > to->len || memcmp(to->content + to->at, data, len) != 0) return 1;
  to->at += len;
  return 0;
}

static void local_files(fdfs_client *client, unsigned char *content, size_t len) {
  char from[600], to[600];
  fdfs_file_id id;
  uint64_t got;
  path_in(from, sizeof from, "a.tar.gz");
  path_in(to, sizeof to, "b");
  FILE *file = fopen(from, "wb");
  MUST(file != NULL && fwrite(content, 1, len, file) == len && fclose(file) == 0);
  OK(fdfs_upload_file(client, from, NULL, &id));
  MUST(strcmp(id.value + strlen(id.value) - 7, ".tar.gz") == 0);
  OK(fdfs_download_file(client, id.value, to, 0, -1, &got));
  file = fopen(to, "rb");
  unsigned char *back = malloc(len);
  MUST(got == len && fread(back, 1, len, file) == len && memcmp(back, content, len) == 0);
  fclose(file);
  free(back);
  unlink(from);
  unlink(to);
  FAILS(FDFS_E_IO, fdfs_upload_file(client, from, NULL, &id));
  OK(fdfs_delete(client, id.value));
}

static void files_and_streams(void) {
  const size_t LEN = 9000000;
  fdfs_client *client = client_of("FDFS_TRACKER", NULL);
  memory source = {bytes(LEN), LEN, 0}, sink = source;
  unsigned char buffer[300];
  size_t got, at = 8999000;
  fdfs_file_id id;
  fdfs_reader *reader;
  local_files(client, source.content, LEN);
  OK(fdfs_upload_stream(client, give, &source, -1, NULL, &id));
  OK(fdfs_download_stream(client, id.value, 0, -1, take, &sink));
  MUST(sink.at == LEN);
  FAILS(FDFS_E_IO, fdfs_download_stream(client, id.value, 0, -1, take, &sink));
  OK(fdfs_reader_open(client, id.value, 0, -1, &reader));
  MUST(fdfs_reader_size(reader) == LEN);
  OK(fdfs_reader_seek(reader, at));
  do {
    OK(fdfs_reader_read(reader, buffer, sizeof buffer, &got));
    MUST(memcmp(buffer, source.content + at, got) == 0);
    at += got;
  } while (got > 0);
  MUST(at == LEN);
  fdfs_reader_free(reader);
  OK(fdfs_delete(client, id.value));
  source.at = 0;
  FAILS(FDFS_E_IO, fdfs_upload_stream(client, give, &source, (int64_t)LEN + 1, NULL, &id));
  source.at = 0;
  FAILS(FDFS_E_IO, fdfs_upload_stream(client, give, &source, 1000, NULL, &id));
  FAILS(FDFS_E_IO, fdfs_upload_stream(client, give_up, NULL, 1000, NULL, &id));
  id = upload(client, "after", 5, NULL);
  MUST(holds(client, id.value, "after", 5));
  OK(fdfs_delete(client, id.value));
  free(source.content);
  fdfs_client_free(client);
}

static void appender(void) {
  fdfs_client *client = client_of("FDFS_TRACKER", NULL);
  fdfs_upload_options options;
  fdfs_file_id id, normal;
  fdfs_file_id_info told;
  fdfs_writer *writer;
  bool exists = true;
  fdfs_upload_options_init(&options);
  options.appender = true;
  options.ext = "log";
  OK(fdfs_upload_buffer(client, "one", 3, &options, &id));
  OK(fdfs_file_id_parse(id.value, &told));
  MUST(told.kind == FDFS_APPENDER && told.size == -1);
  OK(fdfs_append_buffer(client, id.value, " two", 4));
  OK(fdfs_append_buffer(client, id.value, NULL, 0));
  OK(fdfs_modify_buffer(client, id.value, 0, "ONE", 3));
  OK(fdfs_truncate(client, id.value, 5));
  OK(fdfs_truncate(client, id.value, 5));
  MUST(holds(client, id.value, "ONE t", 5));
  OK(fdfs_finalize(client, id.value, &normal));
  OK(fdfs_file_id_parse(normal.value, &told));
  MUST(told.kind == FDFS_NORMAL && told.size == 5);
  OK(fdfs_exists(client, id.value, &exists));
  MUST(!exists);
  OK(fdfs_delete(client, normal.value));

  unsigned char *content = bytes(700000);
  OK(fdfs_writer_open(client, NULL, true, &writer));
  for (size_t at = 0; at < 700000; at += 99999)
    OK(fdfs_writer_write(writer, content + at, 700000 - at < 99999 ? 700000 - at : 99999));
  OK(fdfs_writer_close(writer, &id));
  FAILS(FDFS_E_INVAL, fdfs_writer_write(writer, "x", 1));
  fdfs_writer_free(writer);
  MUST(holds(client, id.value, content, 700000));
  OK(fdfs_delete(client, id.value));
  free(content);
  fdfs_client_free(client);
}

static void slave(void) {
  fdfs_client *client = client_of("FDFS_TRACKER", NULL);
  fdfs_file_id master = upload(client, "master", 6, "jpg"), id, expected;
  fdfs_upload_options options;
  fdfs_upload_options_init(&options);
  options.ext = "jpg";
  OK(fdfs_upload_slave_buffer(client, master.value, "_big", "slave", 5, &options, &id));
  OK(fdfs_file_id_slave(master.value, "_big", "jpg", &expected));
  MUST(strcmp(id.value, expected.value) == 0);
  MUST(holds(client, id.value, "slave", 5));
  FAILS(FDFS_E_EXISTS,
        fdfs_upload_slave_buffer(client, master.value, "_big", "slave", 5, &options, &id));
  OK(fdfs_delete(client, id.value));
  OK(fdfs_delete(client, master.value));
  fdfs_client_free(client);
}

static bool has(fdfs_client *client, const char *id, const fdfs_pair *pairs, size_t count) {
  fdfs_metadata *found;
  OK(fdfs_get_metadata(client, id, &found));
  bool same = found->count == count;
  for (size_t at = 0; same && at < count; at++)
    same = strcmp(found->pairs[at].name, pairs[at].name) == 0 &&
           strcmp(found->pairs[at].value, pairs[at].value) == 0;
  fdfs_metadata_free(found);
  return same;
}

static void metadata(void) {
  static const fdfs_pair FIRST[] = {{"author", "\xc3\x85se \xe6\x9c\xa8"}, {"width", "160"}};
  static const fdfs_pair MORE[] = {{"a", ""}, {"width", "80"}};
  static const fdfs_pair MERGED[] = {
      {"a", ""}, {"author", "\xc3\x85se \xe6\x9c\xa8"}, {"width", "80"}};
  static const fdfs_pair ONLY[] = {{"only", "1"}};
  char name[66] = {0};
  fdfs_pair bad[] = {{name, "x"}};
  fdfs_client *client = client_of("FDFS_TRACKER", NULL);
  fdfs_upload_options options;
  fdfs_file_id id;
  fdfs_upload_options_init(&options);
  options.metadata = FIRST;
  options.metadata_count = 2;
  OK(fdfs_upload_buffer(client, "x", 1, &options, &id));
  MUST(has(client, id.value, FIRST, 2));
  OK(fdfs_set_metadata(client, id.value, MORE, 2, FDFS_MERGE));
  MUST(has(client, id.value, MERGED, 3));
  OK(fdfs_set_metadata(client, id.value, ONLY, 1, 0));
  MUST(has(client, id.value, ONLY, 1));
  memset(name, 'n', 65);
  FAILS(FDFS_E_INVAL, fdfs_set_metadata(client, id.value, bad, 1, 0));
  bad[0].name = "a\x01z";
  FAILS(FDFS_E_INVAL, fdfs_set_metadata(client, id.value, bad, 1, 0));
  OK(fdfs_set_metadata(client, id.value, NULL, 0, 0));
  MUST(has(client, id.value, NULL, 0));
  OK(fdfs_delete(client, id.value));
  fdfs_client_free(client);
}

static void errors(void) {
  fdfs_client *client = client_of("FDFS_TRACKER", NULL);
  fdfs_file_id id = upload(client, "x", 1, "txt"), other;
  fdfs_file_id_info told;
  fdfs_file_info info;
  fdfs_bytes got;
  fdfs_upload_options options;
  char text[300];
  OK(fdfs_delete(client, id.value));
  FAILS(FDFS_E_NOT_FOUND, fdfs_delete(client, id.value));
  const fdfs_error *error = fdfs_last_error();
  MUST(error->code == FDFS_E_NOT_FOUND && error->status == 2 && error->command == 12);
  MUST(strcmp(error->file_id, id.value) == 0 && strchr(error->server, ':') != NULL);
  MUST(!error->retryable && !error->outcome_unknown);
  FAILS(FDFS_E_NOT_FOUND, fdfs_download_buffer(client, id.value, 0, -1, &got));
  FAILS(FDFS_E_NOT_FOUND, fdfs_stat(client, id.value, &info));
  snprintf(text, sizeof text, "nogroup%s", strchr(id.value, '/'));
  FAILS(FDFS_E_NO_SERVER, fdfs_stat(client, text, &info));
  fdfs_upload_options_init(&options);
  options.group = "nogroup";
  FAILS(FDFS_E_NO_SERVER, fdfs_upload_buffer(client, "x", 1, &options, &other));
  snprintf(text, sizeof text, "/%s", id.value);
  FAILS(FDFS_E_INVAL, fdfs_file_id_parse(text, &told));
  snprintf(text, sizeof text, "http://h/%s", id.value);
  FAILS(FDFS_E_INVAL, fdfs_file_id_parse(text, &told));
  FAILS(FDFS_E_INVAL, fdfs_file_id_parse(strchr(id.value, '/') + 1, &told));
  fdfs_upload_options_init(&options);
  options.ext = "toolong";
  FAILS(FDFS_E_INVAL, fdfs_upload_buffer(client, "x", 1, &options, &other));
  FAILS(FDFS_E_INVAL, fdfs_upload_buffer(client, NULL, 1, NULL, &other));
  FAILS(FDFS_E_INVAL, fdfs_upload_buffer(client, "x", 1, NULL, NULL));
  FAILS(FDFS_E_INVAL, fdfs_ping(NULL));
  options.struct_size = 1;
  FAILS(FDFS_E_INVAL, fdfs_upload_buffer(client, "x", 1, &options, &other));
  OK(fdfs_client_close(client));
  OK(fdfs_client_close(client));
  FAILS(FDFS_E_CLOSED, fdfs_ping(client));
  fdfs_client_free(client);
}

static void cluster(void) {
  fdfs_client *client = client_of("FDFS_TRACKER", NULL);
  fdfs_group_info *groups;
  fdfs_storage_info *storages;
  fdfs_tracker_info *trackers;
  fdfs_address *places;
  fdfs_pool_info *pool;
  fdfs_upload_target target;
  size_t count, found;
  OK(fdfs_ping(client));
  OK(fdfs_list_groups(client, &groups, &count));
  MUST(count >= 1 && groups[0].total_mb > 0);
  OK(fdfs_list_storages(client, groups[0].name, NULL, &storages, &found));
  MUST(found >= 1 && storages[0].status == 7 && storages[0].total_mb > 0);
  MUST(storages[0].up_since > 1700000000 && fdfs_stat_name(FDFS_STAT_COUNT) == NULL);
  MUST(strcmp(fdfs_stat_name(3), "total_upload_count") == 0);
  FAILS(FDFS_E_BUSY, fdfs_admin_delete_storage(client, groups[0].name, storages[0].id));
  fdfs_storages_free(storages, found);
  OK(fdfs_pick_upload(client, groups[0].name, &target));
  MUST(strcmp(target.group, groups[0].name) == 0 && target.server.port > 0);
  fdfs_groups_free(groups, count);
  OK(fdfs_list_trackers(client, &trackers, &count));
  MUST(count == 1 && trackers[0].alive);
  fdfs_trackers_free(trackers, count);
  fdfs_file_id id = upload(client, "x", 1, NULL);
  OK(fdfs_locate(client, id.value, true, &places, &count));
  MUST(count >= 1 && places[0].port > 0);
  fdfs_addresses_free(places, count);
  OK(fdfs_delete(client, id.value));
  OK(fdfs_pool_stats(client, &pool, &count));
  MUST(count >= 2 && pool[0].created >= 1);
  fdfs_pool_stats_free(pool, count);
  fdfs_client_free(client);
}

typedef struct {
  fdfs_client *client;
  int number;
} caller;

static void *call(void *arg) {
  caller *it = arg;
  size_t len = 1000 + 97 * (size_t)it->number;
  unsigned char *content = bytes(len);
  content[0] = (unsigned char)it->number;
  fdfs_file_id id = upload(it->client, content, len, "txt");
  MUST(holds(it->client, id.value, content, len));
  OK(fdfs_delete(it->client, id.value));
  free(content);
  return NULL;
}

static void concurrent(void) {
  enum { CALLERS = 200 };
  pthread_t threads[CALLERS];
  caller callers[CALLERS];
  fdfs_client *client = client_of("FDFS_TRACKER", NULL);
  for (int at = 0; at < CALLERS; at++) {
    callers[at] = (caller){client, at};
    MUST(pthread_create(&threads[at], NULL, call, &callers[at]) == 0);
  }
  for (int at = 0; at < CALLERS; at++) pthread_join(threads[at], NULL);
  fdfs_client_free(client);
}

const scenario WITH_FILES[] = {
    {"round_trips", round_trips}, {"ranges", ranges},   {"files_and_streams", files_and_streams},
    {"appender", appender},       {"slave", slave},     {"metadata", metadata},
    {"errors", errors},           {"cluster", cluster}, {"concurrent", concurrent},
    {NULL, NULL}};
