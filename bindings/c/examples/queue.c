/* Many uploads under way from one thread: cc queue.c $(pkg-config --cflags --libs libfdfs) */
#include <libfdfs.h>
#include <stdio.h>

enum { FILES = 1000, AT_A_TIME = 64 };

static int fail(const char *message) {
  fprintf(stderr, "%s\n", message);
  return 1;
}

int main(int argc, char **argv) {
  const char *tracker = argc > 1 ? argv[1] : "127.0.0.1:22122";
  static char contents[FILES][16];
  static fdfs_file_id ids[FILES];
  fdfs_completion ended[AT_A_TIME];
  size_t begun = 0, stored = 0, count;
  fdfs_options options;
  fdfs_client *client;
  fdfs_queue *queue;

  fdfs_options_init(&options);
  options.trackers = &tracker;
  options.tracker_count = 1;
  options.pool_size = AT_A_TIME;
  if (fdfs_client_new(&options, &client) || fdfs_queue_new(AT_A_TIME, &queue))
    return fail(fdfs_last_error()->message);
  while (stored < FILES) {
    for (; begun < FILES && begun - stored < AT_A_TIME; begun++) {
      int len = sprintf(contents[begun], "number %zu", begun);
      /* The tag tells which call it is; the content stays until that call has been collected. */
      if (fdfs_queue_upload_buffer(queue, &ids[begun], client, contents[begun], len, NULL))
        return fail(fdfs_last_error()->message);
    }
    if (fdfs_queue_wait(queue, -1, ended, AT_A_TIME, &count))
      return fail(fdfs_last_error()->message);
    for (size_t at = 0; at < count; at++, stored++) {
      if (ended[at].code) return fail(ended[at].error->message);
      *(fdfs_file_id *)ended[at].tag = ended[at].file_id;
    }
  }
  printf("%zu files, the last one is %s\n", stored, ids[FILES - 1].value);
  for (begun = 0; begun < FILES; begun++) fdfs_delete(client, ids[begun].value);
  fdfs_queue_free(queue);
  fdfs_client_free(client);
  return 0;
}
