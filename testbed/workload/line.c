// Lines of output, each one write(2).
#include "workload.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void put(int fd, const char *format, va_list arguments) {
  char text[4096];
  int n = vsnprintf(text, sizeof text - 1, format, arguments);
  if (n < 0) return;
  if ((size_t)n > sizeof text - 2) n = sizeof text - 2;
  text[n] = '\n';
  // Nobody reads any more: nothing sensible can be done about it.
  if (write(fd, text, (size_t)n + 1) < 0) return;
}

void line_out(const char *format, ...) {
  va_list a;
  va_start(a, format);
  put(1, format, a);
  va_end(a);
}

void line_err(const char *format, ...) {
  va_list a;
  va_start(a, format);
  put(2, format, a);
  va_end(a);
}

void fail(const char *format, ...) {
  va_list a;
  va_start(a, format);
  put(2, format, a);
  va_end(a);
  exit(2);
}
