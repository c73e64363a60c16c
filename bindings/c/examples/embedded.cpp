// A cluster inside the process, from C++: c++ embedded.cpp $(pkg-config --cflags --libs libfdfs)
#include <libfdfs.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

static void check(int code) {
  if (code == FDFS_OK) return;
  std::fprintf(stderr, "%s\n", fdfs_last_error()->message);
  std::exit(1);
}

template <typename T>
using owned = std::unique_ptr<T, void (*)(T *)>;

int main() {
  fdfs_embedded *started;
  check(fdfs_embedded_start(nullptr, &started));
  owned<fdfs_embedded> cluster(started, fdfs_embedded_free);

  const char *tracker = fdfs_embedded_tracker(cluster.get());
  fdfs_options options;
  fdfs_options_init(&options);
  options.trackers = &tracker;
  options.tracker_count = 1;
  fdfs_client *made;
  check(fdfs_client_new(&options, &made));
  owned<fdfs_client> client(made, fdfs_client_free);

  const std::string content = "hello";
  fdfs_file_id id;
  fdfs_bytes back;
  check(fdfs_upload_buffer(client.get(), content.data(), content.size(), nullptr, &id));
  check(fdfs_download_buffer(client.get(), id.value, 0, -1, &back));
  const bool same = std::string(reinterpret_cast<char *>(back.data), back.len) == content;
  fdfs_bytes_free(&back);
  std::printf("%s: %s\n", id.value, same ? "the same" : "different");
  return same ? 0 : 1;
}
