/* What the scenarios in C share. */
#ifndef PLAY_H
#define PLAY_H

#include <libfdfs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the run with the place and the last error unless the condition holds. */
#define MUST(condition)                                                                          \
  do {                                                                                           \
    if (!(condition)) {                                                                          \
      fprintf(stderr, "%s:%d: %s\n  last error: %s\n", __FILE__, __LINE__, #condition,           \
              fdfs_last_error()->message);                                                       \
      exit(1);                                                                                   \
    }                                                                                            \
  } while (0)

#define OK(call) MUST((call) == FDFS_OK)
#define FAILS(code, call) MUST((call) == (code))

const char *env(const char *name);

/* Bytes that repeat late enough to betray any misplaced piece. */
unsigned char *bytes(size_t len);

/* A client of the tracker in this variable; with a fault, one whose storage misbehaves so. */
fdfs_client *client_of(const char *tracker_var, const char *fault_var);

fdfs_file_id upload(fdfs_client *client, const void *data, size_t len, const char *ext);

/* Whether the file has this content. */
bool holds(fdfs_client *client, const char *id, const void *data, size_t len);

/* A path in the work folder. */
void path_in(char *out, size_t size, const char *name);

/* Entries of a folder in /proc/self. */
int count_in(const char *folder);

/* A line of /proc/self/status in KiB. */
long status_kib(const char *name);

void sleep_us(long us);

void sleep_ms(long ms);

typedef struct {
  const char *name;
  void (*play)(void);
} scenario;

extern const scenario WITH_FILES[], WITH_FAULTS[], WITH_PROCESS[], WITH_QUEUE[];

#endif
