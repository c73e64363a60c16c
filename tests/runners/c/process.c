/* Scenarios about this process: its memory, threads, handles and end; and those without servers. */
#define _DEFAULT_SOURCE
#include "play.h"

#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Calls `row` with the fields of each line but the first. */
static int each_row(const char *name, void (*row)(char **fields)) {
  char path[600], line[2000];
  int rows = 0;
  snprintf(path, sizeof path, "%s/%s", env("FDFS_VECTORS"), name);
  FILE *file = fopen(path, "r");
  MUST(file != NULL && fgets(line, sizeof line, file) != NULL);
  while (fgets(line, sizeof line, file) != NULL) {
    char *fields[16] = {line}, *end;
    line[strcspn(line, "\n")] = 0;
    for (int at = 0; at < 15 && (end = strchr(fields[at], '\t')) != NULL; at++) {
      *end = 0;
      fields[at + 1] = end + 1;
    }
    row(fields);
    rows++;
  }
  fclose(file);
  return rows;
}

static void file_id_row(char **fields) {
  static const char *const KINDS[] = {"normal", "appender", "slave", "trunk"};
  fdfs_file_id_info told;
  OK(fdfs_file_id_parse(fields[1], &told));
  MUST(strcmp(KINDS[told.kind], fields[2]) == 0);
  MUST(strcmp(told.source, fields[4]) == 0);
  MUST(told.created == atoll(fields[5]));
  if (told.crc32 >= 0) MUST(told.crc32 == strtoll(fields[7], NULL, 16));
}

static void token_row(char **fields) {
  char token[FDFS_TOKEN_SIZE], id[300];
  /* Rows with a group are for servers of old; the interface makes the others. */
  if (strncmp(fields[1], "M00/", 4) != 0) return;
  snprintf(id, sizeof id, "group1/%s", fields[1]);
  OK(fdfs_make_token(id, atoll(fields[3]), fields[2], token));
  MUST(strcmp(token, fields[4]) == 0);
}

static void error_row(char **fields) {
  MUST(strcmp(fdfs_code_name(atoi(fields[1])), fields[0]) == 0);
}

static void ids(void) {
  MUST(each_row("file_ids.tsv", file_id_row) > 3);
  MUST(each_row("tokens.tsv", token_row) > 3);
  MUST(each_row("errors.tsv", error_row) == FDFS_E_CANCELLED);
  MUST(strcmp(fdfs_code_name(FDFS_OK), "ok") == 0);
  MUST(strcmp(fdfs_code_name(99), "unknown") == 0);
}

static void conf(void) {
  char path[600];
  fdfs_client *client;
  fdfs_file_id id;
  path_in(path, sizeof path, "client.conf");
  FILE *file = fopen(path, "w");
  fprintf(file, "connect_timeout = 5\ntracker_server = %s\n", env("FDFS_TRACKER"));
  fclose(file);
  OK(fdfs_client_from_conf(path, &client));
  id = upload(client, "x", 1, NULL);
  OK(fdfs_delete(client, id.value));
  fdfs_client_free(client);
  unlink(path);
  FAILS(FDFS_E_CONFIG, fdfs_client_from_conf(path, &client));
}

static int64_t endless(void *ctx, void *buffer, size_t capacity) {
  uint64_t *left = ctx;
  if (capacity > *left) capacity = *left;
  memset(buffer, 7, capacity);
  *left -= capacity;
  return (int64_t)capacity;
}

static int swallow(void *ctx, const void *data, size_t len) {
  (void)data;
  *(uint64_t *)ctx += len;
  return 0;
}

static void memory(void) {
  const uint64_t LEN = (uint64_t)1 << 30;
  fdfs_client *client = client_of("FDFS_TRACKER", NULL);
  fdfs_file_id id = upload(client, "warm", 4, NULL);
  uint64_t left = LEN, got = 0;
  OK(fdfs_delete(client, id.value));
  /* The highest resident size so far is from scenarios before. */
  FILE *clear = fopen("/proc/self/clear_refs", "w");
  if (clear != NULL) {
    fputs("5", clear);
    fclose(clear);
  }
  long before = status_kib("VmRSS:");
  OK(fdfs_upload_stream(client, endless, &left, (int64_t)LEN, NULL, &id));
  OK(fdfs_download_stream(client, id.value, 0, -1, swallow, &got));
  MUST(got == LEN);
  long grown = status_kib("VmHWM:") - before;
  MUST(grown < 64 << 10);
  OK(fdfs_delete(client, id.value));
  fdfs_client_free(client);
}

static void use_once(void) {
  fdfs_client *client = client_of("FDFS_TRACKER", NULL);
  unsigned char *content = bytes(300000);
  fdfs_file_id id = upload(client, content, 300000, NULL);
  MUST(holds(client, id.value, content, 300000));
  OK(fdfs_delete(client, id.value));
  free(content);
  fdfs_client_free(client);
}

