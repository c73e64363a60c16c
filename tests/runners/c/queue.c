/* Calls on a queue. Not scenarios of all languages: the others have tasks, promises and futures. */
#define _DEFAULT_SOURCE
#include "play.h"

#include <poll.h>
#include <pthread.h>
#include <time.h>

enum { MANY = 200, AT_A_TIME = 64 };

/* A call of the tests, which is its own tag. */
typedef struct {
  unsigned char *content;
  size_t len;
  fdfs_file_id id;
  fdfs_file_info info;
  int ended;
} job;

static fdfs_queue *queue_for(size_t calls) {
  fdfs_queue *queue;
  OK(fdfs_queue_new(calls, &queue));
  return queue;
}

/* The only call of a queue, which ends so. */
static fdfs_completion only(fdfs_queue *queue, int code) {
  fdfs_completion it;
  size_t count;
  OK(fdfs_queue_wait(queue, 20000, &it, 1, &count));
  MUST(count == 1);
  if (it.code != code) fprintf(stderr, "%s\n", it.code ? it.error->message : "no error");
  MUST(it.code == code && (it.error == NULL) == (code == FDFS_OK));
  return it;
}

static bool is_quiet(fdfs_queue *queue) {
  fdfs_completion it;
  size_t count = 9;
  OK(fdfs_queue_wait(queue, 0, &it, 1, &count));
  return count == 0;
}

typedef void (*begin)(fdfs_queue *queue, fdfs_client *client, job *it);

static void begin_upload(fdfs_queue *queue, fdfs_client *client, job *it) {
  OK(fdfs_queue_upload_buffer(queue, it, client, it->content, it->len, NULL));
}

static void begin_download(fdfs_queue *queue, fdfs_client *client, job *it) {
  memset(it->content, 0, it->len);
  OK(fdfs_queue_download_into(queue, it, client, it->id.value, 0, it->content, it->len + 1));
}

static void begin_stat(fdfs_queue *queue, fdfs_client *client, job *it) {
  OK(fdfs_queue_stat(queue, it, client, it->id.value, &it->info));
}

static void begin_delete(fdfs_queue *queue, fdfs_client *client, job *it) {
  OK(fdfs_queue_delete(queue, it, client, it->id.value));
}

/* Makes a call for each job, so many at a time, and collects each once. */
static void for_all(fdfs_client *client, job *jobs, begin call) {
  fdfs_queue *queue = queue_for(AT_A_TIME);
  fdfs_completion ended[7];
  size_t count;
  int begun = 0, collected = 0;
  for (int at = 0; at < MANY; at++) jobs[at].ended = 0;
  while (collected < MANY) {
    while (begun < MANY && begun - collected < AT_A_TIME) call(queue, client, &jobs[begun++]);
    OK(fdfs_queue_wait(queue, -1, ended, 7, &count));
    MUST(count > 0);
    for (size_t at = 0; at < count; at++, collected++) {
      job *it = ended[at].tag;
      if (ended[at].code != FDFS_OK) fprintf(stderr, "%s\n", ended[at].error->message);
      MUST(ended[at].code == FDFS_OK && ended[at].error == NULL && it->ended++ == 0);
      MUST((call == begin_upload) == (ended[at].file_id.value[0] != 0));
      if (call == begin_upload) it->id = ended[at].file_id;
      MUST(ended[at].size == (call == begin_download ? it->len : 0));
    }
  }
  OK(fdfs_queue_wait(queue, -1, ended, 7, &count));
  MUST(count == 0);
  fdfs_queue_free(queue);
}

static void fill(job *it, int number) {
  for (size_t at = 0; at < it->len; at++)
    it->content[at] = (unsigned char)((at + 1) * (size_t)(number + 1) >> 3);
}

static void many(fdfs_client *client) {
  job jobs[MANY];
  for (int at = 0; at < MANY; at++) {
    jobs[at].len = at % 50 == 49 ? 700000 : 100 + 97 * (size_t)at;
    jobs[at].content = malloc(jobs[at].len + 1);
    fill(&jobs[at], at);
  }
  for_all(client, jobs, begin_upload);
  for_all(client, jobs, begin_download);
  for_all(client, jobs, begin_stat);
  for (int at = 0; at < MANY; at++) {
    job expected = jobs[at];
    expected.content = malloc(expected.len);
    fill(&expected, at);
    MUST(memcmp(jobs[at].content, expected.content, expected.len) == 0);
    MUST(jobs[at].info.size == expected.len && jobs[at].info.kind == FDFS_NORMAL);
    free(expected.content);
    free(jobs[at].content);
  }
  for_all(client, jobs, begin_delete);
}

