// Taking memory, kind by kind, at a rate; the kinds are charged to a container in different counters.
#include "workload.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { STEP = 1 << 20 };

static bool take_mapping(int flags) {
  void *p = mmap(NULL, STEP, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) {
    line_err("mmap: %s", strerror(errno));
    return false;
  }
  memset(p, 1, STEP);
  return true;
}

// Huge pages come from a pool of their own, and a group has a limit of its own for them. One page more ends in SIGBUS.
static bool take_huge(void) {
  // Without a reservation: that would be refused with an error, and the page itself is what programs die of.
  enum { PAGE = 2 << 20, flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE };
  void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (p == MAP_FAILED) {
    line_err("mmap: %s", strerror(errno));
    return false;
  }
  memset(p, 1, PAGE);
  return true;
}

// As a garbage collector: up to the amount, and down again, for ever.
static void take_waves(int64_t amount, int64_t rate) {
  size_t size = (size_t)amount;
  for (;;) {
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) fail("mmap: %s", strerror(errno));
    for (size_t done = 0; done < size; done += STEP) {
      memset(p + done, 1, size - done < STEP ? size - done : STEP);
      pause_ms(STEP * 1000LL / rate);
    }
    munmap(p, size);
  }
}

// Sixteen pipes of 64 KiB, full. The kernel gives smaller ones to a user who has many (pipe-user-pages-soft).
static bool take_pipes(void) {
  static char block[1 << 16];
  for (int left = STEP; left > 0;) {
    int ends[2];
    if (pipe2(ends, O_NONBLOCK)) {
      line_err("pipe: %s", strerror(errno));
      return false;
    }
    ssize_t n;
    while (left > 0 && (n = write(ends[1], block, sizeof block)) > 0) left -= (int)n;
  }
  return true;
}

static bool take_file(int fd) {
  static char block[STEP];
  memset(block, 1, sizeof block);
  for (size_t done = 0; done < sizeof block;) {
    ssize_t n = write(fd, block + done, sizeof block - done);
    if (n < 0) {
      line_err("write: %s", strerror(errno));
      return false;
    }
    done += (size_t)n;
  }
  return true;
}

static void take(const char *kind, const char *path, int64_t amount, int64_t rate) {
  int fd = -1;
  if (!strcmp(kind, "file") && (fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644)) < 0) {
    line_err("open %s: %s", path, strerror(errno));
    exit(1);
  }
  int64_t begin = now_ms();
  for (int64_t taken = 0; taken < amount;) {
    bool ok = !strcmp(kind, "anon")     ? take_mapping(MAP_PRIVATE)
              : !strcmp(kind, "shared") ? take_mapping(MAP_SHARED)
              : !strcmp(kind, "pipe")   ? take_pipes()
              : !strcmp(kind, "huge")   ? take_huge()
              : fd >= 0                 ? take_file(fd)
                                        : (fail("memory: the kinds are anon, shared, file, pipe, huge, wave"), false);
    if (!ok) break;
    taken += strcmp(kind, "huge") ? STEP : 2 * STEP;
    if (taken % (16 * STEP) == 0 || taken >= amount) line_out("has %lld MiB of %s", (long long)(taken / STEP), kind);
    int64_t due = begin + taken * 1000 / rate, now = now_ms();
    if (due > now) pause_ms(due - now);
  }
  if (fd < 0) return;
  static char block[STEP];
  lseek(fd, 0, SEEK_SET);
  while (read(fd, block, sizeof block) > 0) {} // what was written back is read into the cache again
}

static int64_t rate_of(struct words w) {
  const char *rate = option(w, "rate");
  int64_t value = rate ? bytes(rate) : 200 << 20;
  return value > 0 ? value : 1;
}

void take_memory(struct words w) {
  const char *kind = plain(w, 0), *amount = plain(w, 1), *path = option(w, "file");
  if (!kind || !amount) fail("memory KIND AMOUNT [rate=AMOUNT] [file=PATH]");
  if (!strcmp(kind, "wave")) take_waves(bytes(amount), rate_of(w));
  take(kind, path ? path : "/tmp/workload-memory", bytes(amount), rate_of(w));
}

void fill_file(struct words w) {
  const char *path = plain(w, 0), *amount = plain(w, 1);
  if (!path || !amount) fail("fill FILE AMOUNT [rate=AMOUNT]");
  take("file", path, bytes(amount), rate_of(w));
}