/* Waits until there are as many entries again. */
static bool comes_back(const char *folder, int count) {
  for (int round = 0; round < 100; round++) {
    if (count_in(folder) == count) return true;
    sleep_ms(20);
  }
  return false;
}

static void baseline(void) {
  use_once();
  int handles = count_in("/proc/self/fd"), threads = count_in("/proc/self/task");
  for (int round = 0; round < 3; round++) {
    use_once();
    MUST(comes_back("/proc/self/fd", handles));
    MUST(comes_back("/proc/self/task", threads));
  }
}

static void *upload_forever(void *client) {
  fdfs_file_id id;
  fdfs_upload_buffer(client, "x", 1, NULL, &id);
  return NULL;
}

static void exit_with_work(void) {
  int status;
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    /* A program of its own: what stands after a fork is another matter. */
    execl("/proc/self/exe", "runner", "-exit", (char *)NULL);
    _exit(9);
  }
  for (int round = 0; round < 500; round++) {
    if (waitpid(child, &status, WNOHANG) == child) {
      MUST(WIFEXITED(status) && WEXITSTATUS(status) == 0);
      return;
    }
    sleep_ms(20);
  }
  MUST(!"the process did not end");
}

/* Not a scenario: the process that exit_with_work starts. */
static void exit_now(void) {
  pthread_t thread;
  fdfs_client *client = client_of("FDFS_TRACKER", "FDFS_STALL");
  for (int at = 0; at < 8; at++) MUST(pthread_create(&thread, NULL, upload_forever, client) == 0);
  sleep_ms(100);
  exit(0);
}

/* Not a scenario: no other language can. A child may end its parent's client and queue, and has
 * none. */
static void after_fork(void) {
  int status;
  fdfs_client *client = client_of("FDFS_TRACKER", NULL);
  fdfs_file_id id = upload(client, "x", 1, NULL);
  fdfs_client *slow = client_of("FDFS_TRACKER", "FDFS_STALL");
  fdfs_queue *queue;
  fdfs_completion ended;
  size_t count;
  OK(fdfs_queue_new(2, &queue));
  OK(fdfs_queue_upload_buffer(queue, NULL, slow, "x", 1, NULL));
  pid_t child = fork();
  if (child == 0) {
    bool is_told = fdfs_ping(client) == FDFS_E_CLOSED &&
                   fdfs_queue_upload_buffer(queue, NULL, client, "x", 1, NULL) == FDFS_E_CLOSED &&
                   fdfs_queue_wait(queue, -1, &ended, 1, &count) == FDFS_E_CLOSED;
    fdfs_queue_free(queue);
    fdfs_client_free(client);
    fdfs_client *own = client_of("FDFS_TRACKER", NULL);
    _exit(is_told && holds(own, id.value, "x", 1) ? 0 : 1);
  }
  MUST(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  for (int round = 0; round < 3; round++) MUST(holds(client, id.value, "x", 1));
  OK(fdfs_queue_wait(queue, -1, &ended, 1, &count));
  MUST(count == 1 && ended.code == FDFS_E_TIMEOUT);
  fdfs_queue_free(queue);
  fdfs_client_free(slow);
  OK(fdfs_delete(client, id.value));
  fdfs_client_free(client);
}

static void embedded(void) {
  char dir[600];
  struct stat there;
  fdfs_embedded *cluster;
  fdfs_embedded_options options;
  fdfs_options client_options;
  fdfs_client *client;
  path_in(dir, sizeof dir, "temporary");
  mkdir(dir, 0700);
  setenv("TMPDIR", dir, 1);
  fdfs_embedded_options_init(&options);
  fdfs_embedded_group groups[] = {{"photos", 1}, {"videos", 1}};
  options.groups = groups;
  options.group_count = 2;
  OK(fdfs_embedded_start(&options, &cluster));
  MUST(count_in(dir) == 3);
  MUST(fdfs_embedded_storage(cluster, 1) != NULL && fdfs_embedded_storage(cluster, 2) == NULL);
  const char *tracker = fdfs_embedded_tracker(cluster);
  fdfs_options_init(&client_options);
  client_options.trackers = &tracker;
  client_options.tracker_count = 1;
  OK(fdfs_client_new(&client_options, &client));
  fdfs_file_id id = upload(client, "inside", 6, "txt");
  MUST(holds(client, id.value, "inside", 6));
  fdfs_client_free(client);
  OK(fdfs_embedded_stop(cluster));
  fdfs_embedded_free(cluster);
  MUST(stat(dir, &there) == 0 && count_in(dir) == 2);
  rmdir(dir);
  unsetenv("TMPDIR");
}

const scenario WITH_PROCESS[] = {{"ids", ids},
                                 {"conf", conf},
                                 {"memory", memory},
                                 {"baseline", baseline},
                                 {"exit_with_work", exit_with_work},
                                 {"embedded", embedded},
                                 {"-exit", exit_now},
                                 {"-fork", after_fork},
                                 {NULL, NULL}};
