/* bench TRACKER SECS: a line for each operation, size and number of calls at a time, with calls per
 * second and microseconds of processor time of this process for each call. One call waits on its
 * thread; many are on a queue, and in the lines "… threads" each waits on a thread of its own. */
#define _DEFAULT_SOURCE
#include <libfdfs.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CALLS_MAX = 64 };

typedef struct {
  fdfs_client *client;
  const char *content;
  size_t len;
  /* NULL for uploads. */
  const char *id;
  double until;
  long calls;
  fdfs_file_id *stored;
  size_t room;
} caller;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

static void check(int code) {
  if (code == FDFS_OK) return;
  fprintf(stderr, "%s\n", fdfs_last_error()->message);
  exit(1);
}

/* Room for one more id. */
static fdfs_file_id *next_id(caller *it) {
  if ((size_t)it->calls == it->room) {
    it->room = it->room * 2 + 1000;
    it->stored = realloc(it->stored, it->room * sizeof *it->stored);
  }
  return &it->stored[it->calls];
}

static void *run(void *arg) {
  caller *it = arg;
  char *buffer = malloc(it->len);
  for (; now() < it->until; it->calls++) {
    size_t got;
    if (it->id != NULL)
      check(fdfs_download_into(it->client, it->id, 0, buffer, it->len, &got));
    else
      check(fdfs_upload_buffer(it->client, it->content, it->len, NULL, next_id(it)));
  }
  free(buffer);
  return NULL;
}

/* Waits on a thread for each. */
static void on_threads(caller *all, int callers) {
  pthread_t threads[CALLS_MAX];
  for (int at = 0; at < callers; at++) pthread_create(&threads[at], NULL, run, &all[at]);
  for (int at = 0; at < callers; at++) pthread_join(threads[at], NULL);
}

static void begin(fdfs_queue *queue, caller *it, char *buffer) {
  if (it->id != NULL)
    check(fdfs_queue_download_into(queue, buffer, it->client, it->id, 0, buffer, it->len));
  else
    check(fdfs_queue_upload_buffer(queue, buffer, it->client, it->content, it->len, NULL));
}

/* All on this thread: the end of each begins the next. */
static void on_queue(caller *it, int calls) {
  fdfs_completion ended[CALLS_MAX];
  fdfs_queue *queue;
  size_t count;
  char *buffers = malloc(calls * it->len);
  check(fdfs_queue_new(calls, &queue));
  for (int at = 0; at < calls; at++) begin(queue, it, buffers + at * it->len);
  do {
    check(fdfs_queue_wait(queue, -1, ended, CALLS_MAX, &count));
    bool is_over = now() >= it->until;
    for (size_t at = 0; at < count; at++) {
      if (ended[at].code != FDFS_OK) {
        fprintf(stderr, "%s\n", ended[at].error->message);
        exit(1);
      }
      if (it->id == NULL) *next_id(it) = ended[at].file_id;
      it->calls++;
      if (!is_over) begin(queue, it, ended[at].tag);
    }
  } while (count > 0);
  fdfs_queue_free(queue);
  free(buffers);
}

typedef struct {
  double per_sec;
  double cpu_us;
} rate;

/* What so many calls at a time do. */
static rate measure(caller as, int at_a_time, bool by_queue, double secs) {
  caller all[CALLS_MAX];
  int callers = by_queue ? 1 : at_a_time;
  long calls = 0;
  double begin = now();
  clock_t cpu = clock();
  as.until = begin + secs;
  for (int at = 0; at < callers; at++) all[at] = as;
  if (by_queue)
    on_queue(all, at_a_time);
  else
    on_threads(all, callers);
  double took = now() - begin;
  cpu = clock() - cpu;
  for (int at = 0; at < callers; at++) {
    calls += all[at].calls;
    for (long call = 0; as.id == NULL && call < all[at].calls; call++)
      check(fdfs_delete(as.client, all[at].stored[call].value));
    free(all[at].stored);
  }
  return (rate){calls / took, cpu * 1e6 / CLOCKS_PER_SEC / calls};
}

/* Measures uploads and downloads, after a warm-up. */
static void both(caller as, const char *id, const char *how, int at_a_time, bool by_queue,
                 double secs) {
  for (int download = 0; download < 2; download++) {
    as.id = download ? id : NULL;
    measure(as, at_a_time, by_queue, 0.3);
    rate it = measure(as, at_a_time, by_queue, secs);
    printf("%s%s\t%zu\t%d\t%.0f\t%.1f\n", download ? "download" : "upload", how, as.len,
           at_a_time, it.per_sec, it.cpu_us);
    fflush(stdout);
  }
}

int main(int argc, char **argv) {
  static const size_t SIZES[] = {4096, 1048576};
  if (argc != 3) return 2;
  const char *tracker = argv[1];
  double secs = atof(argv[2]);
  fdfs_options options;
  fdfs_client *client;
  fdfs_options_init(&options);
  options.trackers = &tracker;
  options.tracker_count = 1;
  options.pool_size = CALLS_MAX;
  check(fdfs_client_new(&options, &client));
  for (int size = 0; size < 2; size++) {
    size_t len = SIZES[size];
    char *content = malloc(len);
    fdfs_file_id id;
    memset(content, 'x', len);
    check(fdfs_upload_buffer(client, content, len, NULL, &id));
    caller as = {client, content, len, NULL, 0, 0, NULL, 0};
    both(as, id.value, "", 1, false, secs);
    both(as, id.value, "", CALLS_MAX, true, secs);
    both(as, id.value, " threads", CALLS_MAX, false, secs);
    check(fdfs_delete(client, id.value));
    free(content);
  }
  fdfs_client_free(client);
  return 0;
}
