// The small doings: lines, a beating file, processor time, things that must be there, open files.
#include "workload.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct job { struct words w; int64_t every, times; };

static struct job *job(struct words w, int64_t every) {
  struct job *j = malloc(sizeof *j);
  *j = (struct job){w, option_ms(w, "every", every), option_number(w, "times", 0)};
  return j;
}

static void *print_loop(void *argument) {
  struct job *j = argument;
  bool error = !strcmp(j->w.at[0], "complain");
  const char *text = plain(j->w, 0);
  for (int64_t i = 0; !j->times || i < j->times; i++) {
    if (i) pause_ms(j->every);
    if (error) line_err("%s", text ? text : "");
    else line_out("%s", text ? text : "");
  }
  return NULL;
}

void print_lines(struct words w) {
  struct job *j = job(w, 0);
  if (!j->times && j->every) {
    in_background(print_loop, j);
    return;
  }
  if (!j->times) j->times = 1;
  print_loop(j);
}

static void *beat_loop(void *argument) {
  struct job *j = argument;
  const char *path = plain(j->w, 0);
  for (;; pause_ms(j->every)) {
    FILE *f = fopen(path, "w");
    if (!f || fprintf(f, "%lld\n", (long long)time(NULL)) < 0 || fclose(f)) line_err("write %s: %s", path, strerror(errno));
  }
  return NULL;
}

void beat(struct words w) {
  if (!plain(w, 0)) fail("beat FILE [every=DURATION]");
  in_background(beat_loop, job(w, 1000));
}

static void *burn_loop(void *until) {
  for (int64_t end = *(int64_t *)until; !end || now_ms() < end;)
    for (volatile int i = 0; i < 1000000; i++) {}
  return NULL;
}

void burn(struct words w) {
  const char *cores = plain(w, 0);
  int64_t *until = malloc(sizeof *until), duration = option_ms(w, "for", 0);
  *until = duration ? now_ms() + duration : 0;
  for (int i = 0; i < (cores ? atoi(cores) : 1); i++) in_background(burn_loop, until);
}

void require(struct words w) {
  const char *what = plain(w, 0);
  int code = (int)option_number(w, "fail", 1);
  if (!what) fail("require FILE|env:NAME [fail=CODE]");
  if (!strncmp(what, "env:", 4)) {
    if (getenv(what + 4)) return;
    line_err("environment variable %s is not set", what + 4);
    exit(code);
  }
  int fd = open(what, O_RDONLY);
  if (fd < 0) {
    line_err("open %s: %s", what, strerror(errno));
    exit(code);
  }
  close(fd);
}

void take_descriptors(struct words w) {
  const char *count = plain(w, 0);
  for (int i = 0; i < (count ? atoi(count) : 0); i++)
    if (open("/dev/null", O_RDONLY) < 0) {
      line_err("open /dev/null: %s", strerror(errno));
      return;
    }
}
