/* cc quickstart.c $(pkg-config --cflags --libs libfdfs) && ./a.out 10.0.0.1:22122 photo.jpg */
#include <libfdfs.h>
#include <stdio.h>

int main(int argc, char **argv) {
  const char *tracker = argc > 1 ? argv[1] : "127.0.0.1:22122";
  const char *path = argc > 2 ? argv[2] : "photo.jpg";
  fdfs_options options;
  fdfs_client *client;
  fdfs_file_id id;
  fdfs_bytes content;

  fdfs_options_init(&options);
  options.trackers = &tracker;
  options.tracker_count = 1;
  if (fdfs_client_new(&options, &client) || fdfs_upload_file(client, path, NULL, &id) ||
      fdfs_download_buffer(client, id.value, 0, -1, &content)) {
    fprintf(stderr, "%s\n", fdfs_last_error()->message);
    return 1;
  }
  printf("%s: %zu bytes\n", id.value, content.len);
  fdfs_bytes_free(&content);
  fdfs_delete(client, id.value);
  fdfs_client_free(client);
  return 0;
}