static void every_call(fdfs_client *client) {
  fdfs_queue *queue = queue_for(1);
  fdfs_upload_options options;
  fdfs_file_id id, expected;
  fdfs_completion done;
  int tag;
  fdfs_upload_options_init(&options);
  options.appender = true;
  options.ext = "log";
  OK(fdfs_queue_upload_buffer(queue, &tag, client, "one", 3, &options));
  done = only(queue, FDFS_OK);
  MUST(done.tag == &tag);
  id = done.file_id;
  OK(fdfs_queue_append_buffer(queue, NULL, client, id.value, " two", 4));
  only(queue, FDFS_OK);
  OK(fdfs_queue_modify_buffer(queue, NULL, client, id.value, 0, "ONE", 3));
  only(queue, FDFS_OK);
  OK(fdfs_queue_truncate(queue, NULL, client, id.value, 5));
  only(queue, FDFS_OK);
  MUST(holds(client, id.value, "ONE t", 5));
  OK(fdfs_queue_finalize(queue, NULL, client, id.value));
  id = only(queue, FDFS_OK).file_id;
  MUST(holds(client, id.value, "ONE t", 5));
  OK(fdfs_file_id_slave(id.value, "_big", "jpg", &expected));
  options.ext = "jpg";
  OK(fdfs_queue_upload_slave_buffer(queue, NULL, client, id.value, "_big", "s", 1, &options));
  done = only(queue, FDFS_OK);
  MUST(strcmp(done.file_id.value, expected.value) == 0);
  MUST(holds(client, expected.value, "s", 1));
  OK(fdfs_queue_delete(queue, NULL, client, expected.value));
  only(queue, FDFS_OK);
  OK(fdfs_queue_delete(queue, NULL, client, id.value));
  only(queue, FDFS_OK);
  fdfs_queue_free(queue);
}

static void no_progress(void *ctx, uint64_t moved) { (void)ctx, (void)moved; }

static void refused(fdfs_client *client) {
  fdfs_queue *queue;
  fdfs_completion it;
  fdfs_call_options call;
  fdfs_client *shown;
  size_t count;
  FAILS(FDFS_E_INVAL, fdfs_queue_new(0, &queue));
  FAILS(FDFS_E_INVAL, fdfs_queue_new(65537, &queue));
  FAILS(FDFS_E_INVAL, fdfs_queue_new(1, NULL));
  queue = queue_for(1);
  FAILS(FDFS_E_INVAL, fdfs_queue_upload_buffer(NULL, NULL, client, "x", 1, NULL));
  FAILS(FDFS_E_INVAL, fdfs_queue_upload_buffer(queue, NULL, NULL, "x", 1, NULL));
  FAILS(FDFS_E_INVAL, fdfs_queue_upload_buffer(queue, NULL, client, NULL, 1, NULL));
  FAILS(FDFS_E_INVAL, fdfs_queue_delete(queue, NULL, client, "no/id"));
  FAILS(FDFS_E_INVAL, fdfs_queue_wait(queue, -2, &it, 1, &count));
  FAILS(FDFS_E_INVAL, fdfs_queue_wait(queue, 0, NULL, 1, &count));
  FAILS(FDFS_E_INVAL, fdfs_queue_wait(NULL, 0, &it, 1, &count));
  fdfs_call_options_init(&call);
  call.progress = no_progress;
  OK(fdfs_client_with(client, &call, &shown));
  FAILS(FDFS_E_INVAL, fdfs_queue_upload_buffer(queue, NULL, shown, "x", 1, NULL));
  fdfs_client_free(shown);
  MUST(is_quiet(queue));
  fdfs_queue_free(queue);
  fdfs_queue_free(NULL);
}

/* Deletes two files that are not there; whether both were collected at once. */
static bool fails_twice(fdfs_client *client, fdfs_file_id *ids) {
  fdfs_queue *queue = queue_for(2);
  fdfs_completion ended[2];
  size_t got = 0, count;
  for (int at = 0; at < 2; at++) OK(fdfs_queue_delete(queue, &ids[at], client, ids[at].value));
  FAILS(FDFS_E_BUSY, fdfs_queue_delete(queue, NULL, client, ids[0].value));
  MUST(fdfs_last_error()->retryable);
  sleep_us(500);
  for (; got < 2; got += count) {
    OK(fdfs_queue_wait(queue, 20000, ended, 2, &count));
    MUST(count > 0);
    for (size_t at = 0; at < count; at++) {
      const fdfs_error *error = ended[at].error;
      const fdfs_file_id *id = ended[at].tag;
      MUST(ended[at].code == FDFS_E_NOT_FOUND && error->code == FDFS_E_NOT_FOUND);
      MUST(error->status == 2 && error->command == 12 && strchr(error->server, ':') != NULL);
      MUST(strcmp(error->file_id, id->value) == 0 && strlen(error->message) > 0);
      MUST(!error->retryable && !error->outcome_unknown);
    }
  }
  fdfs_queue_free(queue);
  return count == 2;
}

