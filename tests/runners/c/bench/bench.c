/* bench TRACKER SECS: a line for each operation, size and number of callers, with calls per second
 * and microseconds of processor time of this process for each call. */
#define _DEFAULT_SOURCE
#include <libfdfs.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

static void *run(void *arg) {
  caller *it = arg;
  char *buffer = malloc(it->len);
  for (; now() < it->until; it->calls++) {
    size_t got;
    if (it->id != NULL) {
      check(fdfs_download_into(it->client, it->id, 0, buffer, it->len, &got));
      continue;
    }
    if ((size_t)it->calls == it->room) {
      it->room = it->room * 2 + 1000;
      it->stored = realloc(it->stored, it->room * sizeof *it->stored);
    }
    check(fdfs_upload_buffer(it->client, it->content, it->len, NULL, &it->stored[it->calls]));
  }
  free(buffer);
  return NULL;
}

typedef struct {
  double per_sec;
  double cpu_us;
} rate;

/* What so many callers do. */
static rate measure(fdfs_client *client, const char *content, size_t len, const char *id,
                    int callers, double secs) {
  pthread_t threads[64];
  caller all[64];
  long calls = 0;
  double begin = now();
  clock_t cpu = clock();
  for (int at = 0; at < callers; at++) {
    all[at] = (caller){client, content, len, id, begin + secs, 0, NULL, 0};
    pthread_create(&threads[at], NULL, run, &all[at]);
  }
  for (int at = 0; at < callers; at++) pthread_join(threads[at], NULL);
  double took = now() - begin;
  cpu = clock() - cpu;
  for (int at = 0; at < callers; at++) {
    calls += all[at].calls;
    for (long call = 0; id == NULL && call < all[at].calls; call++)
      check(fdfs_delete(client, all[at].stored[call].value));
    free(all[at].stored);
  }
  return (rate){calls / took, cpu * 1e6 / CLOCKS_PER_SEC / calls};
}

static void show(const char *operation, size_t len, int callers, rate it) {
  printf("%s\t%zu\t%d\t%.0f\t%.1f\n", operation, len, callers, it.per_sec, it.cpu_us);
}

int main(int argc, char **argv) {
  static const size_t SIZES[] = {4096, 1048576};
  static const int CALLERS[] = {1, 64};
  if (argc != 3) return 2;
  const char *tracker = argv[1];
  fdfs_options options;
  fdfs_client *client;
  fdfs_options_init(&options);
  options.trackers = &tracker;
  options.tracker_count = 1;
  options.pool_size = 64;
  check(fdfs_client_new(&options, &client));
  for (int size = 0; size < 2; size++) {
    size_t len = SIZES[size];
    char *content = malloc(len);
    fdfs_file_id id;
    memset(content, 'x', len);
    check(fdfs_upload_buffer(client, content, len, NULL, &id));
    for (int at = 0; at < 2; at++) {
      measure(client, content, len, NULL, CALLERS[at], 0.3);
      show("upload", len, CALLERS[at],
           measure(client, content, len, NULL, CALLERS[at], atof(argv[2])));
      measure(client, content, len, id.value, CALLERS[at], 0.3);
      show("download", len, CALLERS[at],
           measure(client, content, len, id.value, CALLERS[at], atof(argv[2])));
      fflush(stdout);
    }
    check(fdfs_delete(client, id.value));
    free(content);
  }
  fdfs_client_free(client);
  return 0;
}
