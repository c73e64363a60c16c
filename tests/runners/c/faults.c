/* Scenarios with servers that misbehave, and calls that are given up. */
#define _DEFAULT_SOURCE
#include "play.h"

#include <pthread.h>
#include <time.h>
#include <unistd.h>

static void address_widths(void) {
  static const char *const TRACKERS[] = {"FDFS_TRACKER_V4", "FDFS_TRACKER_V6"};
  for (int at = 0; at < 2; at++) {
    fdfs_client *client = client_of(TRACKERS[at], NULL);
    fdfs_file_id id = upload(client, "wide", 4, NULL);
    fdfs_address *places;
    fdfs_storage_info *storages;
    size_t count, found;
    MUST(holds(client, id.value, "wide", 4));
    OK(fdfs_locate(client, id.value, false, &places, &count));
    OK(fdfs_list_storages(client, "group1", NULL, &storages, &found));
    MUST(count == 1 && strcmp(places[0].host, "127.0.0.1") == 0);
    MUST(found == 1 && strcmp(storages[0].address.host, "127.0.0.1") == 0);
    MUST(storages[0].address.port == places[0].port);
    fdfs_addresses_free(places, count);
    fdfs_storages_free(storages, found);
    fdfs_client_free(client);
  }
}

static void tracker_down(void) {
  const char *trackers[] = {env("FDFS_DEAD"), env("FDFS_TRACKER")};
  fdfs_options options;
  fdfs_client *client;
  fdfs_file_id id;
  fdfs_options_init(&options);
  options.trackers = trackers;
  options.tracker_count = 2;
  for (int round = 0; round < 4; round++) {
    OK(fdfs_client_new(&options, &client));
    id = upload(client, "x", 1, NULL);
    OK(fdfs_delete(client, id.value));
    fdfs_client_free(client);
  }
  client = client_of("FDFS_DEAD", NULL);
  int code = fdfs_upload_buffer(client, "x", 1, NULL, &id);
  MUST(code == FDFS_E_NO_SERVER || code == FDFS_E_CONNECT);
  fdfs_client_free(client);
}

static bool broken(int code) { return code == FDFS_E_PROTOCOL || code == FDFS_E_CONNECT; }

static void cut(void) {
  const size_t LEN = 4 << 20;
  fdfs_client *client = client_of("FDFS_TRACKER", "FDFS_CUT");
  fdfs_client *direct = client_of("FDFS_TRACKER", NULL);
  unsigned char *content = bytes(LEN);
  fdfs_upload_options options;
  fdfs_file_id id;
  fdfs_bytes got;
  char path[600];
  MUST(broken(fdfs_upload_buffer(client, content, LEN, NULL, &id)));
  MUST(fdfs_last_error()->outcome_unknown);
  fdfs_upload_options_init(&options);
  options.group = "group1";
  OK(fdfs_upload_buffer(direct, content, LEN, &options, &id));
  path_in(path, sizeof path, "part");
  int before = count_in(env("FDFS_DIR"));
  MUST(fdfs_download_file(client, id.value, path, 0, -1, NULL) != FDFS_OK);
  MUST(count_in(env("FDFS_DIR")) == before);
  OK(fdfs_download_buffer(client, id.value, 0, 1000, &got));
  MUST(got.len == 1000 && memcmp(got.data, content, 1000) == 0);
  fdfs_bytes_free(&got);
  OK(fdfs_delete(direct, id.value));
  free(content);
  fdfs_client_free(client);
  fdfs_client_free(direct);
}

static void half_reply(void) {
  fdfs_client *client = client_of("FDFS_TRACKER", "FDFS_HALF");
  fdfs_file_id id;
  MUST(broken(fdfs_upload_buffer(client, "x", 1, NULL, &id)));
  fdfs_client_free(client);
}

typedef struct {
  fdfs_cancel *cancel;
  long after_us;
} canceller;

static void *cancel_later(void *arg) {
  canceller *it = arg;
  struct timespec time = {0, it->after_us * 1000};
  nanosleep(&time, NULL);
  OK(fdfs_cancel_trigger(it->cancel));
  return NULL;
}

/* Uploads, and cancels that from another thread meanwhile. */
static int upload_cancelled(fdfs_client *client, const void *data, size_t len, long after_us) {
  canceller it = {NULL, after_us};
  fdfs_call_options call;
  fdfs_client *bounded;
  fdfs_file_id id;
  pthread_t thread;
  OK(fdfs_cancel_new(&it.cancel));
  fdfs_call_options_init(&call);
  call.cancel = it.cancel;
  OK(fdfs_client_with(client, &call, &bounded));
  MUST(pthread_create(&thread, NULL, cancel_later, &it) == 0);
  int code = fdfs_upload_buffer(bounded, data, len, NULL, &id);
  pthread_join(thread, NULL);
  fdfs_client_free(bounded);
  fdfs_cancel_free(it.cancel);
  return code;
}

static void stall(void) {
  fdfs_client *client = client_of("FDFS_TRACKER", "FDFS_STALL"), *hurried;
  fdfs_call_options call;
  fdfs_file_id id;
  FAILS(FDFS_E_TIMEOUT, fdfs_upload_buffer(client, "x", 1, NULL, &id));
  fdfs_call_options_init(&call);
  call.timeout_ms = 100;
  OK(fdfs_client_with(client, &call, &hurried));
  FAILS(FDFS_E_TIMEOUT, fdfs_upload_buffer(hurried, "x", 1, NULL, &id));
  MUST(strstr(fdfs_last_error()->message, "100ms") != NULL);
  fdfs_client_free(hurried);
  FAILS(FDFS_E_CANCELLED, upload_cancelled(client, "x", 1, 50000));
  fdfs_client_free(client);
}

static void cancel_reuse(void) {
  const size_t LEN = 1 << 20;
  fdfs_client *client = client_of("FDFS_TRACKER", NULL);
  unsigned char *content = bytes(LEN);
  fdfs_file_id kept = upload(client, "kept", 4, NULL);
  int cancelled = 0;
  for (long round = 0; round < 1000; round++) {
    int code = upload_cancelled(client, content, LEN, round * 7 % 1500);
    MUST(code == FDFS_OK || code == FDFS_E_CANCELLED);
    cancelled += code == FDFS_E_CANCELLED;
    MUST(holds(client, kept.value, "kept", 4));
  }
  MUST(cancelled > 300);
  OK(fdfs_delete(client, kept.value));
  free(content);
  fdfs_client_free(client);
}

const scenario WITH_FAULTS[] = {{"address_widths", address_widths},
                                {"tracker_down", tracker_down},
                                {"cut", cut},
                                {"half_reply", half_reply},
                                {"stall", stall},
                                {"cancel_reuse", cancel_reuse},
                                {NULL, NULL}};
