// Durations, amounts, options; and the time.
#include "workload.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

int64_t milliseconds(const char *text) {
  char *end;
  double value = strtod(text, &end);
  if (end == text || value < 0) fail("\"%s\" is no duration (200ms, 3s, 5m, 1h)", text);
  if (!strcmp(end, "ms")) return (int64_t)value;
  if (!strcmp(end, "s") || !*end) return (int64_t)(value * 1000);
  if (!strcmp(end, "m")) return (int64_t)(value * 60000);
  if (!strcmp(end, "h")) return (int64_t)(value * 3600000);
  fail("\"%s\" is no duration (200ms, 3s, 5m, 1h)", text);
}

int64_t bytes(const char *text) {
  static const struct { const char *suffix; double factor; } units[] = {
      {"", 1}, {"Ki", 1024.0}, {"Mi", 1048576.0}, {"Gi", 1073741824.0}, {"k", 1e3}, {"M", 1e6}, {"G", 1e9}};
  char *end;
  double value = strtod(text, &end);
  if (end != text && value >= 0)
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
      if (!strcmp(end, units[i].suffix)) return (int64_t)(value * units[i].factor);
  fail("\"%s\" is no amount (512Ki, 64Mi, 1Gi, 1000000)", text);
}

// key=value; the key is letters and dashes, so that "/path=200" and "a text with = in it" are plain words.
static const char *split(const char *word, size_t *length) {
  *length = strspn(word, "abcdefghijklmnopqrstuvwxyz-");
  return *length > 0 && word[*length] == '=' ? word + *length + 1 : NULL;
}

const char *option(struct words w, const char *key) {
  size_t length;
  for (int i = 1; i < w.count; i++) {
    const char *value = split(w.at[i], &length);
    if (value && length == strlen(key) && !strncmp(w.at[i], key, length)) return value;
  }
  return NULL;
}

int64_t option_ms(struct words w, const char *key, int64_t absent) {
  const char *value = option(w, key);
  return value ? milliseconds(value) : absent;
}

int64_t option_number(struct words w, const char *key, int64_t absent) {
  const char *value = option(w, key);
  return value ? strtoll(value, NULL, 10) : absent;
}

const char *plain(struct words w, int index) {
  size_t length;
  for (int i = 1; i < w.count; i++)
    if (!split(w.at[i], &length) && index-- == 0) return w.at[i];
  return NULL;
}

void pause_ms(int64_t ms) {
  struct timespec t = {ms / 1000, ms % 1000 * 1000000};
  while (nanosleep(&t, &t)) {}
}

int64_t now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void in_background(void *(*run)(void *), void *argument) {
  pthread_t thread;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, 128 << 10);
  int error = pthread_create(&thread, &attributes, run, argument);
  if (error) line_err("thread: %s", strerror(error));
  pthread_attr_destroy(&attributes);
}