static void errors_of_each(fdfs_client *client) {
  fdfs_file_id ids[2];
  int rounds = 0;
  for (int at = 0; at < 2; at++) {
    ids[at] = upload(client, "x", 1, at == 0 ? "a" : "b");
    OK(fdfs_delete(client, ids[at].value));
  }
  while (!fails_twice(client, ids)) MUST(rounds++ < 1000);
}

static bool is_readable(int fd, int limit_ms) {
  struct pollfd it = {fd, POLLIN, 0};
  return poll(&it, 1, limit_ms) == 1;
}

static void descriptor(fdfs_client *client) {
  fdfs_queue *queue = queue_for(AT_A_TIME);
  fdfs_file_id id = upload(client, "x", 1, NULL);
  fdfs_completion it;
  size_t count;
  char byte;
  int fd, again;
  OK(fdfs_queue_fd(queue, &fd));
  OK(fdfs_queue_fd(queue, &again));
  MUST(fd == again && !is_readable(fd, 0));
  for (int round = 0; round < 20; round++) {
    for (int call = 0; call < 5; call++)
      OK(fdfs_queue_download_into(queue, NULL, client, id.value, 0, &byte, call == 0 ? 1 : 0));
    for (int call = 0; call < 5; call++) {
      MUST(is_readable(fd, 20000));
      OK(fdfs_queue_wait(queue, 0, &it, 1, &count));
      MUST(count == 1 && it.code == FDFS_OK);
    }
    MUST(!is_readable(fd, 0) && byte == 'x');
  }
  OK(fdfs_delete(client, id.value));
  fdfs_queue_free(queue);
}

typedef struct {
  fdfs_client *client;
  fdfs_queue *queue;
  long collected;
} sharer;

static void *begin_and_collect(void *arg) {
  sharer *it = arg;
  fdfs_completion ended[3];
  size_t count;
  for (int round = 0; round < 100; round++)
    OK(fdfs_queue_upload_buffer(it->queue, it, it->client, "x", 1, NULL));
  do {
    OK(fdfs_queue_wait(it->queue, -1, ended, 3, &count));
    for (size_t at = 0; at < count; at++) {
      MUST(ended[at].code == FDFS_OK);
      OK(fdfs_delete(it->client, ended[at].file_id.value));
    }
    it->collected += (long)count;
  } while (count > 0);
  return NULL;
}

static void shared(fdfs_client *client) {
  pthread_t threads[4];
  sharer all[4];
  long collected = 0;
  fdfs_queue *queue = queue_for(400);
  for (int at = 0; at < 4; at++) {
    all[at] = (sharer){client, queue, 0};
    MUST(pthread_create(&threads[at], NULL, begin_and_collect, &all[at]) == 0);
  }
  for (int at = 0; at < 4; at++) {
    pthread_join(threads[at], NULL);
    collected += all[at].collected;
  }
  MUST(collected == 400);
  fdfs_queue_free(queue);
}

