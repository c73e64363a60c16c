/* Plays scenarios of tests/scenarios.tsv: runner NAME... */
#define _DEFAULT_SOURCE
#include "play.h"

#include <dirent.h>
#include <time.h>

const char *env(const char *name) {
  const char *value = getenv(name);
  if (value == NULL) {
    fprintf(stderr, "%s is not set: run this on the stage\n", name);
    exit(2);
  }
  return value;
}

unsigned char *bytes(size_t len) {
  unsigned char *content = malloc(len + 1);
  for (size_t at = 0; at < len; at++) content[at] = (unsigned char)(at ^ (at >> 9) ^ (at >> 17));
  return content;
}

fdfs_client *client_of(const char *tracker_var, const char *fault_var) {
  const char *tracker = env(tracker_var);
  fdfs_address_pair map = {NULL, NULL};
  fdfs_options options;
  fdfs_client *client;
  fdfs_options_init(&options);
  options.trackers = &tracker;
  options.tracker_count = 1;
  if (fault_var != NULL) {
    map.advertised = env("FDFS_STORAGE");
    map.actual = env(fault_var);
    options.address_map = &map;
    options.address_map_count = 1;
    options.group = "group1";
    options.io_timeout_ms = 500;
  }
  OK(fdfs_client_new(&options, &client));
  return client;
}

fdfs_file_id upload(fdfs_client *client, const void *data, size_t len, const char *ext) {
  fdfs_upload_options options;
  fdfs_file_id id;
  fdfs_upload_options_init(&options);
  options.ext = ext;
  OK(fdfs_upload_buffer(client, data, len, &options, &id));
  return id;
}

bool holds(fdfs_client *client, const char *id, const void *data, size_t len) {
  fdfs_bytes got;
  OK(fdfs_download_buffer(client, id, 0, -1, &got));
  bool same = got.len == len && (len == 0 || memcmp(got.data, data, len) == 0);
  fdfs_bytes_free(&got);
  return same;
}

void path_in(char *out, size_t size, const char *name) {
  snprintf(out, size, "%s/c-%s", env("FDFS_DIR"), name);
}

int count_in(const char *folder) {
  int count = 0;
  DIR *dir = opendir(folder);
  MUST(dir != NULL);
  while (readdir(dir) != NULL) count++;
  closedir(dir);
  return count;
}

long status_kib(const char *name) {
  char line[256];
  long value = -1;
  FILE *status = fopen("/proc/self/status", "r");
  while (fgets(line, sizeof line, status) != NULL)
    if (strncmp(line, name, strlen(name)) == 0) value = atol(line + strlen(name) + 1);
  fclose(status);
  return value;
}

void sleep_us(long us) {
  struct timespec time = {us / 1000000, us % 1000000 * 1000};
  nanosleep(&time, NULL);
}

void sleep_ms(long ms) { sleep_us(ms * 1000); }

static bool play(const scenario *scenarios, const char *name) {
  for (; scenarios->name != NULL; scenarios++) {
    if (strcmp(scenarios->name, name) == 0) {
      scenarios->play();
      return true;
    }
  }
  return false;
}

int main(int argc, char **argv) {
  for (int at = 1; at < argc; at++) {
    const char *name = argv[at];
    if (!play(WITH_FILES, name) && !play(WITH_FAULTS, name) && !play(WITH_PROCESS, name) &&
        !play(WITH_QUEUE, name)) {
      fprintf(stderr, "no scenario %s\n", name);
      return 2;
    }
    printf("ok %s\n", name);
    fflush(stdout);
  }
  return 0;
}