static long milliseconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (long)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* Calls that never end by themselves. */
static void bounds(void) {
  enum { CALLS = 5 };
  fdfs_client *client = client_of("FDFS_TRACKER", "FDFS_STALL"), *bounded, *hurried;
  fdfs_queue *queue = queue_for(CALLS);
  fdfs_completion ended[CALLS];
  fdfs_call_options call;
  fdfs_cancel *cancel;
  size_t got = 0, count = 9;
  OK(fdfs_queue_upload_buffer(queue, NULL, client, "x", 1, NULL));
  MUST(only(queue, FDFS_E_TIMEOUT).error->outcome_unknown);
  fdfs_call_options_init(&call);
  call.timeout_ms = 100;
  OK(fdfs_client_with(client, &call, &hurried));
  OK(fdfs_queue_upload_buffer(queue, NULL, hurried, "x", 1, NULL));
  fdfs_client_free(hurried);
  MUST(strstr(only(queue, FDFS_E_TIMEOUT).error->message, "100ms") != NULL);
  fdfs_call_options_init(&call);
  OK(fdfs_cancel_new(&cancel));
  call.cancel = cancel;
  OK(fdfs_client_with(client, &call, &bounded));
  for (int at = 0; at < CALLS; at++)
    OK(fdfs_queue_upload_buffer(queue, NULL, bounded, "x", 1, NULL));
  FAILS(FDFS_E_BUSY, fdfs_queue_upload_buffer(queue, NULL, bounded, "x", 1, NULL));
  OK(fdfs_queue_wait(queue, 50, ended, CALLS, &count));
  MUST(count == 0);
  OK(fdfs_cancel_trigger(cancel));
  for (; got < CALLS; got += count) {
    OK(fdfs_queue_wait(queue, 200, ended, CALLS, &count));
    MUST(count > 0);
    for (size_t at = 0; at < count; at++) MUST(ended[at].code == FDFS_E_CANCELLED);
  }
  fdfs_client_free(bounded);
  fdfs_cancel_free(cancel);
  /* Freeing the queue ends it before the client's 500 ms have passed. */
  OK(fdfs_queue_upload_buffer(queue, NULL, client, "x", 1, NULL));
  long begin = milliseconds();
  fdfs_queue_free(queue);
  MUST(milliseconds() - begin < 400);
  fdfs_client_free(client);
}

static void play(void) {
  fdfs_client *client = client_of("FDFS_TRACKER", NULL);
  many(client);
  every_call(client);
  refused(client);
  errors_of_each(client);
  descriptor(client);
  shared(client);
  bounds();
  fdfs_client_free(client);
}

/* Uploads and downloads that are ended on their way, by a cancel handle or with their queue. What
 * they had borrowed is used for something else at once, and their client by others. */
static void end_early(fdfs_client *client, job *kept, long round, int ends[2]) {
  enum { CALLS = 6 };
  const size_t LEN = 1 << 18;
  fdfs_queue *queue = queue_for(CALLS);
  fdfs_completion ended;
  fdfs_call_options call;
  fdfs_client *bounded;
  fdfs_cancel *cancel;
  size_t count = 1;
  unsigned char *content = malloc(CALLS * LEN);
  OK(fdfs_cancel_new(&cancel));
  fdfs_call_options_init(&call);
  call.cancel = cancel;
  OK(fdfs_client_with(client, &call, &bounded));
  memset(content, 'x', CALLS * LEN);
  for (int at = 0; at < CALLS; at++) {
    unsigned char *buffer = content + LEN * (size_t)at;
    if (at % 2 == 0)
      OK(fdfs_queue_upload_buffer(queue, buffer, bounded, buffer, LEN, NULL));
    else
      OK(fdfs_queue_download_into(queue, buffer, bounded, kept->id.value, 0, buffer, LEN));
  }
  fdfs_client_free(bounded);
  sleep_us(round * 37 % 1500);
  if (round % 2 == 0) {
    OK(fdfs_cancel_trigger(cancel));
    while (count > 0) {
      OK(fdfs_queue_wait(queue, -1, &ended, 1, &count));
      if (count == 0) break;
      MUST(ended.code == FDFS_OK || ended.code == FDFS_E_CANCELLED);
      ends[ended.code == FDFS_OK]++;
      if (ended.file_id.value[0] != 0) OK(fdfs_delete(client, ended.file_id.value));
      if (ended.size > 0) MUST(memcmp(ended.tag, kept->content, LEN) == 0);
    }
  }
  fdfs_queue_free(queue);
  fdfs_cancel_free(cancel);
  memset(content, 'y', CALLS * LEN);
  MUST(holds(client, kept->id.value, kept->content, kept->len));
  for (size_t at = 0; at < CALLS * LEN; at++) MUST(content[at] == 'y');
  free(content);
}

static void given_up(void) {
  fdfs_client *client = client_of("FDFS_TRACKER", NULL);
  job kept = {bytes(1 << 18), 1 << 18, {{0}}, {0}, 0};
  int ends[2] = {0, 0};
  kept.id = upload(client, kept.content, kept.len, NULL);
  for (long round = 0; round < 200; round++) end_early(client, &kept, round, ends);
  MUST(ends[0] > 50);
  OK(fdfs_delete(client, kept.id.value));
  free(kept.content);
  fdfs_client_free(client);
}

const scenario WITH_QUEUE[] = {{"-queue", play}, {"-queue_given_up", given_up}, {NULL, NULL}};
